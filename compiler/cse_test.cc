#include "compiler/cse.h"

#include "compiler/evaluate_testing.h"

namespace duet::compiler {
namespace {

constexpr char kX[] = "x = Placeholder() {dtype=float32, shape=shape[2,3]}\n";

int SizeAfter(const std::string& text, const std::vector<std::string>& fetches) {
  return RunPass(&Cse, Parse(kX + text, {"x"}, fetches)).graph.size();
}

TEST(Cse, MergesEqualCalls) {
  const PassInput in = Parse(std::string(kX) +
                                 "a = Exp(x)\n"
                                 "b = Exp(x)\n"
                                 "y = AddV2(a, b)\n",
                             {"x"}, {"y", "b"});
  const PassInput out = RunPass(&Cse, in);
  EXPECT_EQ(out.graph.ToText(), Canonical(std::string(kX) + "a = Exp(x)\ny = AddV2(a, a)\n"));
  EXPECT_THAT(FetchNames(out), testing::ElementsAre("y:0", "a:0"));
}

TEST(Cse, MergesSwappedInputsOfCommutativeOpsAlone) {
  EXPECT_EQ(SizeAfter("a = Exp(x)\nb = Mul(x, a)\nc = Mul(a, x)\n", {"b", "c"}), 3);
  EXPECT_EQ(SizeAfter("a = Exp(x)\nb = Sub(x, a)\nc = Sub(a, x)\n", {"b", "c"}), 4);
}

// Every op whose swapped calls are merged gives the same bits for them.
TEST(Cse, SwappedCallsThatAreMergedAreEqual) {
  int ops = 0;
  for (const OpDef* op : AllOps()) {
    if (!op->commutative) continue;
    for (DType dtype : {kFloat32, kFloat64, kInt32, kInt64, kUInt8, kBool}) {
      bool takes = true;
      for (const TypeAttrDef& t : op->type_attrs) takes &= t.allowed.Contains(dtype);
      if (op->type_attrs.empty()) takes = op->inputs[0].type == dtype;
      if (!takes) continue;
      const std::string d(Name(dtype));
      const PassInput in = Parse("a = Placeholder() {dtype=" + d + ", shape=shape[999]}\n" +
                                     "b = Placeholder() {dtype=" + d + ", shape=shape[999]}\n" +
                                     "y = " + op->name + "(a, b)\nz = " + op->name + "(b, a)\n",
                                 {"a", "b"}, {"y", "z"});
      if (RunPass(&Cse, in).graph.size() == 4) continue;
      ++ops;
      // Zeros of both signs meet; NaN does not: its sign has no meaning.
      Tensor a = RandomTensor(dtype, {999}, 1), b = RandomTensor(dtype, {999}, 2);
      VisitDType(dtype, [&](auto zero) {
        using T = decltype(zero);
        if constexpr (std::is_floating_point_v<T>) {
          for (int i = 0; i < 8; ++i) {
            static_cast<T*>(a.mutable_raw_data())[i] = i % 2 ? T(0) : -T(0);
            static_cast<T*>(b.mutable_raw_data())[i] = i / 2 % 2 ? T(0) : -T(0);
          }
        }
      });
      const Evaluation run = Evaluator(in, {a, b}).Run();
      ExpectSameBits(run.fetches[0], run.fetches[1], op->name + " of " + d);
    }
  }
  EXPECT_GT(ops, 20);
}

TEST(Cse, ComparesAttributesAndConstantsByTheirBits) {
  EXPECT_EQ(SizeAfter("a = Const() {value=int32[1]{1}}\nb = Sum(x, a)\n"
                      "c = Sum(x, a) {keep_dims=true}\n",
                      {"b", "c"}),
            4);
  EXPECT_EQ(
      SizeAfter("a = Const() {value=float32[2]{1, 0}}\nb = Const() {value=float32[2]{1, 0}}\n"
                "c = Const() {value=float32[2]{1, -0}}\nd = Const() {value=float32[2,1]{1, 0}}\n",
                {"a", "b", "c", "d"}),
      4);
}

TEST(Cse, NeverMergesRandomOrStatefulCalls) {
  EXPECT_EQ(SizeAfter("s = Const() {value=int32[1]{4}}\n"
                      "a = RandomUniform(s) {dtype=float32, seed=3}\n"
                      "b = RandomUniform(s) {dtype=float32, seed=3}\n",
                      {"a", "b"}),
            4);
  EXPECT_EQ(SizeAfter("v = VarHandleOp() {dtype=float32, shape=shape[], shared_name=\"v\"}\n"
                      "a = ReadVariableOp(v) {dtype=float32}\n"
                      "b = ReadVariableOp(v) {dtype=float32}\n",
                      {"a", "b"}),
            4);
}

TEST(Cse, ControlInputsAndPlaceholdersMakeADifference) {
  EXPECT_EQ(SizeAfter("a = Exp(x)\nb = Neg(x)\nc = Exp(x, ^b)\n", {"a", "c"}), 4);
  EXPECT_EQ(SizeAfter("p = Placeholder() {dtype=float32, shape=shape[2,3]}\n", {"x", "p"}), 2);
}

}  // namespace
}  // namespace duet::compiler
