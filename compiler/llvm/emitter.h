// From loop programs to object code: the compiler behind the kernel provider.
//
// This header knows no LLVM. The kernel of a program follows core/loop/program.h to the letter:
// explicit operations in the order given there, so its bits depend neither on the CPU's vector
// width nor on how work is split.
#ifndef DUET_COMPILER_LLVM_EMITTER_H_
#define DUET_COMPILER_LLVM_EMITTER_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "compiler/llvm/jit.h"
#include "core/loop/program.h"

namespace duet::compiler::llvm_backend {

// One kernel to emit: a function `void symbol(const loop::KernelArgs*)`.
struct KernelSource {
  const loop::Program* program;
  std::string symbol;
  bool fast_math = false;  // may contract and reassociate
};

// Object code with all the kernels, for the CPU of `jit`. InvalidArgument if a program does not
// pass loop::Verify. May be called by several threads at once.
absl::StatusOr<std::string> CompileKernels(JitEngine& jit, absl::Span<const KernelSource> kernels);

}  // namespace duet::compiler::llvm_backend

#endif  // DUET_COMPILER_LLVM_EMITTER_H_
