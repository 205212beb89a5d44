// Compiled for x86-64-v3; see BUILD.bazel.

#include <immintrin.h>

#include <type_traits>

#include "runtime/cpu/gemm_kernels.h"

namespace duet::runtime::cpu::gemm {
namespace {

constexpr int kVectorBytes = 32;
constexpr int kRows = 6;
constexpr int kDotColumns = 1;

template <size_t kBytes>
struct Mask {
  explicit Mask(int64_t count)
      : bits(kBytes == 4
                 ? _mm256_cmpgt_epi32(_mm256_set1_epi32(static_cast<int>(count)),
                                      _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7))
                 : _mm256_cmpgt_epi64(_mm256_set1_epi64x(count), _mm256_setr_epi64x(0, 1, 2, 3))) {}
  __m256i bits;
};

using F = __m256;
using D = __m256d;
typedef uint32_t U __attribute__((vector_size(32)));
typedef uint64_t L __attribute__((vector_size(32)));

inline F LoadPart(const float* p, Mask<4> m) { return _mm256_maskload_ps(p, m.bits); }
inline D LoadPart(const double* p, Mask<8> m) { return _mm256_maskload_pd(p, m.bits); }
inline U LoadPart(const uint32_t* p, Mask<4> m) {
  return (U)_mm256_maskload_epi32(reinterpret_cast<const int*>(p), m.bits);
}
inline L LoadPart(const uint64_t* p, Mask<8> m) {
  return (L)_mm256_maskload_epi64(reinterpret_cast<const long long*>(p), m.bits);  // NOLINT
}
inline void StorePart(float* p, F v, Mask<4> m) { _mm256_maskstore_ps(p, m.bits, v); }
inline void StorePart(double* p, D v, Mask<8> m) { _mm256_maskstore_pd(p, m.bits, v); }
inline void StorePart(uint32_t* p, U v, Mask<4> m) {
  _mm256_maskstore_epi32(reinterpret_cast<int*>(p), m.bits, (__m256i)v);
}
inline void StorePart(uint64_t* p, L v, Mask<8> m) {
  _mm256_maskstore_epi64(reinterpret_cast<long long*>(p), m.bits, (__m256i)v);  // NOLINT
}
inline F MulAdd(F a, F b, F c) { return _mm256_fmadd_ps(a, b, c); }
inline D MulAdd(D a, D b, D c) { return _mm256_fmadd_pd(a, b, c); }
inline U MulAdd(U a, U b, U c) { return a * b + c; }
inline L MulAdd(L a, L b, L c) { return a * b + c; }

#include "runtime/cpu/gemm_kernels.inc"

}  // namespace

const KernelSet& Avx2Kernels() { return kKernelSet; }

}  // namespace duet::runtime::cpu::gemm
