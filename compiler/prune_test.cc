#include "compiler/prune.h"

#include "compiler/pass_testing.h"

namespace duet::compiler {
namespace {

TEST(Prune, KeepsAncestorsAlone) {
  const PassInput in = Parse(
      "x = Placeholder() {dtype=float32, shape=shape[2]}\n"
      "unused = Placeholder() {dtype=float32, shape=shape[2]}\n"
      "a = Neg(x)\n"
      "dead = Exp(a)\n"
      "y = Abs(a)\n",
      {"x"}, {"y"});
  const PassInput out = RunPass(&Prune, in);
  EXPECT_EQ(out.graph.ToText(), Canonical("x = Placeholder() {dtype=float32, shape=shape[2]}\n"
                                          "a = Neg(x)\n"
                                          "y = Abs(a)\n"));
  EXPECT_THAT(FetchNames(out), testing::ElementsAre("y:0"));
}

TEST(Prune, KeepsControlInputsAndTargets) {
  const PassInput in = Parse(
      "v = VarHandleOp() {dtype=float32, shape=shape[], shared_name=\"v\"}\n"
      "c = Const() {value=float32[]{2}}\n"
      "set = AssignVariableOp(v, c) {dtype=float32}\n"
      "read = ReadVariableOp(v, ^set) {dtype=float32}\n"
      "other = AssignAddVariableOp(v, c, ^read) {dtype=float32}\n"
      "dead = ReadVariableOp(v) {dtype=float32}\n",
      {}, {"read"}, {"other"});
  const PassInput out = RunPass(&Prune, in);
  EXPECT_EQ(out.graph.size(), 5);
  EXPECT_EQ(out.graph.Find("dead"), -1);
  EXPECT_EQ(out.graph.node(out.targets[0]).name, "other");
}

TEST(Prune, AFedNodeIsCutOffFromWhatMadeIt) {
  const PassInput in = Parse(
      "x = Placeholder() {dtype=float32, shape=shape[2]}\n"
      "a = Exp(x)\n"
      "y = Neg(a)\n",
      {"a"}, {"y"});
  const PassInput out = RunPass(&Prune, in);
  EXPECT_EQ(out.graph.ToText(),
            Canonical("a = Placeholder() {dtype=float32, shape=shape[2]}\ny = Neg(a)\n"));
  EXPECT_EQ(out.graph.OutputName(out.feeds[0]), "a:0");
}

TEST(Prune, NothingToDoGivesTheSameGraph) {
  const PassInput in =
      Parse("x = Placeholder() {dtype=float32, shape=shape[2]}\ny = Neg(x)\n", {"x"}, {"y"});
  EXPECT_EQ(RunPass(&Prune, in).graph.data_ptr(), in.graph.data_ptr());
}

}  // namespace
}  // namespace duet::compiler
