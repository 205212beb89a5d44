#include "runtime/executor.h"

#include <vector>

#include "duet.h"
#include "gtest/gtest.h"

namespace duet {
namespace {

SessionOptions Unfused() {
  SessionOptions options;
  options.disabled_passes = {"fusion", "simplify"};
  return options;
}

TEST(ExecutorTest, AChainOfSmallNodesIsOneKernelEach) {
  Graph graph;
  Tensor x, y;
  {
    GraphScope scope(graph);
    x = Placeholder(kFloat32, {}, "x");
    y = x;
    for (int i = 0; i < 500; ++i) y = (y + 1.0f) * 1.0f;
  }
  Session session(graph, Unfused());
  auto out = session.Run({{x, Constant(3.0f)}}, {y});
  ASSERT_TRUE(out.ok()) << out.status();
  EXPECT_EQ((*out)[0].Item<float>(), 503);
  EXPECT_EQ(session.stats().kernels_in_plan, 1000);
}

TEST(ExecutorTest, ManyShapesComeAndGo) {
  Graph graph;
  Tensor x, y;
  {
    GraphScope scope(graph);
    x = Placeholder(kFloat32, {-1}, "x");
    y = Sum(x * 2.0f);
  }
  Session session(graph);
  for (int round = 0; round < 2; ++round) {
    for (int n = 0; n < 100; ++n) {
      auto out = session.Run({{x, Ones({n})}}, {y});
      ASSERT_TRUE(out.ok()) << out.status();
      EXPECT_EQ((*out)[0].Item<float>(), static_cast<float>(2 * n));
    }
  }
}

TEST(ExecutorTest, UpdatesAreInPlaceUnlessTheValueIsHeld) {
  Variable v(Ones({1000}), "v");
  v.Assign(v * 1.0f);
  Graph graph;
  std::string target;
  {
    GraphScope scope(graph);
    v.AssignSub(v.Read() * 0.5f);
  }
  for (int i = 0; i < graph.size(); ++i) {
    if (graph.node(i).op->side_effect) target = graph.node(i).name;
  }
  Session session(graph);
  const void* place = v.Read().raw_data();
  ASSERT_TRUE(session.Run({}, {}, {target}).ok());
  EXPECT_EQ(v.Read().raw_data(), place);
  EXPECT_EQ(v.Read().data<float>()[999], 0.5f);
  const Tensor held = v.Read();
  ASSERT_TRUE(session.Run({}, {}, {target}).ok());
  EXPECT_NE(v.Read().raw_data(), place);
  EXPECT_EQ(held.data<float>()[0], 0.5f);
  EXPECT_EQ(v.Read().data<float>()[0], 0.25f);
}

TEST(ExecutorTest, AnUpdateByAVariablesOwnValue) {
  Variable v(Ones({40}), "v");
  Function f([&] {
    v.AssignAdd(v.Read());
    return v.Read();
  });
  for (float expected : {2.0f, 4.0f, 8.0f}) EXPECT_EQ(f().data<float>()[39], expected);
}

TEST(ExecutorTest, AssignedValuesOutliveTheRun) {
  Variable a(Zeros({64}), "a"), b(Zeros({64}), "b");
  Function f([&](const Tensor& x) {
    const Tensor y = Exp(x * 0.0f) + x;
    a.Assign(y);
    b.Assign(Reshape(y, {64}));
    return Sum(y);
  });
  f(Ones({64}));
  const Tensor first = a.Read();
  f(Ones({64}) * 4.0f);
  EXPECT_EQ(first.data<float>()[63], 2);
  EXPECT_EQ(a.Read().data<float>()[63], 5);
  EXPECT_EQ(b.Read().data<float>()[0], 5);
}

TEST(ExecutorTest, EmptyTensors) {
  Graph graph;
  Tensor x, sum, row, product, copy;
  {
    GraphScope scope(graph);
    x = Placeholder(kFloat32, {-1, -1}, "x");
    sum = Sum(x + 1.0f, {1});
    row = Max(x, {0});
    product = MatMul(x, x, /*transpose_a=*/true);
    copy = Transpose(Exp(x), {1, 0});
  }
  for (const SessionOptions& options : {SessionOptions(), Unfused()}) {
    Session session(graph, options);
    auto out = session.Run({{x, Zeros({3, 0})}}, {sum, product, copy});
    ASSERT_TRUE(out.ok()) << out.status();
    EXPECT_EQ((*out)[0].ToVector<float>(), std::vector<float>({0, 0, 0}));
    EXPECT_EQ((*out)[1].shape(), Shape({0, 0}));
    EXPECT_EQ((*out)[2].shape(), Shape({0, 3}));
    out = session.Run({{x, Zeros({0, 2})}}, {sum, product, copy});
    ASSERT_TRUE(out.ok()) << out.status();
    EXPECT_EQ((*out)[0].shape(), Shape({0}));
    EXPECT_EQ((*out)[1].ToVector<float>(), std::vector<float>({0, 0, 0, 0}));
  }
}

// Large enough that every loop is split over the threads.
TEST(ExecutorTest, LargeLoopsGiveTheSameBitsForAnyNumberOfThreads) {
  Graph graph;
  Tensor x;
  std::vector<TensorRef> fetches;
  {
    GraphScope scope(graph);
    x = Placeholder(kFloat32, {-1, 301}, "x");
    const Tensor e = Exp(x) + RandomNormal({301}, kFloat32, 5);
    for (const Tensor& t :
         {Sum(e), Sum(e, {0}), Mean(e, {1}), Softmax(x), Transpose(e, {1, 0}) * 0.5f, Max(e),
          MatMul(x, e, /*transpose_a=*/true), Reshape(e, {-1})}) {
      fetches.emplace_back(t);
    }
  }
  const Tensor value = RandomUniform({701, 301}, kFloat32, 6);
  std::vector<std::vector<float>> expected;
  for (int threads : {1, 2, 3, 8}) {
    for (bool fuse : {true, false}) {
      SessionOptions options;
      options.num_threads = threads;
      if (!fuse) options.disabled_passes = {"fusion"};
      Session session(graph, options);
      auto out = session.Run({{x, value}}, fetches);
      ASSERT_TRUE(out.ok()) << out.status();
      std::vector<std::vector<float>> found;
      for (const Tensor& t : *out) found.push_back(t.ToVector<float>());
      if (expected.empty()) expected = found;
      for (size_t i = 0; i < found.size(); ++i) {
        EXPECT_TRUE(found[i] == expected[i]) << "fetch " << i << ", " << threads << " threads";
      }
    }
  }
}

TEST(ExecutorTest, FetchingTheSameValueTwiceAndNothingAtAll) {
  Graph graph;
  Tensor x, y;
  {
    GraphScope scope(graph);
    x = Placeholder(kFloat32, {2}, "x");
    y = x * x;
  }
  Session session(graph);
  auto out = session.Run({{x, Ones({2})}}, {y, y, x});
  ASSERT_TRUE(out.ok());
  EXPECT_EQ((*out)[0].raw_data(), (*out)[1].raw_data());
  out = session.Run({{x, Ones({2})}}, {});
  ASSERT_TRUE(out.ok()) << out.status();
  EXPECT_TRUE(out->empty());
}

}  // namespace
}  // namespace duet
