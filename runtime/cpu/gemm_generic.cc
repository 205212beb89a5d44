// Compiled for plain x86-64: products and sums round one after the other, for want of FMA.

#include <stddef.h>

#include <type_traits>

#include "runtime/cpu/gemm_kernels.h"

namespace duet::runtime::cpu::gemm {
namespace {

constexpr int kVectorBytes = 16;
constexpr int kRows = 6;
constexpr int kDotColumns = 1;

template <size_t kBytes>
struct Mask {
  explicit Mask(int64_t count) : count(count) {}
  int64_t count;
};

template <typename T>
using Vec = std::conditional_t<
    std::is_same_v<T, float>, float __attribute__((vector_size(16))),
    std::conditional_t<std::is_same_v<T, double>, double __attribute__((vector_size(16))),
                       std::conditional_t<sizeof(T) == 4, uint32_t __attribute__((vector_size(16))),
                                          uint64_t __attribute__((vector_size(16)))>>>;

template <typename T>
inline Vec<T> LoadPart(const T* p, Mask<sizeof(T)> mask) {
  T lanes[16 / sizeof(T)] = {};
  for (int64_t i = 0; i < mask.count; ++i) lanes[i] = p[i];
  Vec<T> v;
  __builtin_memcpy(&v, lanes, sizeof(v));
  return v;
}

template <typename T>
inline void StorePart(T* p, Vec<T> v, Mask<sizeof(T)> mask) {
  for (int64_t i = 0; i < mask.count; ++i) p[i] = v[i];
}

template <typename Vector>
inline Vector MulAdd(Vector a, Vector b, Vector c) {
  return a * b + c;
}

#include "runtime/cpu/gemm_kernels.inc"

}  // namespace

const KernelSet& GenericKernels() { return kKernelSet; }

}  // namespace duet::runtime::cpu::gemm
