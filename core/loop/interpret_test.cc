#include <cmath>
#include <limits>

#include "core/loop/program.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace duet::loop {
namespace {

using testing::ElementsAre;

template <class T, class R = T>
std::vector<R> Elementwise(Code code, std::vector<T> x, std::vector<T> y) {
  Program p{.inner = {Stride::kUnit, Stride::kUnit}};
  p.body.operands = {kDTypeOf<T>, kDTypeOf<T>};
  Builder b(&p.body);
  const auto l = b.Load(0), r = b.Load(1);
  p.body.outputs = {{b.Binary(code, l, r)}};
  std::vector<R> out(x.size());
  void* pointers[] = {x.data(), y.data(), out.data()};
  const int64_t rows[] = {0, 0, 0}, inner[] = {sizeof(T), sizeof(T), sizeof(R)};
  Interpret(p, {1, static_cast<int64_t>(x.size()), 0, pointers, rows, inner});
  return out;
}

constexpr int32_t kMin32 = std::numeric_limits<int32_t>::min();

TEST(InterpretTest, IntegersDivideWithoutTraps) {
  using V = std::vector<int32_t>;
  const V x = {7, -7, 7, -7, kMin32, 5}, y = {2, 2, -2, -2, -1, 0};
  EXPECT_THAT(Elementwise(Code::kDiv, x, y), ElementsAre(3, -3, -3, 3, kMin32, 0));
  EXPECT_THAT(Elementwise(Code::kFloorDiv, x, y), ElementsAre(3, -4, -4, 3, kMin32, 0));
  EXPECT_THAT(Elementwise(Code::kFloorMod, x, y), ElementsAre(1, 1, -1, -1, 0, 0));
}

TEST(InterpretTest, IntegersWrap) {
  using V = std::vector<int32_t>;
  EXPECT_THAT(Elementwise(Code::kAdd, V{std::numeric_limits<int32_t>::max()}, V{1}),
              ElementsAre(kMin32));
  EXPECT_THAT(Elementwise(Code::kPow, V{2, 2, -3, 7}, V{10, 32, 3, 0}),
              ElementsAre(1024, 0, -27, 1));
  EXPECT_THAT(Elementwise(Code::kSub, std::vector<uint8_t>{3}, std::vector<uint8_t>{5}),
              ElementsAre(254));
}

TEST(InterpretTest, MaximumAndMinimumKeepNan) {
  using V = std::vector<float>;
  const float nan = std::nanf("");
  for (Code code : {Code::kMax, Code::kMin}) {
    const V r = Elementwise(code, V{nan, 1, 2}, V{1, nan, 3});
    EXPECT_TRUE(std::isnan(r[0]) && std::isnan(r[1]));
    EXPECT_EQ(r[2], code == Code::kMax ? 3 : 2);
  }
}

TEST(InterpretTest, FloatingRemaindersHaveTheDivisorsSign) {
  using V = std::vector<double>;
  EXPECT_THAT(Elementwise(Code::kFloorMod, V{7.5, -7.5, 7.5, -7.5}, V{2, 2, -2, -2}),
              ElementsAre(1.5, 0.5, -0.5, -1.5));
  EXPECT_THAT(Elementwise(Code::kFloorDiv, V{7.5, -7.5}, V{2, 2}), ElementsAre(3, -4));
}

TEST(InterpretTest, CastsSaturate) {
  Program p{.inner = {Stride::kUnit}};
  p.body.operands = {kFloat32};
  Builder b(&p.body);
  const auto x = b.Load(0);
  p.body.outputs = {{b.Cast(kInt32, x)}, {b.Cast(kUInt8, x)}, {b.Cast(kBool, x)}};
  std::vector<float> in = {-1.9f, 300, 1e20f, -INFINITY, std::nanf(""), 0};
  std::vector<int32_t> ints(6);
  std::vector<uint8_t> bytes(6), bools(6);
  void* pointers[] = {in.data(), ints.data(), bytes.data(), bools.data()};
  const int64_t rows[4] = {}, inner[] = {4, 4, 1, 1};
  Interpret(p, {1, 6, 0, pointers, rows, inner});
  EXPECT_THAT(ints, ElementsAre(-1, 300, std::numeric_limits<int32_t>::max(), kMin32, 0, 0));
  EXPECT_THAT(bytes, ElementsAre(0, 255, 255, 0, 0, 0));
  EXPECT_THAT(bools, ElementsAre(1, 1, 1, 1, 1, 0));
}

// x - mean of x, and the mean: values of both levels.
Program Centre(Axis axis, bool points) {
  Program p{.inner = {Stride::kUnit, Stride::kZero}};
  p.body.axis = axis;
  p.body.operands = {kFloat64, kFloat64};
  p.body.varies = {true, false};
  Builder b(&p.body);
  const auto x = b.Load(0);
  const auto sum = b.Reduction(Reduce::kSum, x);
  const auto mean = b.Binary(Code::kDiv, sum, b.Load(1));
  p.body.outputs = {{mean}};
  if (points) p.body.outputs.push_back({b.Binary(Code::kSub, x, mean)});
  return p;
}

TEST(InterpretTest, ReducesOverInner) {
  const Program p = Centre(Axis::kInner, true);
  ASSERT_TRUE(Verify(p).ok());
  std::vector<double> x = {1, 2, 6, 10, 20, 60}, mean(2), centred(6);
  double n = 3;
  void* pointers[] = {x.data(), &n, mean.data(), centred.data()};
  const int64_t rows[] = {24, 0, 8, 24}, inner[] = {8, 0, 0, 8};
  Interpret(p, {2, 3, 0, pointers, rows, inner});
  EXPECT_THAT(mean, ElementsAre(3, 30));
  EXPECT_THAT(centred, ElementsAre(-2, -1, 3, -20, -10, 30));
}

TEST(InterpretTest, ReducesOverRows) {
  const Program p = Centre(Axis::kRows, false);
  ASSERT_TRUE(Verify(p).ok());
  std::vector<double> x = {1, 2, 6, 10, 20, 60}, mean(3);
  double n = 2;
  void* pointers[] = {x.data(), &n, mean.data()};
  const int64_t rows[] = {24, 0, 0}, inner[] = {8, 0, 8};
  Interpret(p, {2, 3, 0, pointers, rows, inner});
  EXPECT_THAT(mean, ElementsAre(5.5, 11, 33));
}

TEST(InterpretTest, EmptyReductionsGiveTheIdentity) {
  Program p = Centre(Axis::kInner, false);
  p.body.outputs = {{1}};
  ASSERT_EQ(p.body.instrs[1].code, Code::kReduce);
  double none = 0, out[2] = {7, 7};
  void* pointers[] = {&none, &none, out};
  const int64_t rows[] = {0, 0, 8}, inner[3] = {};
  Interpret(p, {2, 0, 0, pointers, rows, inner});
  EXPECT_THAT(out, ElementsAre(0, 0));
}

}  // namespace
}  // namespace duet::loop
