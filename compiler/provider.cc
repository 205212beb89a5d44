#include "compiler/provider.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <optional>
#include <thread>
#include <utility>

#include "compiler/llvm/emitter.h"
#include "compiler/llvm/jit.h"
#include "compiler/prebuilt/prebuilt.h"
#include "core/strings.h"

namespace duet::compiler {
namespace {

constexpr char kSymbol[] = "kernel";

// More threads than this do not help: a session compiles some tens of kernels.
constexpr size_t kMaxThreads = 8;

// Runs work(0) to work(n - 1), on several threads if there are several processors.
void ForEach(size_t n, const std::function<void(size_t)>& work) {
  const size_t processors = std::max(1u, std::thread::hardware_concurrency());
  const size_t helpers = std::min({n, processors, kMaxThreads}) - 1;
  std::atomic<size_t> next{0};
  auto run = [&] {
    for (size_t i = next++; i < n; i = next++) work(i);
  };
  std::vector<std::thread> threads;
  for (size_t t = 0; t < helpers; ++t) threads.emplace_back(run);
  run();
  for (std::thread& t : threads) t.join();
}

}  // namespace

std::string KernelKey(const loop::Program& program, bool fast_math) {
  return Str(fast_math ? "fast_math " : "", ToString(program));
}

Provider::Provider(std::function<llvm_backend::JitEngine&()> engine, KernelCache* cache,
                   Prebuilt prebuilt)
    : engine_(std::move(engine)), cache_(cache), prebuilt_(prebuilt) {}

absl::StatusOr<std::vector<loop::KernelFn>> Provider::GetAll(
    absl::Span<const loop::Program* const> programs, bool fast_math) {
  std::vector<loop::KernelFn> result(programs.size(), nullptr);
  std::vector<std::string> keys;
  for (const loop::Program* p : programs) keys.push_back(KernelKey(*p, fast_math));
  // Fills in what is known; true if that is all.
  auto look_up = [&] {
    std::lock_guard<std::mutex> lock(mutex_);
    bool all = true;
    for (size_t i = 0; i < keys.size(); ++i) {
      if (result[i] != nullptr) continue;
      if (auto it = kernels_.find(keys[i]); it != kernels_.end()) {
        result[i] = it->second;
        ++stats_.memory_hits;
      } else if (prebuilt_ != nullptr && (result[i] = prebuilt_(keys[i])) != nullptr) {
        kernels_.emplace(keys[i], result[i]);
        ++stats_.prebuilt_hits;
      } else {
        all = false;
      }
    }
    return all;
  };
  if (look_up()) return result;
  std::lock_guard<std::mutex> make(make_mutex_);
  if (look_up()) return result;
  std::vector<Miss> misses;
  for (size_t i = 0; i < keys.size(); ++i) {
    const bool repeated =
        std::any_of(misses.begin(), misses.end(), [&](const Miss& m) { return m.key == keys[i]; });
    if (result[i] == nullptr && !repeated) misses.push_back({programs[i], keys[i]});
  }
  if (absl::Status status = Make(&misses, fast_math); !status.ok()) return status;
  for (const Miss& miss : misses) {
    for (size_t i = 0; i < keys.size(); ++i) {
      if (keys[i] == miss.key) result[i] = miss.fn;
    }
  }
  return result;
}

absl::Status Provider::Make(std::vector<Miss>* misses, bool fast_math) {
  const auto start = std::chrono::steady_clock::now();
  llvm_backend::JitEngine& engine = engine_();
  ForEach(misses->size(), [&](size_t i) { MakeOne(engine, fast_math, &(*misses)[i]); });
  const std::chrono::duration<double> spent = std::chrono::steady_clock::now() - start;
  absl::Status status;
  std::lock_guard<std::mutex> lock(mutex_);
  stats_.compile_seconds += spent.count();
  for (const Miss& miss : *misses) {
    if (!miss.status.ok()) {
      status = miss.status;
      continue;
    }
    ++(miss.from_disk ? stats_.disk_hits : stats_.compiled);
    kernels_.emplace(miss.key, miss.fn);
  }
  return status;
}

void Provider::MakeOne(llvm_backend::JitEngine& engine, bool fast_math, Miss* miss) {
  const std::string disk_key = Str(engine.target_key(), "\n", miss->key);
  auto load = [&](const std::string& object) {
    absl::StatusOr<llvm_backend::CompiledModule> code = engine.Load(object);
    if (code.ok()) miss->fn = code->Function<void(const loop::KernelArgs*)>(kSymbol);
    return code.status();
  };
  if (std::optional<std::string> object = cache_->Find(disk_key)) {
    if (load(*object).ok() && miss->fn != nullptr) {
      miss->from_disk = true;
      return;
    }
  }
  const llvm_backend::KernelSource source{miss->program, kSymbol, fast_math};
  absl::StatusOr<std::string> object = CompileKernels(engine, {&source, 1});
  miss->status = object.ok() ? load(*object) : object.status();
  if (!miss->status.ok()) return;
  if (miss->fn == nullptr) {
    miss->status = absl::InternalError("a compiled module does not define its kernel");
    return;
  }
  cache_->Put(disk_key, *object);
}

KernelProvider::Stats Provider::stats() const {
  std::lock_guard<std::mutex> lock(mutex_);
  return stats_;
}

KernelProvider& DefaultProvider() {
  static Provider* provider =
      new Provider([]() -> llvm_backend::JitEngine& { return llvm_backend::JitEngine::Get(); },
                   &KernelCache::Get(), &FindPrebuilt);
  return *provider;
}

}  // namespace duet::compiler
