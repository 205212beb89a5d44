#include "runtime/cpu/cpu_device.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <charconv>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "compiler/provider.h"
#include "core/error.h"
#include "core/flags.h"
#include "runtime/cpu/gemm.h"
#include "runtime/cpu/thread_pool.h"

namespace duet::runtime::cpu {
namespace {

// A piece of a split loop holds about this many points.
constexpr int64_t kPiecePoints = int64_t{1} << 13;
// Multiply-adds below which a matrix product stays on the calling thread.
constexpr double kInlineProducts = 1 << 18;
constexpr int kMaxThreads = 256;

int DefaultThreads() {
  static const int threads = [] {
    const std::string flag = FlagValue("DUET_NUM_THREADS");
    int n = 0;
    std::from_chars(flag.data(), flag.data() + flag.size(), n);
    if (n <= 0) n = static_cast<int>(std::thread::hardware_concurrency());
    return std::clamp(n, 1, kMaxThreads);
  }();
  return threads;
}

// One pool a number of threads that was asked for, started when first used.
class Pools {
 public:
  ThreadPool& Get(int threads) {
    std::atomic<ThreadPool*>& place = pools_[static_cast<size_t>(threads)];
    ThreadPool* pool = place.load(std::memory_order_acquire);
    if (pool == nullptr) {
      const std::lock_guard lock(mutex_);
      pool = place.load(std::memory_order_relaxed);
      if (pool == nullptr) {
        owned_[static_cast<size_t>(threads)] = std::make_unique<ThreadPool>(threads);
        pool = owned_[static_cast<size_t>(threads)].get();
        place.store(pool, std::memory_order_release);
      }
    }
    return *pool;
  }

 private:
  std::array<std::atomic<ThreadPool*>, kMaxThreads + 1> pools_ = {};
  std::array<std::unique_ptr<ThreadPool>, kMaxThreads + 1> owned_;
  std::mutex mutex_;
};

class Cpu final : public Device {
 public:
  std::string name() const override { return "/device:CPU:0"; }
  KernelProvider& kernels() override { return compiler::DefaultProvider(); }

  void RunLoop(loop::KernelFn fn, loop::Axis axis, const loop::Launch& launch,
               absl::Span<void* const> pointers, int num_threads) override {
    const int64_t units = loop::NumUnits(axis, launch);
    const int64_t points = launch.points();
    if (points < kInlinePoints || Threads(num_threads) == 1) {
      loop::RunUnits(fn, axis, launch, pointers, 0, units);
      return;
    }
    const int64_t points_per_unit = std::max<int64_t>(1, points / std::max<int64_t>(units, 1));
    const int64_t grain = std::max<int64_t>(1, kPiecePoints / points_per_unit);
    pools_.Get(Threads(num_threads)).ParallelFor(units, grain, [&](int64_t begin, int64_t end) {
      loop::RunUnits(fn, axis, launch, pointers, begin, end);
    });
  }

  void Gemm(const GemmArgs& args, int num_threads) override { Product(args, nullptr, num_threads); }

  void GemmWithEpilogue(const GemmArgs& args, duet::GemmEpilogue epilogue,
                        int num_threads) override {
    cpu::GemmEpilogue adapted;
    adapted.run = [](void* context, int64_t begin, int64_t end, void* rows) {
      (*static_cast<duet::GemmEpilogue*>(context))(begin, end, rows);
    };
    adapted.context = &epilogue;
    Product(args, &adapted, num_threads);
  }

 private:
  static int Threads(int asked) {
    return asked <= 0 ? DefaultThreads() : std::min(asked, kMaxThreads);
  }

  void Product(const GemmArgs& args, const cpu::GemmEpilogue* epilogue, int num_threads) {
    const double products =
        static_cast<double>(args.m) * static_cast<double>(args.n) * static_cast<double>(args.k);
    const int threads = products < kInlineProducts ? 1 : Threads(num_threads);
    ThreadPool* pool = threads == 1 ? nullptr : &pools_.Get(threads);
    const GemmShape shape{args.transpose_a, args.transpose_b, args.m, args.n, args.k};
    const auto run = [&](auto type) {
      using T = decltype(type);
      cpu::Gemm<T>(shape, static_cast<const T*>(args.a), static_cast<const T*>(args.b),
                   static_cast<T*>(args.c), epilogue, pool);
    };
    switch (args.dtype) {
      case kFloat32:
        return run(float{});
      case kFloat64:
        return run(double{});
      case kInt32:
        return run(int32_t{});
      case kInt64:
        return run(int64_t{});
      default:
        throw InternalError("a matrix product of a type without one");
    }
  }

  Pools pools_;
};

}  // namespace

void InstallCpuDevice() {
  static auto* cpu = new Cpu();
  RegisterCpuDevice(cpu);
}

}  // namespace duet::runtime::cpu
