// Where kernels come from: this process's table, the build (prebuilt kernels), the on-disk cache,
// or the compiler, in this order.
//
// A kernel is a module and a cache entry of its own, though a module of several would save up to a
// third of the compile time of the smallest: so an entry is found whatever programs were asked for
// together, and several kernels compile on several threads.
#ifndef DUET_COMPILER_PROVIDER_H_
#define DUET_COMPILER_PROVIDER_H_

#include <functional>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "compiler/kernel_cache.h"
#include "core/device.h"

namespace duet::compiler {

namespace llvm_backend {
class JitEngine;
}

// What names a program's kernel: equal keys, equal kernels.
std::string KernelKey(const loop::Program& program, bool fast_math);

class Provider final : public KernelProvider {
 public:
  // A kernel of the build by its key, or null. Needs no compiler.
  using Prebuilt = loop::KernelFn (*)(std::string_view key);
  // The compiler is asked for when the first kernel must be loaded or compiled, as its start takes
  // milliseconds. `cache` outlives the provider.
  Provider(std::function<llvm_backend::JitEngine&()> engine, KernelCache* cache, Prebuilt prebuilt);

  absl::StatusOr<std::vector<loop::KernelFn>> GetAll(
      absl::Span<const loop::Program* const> programs, bool fast_math) override;
  Stats stats() const override;

 private:
  struct Miss {
    const loop::Program* program;
    std::string key;
    loop::KernelFn fn = nullptr;
    bool from_disk = false;
    absl::Status status;
  };
  // Loads or compiles `misses`, and puts them into the table.
  absl::Status Make(std::vector<Miss>* misses, bool fast_math);
  void MakeOne(llvm_backend::JitEngine& engine, bool fast_math, Miss* miss);

  const std::function<llvm_backend::JitEngine&()> engine_;
  KernelCache* const cache_;
  const Prebuilt prebuilt_;

  std::mutex
      make_mutex_;  // taken first: a kernel is compiled by one caller, the others wait for it
  mutable std::mutex mutex_;
  absl::flat_hash_map<std::string, loop::KernelFn> kernels_;
  Stats stats_;
};

// The provider of this process.
KernelProvider& DefaultProvider();

}  // namespace duet::compiler

#endif  // DUET_COMPILER_PROVIDER_H_
