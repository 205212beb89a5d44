// Kernels compiled with the program, so that the first ops of a process need no compiler. They are
// what the compiler would make (same emitter, same bits), for three levels of instruction sets; the
// CPU decides which is used. Nothing here starts LLVM.
#ifndef DUET_COMPILER_PREBUILT_PREBUILT_H_
#define DUET_COMPILER_PREBUILT_PREBUILT_H_

#include <cstddef>
#include <string_view>

#include "core/loop/program.h"

namespace duet::compiler {

// The kernel of the program whose text (loop::ToString) is `key`, for this CPU, or null.
loop::KernelFn FindPrebuilt(std::string_view key);

// The generated table, in ascending order of keys.
inline constexpr int kPrebuiltLevels = 3;  // x86-64, x86-64-v3, x86-64-v4
struct PrebuiltKernel {
  const char* key;
  loop::KernelFn levels[kPrebuiltLevels];
};
extern const PrebuiltKernel kPrebuiltKernels[];
extern const size_t kNumPrebuiltKernels;

}  // namespace duet::compiler

#endif  // DUET_COMPILER_PREBUILT_PREBUILT_H_
