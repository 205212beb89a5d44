#include "compiler/lower.h"

#include "compiler/evaluate_testing.h"
#include "compiler/fusion.h"
#include "compiler/inline.h"

namespace duet::compiler {
namespace {

// Runs the graph node by node and fused, and expects the same bits from `kernels` kernels.
Evaluation ExpectSame(const std::string& text, const std::vector<std::string>& feed_names,
                      const std::vector<std::string>& fetches, const std::vector<Tensor>& feeds,
                      int kernels, int refused = 0) {
  const PassInput in = RunPass(&Inline, Parse(text, feed_names, fetches));
  const PassInput fused = RunPass(&Fusion, in);
  const Evaluation one_by_one = Evaluator(in, feeds).Run();
  Evaluation run = Evaluator(fused, feeds).Run();
  EXPECT_EQ(run.kernels, kernels) << fused.graph.ToText();
  EXPECT_EQ(run.refused, refused) << fused.graph.ToText();
  for (size_t k = 0; k < fetches.size(); ++k) {
    ExpectSameBits(run.fetches[k], one_by_one.fetches[k], fetches[k] + " of\n" + text);
  }
  return run;
}

constexpr char kX[] =
    "x = Placeholder() {dtype=float32, shape=shape[?,?]}\n"
    "v = Placeholder() {dtype=float32, shape=shape[?]}\n"
    "c = Const() {value=float32[]{2}}\n"
    "ax0 = Const() {value=int32[1]{0}}\n"
    "ax1 = Const() {value=int32[1]{-1}}\n"
    "axes = Const() {value=int32[2]{0, 1}}\n";

// Sizes around the vector width, of one, and of none.
const std::vector<std::pair<int64_t, int64_t>> kSizes = {{5, 10}, {1, 17},  {33, 1}, {3, 64},
                                                         {1, 1},  {300, 7}, {0, 4},  {2, 5000}};

void OnX(const std::string& text, const std::vector<std::string>& fetches, int kernels) {
  for (const auto& [m, n] : kSizes) {
    SCOPED_TRACE(testing::Message() << m << " x " << n);
    ExpectSame(kX + text, {"x", "v"}, fetches,
               {RandomTensor(kFloat32, {m, n}, 7), RandomTensor(kFloat32, {n}, 8)}, kernels);
  }
}

TEST(Lower, ElementwiseWithBroadcasts) {
  OnX("a = Mul(x, c)\nb = AddV2(a, v)\ny = Tanh(b)\nz = Less(y, a)\n", {"y", "z"}, 1);
}

TEST(Lower, ReductionsWithPrologueAndEpilogue) {
  OnX("a = Square(x)\nm = Mean(a, ax1)\ny = Sqrt(m)\n", {"y"}, 1);
  OnX("a = Square(x)\nm = Mean(a, ax0)\ny = Mul(m, v)\n", {"y"}, 1);
  OnX("a = Square(x)\nm = Mean(a, axes)\ny = Sqrt(m)\n", {"y"}, 1);
  OnX("a = Exp(x)\ns = Sum(a, ax0) {keep_dims=true}\nt = Max(x, ax0)\nu = AddV2(s, t)\n", {"u"}, 1);
  OnX("a = Exp(x)\ns = Sum(a, ax1)\n", {"s", "a"}, 1);
}

// Sizes of one make a space ambiguous; then the nodes may run one by one, with the same bits.
TEST(Lower, SoftmaxIsOneKernel) {
  for (const auto& [m, n] : kSizes) {
    SCOPED_TRACE(testing::Message() << m << " x " << n);
    ExpectSame("x = Placeholder() {dtype=float32, shape=shape[?,?]}\ny = Softmax(x)\n", {"x"},
               {"y"}, {RandomTensor(kFloat32, {m, n}, 7)}, 1);
    ExpectSame("x = Placeholder() {dtype=float64, shape=shape[?,?]}\ny = LogSoftmax(x)\n", {"x"},
               {"y"}, {RandomTensor(kFloat64, {m, n}, 7)}, 1);
  }
}

TEST(Lower, ANewBatchSizeIsTheSameKernel) {
  const std::string text =
      "x = Placeholder() {dtype=float32, shape=shape[?,10]}\n"
      "v = Placeholder() {dtype=float32, shape=shape[10]}\n"
      "ax0 = Const() {value=int32[1]{0}}\n"
      "ax1 = Const() {value=int32[1]{1}}\n"
      "a = Mul(x, v)\nm = Mean(a, ax0)\ny = Neg(m)\n"
      "b = Exp(x)\ns = Mean(b, ax1) {keep_dims=true}\nz = RealDiv(b, s)\n";
  std::vector<loop::Program> programs;
  for (const int64_t batch : {1, 2, 32, 1797}) {
    const Evaluation run =
        ExpectSame(text, {"x", "v"}, {"y", "z"},
                   {RandomTensor(kFloat32, {batch, 10}, 7), RandomTensor(kFloat32, {10}, 8)}, 2);
    ASSERT_EQ(run.programs.size(), 2u);
    if (programs.empty()) programs = run.programs;
    for (size_t k = 0; k < 2; ++k) {
      EXPECT_EQ(loop::ToString(run.programs[k]), loop::ToString(programs[k])) << batch;
    }
  }
}

TEST(Lower, ViewsBecomeStrides) {
  ExpectSame(
      "x = Placeholder() {dtype=float32, shape=shape[6,4]}\n"
      "z = Placeholder() {dtype=float32, shape=shape[4]}\n"
      "p = Const() {value=int32[2]{1, 0}}\n"
      "o = Const() {value=int32[2]{1, 2}}\nn = Const() {value=int32[2]{2, 3}}\n"
      "sh = Const() {value=int32[2]{2, 3}}\ndim = Const() {value=int32[]{1}}\n"
      "t = Transpose(x, p)\ns = Slice(t, o, n)\n"  // [4,6] -> [2,3]
      "fo = Const() {value=int32[2]{1, 0}}\nfn = Const() {value=int32[2]{2, 1}}\n"
      "e = ExpandDims(z, dim)\nf = Slice(e, fo, fn)\ng = BroadcastTo(f, sh)\n"
      "a = AddV2(s, g)\ny = Exp(a)\n",
      {"x", "z"}, {"y"}, {RandomTensor(kFloat32, {6, 4}, 1), RandomTensor(kFloat32, {4}, 2)}, 1);
}

TEST(Lower, DifferentDimensionsThanExpectedRunOneByOne) {
  // Unknown sizes are taken to be equal; here one of them is 1.
  ExpectSame(
      "x = Placeholder() {dtype=float32, shape=shape[?]}\n"
      "z = Placeholder() {dtype=float32, shape=shape[?]}\n"
      "a = Exp(x)\nb = Neg(a)\ny = Mul(b, z)\n",
      {"x", "z"}, {"y"}, {RandomTensor(kFloat32, {1}, 1), RandomTensor(kFloat32, {4}, 2)}, 0, 1);
}

TEST(Lower, MatMulWithEpilogue) {
  for (const auto& [m, n] : kSizes) {
    SCOPED_TRACE(testing::Message() << m << " x " << n);
    ExpectSame(
        "x = Placeholder() {dtype=float32, shape=shape[?,8]}\n"
        "w = Placeholder() {dtype=float32, shape=shape[8,?]}\n"
        "b = Placeholder() {dtype=float32, shape=shape[?]}\n"
        "p = MatMul(x, w)\nq = AddV2(p, b)\ny = Relu(q)\n",
        {"x", "w", "b"}, {"y", "q"},
        {RandomTensor(kFloat32, {m, 8}, 1), RandomTensor(kFloat32, {8, n}, 2),
         RandomTensor(kFloat32, {n}, 3)},
        1);
  }
}

TEST(Lower, TheLoopAfterAProductRunsRowByRow) {
  const PassInput in =
      RunPass(&Fusion, Parse("x = Placeholder() {dtype=float32, shape=shape[3,8]}\n"
                             "w = Placeholder() {dtype=float32, shape=shape[8,5]}\n"
                             "p = MatMul(x, w)\ny = Relu(p)\n",
                             {"x", "w"}, {"y"}));
  const LowerContext context{in.graph,
                             [&](NodeOutput o) -> const ValueSpec& { return in.graph.spec(o); },
                             [](NodeOutput) -> const Tensor* { return nullptr; },
                             [&](NodeOutput o) { return o == in.fetches[0]; }};
  auto group = LowerGroup({2, 3}, context);
  ASSERT_TRUE(group.ok()) << group.status();
  EXPECT_EQ(group->contraction, 2);
  EXPECT_EQ(group->loop.launch.rows, 3);
  EXPECT_EQ(group->loop.launch.inner, 5);
  EXPECT_TRUE(group->loop.launch.outer.empty());
  EXPECT_EQ(group->loop.launch.layouts[0].row, 20);
  EXPECT_EQ(group->loop.in_place, std::vector<int>{0});
}

TEST(Lower, SaysWhatMayShareMemory) {
  const PassInput in = Parse(
      "x = Placeholder() {dtype=float32, shape=shape[2,3]}\n"
      "v = Placeholder() {dtype=float32, shape=shape[3]}\n"
      "d = Placeholder() {dtype=float64, shape=shape[2,3]}\n"
      "a = AddV2(x, v)\ne = Cast(d) {DstT=float32}\ny = Mul(a, e)\n",
      {"x", "v", "d"}, {"y"});
  const LowerContext context{in.graph,
                             [&](NodeOutput o) -> const ValueSpec& { return in.graph.spec(o); },
                             [](NodeOutput) -> const Tensor* { return nullptr; },
                             [&](NodeOutput o) { return o == in.fetches[0]; }};
  auto group = LowerGroup({3, 4, 5}, context);
  ASSERT_TRUE(group.ok()) << group.status();
  ASSERT_EQ(group->loop.operands.size(), 3u);
  EXPECT_EQ(group->loop.in_place, (std::vector<int>{0, -1, -1}));
}

TEST(Lower, IntegersAndBools) {
  ExpectSame(
      "i = Placeholder() {dtype=int32, shape=shape[?,5]}\n"
      "ax = Const() {value=int32[1]{1}}\nk = Const() {value=int32[]{3}}\n"
      "a = Mul(i, k)\nb = FloorMod(a, k)\nm = Sum(b, ax)\ns = Max(b, ax)\nt = AddV2(m, s)\n"
      "y = Greater(t, k)\n",
      {"i"}, {"y", "t"}, {RandomTensor(kInt32, {9, 5}, 1, true)}, 1);
}

}  // namespace
}  // namespace duet::compiler
