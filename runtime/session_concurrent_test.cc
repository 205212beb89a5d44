#include <atomic>
#include <thread>
#include <vector>

#include "duet.h"
#include "gtest/gtest.h"

namespace duet {
namespace {

// Threads run one session with different batch sizes and fetches.
TEST(SessionConcurrentTest, RunsDoNotDisturbEachOther) {
  Graph graph;
  Tensor x, y, z;
  {
    GraphScope scope(graph);
    x = Placeholder(kFloat32, {-1, 16}, "x");
    y = Tanh(MatMul(x, Ones({16, 8})));
    z = Sum(x * 2.0f, {1});
  }
  SessionOptions options;
  options.num_threads = 2;
  Session session(graph, options);
  std::atomic<int> wrong{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 50; ++i) {
        const int64_t batch = 1 + (i * 3 + t) % 5;
        auto out = session.Run({{x, Fill({batch, 16}, static_cast<float>(t))}}, {z, y});
        if (!out.ok() || (*out)[0].shape() != Shape({batch})) {
          ++wrong;
          continue;
        }
        for (float v : (*out)[0].data<float>()) wrong += v != 32.0f * static_cast<float>(t);
        if (i % 2 == 0) wrong += !session.Run({{"x", Ones({batch, 16})}}, {y}).ok();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0);
}

// Concurrent updates of one variable all count, and a read never sees the middle of one.
TEST(SessionConcurrentTest, UpdatesOfOneVariableAllCount) {
  Variable v(Zeros({1000}), "v");
  Graph graph;
  Tensor value;
  {
    GraphScope scope(graph);
    v.AssignAdd(Ones({1000}));
  }
  Graph reading;
  {
    GraphScope scope(reading);
    value = Identity(v.Read());
  }
  std::string update;
  for (int i = 0; i < graph.size(); ++i) {
    if (graph.node(i).op->side_effect) update = graph.node(i).name;
  }
  Session updates(graph), reads(reading);
  std::atomic<int> wrong{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 3; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 100; ++i) wrong += !updates.Run({}, {}, {update}).ok();
    });
  }
  threads.emplace_back([&] {
    for (int i = 0; i < 200; ++i) {
      auto out = reads.Run({}, {value});
      if (!out.ok()) {
        ++wrong;
        continue;
      }
      const auto data = (*out)[0].data<float>();
      for (float f : data) wrong += f != data[0];
    }
  });
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0);
  EXPECT_EQ(v.Read().data<float>()[999], 300.0f);
}

// Steps that update two variables at once, in either order: none waits for the other forever, all
// updates count, and no read sees the middle of one.
TEST(FunctionConcurrentTest, StepsThatUpdateTheSameTwoVariables) {
  const Tensor x = Ones({1, 40}), y = Ones({1, 30});
  Variable a(Zeros({40, 30}), "a"), b(Zeros({40, 30}), "b");
  const auto step_of = [&](Variable& first, Variable& second) {
    return [&](const Tensor& p, const Tensor& q) {
      const Tensor product = MatMul(p, q, /*transpose_a=*/true);
      first.AssignAdd(product);
      second.AssignSub(product);
      return Sum(p);
    };
  };
  Function up(step_of(a, b)), down(step_of(b, a));
  Function read([&](const Tensor&) { return std::vector<Tensor>{a.Read(), b.Read()}; });
  constexpr int kCalls = 200;
  std::atomic<int> wrong{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 3; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < kCalls; ++i) {
        up(x, y);
        down(x, y);
        up(x, y);
      }
    });
  }
  threads.emplace_back([&] {
    for (int i = 0; i < kCalls; ++i) {
      for (const Tensor& t : read(x)) {
        for (float f : t.data<float>()) wrong += f != t.data<float>()[0];
      }
    }
  });
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0);
  EXPECT_EQ(a.Read().data<float>()[1199], 3.0f * kCalls);
  EXPECT_EQ(b.Read().data<float>()[0], -3.0f * kCalls);
}

// A read now, while a function assigns in place: a whole value, and not kept waiting for the last
// of many calls.
TEST(FunctionConcurrentTest, ReadsNowWhileAFunctionUpdates) {
  const Tensor x = Ones({200, 100}), y = Ones({100, 200});
  Variable v(Zeros({200, 200}), "v"), w(Zeros({200, 200}), "w");
  Function step([&](const Tensor& a, const Tensor& b) {
    v.Assign(v * 0.5f + MatMul(a, b));
    w.AssignAdd(v * 0.0f + 1.0f);
    return Sum(a);
  });
  step(x, y);
  std::atomic<bool> done{false};
  std::atomic<int> wrong{0}, reads{0};
  std::thread reader([&] {
    while (!done) {
      for (const Variable* variable : {&v, &w}) {
        const Tensor value = variable->Read();
        const auto data = value.data<float>();
        for (float f : data) wrong += f != data[0];
      }
      ++reads;
    }
  });
  int calls = 0;
  for (; calls < 20000 && reads < 20; ++calls) step(x, y);
  done = true;
  reader.join();
  EXPECT_EQ(wrong, 0);
  EXPECT_GE(reads, 20);
  EXPECT_EQ(w.Read().data<float>()[0], static_cast<float>(calls + 1));
}

TEST(FunctionConcurrentTest, ThreadsShareTraces) {
  Function f([](const Tensor& a, const Tensor& b) { return Sum(a * b); });
  std::atomic<int> wrong{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 50; ++i) {
        const int64_t n = 1 + i % 3;
        wrong += f(Ones({n}), Ones({n})).Item<float>() != static_cast<float>(n);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0);
  EXPECT_EQ(f.trace_count(), 3);
}

}  // namespace
}  // namespace duet
