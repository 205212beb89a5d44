#ifndef DUET_RUNTIME_CPU_THREAD_POOL_H_
#define DUET_RUNTIME_CPU_THREAD_POOL_H_

// A fork-join pool for splitting one kernel over the cores of a machine.
//
// Made for pieces of work of 20 microseconds and more. It is not a task queue: it keeps no
// futures, has no priorities, and a piece must not wait for another piece.
//
//   ThreadPool pool(2);
//   pool.ParallelFor(n, /*grain=*/4096, [&](int64_t begin, int64_t end) {
//     for (int64_t i = begin; i < end; ++i) y[i] = f(x[i]);
//   });

#include <atomic>
#include <cstdint>
#include <thread>
#include <vector>

#include "absl/functional/function_ref.h"

namespace duet::runtime::cpu {

class ThreadPool {
 public:
  // `num_threads` counts the caller of ParallelFor: a pool of N starts N - 1 threads, and a pool of
  // one (or less) starts none and runs everything inline.
  explicit ThreadPool(int num_threads);

  // No ParallelFor may be running.
  ~ThreadPool();

  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int num_threads() const { return static_cast<int>(workers_.size()) + 1; }

  // Calls `body` on disjoint ranges that cover [0, n), and returns when all have finished. What
  // the ranges wrote is visible to the caller.
  //
  // Every border between ranges is a multiple of `grain` (at least 1). How many grains a range
  // holds depends on the number of threads and on timing, so a body's results must not depend on
  // where the borders are. `body` must not throw.
  //
  // May be called from any thread, also from inside a body: one call at a time is split over the
  // threads, and a call that comes meanwhile runs inline on its own thread.
  void ParallelFor(int64_t n, int64_t grain, absl::FunctionRef<void(int64_t, int64_t)> body);

 private:
  // The ranges of a call, handed out in order by `next`.
  struct Job {
    absl::FunctionRef<void(int64_t, int64_t)> const* body = nullptr;
    int64_t n = 0;
    int64_t chunk = 0;
  };

  void WorkerLoop();
  void RunChunks();

  // One word that says all about the current job: bits 12..31 its number, bit 11 whether workers
  // may still join it, bits 0..10 how many are inside. `job_` is written only while it is closed
  // and empty, which is what makes reading `job_` safe for a worker that has joined.
  std::atomic<uint32_t> gate_{0};
  // Set while some thread is inside the split part of ParallelFor.
  std::atomic<bool> busy_{false};
  std::atomic<bool> stop_{false};
  Job job_;
  // What all threads write in a loop keeps a cache line's distance from what they read. By room,
  // not by alignas: GCC 12 under AddressSanitizer does not align objects on the stack that far.
  [[maybe_unused]] char apart_[64];
  std::atomic<int64_t> next_{0};
  [[maybe_unused]] char apart_too_[64];
  // Last job's number as a futex word: sleeping workers wait for it to change.
  std::atomic<uint32_t> wake_{0};
  std::atomic<uint32_t> sleepers_{0};
  std::vector<std::thread> workers_;
};

}  // namespace duet::runtime::cpu

#endif  // DUET_RUNTIME_CPU_THREAD_POOL_H_
