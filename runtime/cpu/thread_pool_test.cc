#include "runtime/cpu/thread_pool.h"

#include <atomic>
#include <chrono>
#include <mutex>
#include <numeric>
#include <set>
#include <thread>
#include <vector>

#include "gtest/gtest.h"

namespace duet::runtime::cpu {
namespace {

TEST(ThreadPool, CoversTheRangeOnceWithBordersAtMultiplesOfTheGrain) {
  for (int threads : {0, 1, 2, 3, 8}) {
    ThreadPool pool(threads);
    EXPECT_EQ(pool.num_threads(), std::max(threads, 1));
    for (int64_t n : {0, 1, 2, 7, 64, 1000, 4097}) {
      for (int64_t grain : {0, 1, 3, 64, 5000}) {
        std::vector<int> hits(n, 0);
        std::mutex mutex;
        std::vector<int64_t> borders;
        pool.ParallelFor(n, grain, [&](int64_t begin, int64_t end) {
          ASSERT_LT(begin, end);
          for (int64_t i = begin; i < end; ++i) ++hits[i];
          std::lock_guard<std::mutex> lock(mutex);
          borders.push_back(begin);
        });
        EXPECT_EQ(std::accumulate(hits.begin(), hits.end(), int64_t{0}), n);
        for (int hit : hits) EXPECT_EQ(hit, 1);
        for (int64_t border : borders) EXPECT_EQ(border % std::max<int64_t>(grain, 1), 0);
      }
    }
  }
}

TEST(ThreadPool, ManyShortJobsInARow) {
  ThreadPool pool(3);
  int64_t total = 0;
  for (int round = 0; round < 20000; ++round) {
    std::atomic<int64_t> sum{0};
    pool.ParallelFor(8, 1, [&](int64_t begin, int64_t end) { sum += end - begin; });
    total += sum;
  }
  EXPECT_EQ(total, 8 * 20000);
}

TEST(ThreadPool, WakesSleepingWorkers) {
  ThreadPool pool(2);
  for (int round = 0; round < 20; ++round) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
    std::mutex mutex;
    std::set<std::thread::id> ids;
    std::atomic<int> started{0};
    pool.ParallelFor(2, 1, [&](int64_t, int64_t) {
      ++started;
      // Holds this thread until the other has taken the second range (or ten seconds).
      for (int i = 0; i < 10000 && started < 2; ++i) {
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
      }
      std::lock_guard<std::mutex> lock(mutex);
      ids.insert(std::this_thread::get_id());
    });
    EXPECT_EQ(ids.size(), 2u);
  }
}

TEST(ThreadPool, NestedCallsRunInline) {
  ThreadPool pool(2);
  std::atomic<int64_t> sum{0};
  pool.ParallelFor(16, 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      pool.ParallelFor(10, 1, [&](int64_t b, int64_t e) { sum += e - b; });
    }
  });
  EXPECT_EQ(sum, 160);
}

TEST(ThreadPool, CallsFromSeveralThreadsShareOnePool) {
  ThreadPool pool(3);
  std::vector<std::thread> callers;
  std::atomic<int64_t> sum{0};
  for (int caller = 0; caller < 4; ++caller) {
    callers.emplace_back([&] {
      for (int round = 0; round < 2000; ++round) {
        std::vector<int> out(64, 0);
        pool.ParallelFor(64, 4, [&](int64_t begin, int64_t end) {
          for (int64_t i = begin; i < end; ++i) out[i] = 1;
        });
        sum += std::accumulate(out.begin(), out.end(), 0);
      }
    });
  }
  for (std::thread& caller : callers) caller.join();
  EXPECT_EQ(sum, 4 * 2000 * 64);
}

TEST(ThreadPool, StartsAndStopsIdle) {
  for (int i = 0; i < 50; ++i) ThreadPool pool(4);
}

}  // namespace
}  // namespace duet::runtime::cpu
