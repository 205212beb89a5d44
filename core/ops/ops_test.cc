// Public functions: literals, numbers beside tensors, error texts, and the kernels of opaque ops.
#include "core/ops/ops.h"

#include <cmath>

#include "core/ops/ops_testing.h"
#include "core/ops/register.h"
#include "core/variable_state.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace duet {
namespace {

using ::testing::ElementsAre;
using ::testing::EndsWith;
using ::testing::HasSubstr;

class Ops : public ::testing::Test {
 protected:
  KernelInterpreter interpreter_;
  InterpreterScope scope_{&interpreter_};
};
using ConstantTest = Ops;
using CallTest = Ops;
using KernelTest = Ops;

TEST_F(ConstantTest, TakesItsDTypeFromTheNumbers) {
  EXPECT_EQ(Constant({{1, 2}, {3, 4}}).ToString(),
            "Tensor([[1 2]\n [3 4]], shape=(2, 2), dtype=int32)");
  EXPECT_EQ(Constant(1.5).dtype(), kFloat32);
  EXPECT_EQ(Constant({1, 2.5}).dtype(), kFloat32);
  EXPECT_EQ(Constant({true, false}).dtype(), kBool);
  EXPECT_EQ(Constant(uint8_t{3}).dtype(), kUInt8);
  EXPECT_EQ(Constant(int64_t{3}).dtype(), kInt64);
  EXPECT_EQ(Constant(5'000'000'000).dtype(), kInt64);
  EXPECT_EQ(Constant(1.5, kFloat64).dtype(), kFloat64);
  EXPECT_EQ(Constant(3, kUInt8).Item<uint8_t>(), 3);
  EXPECT_EQ(Constant({}).shape(), Shape({0}));
  EXPECT_EQ(Constant({{{{7}}}}).shape(), Shape({1, 1, 1, 1}));
  EXPECT_EQ(Constant(std::vector<double>{1, 2}, {2}).dtype(), kFloat64);
  EXPECT_EQ(Constant(std::vector<bool>{true, false}, {2, 1}).shape(), Shape({2, 1}));
}

TEST_F(ConstantTest, RefusesRaggedBracesAndNumbersThatDoNotFit) {
  EXPECT_EQ(ErrorText([] {
              Constant({{1, 2}, {3}});
            }),
            "Constant: the braces are ragged: 2 and 1 items at depth 2");
  EXPECT_EQ(ErrorText([] {
              Constant({{1, 2}, 3});
            }),
            "Constant: the braces are ragged: a number at depth 1, others at depth 2");
  EXPECT_EQ(ErrorText([] {
              Constant({1, {2, 3}});
            }),
            "Constant: the braces are ragged: a list at depth 1, numbers beside it");
  EXPECT_EQ(ErrorText([] { Constant(300, kUInt8); }), "Constant: uint8 cannot hold 300");
  EXPECT_EQ(ErrorText([] { Constant(1.5, kInt32); }), "Constant: int32 cannot hold 1.5");
  EXPECT_EQ(ErrorText([] { Constant(UINT64_MAX); }),
            "Constant: int64 cannot hold 18446744073709551615");
  EXPECT_EQ(ErrorText([] { Constant({1e300, 2.}); }), "Constant: float32 cannot hold 1e+300");
  EXPECT_EQ(ErrorText([] {
              Constant(std::vector<int>{1, 2, 3}, {2, 2});
            }),
            "Constant: found 3 values for shape [2,2], expected 4");
  EXPECT_THAT(ErrorText([] { Constant(std::vector<int>{}, {-1}); }), HasSubstr("negative size -1"));
}

TEST_F(CallTest, ErrorsNameTheUsersLine) {
  const Tensor a = Ones({2, 3}), b = Ones({4});
  int line = 0;
  std::string text;
  try {
    line = __LINE__ + 1;
    a + b;
  } catch (const Error& e) {
    text = e.what();
  }
  EXPECT_THAT(text, HasSubstr("ops_test.cc:" + std::to_string(line) + ": Add: shapes [2,3] and "));
}

TEST_F(CallTest, ANumberTakesTheTensorsDType) {
  const Tensor bytes = Constant(uint8_t{1}), reals = Constant(1.5), wide = Constant(int64_t{1});
  EXPECT_EQ((bytes + 255).dtype(), kUInt8);
  EXPECT_EQ((2 * reals).dtype(), kFloat32);
  EXPECT_EQ((wide - 1).dtype(), kInt64);
  EXPECT_EQ(Add(1, 2.5).dtype(), kFloat32);
  EXPECT_EQ(Select(reals > 1, 2, reals).dtype(), kFloat32);
  EXPECT_THAT(ErrorText([&] { bytes + 256; }), HasSubstr("uint8 cannot hold it"));
  EXPECT_THAT(ErrorText([&] { wide * 0.5; }), HasSubstr("int64 cannot hold it"));
  EXPECT_EQ(ErrorText([&] { wide + reals; }),
            "Add: inputs must have one dtype, found int64[] and float32[]; convert one of them "
            "with Cast");
  EXPECT_THAT(ErrorText([&] { Tensor() + 1; }), HasSubstr("Add: input 0 is undefined"));
}

TEST_F(CallTest, DivisionOfIntegersNamesTheRemedy) {
  EXPECT_EQ(ErrorText([] { Constant(7) / 2; }),
            "Div: found int32 operands, expected float32 or float64; use FloorDiv for whole "
            "numbers, or Cast them first");
  EXPECT_EQ(ErrorText([] {
              Constant({7, 8}) % Constant({2, 0});
            }),
            "FloorMod: division by zero: the divisor, int32[2], is 0 at element 1; use Select to "
            "put another number there");
  EXPECT_EQ(ErrorText([] { Pow(Constant(7), -1); }),
            "Pow: integers have no negative powers: the exponent is -1 at element 0; Cast to a "
            "floating dtype first");
  EXPECT_EQ(ErrorText([] { Constant(7.) % 0; }), "no error");
}

TEST_F(CallTest, OperatorsAreTheirFunctions) {
  const Tensor a = Constant({1., 2.});
  a + a, a - a, a *a, a / a, a % a, -a;
  a<a, a <= a, a> a, a >= a;
  EXPECT_THAT(interpreter_.called, ElementsAre("AddV2", "Sub", "Mul", "RealDiv", "FloorMod", "Neg",
                                               "Less", "LessEqual", "Greater", "GreaterEqual"));
}

TEST_F(KernelTest, FillAndRange) {
  EXPECT_EQ(Fill({2, 2}, 7).ValueString(), "[[7 7]\n [7 7]]");
  EXPECT_EQ(Ones({2}, kBool).ToVector<bool>(), (std::vector<bool>{true, true}));
  EXPECT_EQ(Zeros({0, 3}).shape(), Shape({0, 3}));
  EXPECT_EQ(Range(4).ValueString(), "[0 1 2 3]");
  EXPECT_EQ(Range(10, 4, -3).ValueString(), "[10  7]");
  EXPECT_EQ(Range(0., 1., 0.25).ToVector<float>(), (std::vector<float>{0, .25, .5, .75}));
  EXPECT_EQ(Range(3, 3).num_elements(), 0);
  EXPECT_EQ(Range(INT64_MIN, INT64_MAX, INT64_MAX).ToVector<int64_t>(),
            (std::vector<int64_t>{INT64_MIN, -1, INT64_MAX - 1}));
  EXPECT_EQ(Range(int64_t{0}, Constant(int64_t{3})).dtype(), kInt64);
  EXPECT_THAT(ErrorText([] { Range(INT64_MIN, INT64_MAX); }), HasSubstr("too many elements"));
  EXPECT_THAT(ErrorText([] { Range(0., 1., NAN); }), HasSubstr("too many elements"));
  EXPECT_THAT(ErrorText([] { Zeros({-1}); }), HasSubstr("Fill: shape [-1] has the negative size"));
  EXPECT_THAT(ErrorText([] { Zeros({2}, kResource); }), HasSubstr("dtype resource"));
}

TEST_F(KernelTest, ConcatJoins) {
  const Tensor a = Constant({{1, 2}, {3, 4}}), b = Constant({{5}, {6}});
  EXPECT_EQ(Concat({a, b}, 1).ValueString(), "[[1 2 5]\n [3 4 6]]");
  EXPECT_EQ(Concat({a, a}, -2).ValueString(), "[[1 2]\n [3 4]\n [1 2]\n [3 4]]");
  EXPECT_EQ(Concat(std::vector<Tensor>{a}, 0).ValueString(), "[[1 2]\n [3 4]]");
  EXPECT_EQ(Concat({Zeros({0, 2}, kInt32), a}, 0).ValueString(), "[[1 2]\n [3 4]]");
  EXPECT_THAT(ErrorText([] { Concat(std::vector<Tensor>{}, 0); }),
              HasSubstr("found no tensors, expected one or more"));
}

TEST_F(KernelTest, GatherPicksSlices) {
  const Tensor p = Constant({{1, 2, 3}, {4, 5, 6}});
  EXPECT_EQ(Gather(p, Constant({1, 0, 1})).ValueString(), "[[4 5 6]\n [1 2 3]\n [4 5 6]]");
  EXPECT_EQ(Gather(p, Constant({{2, 0}}), 1).ValueString(), "[[[3 1]]\n\n [[6 4]]]");
  EXPECT_EQ(Gather(p, 1).ValueString(), "[4 5 6]");
  EXPECT_EQ(Gather(p, Zeros({0}, kInt32)).shape(), Shape({0, 3}));
  EXPECT_EQ(ErrorText([&] {
              Gather(p, Constant({0, 2}));
            }),
            "Gather: indices[1] is 2, expected a position in [0, 2)");
  EXPECT_EQ(ErrorText([&] { Gather(p, Constant({-1})); }),
            "Gather: indices[0] is -1, expected a position in [0, 2)");
  EXPECT_EQ(ErrorText([&] { Gather(Zeros({0}), Constant({0})); }),
            "Gather: indices[0] is 0, expected a position in [0, 0)");
}

TEST_F(KernelTest, GatherWithBatchDims) {
  const OpDef& op = *FindOp("GatherV2");
  const Tensor in[] = {Constant({{1, 2, 3}, {4, 5, 6}}), Constant({{2, 2}, {0, 1}}), Constant(1)};
  const Tensor out = Dispatch1(op, Attrs{{"batch_dims", int64_t{1}}}, in, {});
  EXPECT_EQ(out.ValueString(), "[[3 3]\n [4 5]]");
}

TEST_F(KernelTest, OneHot) {
  EXPECT_EQ(OneHot(Constant({1, 0, 5, -1}), 2, 1, 0).ValueString(),
            "[[0 1]\n [1 0]\n [0 0]\n [0 0]]");
  EXPECT_EQ(OneHot(Constant({1, 0, 1}), 2, true, false, 0).ValueString(),
            "[[False  True False]\n [ True False  True]]");
  EXPECT_EQ(OneHot(Constant({1}), 0).shape(), Shape({1, 0}));
  EXPECT_EQ(OneHot(Constant({1}), 2).dtype(), kFloat32);
}

TEST_F(KernelTest, ArgMaxTakesTheFirstLargest) {
  EXPECT_EQ(ArgMax(Constant({{1, 5, 5}, {7, 4, 7}}), 1).ValueString(), "[1 0]");
  EXPECT_EQ(ArgMax(Constant({{1, 5, 5}, {7, 4, 7}}), -2, kInt32).ValueString(), "[1 0 1]");
  EXPECT_EQ(ArgMax(Constant({NAN, 1.f, NAN}), 0).Item<int64_t>(), 1);
  EXPECT_EQ(ArgMax(Constant({-INFINITY, -INFINITY}), 0).Item<int64_t>(), 0);
}

TEST_F(KernelTest, ShapeOf) {
  EXPECT_EQ(ShapeOf(Ones({2, 0, 3})).ValueString(), "[2 0 3]");
  EXPECT_EQ(ShapeOf(Constant(1), kInt64).shape(), Shape({0}));
  EXPECT_THAT(ErrorText([] { ShapeOf(Constant(1), kFloat32); }), HasSubstr("out_type"));
}

TEST_F(KernelTest, RandomNumbersFollowTheirSeed) {
  const auto draw = [](int64_t seed) { return RandomUniform({100}, kFloat32, seed); };
  EXPECT_EQ(draw(3).ToVector<float>(), draw(3).ToVector<float>());
  EXPECT_NE(draw(3).ToVector<float>(), draw(4).ToVector<float>());
  for (float v : draw(3).ToVector<float>()) {
    EXPECT_GE(v, 0.f);
    EXPECT_LT(v, 1.f);
  }
  SetRandomSeed(9);
  const auto a = draw(0).ToVector<float>(), b = draw(0).ToVector<float>();
  SetRandomSeed(9);
  const auto again = draw(0).ToVector<float>();
  EXPECT_EQ(a, again);
  EXPECT_NE(a, b);
  double sum = 0, squares = 0;
  const auto normal = RandomNormal({10'000}, kFloat64, 7).ToVector<double>();
  for (double v : normal) sum += v, squares += v * v;
  EXPECT_NEAR(sum / 1e4, 0, 0.05);
  EXPECT_NEAR(squares / 1e4, 1, 0.05);
  EXPECT_EQ(RandomUniform({0}).num_elements(), 0);
  EXPECT_EQ(ErrorText([] { RandomUniform({2}, kInt32); }),
            "RandomUniform: found dtype int32, expected float32 or float64");
}

TEST_F(KernelTest, GradientsOfIndexingScatter) {
  const Tensor like = Zeros({3, 2});
  const Tensor in[] = {Constant({{1., 2.}, {3., 4.}, {5., 6.}}), Constant({2, 0, 2}), Constant(0),
                       like};
  const Tensor out =
      Dispatch1(*FindOp("DuetGatherGrad"), Attrs{{"batch_dims", int64_t{0}}}, in, {});
  EXPECT_EQ(out.ToVector<float>(), (std::vector<float>{3, 4, 0, 0, 6, 8}));
  const Tensor block[] = {Constant({{1.}, {2.}}), Constant({1, 1}), like};
  EXPECT_EQ(Dispatch1(*FindOp("DuetSliceGrad"), NoAttrs(), block, {}).ToVector<float>(),
            (std::vector<float>{0, 0, 0, 1, 0, 2}));
}

TEST_F(KernelTest, ReadsAndAssignmentsOfVariables) {
  auto state = std::make_shared<VariableState>("w", kFloat32, Shape({2}));
  const Tensor handle = Tensor::FromResource(kResource, Shape({2}), state);
  const Attrs f32{{"dtype", kFloat32}}, f64{{"dtype", kFloat64}};
  const OpDef& read = ResourceOp(ResourceUse::kRead);
  EXPECT_EQ(ErrorText([&] {
              Dispatch1(read, f32, {&handle, 1}, {});
            }),
            "variable \"w\" has no value yet; assign one first");
  const Tensor value = Constant({1., 2.});
  Attrs assign = f32;
  assign.Set("validate_shape", false);
  const Tensor in[] = {handle, value};
  Dispatch(ResourceOp(ResourceUse::kAssign), assign, in, {});
  const Tensor first = Dispatch1(read, f32, {&handle, 1}, {});
  EXPECT_EQ(first.ValueString(), "[1. 2.]");
  EXPECT_NE(first.id(), value.id());
  EXPECT_EQ(ErrorText([&] {
              Dispatch1(read, f64, {&handle, 1}, {});
            }),
            "variable \"w\" is float32, found float64");
}

TEST(Registry, EveryOpIsDocumented) {
  RegisterAllOps();
  EXPECT_GT(AllOps().size(), 60u);
  for (const OpDef* op : AllOps()) {
    EXPECT_FALSE(op->doc.empty()) << op->name;
    EXPECT_THAT(op->doc, EndsWith(".")) << op->name;
    const bool internal = op->name.starts_with("Duet") || op->resource != ResourceUse::kNone ||
                          op->family == Family::kPlaceholder;
    EXPECT_TRUE(internal || !op->examples.empty()) << op->name;
    for (const ArgDef& arg : op->inputs) {
      bool declared = arg.type_attr.empty() && arg.type != kInvalid;
      for (const TypeAttrDef& t : op->type_attrs) declared |= t.name == arg.type_attr;
      EXPECT_TRUE(declared) << op->name << " input " << arg.name;
    }
    for (int i : op->checked_inputs) {
      EXPECT_LT(i, static_cast<int>(op->inputs.size())) << op->name;
      EXPECT_NE(op->check, nullptr) << op->name;
    }
  }
}

}  // namespace
}  // namespace duet
