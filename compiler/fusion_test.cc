#include "compiler/fusion.h"

#include "absl/strings/str_join.h"
#include "compiler/pass_testing.h"

namespace duet::compiler {
namespace {

// The groups, as the names of their nodes: "a b c | d e".
std::string Groups(const PassInput& in) {
  const PassInput out = RunPass(&Fusion, in);
  std::vector<std::string> groups;
  int last = -1;
  for (int i = 0; i < out.graph.size(); ++i) {
    const Node& node = out.graph.node(i);
    if (node.group >= 0 && node.group == last) {
      groups.back() += " " + node.name;
    } else if (node.group >= 0) {
      groups.push_back(node.name);
    }
    last = node.group;
  }
  return absl::StrJoin(groups, " | ");
}
std::string Groups(const std::string& text, const std::vector<std::string>& feeds,
                   const std::vector<std::string>& fetches) {
  return Groups(Parse(text, feeds, fetches));
}

constexpr char kX[] =
    "x = Placeholder() {dtype=float32, shape=shape[?,10]}\n"
    "v = Placeholder() {dtype=float32, shape=shape[10]}\n"
    "c = Const() {value=float32[]{2}}\n"
    "ax0 = Const() {value=int32[1]{0}}\n"
    "ax1 = Const() {value=int32[1]{1}}\n"
    "axes = Const() {value=int32[2]{0, 1}}\n";
std::string OnX(const std::string& text, const std::vector<std::string>& fetches) {
  return Groups(kX + text, {"x", "v"}, fetches);
}

TEST(Fusion, JoinsElementwiseChainsWithBroadcasts) {
  EXPECT_EQ(OnX("a = Mul(x, c)\nb = AddV2(a, v)\ny = Tanh(b)\n", {"y"}), "a b y");
  EXPECT_EQ(OnX("a = Mul(x, c)\nb = AddV2(a, v)\ny = Tanh(b)\n", {"y", "a"}), "a b y");
}

TEST(Fusion, OneNodeIsNoGroup) { EXPECT_EQ(OnX("y = Exp(x)\n", {"y"}), ""); }

TEST(Fusion, AnotherSpaceIsAnotherKernel) {
  EXPECT_EQ(OnX("a = Exp(v)\nb = Neg(a)\ne = Mul(x, b)\ny = Neg(e)\n", {"y"}), "a b | e y");
}

TEST(Fusion, SoftmaxIsOneKernel) {
  EXPECT_EQ(OnX("m = Max(x, ax1) {keep_dims=true}\ns = Sub(x, m)\ne = Exp(s)\n"
                "t = Sum(e, ax1) {keep_dims=true}\ny = RealDiv(e, t)\n",
                {"y"}),
            "m s e t y");
}

TEST(Fusion, ReductionWithPrologueAndEpilogue) {
  EXPECT_EQ(OnX("a = Square(x)\nm = Mean(a, ax1)\ny = Sqrt(m)\n", {"y"}), "a m y");
  EXPECT_EQ(OnX("a = Square(x)\nm = Sum(a, ax0)\ny = Mul(m, v)\n", {"y"}), "a m y");
  EXPECT_EQ(OnX("a = Square(x)\nm = Mean(a, axes)\ny = Sqrt(m)\n", {"y"}), "a m y");
}

TEST(Fusion, AReductionBroadcastAlongAnotherDimensionIsAnotherKernel) {
  EXPECT_EQ(Groups("x = Placeholder() {dtype=float32, shape=shape[10,10]}\n"
                   "ax = Const() {value=int32[1]{1}}\n"
                   "a = Exp(x)\nm = Sum(a, ax)\ny = Sub(a, m)\n",
                   {"x"}, {"y"}),
            "a m");
}

TEST(Fusion, AReductionThatDoesNotCollapseStaysAlone) {
  // v repeats along rows: the sum over both dimensions would not walk it with one stride.
  EXPECT_EQ(OnX("a = Mul(x, v)\ns = Sum(a, axes)\ny = Neg(s)\n", {"y"}), "s y");
}

TEST(Fusion, ReductionsOverDifferentDimensionsAreTwoKernels) {
  EXPECT_EQ(OnX("a = Exp(x)\ns = Sum(a, ax1)\nt = Sum(a, ax0)\n", {"s", "t"}), "a s");
}

TEST(Fusion, ValuesInsideAReductionOverRowsAreNotKept) {
  EXPECT_EQ(OnX("a = Exp(x)\ns = Sum(a, ax0)\n", {"s"}), "a s");
  EXPECT_EQ(OnX("a = Exp(x)\ns = Sum(a, ax0)\n", {"s", "a"}), "");
  EXPECT_EQ(OnX("a = Exp(x)\ns = Sum(a, ax0) {keep_dims=true}\ny = Sub(a, s)\n", {"y"}), "");
}

TEST(Fusion, MatMulTakesAnEpilogue) {
  EXPECT_EQ(Groups("x = Placeholder() {dtype=float32, shape=shape[?,8]}\n"
                   "w = Placeholder() {dtype=float32, shape=shape[8,4]}\n"
                   "b = Placeholder() {dtype=float32, shape=shape[4]}\n"
                   "p = MatMul(x, w)\nq = AddV2(p, b)\ny = Relu(q)\n",
                   {"x", "w", "b"}, {"y"}),
            "p q y");
  // Another user of the product keeps it whole.
  EXPECT_EQ(Groups("x = Placeholder() {dtype=float32, shape=shape[?,8]}\n"
                   "w = Placeholder() {dtype=float32, shape=shape[8,4]}\n"
                   "p = MatMul(x, w)\nq = Neg(p)\ny = Exp(q)\n",
                   {"x", "w"}, {"y", "p"}),
            "q y");
}

TEST(Fusion, ReadsThroughViews) {
  EXPECT_EQ(Groups("x = Placeholder() {dtype=float32, shape=shape[3,4]}\n"
                   "z = Placeholder() {dtype=float32, shape=shape[4,3]}\n"
                   "p = Const() {value=int32[2]{1, 0}}\n"
                   "t = Transpose(x, p)\na = AddV2(t, z)\ny = Exp(a)\n",
                   {"x", "z"}, {"y"}),
            "t a y");
  // A value that the kernel computes is not moved.
  EXPECT_EQ(Groups("x = Placeholder() {dtype=float32, shape=shape[3,4]}\n"
                   "p = Const() {value=int32[2]{1, 0}}\n"
                   "a = Exp(x)\nb = Neg(a)\nt = Transpose(b, p)\ne = Exp(t)\ny = Neg(e)\n",
                   {"x"}, {"y"}),
            "a b | t e y");
}

TEST(Fusion, AViewIsGivenToEachKernelThatReadsThroughIt) {
  const PassInput out =
      RunPass(&Fusion, Parse("x = Placeholder() {dtype=float32, shape=shape[3,4]}\n"
                             "p = Const() {value=int32[2]{1, 0}}\n"
                             "ax = Const() {value=int32[1]{0}}\n"
                             "t = Transpose(x, p)\n"
                             "a = Exp(t)\nb = Sum(a, ax)\n"
                             "c = Tanh(t)\nd = Neg(c)\n",
                             {"x"}, {"b", "d"}));
  int transposes = 0;
  for (int i = 0; i < out.graph.size(); ++i) {
    const Node& node = out.graph.node(i);
    if (node.op->family != Family::kView) continue;
    ++transposes;
    EXPECT_GE(node.group, 0) << node.name;
  }
  EXPECT_EQ(transposes, 2) << out.graph.ToText();
}

TEST(Fusion, AValueThatIsCheckedExistsBeforeTheKernel) {
  const std::string text =
      "i = Placeholder() {dtype=int32, shape=shape[4]}\n"
      "a = Neg(i)\nb = Abs(a)\nq = FloorDiv(i, b)\ny = Neg(q)\n";
  EXPECT_EQ(Groups(text, {"i"}, {"y"}), "a b | q y");
}

TEST(Fusion, ValuesThatDecideShapesStaySingle) {
  EXPECT_EQ(OnX("s = Shape(x)\nk = Const() {value=int32[]{1}}\na = Mul(s, k)\nb = AddV2(a, k)\n"
                "y = Reshape(x, b)\n",
                {"y"}),
            "");
}

TEST(Fusion, StatefulNodesStayOutAndInOrder) {
  const PassInput in = Parse(
      "v = VarHandleOp() {dtype=float32, shape=shape[2], shared_name=\"v\"}\n"
      "r = ReadVariableOp(v) {dtype=float32}\n"
      "a = Neg(r)\n"
      "set = AssignVariableOp(v, a, ^r) {dtype=float32}\n"
      "s = ReadVariableOp(v, ^set) {dtype=float32}\n"
      "b = AddV2(s, a)\n"
      "y = Exp(b)\n",
      {}, {"y"}, {"set"});
  EXPECT_EQ(Groups(in), "b y");  // a, set, s, b would be a circle
  const PassInput out = RunPass(&Fusion, in);
  EXPECT_LT(out.graph.Find("r"), out.graph.Find("set"));
  EXPECT_LT(out.graph.Find("set"), out.graph.Find("s"));
}

TEST(Fusion, APathThatLeavesAndReturnsIsNotClosed) {
  // b -> ArgMax -> Cast -> y: y cannot join b.
  EXPECT_EQ(OnX("a = Exp(x)\nb = Neg(a)\nd = Const() {value=int32[]{1}}\n"
                "m = ArgMax(b, d)\nf = Cast(m) {DstT=float32}\nr = Const() {value=int32[]{1}}\n"
                "g = ExpandDims(f, r)\ny = Mul(b, g)\nz = Neg(y)\n",
                {"z"}),
            "a b | g y z");
}

TEST(Fusion, HasASizeLimit) {
  std::string text = kX, last = "x";
  for (int i = 0; i < 150; ++i) {
    const std::string name = "n" + std::to_string(i);
    text += name + " = Neg(" + last + ")\n";
    last = name;
  }
  const PassInput out = RunPass(&Fusion, Parse(text, {"x", "v"}, {last}));
  int groups = -1;
  std::vector<int> sizes(8);
  for (int i = 0; i < out.graph.size(); ++i) {
    const int g = out.graph.node(i).group;
    groups = std::max(groups, g);
    if (g >= 0) ++sizes[static_cast<size_t>(g)];
  }
  EXPECT_EQ(groups, 2);
  EXPECT_THAT(sizes, testing::Each(testing::Le(64)));
}

}  // namespace
}  // namespace duet::compiler
