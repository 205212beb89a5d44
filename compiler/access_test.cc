#include "compiler/access.h"

#include <numeric>
#include <vector>

#include "gtest/gtest.h"

namespace duet::compiler {
namespace {

// The positions that an access visits over a shape, row-major.
std::vector<int64_t> Walk(const Access& access, const Shape& shape) {
  std::vector<int64_t> out;
  for (int64_t i = 0; i < shape.num_elements(); ++i) {
    int64_t rest = i, at = access.offset;
    for (int d = shape.rank(); d-- > 0;) {
      at += rest % shape.dim(d) * access.strides[static_cast<size_t>(d)];
      rest /= shape.dim(d);
    }
    out.push_back(at);
  }
  return out;
}

// Composes two views of a tensor of `shape` and compares with walking one after the other.
void ExpectComposes(const Shape& shape, const ViewMap& first, const Shape& middle,
                    const ViewMap& second, const Shape& result) {
  const Access whole{{0, 0}, 0, RowMajor(shape), true};
  auto one = Through(whole, shape, first, middle);
  ASSERT_TRUE(one.ok()) << one.status();
  auto both = Through(*one, middle, second, result);
  ASSERT_TRUE(both.ok()) << both.status();
  const std::vector<int64_t> inner = Walk(*one, middle);
  const Access second_alone{
      {0, 0}, second.offset, second.reshape ? RowMajor(result) : second.strides, true};
  std::vector<int64_t> expected;
  for (int64_t i : Walk(second_alone, result)) expected.push_back(inner[static_cast<size_t>(i)]);
  EXPECT_EQ(Walk(*both, result), expected);
}

const ViewMap kTransposed{false, 0, {1, 4}};  // of [3,4]: [4,3]
const ViewMap kReshape{true, 0, {}};

TEST(Access, ComposesViews) {
  // A slice of a transpose, a transpose of a slice, a broadcast of both.
  ExpectComposes({3, 4}, kTransposed, {4, 3}, {false, 4, {3, 1}}, {2, 2});
  ExpectComposes({3, 4}, {false, 5, {4, 1}}, {2, 3}, {false, 0, {1, 3}}, {3, 2});
  ExpectComposes({3, 4}, kTransposed, {4, 3}, {false, 0, {0, 3, 1}}, {5, 4, 3});
  // Reshapes that split, join and add dimensions of size 1.
  ExpectComposes({3, 4}, kTransposed, {4, 3}, kReshape, {2, 2, 1, 3});
  ExpectComposes({2, 6}, {false, 0, {0, 6, 1}}, {3, 2, 6}, kReshape, {3, 12});
  ExpectComposes({3, 4}, {false, 0, {4}}, {3}, kReshape, {1, 3, 1});
  ExpectComposes({3, 4}, kReshape, {2, 6}, {false, 0, {1, 6}}, {6, 2});
}

TEST(Access, RefusesWhatHasNoStrides) {
  const Access whole{{0, 0}, 0, RowMajor({3, 4}), true};
  auto transposed = Through(whole, {3, 4}, kTransposed, {4, 3});
  ASSERT_TRUE(transposed.ok());
  EXPECT_EQ(Through(*transposed, {4, 3}, kReshape, {12}).status().code(),
            absl::StatusCode::kFailedPrecondition);
  // A step from the middle of one row to the middle of the next, as a diagonal has.
  EXPECT_FALSE(Through(*transposed, {4, 3}, {false, 0, {4}}, {3}).ok());
}

TEST(Access, EmptyTensorsHaveStrides) {
  const Access whole{{0, 0}, 0, RowMajor({0, 4}), true};
  auto transposed = Through(whole, {0, 4}, {false, 0, {1, 4}}, {4, 0});
  ASSERT_TRUE(transposed.ok());
  EXPECT_TRUE(Through(*transposed, {4, 0}, kReshape, {0, 7}).ok());
}

}  // namespace
}  // namespace duet::compiler
