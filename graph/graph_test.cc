#include "graph/graph.h"

#include <atomic>
#include <thread>

#include "core/ops/defs.h"
#include "core/ops/ops.h"
#include "gmock/gmock.h"
#include "graph/graph_data.h"
#include "graph/recorder.h"
#include "gtest/gtest.h"

namespace duet {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

// The value of a node that the builder knows, or an empty vector.
std::vector<int64_t> Known(const Graph& g, std::string_view name) {
  const Tensor* t = g.StaticValue(*g.FindOutput(name));
  return t == nullptr ? std::vector<int64_t>{} : t->AsInt64Vector();
}

TEST(NodeNames, FollowTensorFlowsRule) {
  using graph_internal::IsValidNodeName;
  for (const char* good : {"a", "9", ".x", "A_b-c/d.e", "a>b", "layer_1/w"}) {
    EXPECT_TRUE(IsValidNodeName(good)) << good;
  }
  for (const char* bad :
       {"", "_a", "-a", "/a", "a b", "a:0", "^a", "a>", ">a", "a>_b", "\xC3\xA4"}) {
    EXPECT_FALSE(IsValidNodeName(bad)) << bad;
    EXPECT_TRUE(IsValidNodeName(graph_internal::MakeValidNodeName(bad))) << bad;
  }
}

TEST(NodeNames, AreCountedPerBase) {
  Graph g;
  GraphScope scope(g);
  Tensor x = Placeholder(kFloat32, {2}, "x"), again = Placeholder(kFloat32, {2}, "x");
  EXPECT_EQ(x.name(), "x:0");
  EXPECT_EQ(again.name(), "x_1:0");
  EXPECT_EQ((x + x).name(), "Add:0");
  EXPECT_EQ((x + x).name(), "Add_1:0");
  EXPECT_EQ(Identity(x).name(), "Identity:0");
  EXPECT_EQ(Placeholder(kFloat32, {2}, "Add_2").name(), "Add_2:0");
  EXPECT_EQ((x + x).name(), "Add_3:0");
}

TEST(Graph, ManyNodesKeepTheirPlaces) {
  Graph g;
  GraphScope scope(g);
  Tensor x = Placeholder(kInt32, {}, "x");
  std::vector<const Node*> nodes;
  for (int i = 0; i < 5000; ++i) {
    x = Neg(x);
    nodes.push_back(&g.node(g.size() - 1));
  }
  ASSERT_EQ(g.size(), 5001);
  for (int i = 0; i < 5000; ++i) {
    ASSERT_EQ(nodes[static_cast<size_t>(i)], &g.node(i + 1));
    ASSERT_EQ(g.Find(g.node(i).name), i);
    ASSERT_EQ(g.node(i + 1).inputs[0].node, i);
  }
}

TEST(Graph, IsReadWhileAnotherThreadAppends) {
  Graph g;
  std::atomic<bool> done{false};
  std::thread reader([&] {
    while (!done) {
      const int n = g.size();
      for (int i = 1; i < n; ++i) ASSERT_EQ(g.node(i).inputs[0].node, i - 1);
      if (n > 0) {
        ASSERT_EQ(g.Find(g.node(n - 1).name), n - 1);
      }
    }
  });
  {
    GraphScope scope(g);
    Tensor x = Placeholder(kInt32, {}, "x");
    for (int i = 0; i < 2000; ++i) x = Neg(x);
  }
  done = true;
  reader.join();
}

TEST(Graph, FindsOutputs) {
  Graph g;
  {
    GraphScope scope(g);
    Identity(Placeholder(kFloat32, {2}, "images"));
  }
  EXPECT_EQ(*g.FindOutput("Identity"), (NodeOutput{1, 0}));
  EXPECT_EQ(*g.FindOutput("Identity:0"), (NodeOutput{1, 0}));
  EXPECT_EQ(g.FindOutput("image").status().message(),
            "the graph has no node \"image\"; did you mean images?");
  EXPECT_EQ(g.FindOutput("images:1").status().message(),
            "node \"images\" has 1 output; there is no \"images:1\"");
  EXPECT_EQ(g.FindOutput("images:x").status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(g.FindOutput("images:-1").status().code(), absl::StatusCode::kInvalidArgument);
}

TEST(GraphBuilder, RefusesWhatIsNotThere) {
  GraphBuilder b;
  const OpDef& neg = ops::NegOp();
  EXPECT_THAT(std::string(b.Add({.op = &neg, .inputs = {{0, 0}}}).status().message()),
              HasSubstr("Neg: an input is node 0; the graph has 0 nodes"));
  ASSERT_TRUE(
      b.Add({.op = &ops::ConstOp(), .name = "c", .attrs = ConstantAttrs(Constant({1, 2}))}).ok());
  EXPECT_THAT(std::string(b.Add({.op = &neg, .inputs = {{0, 1}}}).status().message()),
              HasSubstr("output 1 of \"c\", which has 1"));
  EXPECT_THAT(std::string(b.Add({.op = &neg, .inputs = {{0, -1}}}).status().message()),
              HasSubstr("output -1"));
  EXPECT_EQ(b.Add({.op = &neg, .inputs = {{0, 0}}, .control_inputs = {1}}).status().code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(b.Add({.op = &neg, .inputs = {}}).status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(b.Add({.op = &neg, .name = "a b", .inputs = {{0, 0}}}).status().code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(b.graph().size(), 1);
  EXPECT_TRUE(b.Add({.op = &neg, .inputs = {{0, 0}}, .control_inputs = {0, 0}}).ok());
  EXPECT_THAT(b.graph().node(1).control_inputs, ElementsAre(0));
}

TEST(StaticValues, FollowConstantsShapesAndIntegerArithmetic) {
  auto g = Graph::FromText(
      "x = Placeholder() {dtype=float32, shape=shape[2,3,4]}\n"
      "part = Placeholder() {dtype=float32, shape=shape[?,3]}\n"
      "s = Shape(x)\n"
      "unknown = Shape(part)\n"
      "two = Const() {value=int32[]{2}}\n"
      "zero = Const() {value=int32[1]{0}}\n"
      "one = Const() {value=int32[1]{1}}\n"
      "doubled = Mul(s, two)\n"
      "first = Slice(s, zero, one)\n"
      "product = Prod(s, zero)\n"
      "divided = FloorDiv(s, zero)\n"
      "real = Cast(s) {DstT=float32}\n"
      "length = Prod(s, zero) {keep_dims=true}\n"
      "flat = Reshape(x, length)\n");
  ASSERT_TRUE(g.ok()) << g.status();
  EXPECT_THAT(Known(*g, "s"), ElementsAre(2, 3, 4));
  EXPECT_THAT(Known(*g, "unknown"), ElementsAre());
  EXPECT_THAT(Known(*g, "doubled"), ElementsAre(4, 6, 8));
  EXPECT_THAT(Known(*g, "first"), ElementsAre(2));
  EXPECT_THAT(Known(*g, "product"), ElementsAre(24));
  EXPECT_EQ(g->spec(*g->FindOutput("flat")).shape.ToString(), "[24]");
  EXPECT_THAT(Known(*g, "divided"), ElementsAre()) << "a division by zero is the running graph's";
  EXPECT_EQ(g->StaticValue(*g->FindOutput("real")), nullptr);
}

TEST(SameGraph, ComparesAllButLocations) {
  const std::string text =
      "x = Placeholder() {dtype=float32, shape=shape[2]} : float32[2] @ \"a.cc\":1\n"
      "n = Neg(x) : float32[2]\n";
  const Graph a = *Graph::FromText(text);
  EXPECT_TRUE(SameGraph(a, a));
  EXPECT_TRUE(SameGraph(a, *Graph::FromText(text)));
  const auto with = [&](const std::string& from, const std::string& to) {
    std::string t = text;
    while (t.find(from) != std::string::npos) t.replace(t.find(from), from.size(), to);
    return *Graph::FromText(t);
  };
  EXPECT_TRUE(SameGraph(a, with("a.cc", "b.cc")));
  EXPECT_FALSE(SameGraph(a, with("[2]", "[3]")));
  EXPECT_FALSE(SameGraph(a, with("Neg", "Abs")));
  EXPECT_FALSE(SameGraph(a, with("n =", "m =")));
  EXPECT_FALSE(SameGraph(a, with("Neg(x)", "Neg(x, ^x)")));
  EXPECT_FALSE(SameGraph(a, *Graph::FromText(text + "m = Neg(n)\n")));
}

}  // namespace
}  // namespace duet
