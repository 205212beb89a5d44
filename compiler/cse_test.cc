#include "compiler/cse.h"

#include "compiler/pass_testing.h"

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
