#include "tools/duet/difference.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "duet.h"

namespace duet::tool {
namespace {

template <class T>
uint64_t Ulps(T a, T b) {
  return DifferenceOf(Constant(std::vector<T>{a}, {1}), Constant(std::vector<T>{b}, {1})).max_ulp;
}

TEST(DifferenceTest, CountsRepresentableValues) {
  EXPECT_EQ(Ulps(1.0f, 1.0f), 0u);
  EXPECT_EQ(Ulps(1.0f, std::nextafter(1.0f, 2.0f)), 1u);
  EXPECT_EQ(Ulps(1.0, std::nextafter(1.0, 0.0)), 1u);
  EXPECT_EQ(Ulps(1.0f, 2.0f), 1u << 23);
  const float tiny = std::numeric_limits<float>::denorm_min();
  EXPECT_EQ(Ulps(-tiny, tiny), 2u);
  EXPECT_EQ(Ulps(-0.0f, 0.0f), 0u);
  EXPECT_EQ(Ulps(std::numeric_limits<float>::max(), std::numeric_limits<float>::infinity()), 1u);
  const double big = std::numeric_limits<double>::infinity();
  EXPECT_EQ(Ulps(-big, big), 2 * uint64_t{0x7ff0000000000000});
}

TEST(DifferenceTest, NanIsFarFromNumbersOnly) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  EXPECT_EQ(Ulps(nan, 1.0f), kFarthest);
  EXPECT_EQ(Ulps(nan, -nan), 0u);
}

TEST(DifferenceTest, IntegersDoNotOverflow) {
  EXPECT_EQ(Ulps<int64_t>(INT64_MIN, INT64_MAX), UINT64_MAX);
  EXPECT_EQ(Ulps<int32_t>(-3, 4), 7u);
  EXPECT_EQ(Ulps<uint8_t>(0, 255), 255u);
}

TEST(DifferenceTest, FindsTheFirstDifferentElement) {
  const Tensor a = Constant({{1.0f, 0.0f}, {3.0f, 4.0f}});
  EXPECT_TRUE(DifferenceOf(a, a).same_bits());
  EXPECT_EQ(DifferenceOf(a, a).position, -1);
  const Difference zero = DifferenceOf(a, Constant({{1.0f, -0.0f}, {3.0f, 4.5f}}));
  EXPECT_FALSE(zero.same_bits());
  EXPECT_EQ(zero.position, 1);
  EXPECT_EQ(zero.max_ulp, 1u << 20);
}

}  // namespace
}  // namespace duet::tool
