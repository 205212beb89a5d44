// One session, many threads: other feeds, shapes and fetches at once, while some calls fail on
// purpose. Results are the bits of the same calls made one after another.

#include <atomic>
#include <cstring>
#include <map>
#include <random>
#include <thread>

#include "core/strings.h"
#include "duet.h"
#include "gtest/gtest.h"
#include "tests/op_cases.h"
#include "tests/test_environment.h"

namespace duet::testing {
namespace {

const OwnKernelCache own_cache;
constexpr int kThreads = 6;

struct Model {
  Graph graph;
  Tensor x, divisor, scores, probabilities, mean, quotient;
  Model() {
    const Tensor w = RandomNormal({24, 7}, kFloat32, 5), b = RandomNormal({7}, kFloat32, 6);
    const GraphScope scope(graph);
    x = Placeholder(kFloat32, {-1, 24}, "x");
    divisor = Placeholder(kInt32, {-1}, "divisor");
    scores = Identity(Relu(MatMul(x, w) + b));
    probabilities = Identity(Softmax(scores));
    mean = Identity(Mean(Square(probabilities - 0.5f), {0}));
    quotient = Identity(FloorDiv(1000, divisor) + 1);
  }
};

// A call: feeds, fetches, and its result when made alone.
struct Job {
  Session::Feeds feeds;
  std::vector<TensorRef> fetches;
  absl::StatusOr<std::vector<Tensor>> expected = absl::UnknownError("not run yet");
};

std::vector<Job> Jobs(const Model& m) {
  std::vector<Job> jobs;
  std::mt19937_64 random(11);
  for (int64_t rows : {1, 2, 3, 16, 17, 64, 300}) {
    const Tensor value = RandomTensor(kFloat32, Shape({rows, 24}), -2, 2, random);
    jobs.push_back({{{m.x, value}}, {m.probabilities}});
    jobs.push_back({{{m.x, value}}, {m.mean, m.scores}});
    jobs.push_back({{{"x", value}}, {"MatMul:0"}});
    Tensor by = RandomTensor(kInt32, Shape({rows}), 1, 5, random);
    for (int64_t i = 0; i < rows; ++i) {
      auto& element = static_cast<int32_t*>(by.mutable_raw_data())[i];
      // Every third call divides by zero.
      if (element == 0) element = 3;
      if (rows % 3 == 0 && i == rows / 2) element = 0;
    }
    jobs.push_back({{{m.divisor, by}}, {m.quotient}});
  }
  // Mistakes: a wrong size, a wrong dtype, no feed, no such tensor.
  jobs.push_back({{{m.x, Ones({2, 23})}}, {m.mean}});
  jobs.push_back({{{m.x, Ones({2, 24}, kFloat64)}}, {m.mean}});
  jobs.push_back({{}, {m.mean}});
  jobs.push_back({{{m.x, Ones({2, 24})}}, {"nothing:0"}});
  return jobs;
}

void ExpectSame(const absl::StatusOr<std::vector<Tensor>>& a,
                const absl::StatusOr<std::vector<Tensor>>& b, size_t job) {
  ASSERT_EQ(a.status(), b.status()) << job;
  if (!a.ok()) return;
  ASSERT_EQ(a->size(), b->size());
  for (size_t i = 0; i < a->size(); ++i) {
    std::string why;
    EXPECT_TRUE(SameBits((*a)[i], (*b)[i], &why)) << "job " << job << ": " << why;
  }
}

void Stress(int session_threads) {
  const Model model;
  std::vector<Job> jobs = Jobs(model);
  SessionOptions options;
  options.num_threads = session_threads;
  {
    Session alone(model.graph, options);
    int failed = 0;
    for (Job& job : jobs) {
      job.expected = alone.Run(job.feeds, job.fetches, {}, Location());
      failed += !job.expected.ok();
    }
    EXPECT_EQ(failed, 4 + 2);  // 3 and 300 rows divide by zero
  }
  // A fresh session, so that planning is concurrent as well.
  Session session(model.graph, options);
  std::atomic<int> waiting{kThreads};
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      std::mt19937_64 random(static_cast<uint64_t>(t));
      --waiting;
      while (waiting > 0) std::this_thread::yield();
      for (int i = 0; i < 200; ++i) {
        const size_t job = random() % jobs.size();
        const auto found = session.Run(jobs[job].feeds, jobs[job].fetches, {}, Location());
        ExpectSame(jobs[job].expected, found, job);
      }
    });
  }
  for (std::thread& t : threads) t.join();
  EXPECT_LE(session.stats().plans, 5);
}

TEST(SessionStressTest, OneThreadEach) { Stress(1); }
TEST(SessionStressTest, SharingWorkerThreads) { Stress(2); }

// Updates of one variable from many threads are all made.
TEST(SessionStressTest, AssignmentsAreNotLost) {
  const Variable count(Zeros({5}, kInt64), "count");
  Graph graph;
  {
    const GraphScope scope(graph);
    Variable(count).AssignAdd(Placeholder(kInt64, {5}, "by"));
  }
  std::string assign;
  for (int i = 0; i < graph.size(); ++i) {
    if (graph.node(i).op->side_effect) assign = graph.node(i).name;
  }
  ASSERT_FALSE(assign.empty()) << graph.ToText();
  Session session(graph);
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 100; ++i) {
        const auto ran = session.Run({{"by", Ones({5}, kInt64)}}, {}, {assign});
        EXPECT_TRUE(ran.ok()) << ran.status();
      }
    });
  }
  for (std::thread& t : threads) t.join();
  EXPECT_EQ(count.Read().ToVector<int64_t>(), std::vector<int64_t>(5, kThreads * 100));
}

// Eager calls and calls of one Function from many threads.
TEST(SessionStressTest, FunctionsAndEagerCalls) {
  Function f([](const Tensor& x) { return Softmax(Tanh(x) * 2 + 1); });
  std::map<int64_t, std::pair<Tensor, Tensor>> expected;
  for (int64_t rows : {1, 5, 33}) {
    const Tensor x = RandomUniform({rows, 9}, kFloat32, rows);
    expected.emplace(rows, std::make_pair(x, Softmax(Tanh(x) * 2 + 1)));
  }
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 100; ++i) {
        for (const auto& [rows, pair] : expected) {
          std::string why;
          EXPECT_TRUE(SameBits(pair.second, f(pair.first), &why)) << rows << ": " << why;
          EXPECT_TRUE(SameBits(pair.second, Softmax(Tanh(pair.first) * 2 + 1), &why)) << why;
        }
      }
    });
  }
  for (std::thread& t : threads) t.join();
  EXPECT_EQ(f.trace_count(), 3);
}

}  // namespace
}  // namespace duet::testing
