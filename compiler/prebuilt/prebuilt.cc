#include "compiler/prebuilt/prebuilt.h"

#include <algorithm>

namespace duet::compiler {
namespace {

int CpuLevel() {
  __builtin_cpu_init();
  if (__builtin_cpu_supports("x86-64-v4")) return 2;
  return __builtin_cpu_supports("x86-64-v3") ? 1 : 0;
}

}  // namespace

loop::KernelFn FindPrebuilt(std::string_view key) {
  static const int level = CpuLevel();
  const PrebuiltKernel* end = kPrebuiltKernels + kNumPrebuiltKernels;
  const PrebuiltKernel* found = std::lower_bound(
      kPrebuiltKernels, end, key,
      [](const PrebuiltKernel& k, std::string_view value) { return k.key < value; });
  return found != end && found->key == key ? found->levels[level] : nullptr;
}

}  // namespace duet::compiler
