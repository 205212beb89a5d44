#include "runtime/executor.h"

#include <functional>
#include <limits>
#include <string>
#include <thread>
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

// The bits that `body` leaves in `variables` after some calls, and what the last call gave.
std::vector<std::string> BitsAfter(const std::function<std::vector<Tensor>()>& body,
                                   const std::vector<Variable*>& variables) {
  std::vector<Tensor> all;
  for (int i = 0; i < 3; ++i) all = body();
  for (const Variable* v : variables) all.push_back(v->Read());
  std::vector<std::string> bits;
  for (const Tensor& t : all) {
    bits.emplace_back(static_cast<const char*>(t.raw_data()), t.byte_size());
  }
  return bits;
}

TEST(ExecutorTest, AnUpdateComputesItsDeltaItself) {
  const auto run = [](bool traced) {
    Variable w(RandomNormal({33, 47}, kFloat32, 1), "w"), v(Zeros({33, 47}), "v");
    const Tensor g = RandomNormal({33, 47}, kFloat32, 2);
    const auto body = [&] {
      v.Assign(v * 0.9f + g);
      w.AssignSub(v * 0.01f / (Abs(v) + 1.0f));
      return std::vector<Tensor>{};
    };
    Function step(body);
    auto bits = BitsAfter([&] { return traced ? step() : body(); }, {&w, &v});
    if (traced) {
      const std::string text = step.Explain();
      EXPECT_NE(text.find("kernels in the plan: 2"), std::string::npos) << text;
      // The update's kernel names the ops of the delta too.
      EXPECT_NE(text.find(", Div, AssignSub ("), std::string::npos) << text;
    }
    return bits;
  };
  EXPECT_EQ(run(true), run(false));
}

TEST(ExecutorTest, WithoutFusionADeltaIsAKernelOfItsOwn) {
  Variable w(Ones({10}), "w");
  Graph graph;
  Tensor x;
  std::string target;
  {
    GraphScope scope(graph);
    x = Placeholder(kFloat32, {10}, "x");
    w.AssignSub(x * 0.5f);
  }
  for (int i = 0; i < graph.size(); ++i) {
    if (graph.node(i).op->side_effect) target = graph.node(i).name;
  }
  Session fused(graph), unfused(graph, Unfused());
  ASSERT_TRUE(fused.Run({{x, Ones({10})}}, {}, {target}).ok());
  EXPECT_EQ(fused.stats().kernels_in_plan, 1);
  EXPECT_EQ(w.Read().data<float>()[9], 0.5f);
  ASSERT_TRUE(unfused.Run({{x, Ones({10})}}, {}, {target}).ok());
  EXPECT_EQ(unfused.stats().kernels_in_plan, 2);
  EXPECT_EQ(w.Read().data<float>()[9], 0.0f);
}

TEST(ExecutorTest, DeltasOfAllForms) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const Tensor x = RandomNormal({5, 3}, kFloat32, 4), n = Constant({3, -7, 1 << 30});
  const auto run = [&](bool traced) {
    Variable a(RandomNormal({3, 5}, kFloat32, 3), "a"), b(Constant({1 << 30, 2, 1 << 30}), "b");
    Variable c(Constant(1.5f), "c"), d(Zeros({0, 4}), "d"), e(Ones({5, 3}), "e");
    const auto body = [&](const Tensor& in, const Tensor& ints) {
      a.AssignSub(Transpose(in, {1, 0}));
      a.AssignAdd(Slice(Transpose(in, {1, 0}) * 2.0f, {0, 1}, {3, 1}) + Zeros({3, 5}));
      b.AssignAdd(ints * 3);
      c.AssignSub(Sum(in) * nan);
      d.AssignAdd(Zeros({0, 4}) + 1.0f);
      const Tensor delta = Exp(in);
      e.AssignAdd(delta);
      e.AssignSub(Slice(in, {0, 0}, {1, 3}) + Slice(in, {0, 0}, {5, 1}));
      return std::vector<Tensor>{delta};
    };
    Function step(body);
    return BitsAfter([&] { return traced ? step(x, n) : body(x, n); }, {&a, &b, &c, &d, &e});
  };
  EXPECT_EQ(run(true), run(false));
}

TEST(ExecutorTest, UpdatesAndReadsOfOneVariableKeepTheirOrder) {
  const Tensor x = RandomNormal({100}, kFloat32, 5);
  const auto run = [&](bool traced) {
    Variable w(RandomNormal({100}, kFloat32, 6), "w"), u(Ones({100}), "u");
    const auto body = [&](const Tensor& in) {
      const Tensor before = w.Read();
      w.AssignSub(in * 0.5f);
      w.AssignAdd(before * 0.25f);
      const Tensor between = w.Read();
      w.AssignSub(Tanh(between) * in);
      u.AssignAdd(w * 2.0f);
      w.Assign(in + 1.0f);
      w.AssignSub((in + 1.0f) * 3.0f);
      w.AssignAdd(u * 0.125f);
      return std::vector<Tensor>{before, between + before, w.Read()};
    };
    Function step(body);
    return BitsAfter([&] { return traced ? step(x) : body(x); }, {&w, &u});
  };
  EXPECT_EQ(run(true), run(false));
}

TEST(ExecutorTest, AnUpdateThatComputesItsDeltaIsInPlaceUnlessTheValueIsHeld) {
  Variable w(Ones({1000}), "w"), other(Zeros({1000}), "other");
  Function step([&](const Tensor& x) { w.AssignSub(x * 0.25f); });
  const Tensor x = Ones({1000});
  step(x);
  const void* place = w.Read().raw_data();
  step(x);
  EXPECT_EQ(w.Read().raw_data(), place);
  const Tensor held = w.Read();
  other.Assign(held);
  step(x);
  EXPECT_NE(w.Read().raw_data(), place);
  EXPECT_EQ(held.data<float>()[999], 0.5f);
  EXPECT_EQ(other.Read().data<float>()[0], 0.5f);
  EXPECT_EQ(w.Read().data<float>()[999], 0.25f);
  // Its own value as what it is updated by.
  step(w.Read());
  EXPECT_EQ(w.Read().data<float>()[0], 0.1875f);
}

TEST(ExecutorTest, ARefusedDeltaLeavesTheVariable) {
  Variable w(Constant({10, 20}), "w");
  Function step([&](const Tensor& x) { w.AssignAdd(FloorDiv(Constant({6, 9}), x) * 2); });
  step(Constant({2, 3}));
  EXPECT_EQ(w.Read().ToVector<int32_t>(), std::vector<int32_t>({16, 26}));
  EXPECT_THROW(step(Constant({1, 0})), Error);
  EXPECT_EQ(w.Read().ToVector<int32_t>(), std::vector<int32_t>({16, 26}));
}

TEST(ExecutorTest, ConcurrentUpdatesAreNotLost) {
  constexpr int kThreads = 4, kCalls = 200;
  Variable w(Zeros({500}), "w");
  Function step([&](const Tensor& x) { w.AssignAdd(x * 2.0f); });
  const Tensor x = Ones({500});
  step(x);
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < kCalls; ++i) step(x);
    });
  }
  for (std::thread& t : threads) t.join();
  EXPECT_EQ(w.Read().data<float>()[499], 2.0f * (kThreads * kCalls + 1));
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
