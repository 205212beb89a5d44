#include "core/loop/program.h"

#include <cmath>
#include <cstring>
#include <limits>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace duet::loop {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

// y = max over inner of (x * scale) - x, and log of the maximum.
Program Example() {
  Program p{.inner = {Stride::kUnit, Stride::kZero}};
  p.body.axis = Axis::kInner;
  p.body.operands = {kFloat32, kFloat32};
  p.body.varies = {true, false};
  Builder b(&p.body);
  const auto x = b.Load(0);
  const auto max = b.Reduction(Reduce::kMax, b.Binary(Code::kMul, x, b.Load(1)));
  p.body.outputs = {{b.Binary(Code::kSub, max, x)}, {b.Unary(Code::kLog, max)}};
  return p;
}

TEST(ProgramTest, TextNamesAllThatAKernelDependsOn) {
  EXPECT_EQ(ToString(Example()),
            "program inner(f32 unit varies, f32 zero) -> (4, 5)\n"
            "0: f32 load 0\n"
            "1: f32 load 1\n"
            "2: f32 mul 0 1\n"
            "3: f32 reduce max 2\n"
            "4: f32 sub 3 0\n"
            "5: f32 log 3\n");
  Program p;
  Builder b(&p.body);
  p.body.outputs = {{b.Const(kFloat32, 1.5)}, {b.ConstInt(kUInt8, 300)}};
  EXPECT_EQ(ToString(p),
            "program none() -> (0, 1)\n"
            "0: f32 const 0x3fc00000 (1.5)\n"
            "1: u8 const 0x2c (44)\n");
}

TEST(ProgramTest, EqualInstructionsAreOne) {
  Body body;
  body.operands = {kInt32};
  Builder b(&body);
  const auto x = b.Load(0);
  EXPECT_EQ(b.Binary(Code::kAdd, x, b.ConstInt(kInt32, 1)),
            b.Binary(Code::kAdd, b.Load(0), b.Const(kInt32, 1.0)));
  EXPECT_NE(b.Const(kFloat32, 0.0), b.Const(kFloat32, -0.0));
  EXPECT_EQ(b.Cast(kInt32, x), x);
  EXPECT_EQ(b.dtype(b.Binary(Code::kLess, x, x)), kBool);
}

TEST(ProgramTest, Levels) {
  EXPECT_THAT(ReducedLevel(Example().body), ElementsAre(false, true, false, true, false, true));
  Body none = Example().body;
  none.axis = Axis::kNone;
  EXPECT_THAT(ReducedLevel(none), testing::Each(false));
}

TEST(ProgramTest, ScalarsConvertAsCastDoes) {
  EXPECT_EQ(Scalar::Of(kInt32, 1e10).bits, 0x7fffffffu);
  EXPECT_EQ(Scalar::Of(kInt32, -1e10).bits, 0x80000000u);
  EXPECT_EQ(Scalar::Of(kInt32, std::nan("")).bits, 0u);
  EXPECT_EQ(Scalar::Of(kUInt8, -3.0).bits, 0u);
  EXPECT_EQ(Scalar::Of(kUInt8, 254.9).bits, 254u);
  EXPECT_EQ(Scalar::Of(kInt64, 9.3e18).bits, uint64_t{std::numeric_limits<int64_t>::max()});
  EXPECT_EQ(Scalar::Of(kBool, 0.5).bits, 1u);
  EXPECT_EQ(Scalar::OfInt(kUInt8, -1).bits, 255u);
}

TEST(ProgramTest, Identities) {
  EXPECT_EQ(ReduceIdentity(Reduce::kMax, kFloat32).bits, 0xff800000u);
  EXPECT_EQ(ReduceIdentity(Reduce::kMin, kInt32).bits, 0x7fffffffu);
  EXPECT_EQ(ReduceIdentity(Reduce::kMax, kInt32).bits, 0x80000000u);
  EXPECT_EQ(ReduceIdentity(Reduce::kProd, kUInt8).bits, 1u);
}

std::string Refusal(const Program& p) {
  absl::Status status = Verify(p);
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  return std::string(status.message());
}

TEST(ProgramTest, VerifyNamesTheInstruction) {
  EXPECT_TRUE(Verify(Example()).ok());
  Program p = Example();
  p.body.instrs[2].b = 2;
  EXPECT_THAT(Refusal(p), HasSubstr("instruction 2 (mul): reads 2, which is not an earlier"));
  p = Example();
  p.body.instrs[0].a = 9;
  EXPECT_THAT(Refusal(p), HasSubstr("instruction 0 (load): there is no operand 9"));
  p = Example();
  p.body.operands[0] = p.body.instrs[0].dtype = kInt32;
  EXPECT_THAT(Refusal(p), HasSubstr("instruction 2 (mul): operands are int32 and float32"));
  p = Example();
  p.body.instrs[5].dtype = kFloat64;
  EXPECT_THAT(Refusal(p), HasSubstr("instruction 5 (log): the result is float64, not float32"));
  p = Example();
  p.body.instrs[4].code = Code::kAnd;
  EXPECT_THAT(Refusal(p), HasSubstr("operands may not be float32"));
}

TEST(ProgramTest, VerifyChecksLevelsAndStrides) {
  Program p = Example();
  p.body.axis = Axis::kRows;
  EXPECT_THAT(Refusal(p), HasSubstr("output 0 varies along the rows"));
  p = Example();
  p.body.axis = Axis::kNone;
  p.body.varies.clear();
  EXPECT_THAT(Refusal(p), HasSubstr("(reduce): the body has no reduced dimension"));
  p = Example();
  p.inner[1] = Stride::kUnit;
  EXPECT_THAT(Refusal(p), HasSubstr("operand 1 does not vary along inner"));
  p = Example();
  p.inner.pop_back();
  EXPECT_THAT(Refusal(p), HasSubstr("2 operands, but the stride classes of 1"));
  p = Example();
  p.body.outputs[0].value = 6;
  EXPECT_THAT(Refusal(p), HasSubstr("output 0 is instruction 6, which does not exist"));
  p = Example();
  p.body.outputs.clear();
  EXPECT_THAT(Refusal(p), HasSubstr("no outputs"));
}

}  // namespace
}  // namespace duet::loop
