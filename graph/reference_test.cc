#include "graph/reference.h"

#include "core/ops/ops.h"
#include "core/variable_state.h"
#include "gmock/gmock.h"
#include "graph/recorder.h"
#include "graph/reference_execute.h"
#include "gtest/gtest.h"

namespace duet {
namespace {

using ::testing::HasSubstr;

// The values of the named outputs.
std::string ValueOf(const std::string& text, const std::string& fetch,
                    const std::vector<std::pair<std::string, Tensor>>& feeds = {}) {
  auto g = Graph::FromText(text);
  if (!g.ok()) return std::string(g.status().message());
  std::vector<std::pair<NodeOutput, Tensor>> values;
  for (const auto& [name, value] : feeds) values.emplace_back(*g->FindOutput(name), value);
  auto out = ReferenceRun(*g, values, {*g->FindOutput(fetch)});
  return out.ok() ? AttrToString((*out)[0]) : std::string(out.status().message());
}

constexpr char kInputs[] =
    "x = Placeholder() {dtype=float32, shape=shape[?,3]}\n"
    "row = Const() {value=float32[3]{1, 2, 3}}\n"
    "axes = Const() {value=int32[1]{-1}}\n"
    "n = Const() {value=int32[2,2]{7, -7, 2147483647, -2147483648}}\n"
    "none = Const() {value=float32[0,3]{}}\n";

TEST(ReferenceRun, EveryFamily) {
  const std::vector<std::pair<std::string, Tensor>> feeds = {
      {"x", Constant(std::vector<float>{1, 2, 3, 4, 5, 6}, {2, 3})}};
  const auto run = [&](const std::string& line) { return ValueOf(kInputs + line, "y", feeds); };
  EXPECT_EQ(run("y = AddV2(x, row)"), "float32[2,3]{2.0, 4.0, 6.0, 5.0, 7.0, 9.0}");
  EXPECT_EQ(run("y = Sum(x, axes)"), "float32[2]{6.0, 15.0}");
  EXPECT_EQ(run("y = Mean(x, axes) {keep_dims=true}"), "float32[2,1]{2.0, 5.0}");
  EXPECT_EQ(run("y = Max(x, axes)"), "float32[2]{3.0, 6.0}");
  EXPECT_EQ(run("y = Prod(n, axes)"), "int32[2]{-49, -2147483648}");
  EXPECT_EQ(run("y = Min(none, axes)"), "float32[0]{}");
  EXPECT_EQ(run("p = Const() {value=int32[2]{1, 0}}\ny = Transpose(x, p)"),
            "float32[3,2]{1.0, 4.0, 2.0, 5.0, 3.0, 6.0}");
  EXPECT_EQ(run("y = MatMul(x, x) {transpose_b=true}"), "float32[2,2]{14.0, 32.0, 32.0, 77.0}");
  EXPECT_EQ(run("i = Const() {value=int32[1]{1}}\na = Const() {value=int32[]{0}}\n"
                "y = GatherV2(x, i, a)"),
            "float32[1,3]{4.0, 5.0, 6.0}");
  EXPECT_EQ(run("z = Sub(x, x)\ny = Softmax(z)").substr(0, 13), "float32[2,3]{");
  EXPECT_EQ(run("y = Less(x, row)"), "bool[2,3]{false ...}");
}

TEST(ReferenceRun, FeedsReplaceAnyOutput) {
  EXPECT_EQ(ValueOf(std::string(kInputs) + "s = Neg(row)\ny = Neg(s)", "y",
                    {{"s", Constant(std::vector<float>{5, 6, 7}, {3})}}),
            "float32[3]{-5.0, -6.0, -7.0}");
}

TEST(ReferenceRun, Errors) {
  const std::string text = std::string(kInputs) + "y = Neg(x)";
  EXPECT_THAT(ValueOf(text, "y"), HasSubstr("Placeholder: \"x\" was not fed a value"));
  EXPECT_THAT(
      ValueOf(text, "y", {{"x", Constant({1, 2, 3})}}),
      HasSubstr("\"x:0\" is fed Tensor([1 2 3], shape=(3,), dtype=int32), expected a value of "
                "float32[?,3]"));
  EXPECT_THAT(ValueOf(std::string(kInputs) + "zero = Const() {value=int32[]{0}}\n"
                                             "y = FloorDiv(n, zero) @ \"f.cc\":9",
                      "y"),
              HasSubstr("f.cc:9: FloorDiv: "));
  const Graph g = *Graph::FromText(kInputs);
  EXPECT_FALSE(ReferenceRun(g, {}, {{99, 0}}).ok());
  EXPECT_FALSE(ReferenceRun(g, {}, {{0, 1}}).ok());
  EXPECT_FALSE(ReferenceRun(g, {}, {{0, -1}}).ok());
}

TEST(ReferenceRun, VariablesKeepTheProgramsOrder) {
  auto state = std::make_shared<VariableState>("w", kFloat32, Shape{2});
  state->Assign(Constant(std::vector<float>{1, 2}, {2}));
  const Tensor w = Tensor::FromResource(kResource, Shape{2}, state);
  Graph g;
  Recorder recorder(g);
  Tensor before, after;
  {
    const InterpreterScope scope(&recorder);
    const auto use = [&](ResourceUse u, std::vector<Tensor> inputs) {
      Attrs attrs{{"dtype", kFloat32}};
      EXPECT_TRUE(FillDefaults(ResourceOp(u), &attrs).ok());
      const Outputs out = Dispatch(ResourceOp(u), attrs, inputs, {});
      return out.empty() ? Tensor() : out[0];
    };
    before = use(ResourceUse::kRead, {w});
    use(ResourceUse::kAssignAdd, {w, before});
    after = use(ResourceUse::kRead, {w});
  }
  auto out = ReferenceRun(g, {}, {*OutputOf(g, after), *OutputOf(g, before)});
  ASSERT_TRUE(out.ok()) << out.status();
  EXPECT_EQ(AttrToString((*out)[0]), "float32[2]{2.0, 4.0}");
  EXPECT_EQ(AttrToString((*out)[1]), "float32[2]{1.0, 2.0}");
  EXPECT_EQ(AttrToString(state->Read()), "float32[2]{2.0, 4.0}");

  // Loaded from a file the variable has no value.
  const Graph loaded = *Graph::FromText(g.ToText());
  auto none = ReferenceRun(loaded, {}, {*loaded.FindOutput(before.name())});
  EXPECT_EQ(none.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(none.status().message()), HasSubstr("variable \"w\" has no value yet"));
}

TEST(ReferenceInterpreter, RunsCallsNow) {
  ReferenceInterpreter interpreter;
  const InterpreterScope scope(&interpreter);
  const Tensor x = Constant(std::vector<float>{1, 2, 3, 4}, {2, 2});
  EXPECT_EQ(Sum(x * x + 1).Item<float>(), 34.f);
  EXPECT_EQ(Transpose(x, {1, 0}).ToVector<float>(), (std::vector<float>{1, 3, 2, 4}));
}

}  // namespace
}  // namespace duet
