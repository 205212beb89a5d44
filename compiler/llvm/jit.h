// The just-in-time compiler: object code for this processor, and its loading into the process.
//
// This header knows no LLVM. Code that builds LLVM modules includes jit_internal.h and calls
// CompileToObject; everything else needs only bytes of object code (from the on-disk cache, from a
// library of prebuilt kernels) and Load.
//
//   JitEngine& jit = JitEngine::Get();
//   absl::StatusOr<CompiledModule> code = jit.Load(object_bytes);
//   auto* kernel = code->Function<void(const float*, float*, int64_t)>("kernel");
#ifndef DUET_COMPILER_LLVM_JIT_H_
#define DUET_COMPILER_LLVM_JIT_H_

#include <memory>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace duet::compiler::llvm_backend {

// Increased when emitters change the code they make; part of every cache key.
inline constexpr int kEmitterVersion = 3;

// Loaded code. A handle that is cheap to copy; the code lives as long as the engine that loaded it.
class CompiledModule {
 public:
  // The address of a function the module defines, or null. O(number of symbols): look up once.
  void* Find(std::string_view symbol) const;

  template <typename Signature>
  Signature* Function(std::string_view symbol) const {
    return reinterpret_cast<Signature*>(Find(symbol));
  }

  struct Image;
  explicit CompiledModule(const Image* image) : image_(image) {}

 private:
  const Image* image_;
};

struct JitOptions {
  // The instruction sets to use: those of this processor, at most up to this level (kAvx2 and
  // kAvx512 are x86-64-v3 and -v4). Code for a lower level gives the same results, which tests
  // check.
  enum class Level { kSse2, kAvx2, kAvx512, kHost };
  Level level = Level::kHost;
  // Takes all of the level as present, to make code for other processors; it is not to be called
  // here. Not for kHost.
  bool cross = false;
};

// Thread safe.
class JitEngine {
 public:
  // The engine of this process for this processor; it is never destroyed.
  static JitEngine& Get();

  explicit JitEngine(const JitOptions& options = {});
  ~JitEngine();
  JitEngine(const JitEngine&) = delete;
  JitEngine& operator=(const JitEngine&) = delete;

  // All that generated code depends on besides what it was generated from: the instruction sets
  // in use (not the name of the processor), emitter version, LLVM version. Object code made under
  // one key may be loaded under an equal key only.
  const std::string& target_key() const;

  // The widest vector register in bytes: 16, 32 or 64 (AVX-512 F, BW and DQ).
  int vector_bytes() const;

  // Makes object code callable. Besides its own symbols it may use fma, floor, fmod (and their
  // float twins), memcpy and memset; any other undefined symbol is an error, as are bytes that are
  // not an object file. The bytes are not needed after the call.
  absl::StatusOr<CompiledModule> Load(std::string_view object);

  // For jit_internal.h.
  struct Impl;
  Impl& impl() { return *impl_; }

 private:
  std::unique_ptr<Impl> impl_;
};

}  // namespace duet::compiler::llvm_backend

#endif  // DUET_COMPILER_LLVM_JIT_H_
