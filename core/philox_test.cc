#include "core/philox.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

#include "gtest/gtest.h"

namespace duet {
namespace {

// The known answers that the Random123 library ships for philox4x32-10.
TEST(Philox, KnownAnswers) {
  const struct {
    PhiloxResult counter;
    uint32_t key_low, key_high;
    PhiloxResult expected;
  } kAnswers[] = {
      {{{0, 0, 0, 0}}, 0, 0, {{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}}},
      {{{0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff}},
       0xffffffff,
       0xffffffff,
       {{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}}},
      {{{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}},
       0xa4093822,
       0x299f31d0,
       {{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}}},
  };
  for (const auto& answer : kAnswers) {
    const PhiloxResult result = Philox4x32(answer.key_low, answer.key_high, answer.counter);
    for (int i = 0; i < 4; ++i) EXPECT_EQ(result.word[i], answer.expected.word[i]) << i;
  }
}

TEST(Philox, BlockPlacesSeedsAndIndex) {
  const PhiloxResult block =
      PhiloxBlock(0x299f31d0a4093822, 0x0370734413198a2e, 0x85a308d3243f6a88);
  EXPECT_EQ(block.word[0], 0xd16cfe09u);
}

TEST(Philox, UniformBorders) {
  EXPECT_EQ(UniformFloat(0), 0.0f);
  EXPECT_EQ(UniformFloat(0xffffffff), 1.0f - 0x1p-23f);
  EXPECT_EQ(UniformFloat(0x00400000), 0.5f);
  EXPECT_EQ(UniformDouble(0, 0), 0.0);
  EXPECT_EQ(UniformDouble(0xffffffff, 0xffffffff), 1.0 - 0x1p-52);
  EXPECT_EQ(UniformDouble(0x00080000, 0), 0.5);
  EXPECT_EQ(UniformBelow(0, 7), 0u);
  EXPECT_EQ(UniformBelow(~uint64_t{0}, 7), 6u);
  EXPECT_EQ(UniformBelow(~uint64_t{0}, ~uint64_t{0}), ~uint64_t{0} - 1);
}

TEST(Philox, NormalBorders) {
  double first, second;
  NormalPair(~uint64_t{0}, 123, &first, &second);
  EXPECT_EQ(first, 0.0);
  EXPECT_EQ(second, 0.0);
  NormalPair(0, 0, &first, &second);
  EXPECT_NEAR(first, std::sqrt(2 * 53 * std::log(2.0)), 1e-14);
  EXPECT_EQ(second, 0.0);
}

template <typename T, typename Fill>
void ExpectSameInParts(Fill fill) {
  constexpr int64_t kCount = 103;
  std::vector<T> whole(kCount);
  fill(whole.data(), uint64_t{5}, kCount);
  for (int64_t part : {1, 2, 3, 4, 7, 64}) {
    std::vector<T> parts(kCount);
    for (int64_t i = 0; i < kCount; i += part) {
      fill(parts.data() + i, 5 + static_cast<uint64_t>(i), std::min(part, kCount - i));
    }
    EXPECT_EQ(whole, parts) << part;
  }
}

TEST(Philox, ElementsDoNotDependOnWhereAFillIsCut) {
  ExpectSameInParts<float>([](float* out, uint64_t i, int64_t n) { FillUniform(out, 1, 2, i, n); });
  ExpectSameInParts<double>(
      [](double* out, uint64_t i, int64_t n) { FillUniform(out, 1, 2, i, n); });
  ExpectSameInParts<float>([](float* out, uint64_t i, int64_t n) { FillNormal(out, 1, 2, i, n); });
  ExpectSameInParts<double>(
      [](double* out, uint64_t i, int64_t n) { FillNormal(out, 1, 2, i, n); });
  ExpectSameInParts<int64_t>(
      [](int64_t* out, uint64_t i, int64_t n) { FillUniformInt<int64_t>(out, -3, 9, 1, 2, i, n); });
}

template <typename T>
void ExpectMoments(const std::vector<T>& values, double mean, double variance) {
  double sum = 0, squares = 0;
  for (T value : values) sum += value;
  const double found = sum / values.size();
  for (T value : values) squares += (value - found) * (value - found);
  // Five standard errors, generously.
  const double error = 5 * std::sqrt(variance / values.size());
  EXPECT_NEAR(found, mean, error);
  EXPECT_NEAR(squares / values.size(), variance, 3 * error);
}

TEST(Philox, Moments) {
  constexpr int64_t kCount = 200000;
  std::vector<float> floats(kCount);
  std::vector<double> doubles(kCount);
  std::vector<int32_t> ints(kCount);
  FillUniform(floats.data(), 42, 7, 0, kCount);
  ExpectMoments(floats, 0.5, 1.0 / 12);
  FillUniform(doubles.data(), 42, 7, 0, kCount);
  ExpectMoments(doubles, 0.5, 1.0 / 12);
  FillNormal(floats.data(), 42, 7, 0, kCount);
  ExpectMoments(floats, 0, 1);
  EXPECT_NEAR(std::count_if(floats.begin(), floats.end(), [](float x) { return x > 1.96f; }),
              0.025 * kCount, 400);
  FillNormal(doubles.data(), 43, 7, 0, kCount);
  ExpectMoments(doubles, 0, 1);
  FillUniformInt<int32_t>(ints.data(), -5, 6, 42, 7, 0, kCount);
  ExpectMoments(ints, 0, 10);
  EXPECT_EQ(*std::min_element(ints.begin(), ints.end()), -5);
  EXPECT_EQ(*std::max_element(ints.begin(), ints.end()), 5);
}

TEST(Philox, IntegersOfTheWholeRange) {
  std::vector<int64_t> values(1000);
  constexpr int64_t kMin = std::numeric_limits<int64_t>::min();
  constexpr int64_t kMax = std::numeric_limits<int64_t>::max();
  FillUniformInt<int64_t>(values.data(), kMin, kMax, 1, 2, 0, 1000);
  EXPECT_LT(*std::min_element(values.begin(), values.end()), kMin / 2);
  EXPECT_GT(*std::max_element(values.begin(), values.end()), kMax / 2);
}

TEST(Philox, SeedsAndStreamsDiffer) {
  float values[4];
  FillUniform(&values[0], 1, 2, 0, 1);
  FillUniform(&values[1], 2, 1, 0, 1);
  FillUniform(&values[2], 1, 3, 0, 1);
  FillUniform(&values[3], 1, 2, 4, 1);
  for (int i = 0; i < 4; ++i) {
    for (int j = 0; j < i; ++j) EXPECT_NE(values[i], values[j]);
  }
}

}  // namespace
}  // namespace duet
