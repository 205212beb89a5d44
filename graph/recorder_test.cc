#include "graph/recorder.h"

#include "core/ops/ops.h"
#include "core/variable_state.h"
#include "gmock/gmock.h"
#include "graph/graph.h"
#include "gtest/gtest.h"

namespace duet {
namespace {

using ::testing::ElementsAre;
using ::testing::EndsWith;
using ::testing::HasSubstr;

Tensor TwoOnes() { return Constant(std::vector<float>{1, 1}, {2}); }

Tensor Handle(const std::string& name, const Tensor& value) {
  auto state = std::make_shared<VariableState>(name, value.dtype(), value.shape());
  state->Assign(value);
  return Tensor::FromResource(kResource, value.shape(), state);
}

Tensor Use(ResourceUse use, const Tensor& handle, const Tensor& value = Tensor()) {
  Attrs attrs;
  attrs.Set("dtype", kFloat32);
  const OpDef& op = ResourceOp(use);
  EXPECT_TRUE(FillDefaults(op, &attrs).ok());
  std::vector<Tensor> inputs = {handle};
  if (value.defined()) inputs.push_back(value);
  const Outputs out = Dispatch(op, attrs, inputs, Location("train.cc", 7));
  return out.empty() ? Tensor() : out[0];
}

template <class F>
std::string ErrorOf(F&& f) {
  try {
    f();
  } catch (const Error& e) {
    return e.what();
  }
  return "no error";
}

TEST(GraphScope, RecordsCallsWithTheirLines) {
  Graph g;
  Tensor x, y;
  int line = 0;
  {
    GraphScope scope(g);
    x = Placeholder(kFloat32, {-1, 64}, "x");
    y = Identity(Tanh(x)), line = __LINE__;
  }
  EXPECT_EQ(y.name(), "Identity:0");
  EXPECT_EQ(y.shape(), (Shape{-1, 64}));
  EXPECT_TRUE(y.is_symbolic());
  ASSERT_EQ(g.size(), 3);
  EXPECT_THAT(std::string(g.node(1).location.file), EndsWith("recorder_test.cc"));
  EXPECT_EQ(g.node(2).location.line, static_cast<uint32_t>(line));
  EXPECT_EQ(*OutputOf(g, y), (NodeOutput{2, 0}));
  EXPECT_EQ(SymbolOf(g, {2, 0}).name(), "Identity:0");
}

TEST(GraphScope, CapturesAValueOnce) {
  Graph g;
  const Tensor v = Constant({1, 2});
  const Tensor copy = v;
  {
    GraphScope scope(g);
    const Tensor x = Placeholder(kInt32, {2}, "x");
    (void)(x + v);
    (void)(x * copy);
  }
  {
    GraphScope scope(g);
    (void)(SymbolOf(g, {0, 0}) - v);
  }
  int constants = 0;
  for (int i = 0; i < g.size(); ++i) constants += g.node(i).op->family == Family::kConstant;
  EXPECT_EQ(constants, 1);
  EXPECT_EQ(g.size(), 5);
}

TEST(GraphScope, RefusesSymbolsOfAnotherGraph) {
  Graph a, b;
  Tensor x;
  {
    GraphScope scope(a);
    x = Placeholder(kFloat32, {2}, "x");
  }
  const std::string error = ErrorOf([&] {
    GraphScope scope(b);
    Tanh(x);
  });
  EXPECT_THAT(error,
              HasSubstr("Tanh: \"x:0\" belongs to another graph than the one being recorded; "
                        "make the call inside a GraphScope of the graph that \"x:0\" was "
                        "recorded into, or feed its value"));
  EXPECT_THAT(error, HasSubstr("recorder_test.cc:"));
  EXPECT_EQ(OutputOf(b, x).status().message(), "\"x:0\" belongs to another graph");
  EXPECT_EQ(OutputOf(b, Constant(1)).status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(OutputOf(b, Tensor()).status().code(), absl::StatusCode::kFailedPrecondition);
}

TEST(Placeholder, NeedsAScopeAndALegalShapeAndName) {
  EXPECT_THAT(
      ErrorOf([] { Placeholder(kFloat32, {2}, "x"); }),
      HasSubstr("Placeholder: nothing is being recorded on this thread; open a scope first"));
  Graph g;
  GraphScope scope(g);
  EXPECT_THAT(ErrorOf([] { Placeholder(kFloat32, {-2}, "x"); }), HasSubstr("negative size -2"));
  EXPECT_THAT(ErrorOf([] { Placeholder(kFloat32, {2}, "my input"); }),
              HasSubstr("\"my input\" is not a node's name"));
  EXPECT_THAT(ErrorOf([] {
                Placeholder(kFloat32, {int64_t{1} << 40, int64_t{1} << 40}, "x");
              }),
              HasSubstr("more elements than memory can address"));
  EXPECT_EQ(g.size(), 0);
}

TEST(Recorder, NamesHandlesAsVariables) {
  Graph g;
  Recorder recorder(g);
  const Tensor w = Handle("w", TwoOnes()), other = Handle("w", TwoOnes()),
               odd = Handle("my weights", TwoOnes());
  const InterpreterScope scope(&recorder);
  for (const Tensor& h : {w, other, odd, w}) Use(ResourceUse::kRead, h);
  EXPECT_EQ(g.size(), 7);
  EXPECT_GE(g.Find("w"), 0);
  EXPECT_GE(g.Find("w_1"), 0);
  EXPECT_GE(g.Find("my_weights"), 0);
  EXPECT_EQ(g.node(g.Find("w")).resource, w.resource());
  EXPECT_EQ(g.node(g.Find("w_1")).attrs.Get<std::string>("shared_name"), "w_1");
  EXPECT_EQ(recorder.captures().size(), 3u);
}

TEST(Recorder, OrdersReadsAndAssignments) {
  Graph g;
  Recorder recorder(g);
  const Tensor w = Handle("w", TwoOnes()), v = Handle("v", TwoOnes());
  std::vector<int> at;
  {
    const InterpreterScope scope(&recorder);
    const auto call = [&](ResourceUse use, const Tensor& h, const Tensor& value = Tensor()) {
      Tensor t = Use(use, h, value);
      at.push_back(g.size() - 1);
      return t;
    };
    const Tensor a = call(ResourceUse::kRead, w);  // 0
    call(ResourceUse::kRead, w);                   // 1
    call(ResourceUse::kAssign, w, a);              // 2
    call(ResourceUse::kRead, v);                   // 3
    const Tensor b = call(ResourceUse::kRead, w);  // 4
    call(ResourceUse::kAssignAdd, w, b);           // 5
    call(ResourceUse::kAssignSub, w, b);           // 6
  }
  const auto controls = [&](int i) { return g.node(at[static_cast<size_t>(i)]).control_inputs; };
  EXPECT_THAT(controls(0), ElementsAre());
  EXPECT_THAT(controls(2), ElementsAre(at[0], at[1]));
  EXPECT_THAT(controls(3), ElementsAre()) << "another variable";
  EXPECT_THAT(controls(4), ElementsAre(at[2]));
  EXPECT_THAT(controls(5), ElementsAre(at[2], at[4]));
  EXPECT_THAT(controls(6), ElementsAre(at[5]));
  EXPECT_THAT(recorder.side_effects(), ElementsAre(at[2], at[5], at[6]));

  // A later recorder of the same graph goes on where this one stopped.
  Recorder later(g);
  const InterpreterScope scope(&later);
  Use(ResourceUse::kRead, w);
  EXPECT_THAT(g.node(g.size() - 1).control_inputs, ElementsAre(at[6]));
  EXPECT_EQ(g.node(g.size() - 1).inputs[0].node, g.Find("w"));
}

TEST(Recorder, ChainsRandomOpsWithoutSeed) {
  Graph g;
  GraphScope scope(g);
  const auto node_of = [&](const Tensor& t) { return OutputOf(g, t)->node; };
  const int a = node_of(RandomUniform({2}, kFloat32));
  const int seeded = node_of(RandomUniform({2}, kFloat32, /*seed=*/3));
  const int b = node_of(RandomNormal({2}, kFloat32));
  EXPECT_THAT(g.node(a).control_inputs, ElementsAre());
  EXPECT_THAT(g.node(seeded).control_inputs, ElementsAre());
  EXPECT_THAT(g.node(b).control_inputs, ElementsAre(a));
}

TEST(Recorder, BranchingOnASymbolIsRefused) {
  Graph g;
  GraphScope scope(g);
  const Tensor x = Placeholder(kFloat32, {}, "x");
  EXPECT_THAT(ErrorOf([&] { (void)(x > 0 ? 1 : 2); }), HasSubstr("use Select"));
  EXPECT_THAT(ErrorOf([&] { x.Item<float>(); }), HasSubstr("x:0 is being recorded"));
}

TEST(Recorder, APlaceholderOfNoElementTypeNamesItsLine) {
  Graph g;
  GraphScope scope(g);
  const std::string line = std::to_string(__LINE__ + 1);
  EXPECT_THAT(ErrorOf([] { Placeholder(kResource, {2}); }),
              HasSubstr("recorder_test.cc:" + line + ": Placeholder: attribute dtype"));
}

}  // namespace
}  // namespace duet
