#include "compiler/simplify.h"

#include "compiler/evaluate_testing.h"
#include "compiler/prune.h"

namespace duet::compiler {
namespace {

// `x` is float32[2,3], `i` int32[2,3], `b` bool[2,3], `u` float32[?,3].
constexpr char kInputs[] =
    "x = Placeholder() {dtype=float32, shape=shape[2,3]}\n"
    "i = Placeholder() {dtype=int32, shape=shape[2,3]}\n"
    "b = Placeholder() {dtype=bool, shape=shape[2,3]}\n"
    "u = Placeholder() {dtype=float32, shape=shape[?,3]}\n";
const std::vector<std::string> kFeeds = {"x", "i", "b", "u"};

PassInput Simplified(const PassInput& in) { return RunPass(&Prune, RunPass(&Simplify, in)); }

// The fetch that y became, and how many nodes are left besides the inputs.
std::string Left(const std::string& text, int* nodes) {
  const PassInput out = Simplified(Parse(kInputs + text, kFeeds, {"y"}));
  *nodes = out.graph.size() - 4;
  return out.graph.OutputName(out.fetches[0]);
}

TEST(Simplify, RewritesToAnInput) {
  const std::pair<const char*, const char*> cases[] = {
      {"y = Identity(x)\n", "x:0"},
      {"y = StopGradient(u)\n", "u:0"},
      {"c = Const() {value=float32[]{1}}\ne = Floor(x)\ny = Mul(e, c)\n", "e:0"},
      {"c = Const() {value=float32[]{1}}\ne = Floor(u)\ny = Mul(c, e)\n", "e:0"},
      {"c = Const() {value=float32[2,3]{1 ...}}\ne = Floor(x)\ny = Mul(c, e)\n", "e:0"},
      {"c = Const() {value=float32[1]{1}}\ne = Floor(x)\ny = RealDiv(e, c)\n", "e:0"},
      {"c = Const() {value=int32[]{1}}\ny = FloorDiv(i, c)\n", "i:0"},
      {"c = Const() {value=float32[]{0}}\ne = Floor(x)\ny = Sub(e, c)\n", "e:0"},
      {"c = Const() {value=float32[]{-0}}\ne = Floor(x)\ny = AddV2(e, c)\n", "e:0"},
      {"c = Const() {value=int32[]{0}}\ny = AddV2(c, i)\n", "i:0"},
      {"e = Floor(x)\na = Neg(e)\ny = Neg(a)\n", "e:0"},
      {"a = Neg(i)\ny = Neg(a)\n", "i:0"},
      {"a = LogicalNot(b)\ny = LogicalNot(a)\n", "b:0"},
      {"c = Const() {value=bool[]{true}}\ny = LogicalAnd(b, c)\n", "b:0"},
      {"y = LogicalOr(b, b)\n", "b:0"},
      {"y = Cast(x) {DstT=float32}\n", "x:0"},
      {"a = Cast(i) {DstT=float64}\ny = Cast(a) {DstT=int32}\n", "i:0"},
      {"a = Cast(b) {DstT=float32}\ny = Cast(a) {DstT=bool}\n", "b:0"},
      {"c = Const() {value=bool[]{true}}\ne = Floor(x)\ny = SelectV2(c, e, u)\n", "e:0"},
      {"c = Const() {value=bool[2,1]{false, false}}\ne = Floor(x)\ny = SelectV2(c, u, e)\n", "e:0"},
      {"s = Const() {value=int32[2]{2, 3}}\ny = Reshape(x, s)\n", "x:0"},
      {"s = Const() {value=int32[2]{-1, 3}}\ny = Reshape(u, s)\n", "u:0"},
      {"s = Const() {value=int32[2]{2, 3}}\ny = BroadcastTo(x, s)\n", "x:0"},
      {"p = Const() {value=int32[2]{0, 1}}\ny = Transpose(u, p)\n", "u:0"},
      {"p = Const() {value=int32[2]{1, 0}}\na = Transpose(u, p)\ny = Transpose(a, p)\n", "u:0"},
      {"s = Const() {value=int32[2]{0, 0}}\nn = Const() {value=int32[2]{2, -1}}\ny = Slice(x, s, "
       "n)\n",
       "x:0"},
      {"c = Const() {value=int32[]{0}}\ny = ConcatV2(x, c)\n", "x:0"},
  };
  for (const auto& [text, expected] : cases) {
    int nodes = 0;
    EXPECT_EQ(Left(text, &nodes), expected) << text;
    EXPECT_EQ(nodes, expected[0] == 'e' ? 1 : 0) << text;
  }
}

TEST(Simplify, RewritesToAShorterCall) {
  EXPECT_EQ(Simplified(Parse("x = Placeholder() {dtype=float32, shape=shape[2]}\n"
                             "a = Neg(x)\nc = Abs(a)\ny = Abs(c)\n",
                             {"x"}, {"y"}))
                .graph.ToText(),
            Canonical("x = Placeholder() {dtype=float32, shape=shape[2]}\nc = Abs(x)\n"));
  EXPECT_EQ(Simplified(Parse("x = Placeholder() {dtype=float32, shape=shape[2,3]}\n"
                             "s = Const() {value=int32[1]{6}}\nt = Const() {value=int32[2]{3, 2}}\n"
                             "a = Reshape(x, s)\ny = Reshape(a, t)\n",
                             {"x"}, {"y"}))
                .graph.ToText(),
            Canonical("x = Placeholder() {dtype=float32, shape=shape[2,3]}\n"
                      "t = Const() {value=int32[2]{3, 2}}\ny = Reshape(x, t)\n"));
  EXPECT_EQ(Simplified(Parse("x = Placeholder() {dtype=float32, shape=shape[2,3,4]}\n"
                             "p = Const() {value=int32[3]{1, 2, 0}}\n"
                             "a = Transpose(x, p)\ny = Transpose(a, p)\n",
                             {"x"}, {"y"}))
                .graph.ToText(),
            Canonical("x = Placeholder() {dtype=float32, shape=shape[2,3,4]}\n"
                      "y/perm = Const() {value=int64[3]{2, 0, 1}}\ny = Transpose(x, y/perm)\n"));
}

TEST(Simplify, LeavesWhatIsNotTheSameBits) {
  for (const char* text : {
           "c = Const() {value=float32[]{0}}\ny = AddV2(x, c)\n",       // -0 + 0 is +0
           "c = Const() {value=float32[]{-0}}\ny = Sub(x, c)\n",        // -0 - -0 is +0
           "c = Const() {value=float32[]{0}}\ny = Mul(x, c)\n",         // NaN, inf
           "c = Const() {value=float32[]{1}}\ny = Mul(x, c)\n",         // x may hold any NaN
           "a = Neg(x)\ny = Neg(a)\n",                                  // x may hold any NaN
           "y = Sub(x, x)\n",                                           // NaN, inf
           "y = RealDiv(x, x)\n",                                       // 0, NaN, inf
           "a = Cast(x) {DstT=int32}\ny = Cast(a) {DstT=float32}\n",    // loses fractions
           "a = Cast(i) {DstT=float32}\ny = Cast(a) {DstT=int32}\n",    // loses low bits
           "c = Const() {value=float32[1,1,1]{1}}\ny = Mul(x, c)\n",    // another shape
           "c = Const() {value=float32[2,3]{1 ...}}\ny = Mul(u, c)\n",  // u may be of one row
           "c = Const() {value=bool[]{true}}\ny = SelectV2(c, u, x)\n",
           "y = Identity(x, ^i)\n",  // waits for another node
       }) {
    const PassInput in = Parse(kInputs + std::string(text), kFeeds, {"y"});
    EXPECT_EQ(RunPass(&Simplify, in).graph.ToText(), in.graph.ToText()) << text;
  }
}

TEST(Simplify, DoesNotDropACheck) {
  const PassInput in = Parse(
      "l = Placeholder() {dtype=int32, shape=shape[2]}\n"
      "f = Placeholder() {dtype=float32, shape=shape[2,3]}\n"
      "y = DuetCheckedLabels(l, f)\n",
      {"l", "f"}, {"y"});
  EXPECT_EQ(RunPass(&Simplify, in).graph.data_ptr(), in.graph.data_ptr());
}

TEST(Simplify, DoesNotLookThroughAFedNode) {
  PassInput in =
      Parse("x = Placeholder() {dtype=float32, shape=shape[2]}\na = Neg(x)\ny = Neg(a)\n",
            {"x", "a"}, {"y"});
  auto out = RunPasses({{"simplify", &Simplify, ""}}, in, {}, {}, nullptr);
  ASSERT_TRUE(out.ok()) << out.status();
  EXPECT_EQ(out->graph.OutputName(out->fetches[0]), "y:0");
}

// Each identity on random values with NaN, infinities, both zeros and extreme integers among them.
TEST(Simplify, KeepsEveryBit) {
  const char* const chains[] = {
      "c = Const() {value=float32[]{1}}\ny = Mul(e, c)\n",
      "c = Const() {value=float32[]{1}}\ny = Mul(c, e)\n",
      "c = Const() {value=float32[]{1}}\ny = RealDiv(e, c)\n",
      "c = Const() {value=float32[]{0}}\ny = Sub(e, c)\n",
      "c = Const() {value=float32[]{-0}}\ny = AddV2(e, c)\n",
      "c = Const() {value=float32[]{-0}}\ny = AddV2(c, e)\n",
      "a = Neg(e)\ny = Neg(a)\n",
      "a = Neg(x)\ny = Abs(a)\n",
      "a = Abs(x)\ny = Abs(a)\n",
      "a = Cast(e) {DstT=float64}\ny = Cast(a) {DstT=float32}\n",
      "c = Const() {value=int32[]{1}}\ny = FloorDiv(i, c)\n",
      "c = Const() {value=int32[]{1}}\ny = Mul(i, c)\n",
      "a = Neg(i)\ny = Neg(a)\n",
      "a = Neg(i)\ny = Abs(a)\n",
      "a = Abs(i)\ny = Abs(a)\n",
      "a = Cast(i) {DstT=int64}\ny = Cast(a) {DstT=int32}\n",
      "a = Cast(i) {DstT=float64}\ny = Cast(a) {DstT=int32}\n",
      "p = Const() {value=int32[2]{1, 0}}\na = Transpose(x, p)\ny = Transpose(a, p)\n",
  };
  const std::string inputs =
      "x = Placeholder() {dtype=float32, shape=shape[7,9]}\n"
      "i = Placeholder() {dtype=int32, shape=shape[7,9]}\n"
      "e = Rsqrt(x)\n";
  uint64_t seed = 1;
  for (const char* chain : chains) {
    const PassInput in = Parse(inputs + chain, {"x", "i"}, {"y"});
    const PassInput out = Simplified(in);
    EXPECT_LT(out.graph.size(), in.graph.size()) << chain;
    const std::vector<Tensor> feeds = {RandomTensor(kFloat32, {7, 9}, ++seed, true),
                                       RandomTensor(kInt32, {7, 9}, ++seed, true)};
    const Evaluation a = Evaluator(in, feeds).Run(), b = Evaluator(out, feeds).Run();
    ExpectSameBits(a.fetches[0], b.fetches[0], chain);
  }
}

}  // namespace
}  // namespace duet::compiler
