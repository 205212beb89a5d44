// Updates of variables by the step that computes them. That all kinds of programs keep their bits
// is shown by tests/random_updates_test.cc.

#include <string>
#include <vector>

#include "core/strings.h"
#include "duet.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace duet {
namespace {

using ::testing::HasSubstr;

// A linear layer under squared error, trained with momentum.
struct Layer {
  void Step(const Tensor& x, const Tensor& y) {
    GradientTape tape;
    const Tensor loss = Mean(Square(MatMul(x, weight) - y));
    const Tensor gradient = tape.Gradient(loss, weight);
    velocity.Assign(velocity * 0.9f + gradient);
    weight.AssignSub(velocity * 0.1f);
  }
  Variable weight{RandomNormal({70, 33}, kFloat32, 1) * 0.1f, "weight"};
  Variable velocity{Zeros({70, 33}), "velocity"};
};

SessionOptions Threads(int n) {
  SessionOptions options;
  options.num_threads = n;
  return options;
}

// The line of `explained` that begins with `kernel`, without what follows the nodes.
std::string KernelLine(const std::string& explained, const std::string& kernel) {
  const size_t begin = explained.find("    " + kernel);
  if (begin == std::string::npos) return explained;
  return explained.substr(begin + 4, explained.find(" (", begin) - begin - 4);
}

TEST(StepUpdatesTest, TheProductThatGivesAGradientUpdatesTheWeights) {
  const Tensor x = RandomUniform({40, 70}, kFloat32, 2), y = RandomUniform({40, 33}, kFloat32, 3);
  Layer now;
  for (int i = 0; i < 3; ++i) now.Step(x, y);
  for (int threads : {1, 2}) {
    Layer layer;
    Function step(
        [&](const Tensor& a, const Tensor& b) {
          layer.Step(a, b);
          return a;
        },
        Threads(threads));
    step(x, y);
    EXPECT_THAT(KernelLine(step.Explain(), "MatMul_1"),
                testing::AllOf(HasSubstr(", Assign, "), HasSubstr(", AssignSub")));
    // In place, as nobody holds the values.
    const void* weight = layer.weight.Read().raw_data();
    const void* velocity = layer.velocity.Read().raw_data();
    step(x, y);
    EXPECT_EQ(layer.weight.Read().raw_data(), weight);
    EXPECT_EQ(layer.velocity.Read().raw_data(), velocity);
    // Not where a value is held.
    const Tensor held = layer.velocity.Read();
    const std::vector<float> before = held.ToVector<float>();
    step(x, y);
    EXPECT_EQ(layer.weight.Read().raw_data(), weight);
    EXPECT_NE(layer.velocity.Read().raw_data(), velocity);
    EXPECT_EQ(held.ToVector<float>(), before);
    EXPECT_EQ(layer.weight.Read().ToVector<float>(), now.weight.Read().ToVector<float>());
    EXPECT_EQ(layer.velocity.Read().ToVector<float>(), now.velocity.Read().ToVector<float>());
  }
}

// What an assignment in place left is the variable's value like any other.
TEST(StepUpdatesTest, AnUpdateAfterAnAssignmentInPlaceIsInPlace) {
  const Tensor x = RandomUniform({40, 40}, kFloat32, 2);
  for (int form = 0; form < 3; ++form) {
    Variable v(Ones({40, 40}), "v");
    Function step([&](const Tensor& t) {
      v.Assign(v * 0.9f + t);
      if (form == 0) v.AssignSub(v * 0.1f);
      if (form == 1) v.AssignSub(MatMul(t, v) * 0.1f);
      if (form == 2) v.Assign(Tanh(v));
      return t;
    });
    step(x);
    const void* place = v.Read().raw_data();
    for (int i = 0; i < 3; ++i) step(x);
    EXPECT_EQ(v.Read().raw_data(), place) << form;
  }
}

// Neither the gradient nor the new velocity is an intermediate value or a result of the run.
TEST(StepUpdatesTest, NoMemoryForWhatStaysInPanels) {
  Layer layer;
  Function step([&](const Tensor& a, const Tensor& b) {
    layer.Step(a, b);
    return Constant(0.0f);
  });
  step(Ones({40, 70}), Ones({40, 33}));
  const auto weights = static_cast<int64_t>(70 * 33 * sizeof(float));
  EXPECT_LT(step.stats().peak_bytes, 2 * 40 * 33 * static_cast<int64_t>(sizeof(float)) + 512);
  EXPECT_LT(step.stats().planned_bytes, 2 * weights);
}

TEST(StepUpdatesTest, WithoutFusionEachIsAStepOfItsOwn) {
  Layer layer;
  SessionOptions options;
  options.disabled_passes = {"fusion"};
  Function step(
      [&](const Tensor& a, const Tensor& b) {
        layer.Step(a, b);
        return a;
      },
      options);
  step(Ones({40, 70}), Ones({40, 33}));
  EXPECT_EQ(KernelLine(step.Explain(), "MatMul_1"), "MatMul_1");
}

// A variable without a value is found before anything is changed; the message names its own line.
TEST(StepUpdatesTest, AnUninitialisedVariableLeavesTheOthers) {
  Variable weight(Zeros({20, 3}), "weight"), velocity(Zeros({20, 3}), "velocity");
  Graph graph;
  Tensor x, y;
  int line = 0;
  {
    GraphScope scope(graph);
    x = Placeholder(kFloat32, {4, 20}, "x");
    y = Placeholder(kFloat32, {4, 3}, "y");
    velocity.Assign(Fill({20, 3}, 5.0f));
    velocity.Assign(velocity * 0.5f + MatMul(x, y, /*transpose_a=*/true));
    line = __LINE__ + 1;
    weight.AssignSub(velocity * 0.1f);
  }
  std::vector<std::string> updates;
  for (int i = 0; i < graph.size(); ++i) {
    if (graph.node(i).op->side_effect) updates.push_back(graph.node(i).name);
  }
  ASSERT_EQ(updates.size(), 3u);
  auto bytes = SerializeGraph(graph);
  ASSERT_TRUE(bytes.ok());
  auto loaded = ParseGraph(*bytes);  // its variables have no values
  ASSERT_TRUE(loaded.ok());
  Session session(*loaded);
  ASSERT_TRUE(session.Run({}, {}, {updates[0]}).ok());
  const Session::Feeds feeds = {{"x", Ones({4, 20})}, {"y", Ones({4, 3})}};
  // Again: the velocity, which was first, has its value as before.
  for (int i = 0; i < 2; ++i) {
    auto failed = session.Run(feeds, {}, {updates[1], updates[2]});
    EXPECT_EQ(failed.status().code(), absl::StatusCode::kFailedPrecondition);
    EXPECT_THAT(std::string(failed.status().message()),
                testing::AllOf(HasSubstr("\"weight\" has no value yet"),
                               HasSubstr(Str("step_updates_test.cc:", line, ": "))));
  }
}

}  // namespace
}  // namespace duet
