#include "runtime/cpu/thread_pool.h"

#include <algorithm>
#include <chrono>

namespace duet::runtime::cpu {
namespace {

constexpr uint32_t kOpen = 1u << 11;
constexpr uint32_t kInsideMask = kOpen - 1;
constexpr uint32_t kJobStep = 1u << 12;
constexpr uint32_t kJobMask = ~(kJobStep - 1);

// How long a thread spins before it sleeps: a futex round trip costs 5-50 us, and the next kernel
// of a plan usually follows sooner.
constexpr std::chrono::microseconds kSpin{50};
// The ranges a thread gets on average: enough to even out a core that others use as well.
constexpr int64_t kChunksPerThread = 4;

inline void Pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#endif
}

// Spins until `done()` holds; false when kSpin has passed first.
template <typename Done>
bool SpinUntil(Done done) {
  for (int i = 0; i < 64; ++i) {
    if (done()) return true;
    Pause();
  }
  const auto deadline = std::chrono::steady_clock::now() + kSpin;
  do {
    for (int i = 0; i < 32; ++i) {
      if (done()) return true;
      Pause();
    }
  } while (std::chrono::steady_clock::now() < deadline);
  return done();
}

}  // namespace

ThreadPool::ThreadPool(int num_threads) {
  const int workers = std::clamp(num_threads - 1, 0, static_cast<int>(kInsideMask));
  workers_.reserve(workers);
  for (int i = 0; i < workers; ++i) workers_.emplace_back([this] { WorkerLoop(); });
}

ThreadPool::~ThreadPool() {
  stop_.store(true);
  wake_.fetch_add(1);
  wake_.notify_all();
  for (std::thread& worker : workers_) worker.join();
}

void ThreadPool::ParallelFor(int64_t n, int64_t grain,
                             absl::FunctionRef<void(int64_t, int64_t)> body) {
  if (n <= 0) return;
  grain = std::max<int64_t>(grain, 1);
  if (workers_.empty() || n <= grain || busy_.exchange(true, std::memory_order_acquire)) {
    body(0, n);
    return;
  }
  const int64_t grains = (n - 1) / grain + 1;
  const int64_t per_chunk = std::max<int64_t>(grains / (kChunksPerThread * num_threads()), 1);
  job_ = {&body, n, per_chunk * grain};
  next_.store(0, std::memory_order_relaxed);
  const uint32_t number = (gate_.load(std::memory_order_relaxed) & kJobMask) + kJobStep;
  gate_.store(number | kOpen, std::memory_order_release);
  // Sequentially consistent with the worker's side: either it sees the new number, or we see that
  // it sleeps.
  wake_.store(number);
  if (sleepers_.load() != 0) wake_.notify_all();

  RunChunks();

  uint32_t inside = gate_.fetch_and(~kOpen, std::memory_order_acquire) & ~kOpen;
  const auto empty = [&] {
    inside = gate_.load(std::memory_order_acquire);
    return (inside & kInsideMask) == 0;
  };
  while (!SpinUntil(empty)) gate_.wait(inside, std::memory_order_acquire);
  busy_.store(false, std::memory_order_release);
}

void ThreadPool::RunChunks() {
  const Job job = job_;
  while (true) {
    // Checked before the add, so that late threads cannot make the counter run away.
    if (next_.load(std::memory_order_relaxed) >= job.n) return;
    const int64_t begin = next_.fetch_add(job.chunk, std::memory_order_relaxed);
    if (begin >= job.n) return;
    (*job.body)(begin, job.n - begin > job.chunk ? begin + job.chunk : job.n);
  }
}

void ThreadPool::WorkerLoop() {
  uint32_t last = 0;  // the number of the job seen last
  while (true) {
    uint32_t gate = 0;
    const auto called = [&] {
      gate = gate_.load(std::memory_order_relaxed);
      return ((gate & kOpen) != 0 && (gate & kJobMask) != last) ||
             stop_.load(std::memory_order_relaxed);
    };
    if (!SpinUntil(called)) {
      sleepers_.fetch_add(1);
      const uint32_t seen = wake_.load();
      if (!called()) wake_.wait(seen);
      sleepers_.fetch_sub(1);
      continue;
    }
    if (stop_.load()) return;
    if (!gate_.compare_exchange_weak(gate, gate + 1, std::memory_order_acquire)) continue;
    last = gate & kJobMask;
    RunChunks();
    if ((gate_.fetch_sub(1, std::memory_order_release) & (kOpen | kInsideMask)) == 1) {
      gate_.notify_all();
    }
  }
}

}  // namespace duet::runtime::cpu
