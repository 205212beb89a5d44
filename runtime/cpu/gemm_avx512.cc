// Compiled for x86-64-v4; see BUILD.bazel.

#include <immintrin.h>

#include <type_traits>

#include "runtime/cpu/gemm_kernels.h"

namespace duet::runtime::cpu::gemm {
namespace {

constexpr int kVectorBytes = 64;
// 14 rows would fit into the registers, and were 6 % slower; with 11, 32 rows are three equal
// tiles.
constexpr int kRows = 11;
constexpr int kDotColumns = 4;

template <size_t kBytes>
struct Mask {
  explicit Mask(int64_t count) : bits(static_cast<uint16_t>((1u << count) - 1)) {}
  __mmask16 bits;
};

using F = __m512;
using D = __m512d;
typedef uint32_t U __attribute__((vector_size(64)));
typedef uint64_t L __attribute__((vector_size(64)));

inline F LoadPart(const float* p, Mask<4> m) { return _mm512_maskz_loadu_ps(m.bits, p); }
inline D LoadPart(const double* p, Mask<8> m) { return _mm512_maskz_loadu_pd(m.bits, p); }
inline U LoadPart(const uint32_t* p, Mask<4> m) { return (U)_mm512_maskz_loadu_epi32(m.bits, p); }
inline L LoadPart(const uint64_t* p, Mask<8> m) { return (L)_mm512_maskz_loadu_epi64(m.bits, p); }
inline void StorePart(float* p, F v, Mask<4> m) { _mm512_mask_storeu_ps(p, m.bits, v); }
inline void StorePart(double* p, D v, Mask<8> m) { _mm512_mask_storeu_pd(p, m.bits, v); }
inline void StorePart(uint32_t* p, U v, Mask<4> m) {
  _mm512_mask_storeu_epi32(p, m.bits, (__m512i)v);
}
inline void StorePart(uint64_t* p, L v, Mask<8> m) {
  _mm512_mask_storeu_epi64(p, m.bits, (__m512i)v);
}
inline F MulAdd(F a, F b, F c) { return _mm512_fmadd_ps(a, b, c); }
inline D MulAdd(D a, D b, D c) { return _mm512_fmadd_pd(a, b, c); }
inline U MulAdd(U a, U b, U c) { return a * b + c; }
inline L MulAdd(L a, L b, L c) { return a * b + c; }

#include "runtime/cpu/gemm_kernels.inc"

}  // namespace

const KernelSet& Avx512Kernels() { return kKernelSet; }

}  // namespace duet::runtime::cpu::gemm
