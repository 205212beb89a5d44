#include "core/shape.h"

#include <limits>

#include "gtest/gtest.h"

namespace duet {
namespace {

TEST(ShapeTest, CountsElements) {
  EXPECT_EQ(Shape().num_elements(), 1);
  EXPECT_EQ(Shape({2, 3}).num_elements(), 6);
  EXPECT_EQ(Shape({2, 0}).num_elements(), 0);
  EXPECT_EQ(Shape({-1, 3}).num_elements(), -1);
}

TEST(ShapeTest, RefusesSizesThatOverflow) {
  const int64_t big = int64_t{1} << 40;
  EXPECT_EQ(Shape({big, big}).Validate().code(), absl::StatusCode::kInvalidArgument);
  // A zero does not hide an overflow of the other sizes, whose product strides need.
  EXPECT_FALSE(Shape({0, big, big}).Validate().ok());
  EXPECT_FALSE(Shape({std::numeric_limits<int64_t>::max()}).Validate().ok());
  EXPECT_TRUE(Shape({big}).Validate().ok());
  EXPECT_EQ(Shape({2, -1}).Validate().message(), "shape [2,-1] has the negative size -1");
  EXPECT_TRUE(Shape({-1}).Validate(/*allow_unknown=*/true).ok());
  EXPECT_FALSE(Shape({-2}).Validate(/*allow_unknown=*/true).ok());
  EXPECT_FALSE(Shape(std::vector<int64_t>(255, 1)).Validate().ok());
}

TEST(ShapeTest, Broadcasts) {
  EXPECT_EQ(*BroadcastShapes({2, 1, 4}, {3, 1}), Shape({2, 3, 4}));
  EXPECT_EQ(*BroadcastShapes({}, {3}), Shape({3}));
  EXPECT_EQ(*BroadcastShapes({0}, {1}), Shape({0}));
  EXPECT_EQ(*BroadcastShapes({-1, 4}, {4}), Shape({-1, 4}));
  EXPECT_EQ(*BroadcastShapes({-1}, {1}), Shape({-1}));
  EXPECT_EQ(*BroadcastShapes({-1}, {5}), Shape({5}));
  EXPECT_EQ(*BroadcastShapes({5}, {-1}), Shape({5}));
  const auto bad = BroadcastShapes({2, 3}, {2, 4});
  EXPECT_EQ(bad.status().message(),
            "shapes [2,3] and [2,4] do not broadcast: sizes must be equal or 1, counted from the "
            "right");
}

TEST(ShapeTest, PrintsUnknownSizes) { EXPECT_EQ(Shape({-1, 3}).ToString(), "[?,3]"); }

}  // namespace
}  // namespace duet
