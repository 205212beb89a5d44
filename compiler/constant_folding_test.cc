#include "compiler/constant_folding.h"

#include <cmath>

#include "compiler/pass_testing.h"

namespace duet::compiler {
namespace {

using ::testing::ElementsAre;

class ConstantFoldingTest : public testing::Test {
 protected:
  ConstantFoldingTest() { PlainDevice::Install(); }
  // The value that the first fetch became.
  static Tensor Folded(const std::string& text, const std::string& fetch) {
    const PassInput out = RunPass(&ConstantFolding, Parse(text, {}, {fetch}));
    const Node& node = out.graph.node(out.fetches[0].node);
    EXPECT_EQ(node.op->family, Family::kConstant) << out.graph.ToText();
    if (node.op->family != Family::kConstant) return Tensor();
    return node.attrs.Get<Tensor>("value");
  }
  static std::vector<std::string> Refusals(const std::string& text, const std::string& fetch,
                                           const PassOptions& options = {}) {
    std::vector<std::string> refusals;
    const PassInput in = Parse(text, {}, {fetch});
    auto out = ConstantFoldingWithReasons(in, options, &refusals);
    EXPECT_TRUE(out.ok()) << out.status();
    if (!out.ok()) return refusals;
    EXPECT_EQ(out->graph.ToText(), in.graph.ToText());
    return refusals;
  }
};

TEST_F(ConstantFoldingTest, ComputesWithTheKernels) {
  const Tensor t = Folded(
      "a = Const() {value=float32[2]{1, 4}}\n"
      "b = Const() {value=float32[]{3}}\n"
      "c = Mul(a, b)\n"
      "d = Sqrt(c)\n",
      "d");
  ASSERT_TRUE(t.defined());
  EXPECT_THAT(t.ToVector<float>(), ElementsAre(std::sqrt(3.f), std::sqrt(12.f)));
}

TEST_F(ConstantFoldingTest, KeepsNamesAndOnlyWhatIsNeeded) {
  const PassInput out =
      RunPass(&ConstantFolding, Parse("x = Placeholder() {dtype=int32, shape=shape[]}\n"
                                      "a = Const() {value=int32[]{2}}\n"
                                      "b = AddV2(a, a)\n"
                                      "c = AddV2(b, b)\n"
                                      "y = AddV2(x, c)\n",
                                      {"x"}, {"y"}));
  EXPECT_EQ(out.graph.ToText(), Canonical("x = Placeholder() {dtype=int32, shape=shape[]}\n"
                                          "a = Const() {value=int32[]{2}}\n"
                                          "c = Const() {value=int32[]{8}}\n"
                                          "y = AddV2(x, c)\n"));
}

TEST_F(ConstantFoldingTest, KnowsShapesOfKnownSizes) {
  const PassInput out =
      RunPass(&ConstantFolding, Parse("x = Placeholder() {dtype=float32, shape=shape[2,3]}\n"
                                      "s = Shape(x)\n",
                                      {"x"}, {"s"}));
  const Node& s = out.graph.node(out.fetches[0].node);
  ASSERT_EQ(s.op->family, Family::kConstant);
  EXPECT_THAT(s.attrs.Get<Tensor>("value").ToVector<int32_t>(), ElementsAre(2, 3));
  const PassInput unknown =
      Parse("x = Placeholder() {dtype=float32, shape=shape[?,3]}\ns = Shape(x)\n", {"x"}, {"s"});
  EXPECT_EQ(RunPass(&ConstantFolding, unknown).graph.data_ptr(), unknown.graph.data_ptr());
}

TEST_F(ConstantFoldingTest, KnowsOnesOfAKnownShape) {
  const std::string text =
      "x = Placeholder() {dtype=float32, shape=shape[2]}\n"
      "u = Placeholder() {dtype=float32, shape=shape[?]}\n"
      "l = Placeholder() {dtype=float32, shape=shape[257]}\n"
      "a = OnesLike(x)\nb = OnesLike(u)\nc = OnesLike(l)\nd = Sub(x, x)\n";
  const PassInput out =
      RunPass(&ConstantFolding, Parse(text, {"x", "u", "l"}, {"a", "b", "c", "d"}));
  const Node& a = out.graph.node(out.fetches[0].node);
  ASSERT_EQ(a.op->family, Family::kConstant);
  EXPECT_THAT(a.attrs.Get<Tensor>("value").ToVector<float>(), ElementsAre(1, 1));
  for (size_t k : {1, 2, 3}) {
    EXPECT_NE(out.graph.node(out.fetches[k].node).op->family, Family::kConstant) << k;
  }
}

TEST_F(ConstantFoldingTest, NeverGrowsAConstant) {
  EXPECT_THAT(Refusals("a = Const() {value=float32[]{1}}\n"
                       "s = Const() {value=int32[2]{1000, 1000}}\n"
                       "b = BroadcastTo(a, s)\n",
                       "b"),
              ElementsAre("b: 4000000 bytes from 12 bytes of constants"));
  EXPECT_TRUE(Folded("a = Const() {value=float32[]{1}}\n"
                     "s = Const() {value=int32[1]{256}}\n"
                     "b = BroadcastTo(a, s)\n",
                     "b")
                  .defined());
}

TEST_F(ConstantFoldingTest, HasALimit) {
  EXPECT_THAT(Refusals("a = Const() {value=float32[64]{1 ...}}\nb = Neg(a)\n", "b",
                       {.max_folded_bytes = 100}),
              ElementsAre("b: 256 bytes, the limit is 100"));
}

TEST_F(ConstantFoldingTest, LeavesAFailingCallToTheRunThatReachesIt) {
  const auto refusals = Refusals(
      "a = Const() {value=int32[2]{1, 2}}\n"
      "b = Const() {value=int32[2]{1, 0}}\n"
      "c = FloorDiv(a, b)\n",
      "c");
  ASSERT_EQ(refusals.size(), 1u);
  EXPECT_THAT(refusals[0], testing::HasSubstr("c: it fails: "));
  EXPECT_THAT(refusals[0], testing::HasSubstr("division by zero"));
}

TEST_F(ConstantFoldingTest, LeavesRandomNumbersAndFeedsAlone) {
  EXPECT_THAT(Refusals("s = Const() {value=int32[1]{2}}\n"
                       "r = RandomUniform(s) {dtype=float32, seed=1}\n",
                       "r"),
              ElementsAre("r: it is stateful, random or uses a variable"));
  const PassInput fed = Parse("a = Const() {value=int32[]{2}}\nb = AddV2(a, a)\n", {"a"}, {"b"});
  EXPECT_EQ(RunPass(&ConstantFolding, fed).graph.data_ptr(), fed.graph.data_ptr());
}

}  // namespace
}  // namespace duet::compiler
