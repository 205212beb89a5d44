#include "compiler/verify.h"

#include "compiler/pass_testing.h"

namespace duet::compiler {
namespace {

using ::testing::HasSubstr;

constexpr char kText[] =
    "x = Placeholder() {dtype=float32, shape=shape[2]}\n"
    "y = Neg(x)\n";

// The graph of kText with a third node that the builder did not check.
PassInput WithNode(GraphBuilder::NodeArgs args, ValueSpec spec) {
  PassInput input = Parse(kText, {"x"}, {"y"});
  GraphBuilder builder(input.graph);
  args.op = input.graph.node(1).op;
  EXPECT_TRUE(builder.Add(std::move(args), {&spec, 1}).ok());
  return input;
}

TEST(Verify, AcceptsAGoodGraph) { EXPECT_TRUE(VerifyGraph(Parse(kText, {"x"}, {"y"})).ok()); }

TEST(Verify, InfersTypesAgain) {
  const auto status =
      VerifyGraph(WithNode({.op = nullptr, .name = "z", .inputs = {{0, 0}}}, {kFloat64, {2}}));
  EXPECT_EQ(status.code(), absl::StatusCode::kInternal);
  EXPECT_EQ(status.message(), "node \"z\" (Neg): output 0 is float64[2], its op gives float32[2]");
  EXPECT_THAT(
      std::string(VerifyGraph(WithNode({.op = nullptr, .name = "z"}, {kFloat32, {2}})).message()),
      HasSubstr("node \"z\" (Neg): takes 1 inputs, found 0"));
}

TEST(Verify, GroupsStandTogether) {
  PassInput input = Parse(kText, {"x"}, {"y"});
  GraphBuilder builder(input.graph);
  for (const int group : {0, 1, 0}) {
    EXPECT_TRUE(
        builder.Add({.op = input.graph.node(1).op, .inputs = {{0, 0}}, .group = group}).ok());
  }
  EXPECT_THAT(std::string(VerifyGraph(input).message()),
              HasSubstr("the nodes of group 0 do not stand together"));
}

TEST(Verify, EndsExistAndKeepTheirTypes) {
  PassInput input = Parse(kText, {"x"}, {"y"});
  PassInput other = input;
  other.fetches[0] = {7, 0};
  EXPECT_THAT(std::string(VerifyGraph(other).message()),
              HasSubstr("a fetch is output 0 of node 7, which does not exist"));
  other = input;
  other.targets = {-1};
  EXPECT_THAT(std::string(VerifyGraph(other).message()), HasSubstr("a target is node -1"));
  EXPECT_TRUE(VerifyEnds(input, input).ok());
  const PassInput wider =
      Parse("x = Placeholder() {dtype=float32, shape=shape[3]}\ny = Neg(x)\n", {"x"}, {"y"});
  EXPECT_EQ(VerifyEnds(input, wider).message(),
            "feed \"x:0\" was float32[2], now it is float32[3]");
}

}  // namespace
}  // namespace duet::compiler
