#include "compiler/inline.h"

#include "compiler/pass_testing.h"

namespace duet::compiler {
namespace {

TEST(Inline, PutsTheBodyInThePlaceOfTheComposite) {
  const PassInput in = Parse(
      "x = Placeholder() {dtype=float32, shape=shape[?,3]}\n"
      "p = Softmax(x) @ \"user.cc\":7\n"
      "y = Neg(p)\n",
      {"x"}, {"y", "p"});
  const PassInput out = RunPass(&Inline, in);
  int named = 0;
  for (int i = 0; i < out.graph.size(); ++i) {
    const Node& node = out.graph.node(i);
    EXPECT_NE(node.op->family, Family::kComposite);
    if (node.name.rfind("p/", 0) != 0) continue;
    ++named;
    EXPECT_EQ(node.location.ToString(), "user.cc:7") << node.name;
  }
  EXPECT_EQ(named, 7);  // max, its axes, sub, exp, sum, its axes, div
  EXPECT_EQ(out.graph.spec(out.fetches[1]).shape, Shape({-1, 3}));
}

TEST(Inline, GoesIntoCompositesOfComposites) {
  const PassInput in = Parse(
      "x = Placeholder() {dtype=float32, shape=shape[4,3]}\n"
      "labels = Placeholder() {dtype=int64, shape=shape[4]}\n"
      "loss = SparseSoftmaxCrossEntropyWithLogits(x, labels)\n"
      "y = Neg(loss)\n"
      "z = Neg(loss:1)\n",
      {"x", "labels"}, {"y", "z"});
  const PassInput out = RunPass(&Inline, in);
  for (int i = 0; i < out.graph.size(); ++i) {
    EXPECT_NE(out.graph.node(i).op->family, Family::kComposite) << out.graph.node(i).name;
  }
  EXPECT_EQ(out.graph.spec(out.fetches[0]).shape, Shape({4}));
  EXPECT_EQ(out.graph.spec(out.fetches[1]).shape, Shape({4, 3}));
}

TEST(Inline, KeepsOrderAround) {
  const PassInput in = Parse(
      "x = Placeholder() {dtype=float32, shape=shape[2,3]}\n"
      "first = Exp(x)\n"
      "p = Softmax(x, ^first)\n"
      "y = Neg(x, ^p)\n",
      {"x"}, {"y"});
  const PassInput out = RunPass(&Inline, in);
  const Node& y = out.graph.node(out.fetches[0].node);
  ASSERT_EQ(y.control_inputs.size(),
            2u);  // the last node of the body, and what the body waited for
  EXPECT_EQ(out.graph.node(y.control_inputs[0]).name, "first");
}

// What comes after may need the sizes that the op's own rule gives.
TEST(Inline, LosesNoSizes) {
  for (const auto& [rows, labels] : {std::pair("4", "?"), {"?", "4"}, {"?", "1"}}) {
    const PassInput in =
        Parse(std::string("x = Placeholder() {dtype=float32, shape=shape[") + rows +
                  ",3]}\n"
                  "labels = Placeholder() {dtype=int64, shape=shape[" +
                  labels +
                  "]}\n"
                  "loss = SparseSoftmaxCrossEntropyWithLogits(x, labels)\n",
              {"x", "labels"}, {"loss"});
    const PassInput out = RunPass(&Inline, in);
    const Node& loss = out.graph.node(out.fetches[0].node);
    EXPECT_EQ(loss.outputs[0].shape, Shape({labels == std::string_view("1") ? 1 : 4}));
    // Broadcasting one label against rows of unknown number gives an unknown number.
    EXPECT_EQ(loss.op->family == Family::kComposite, labels == std::string_view("1"));
  }
}

TEST(Inline, LeavesAGraphWithoutCompositesAlone) {
  const PassInput in =
      Parse("x = Placeholder() {dtype=float32, shape=shape[2]}\ny = Neg(x)\n", {"x"}, {"y"});
  EXPECT_EQ(RunPass(&Inline, in).graph.data_ptr(), in.graph.data_ptr());
}

}  // namespace
}  // namespace duet::compiler
