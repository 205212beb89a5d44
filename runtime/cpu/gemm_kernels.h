#ifndef DUET_RUNTIME_CPU_GEMM_KERNELS_H_
#define DUET_RUNTIME_CPU_GEMM_KERNELS_H_

// The part of a matrix product that is compiled once per instruction set. Everything here works on
// one thread and allocates nothing; gemm.cc splits, packs and chooses.
//
// This header and gemm_kernels.inc include no header with inline functions: code compiled for
// AVX-512 must never be what the linker keeps for a function that the whole program shares.

#include <stdint.h>

namespace duet::runtime::cpu::gemm {

// Partial sums: bits depend on these two, so they are the same for all types and machines.
inline constexpr int64_t kRun = 256;
inline constexpr int64_t kLastRun = 384;

// The length of the run of k that starts at k0.
constexpr int64_t RunLength(int64_t k0, int64_t k) { return k - k0 > kLastRun ? kRun : k - k0; }

// Rows of c, [0, m) x [0, n), for k in [k_begin, k_end); k_begin and k_end are borders of runs.
// op(a)[i, p] is a[i * a_row + p * a_k].
// op(b)[p, j] is b[(j / columns) * b_panel + j % columns + (p - k_begin) * b_k], with the kernels'
// `columns`.
template <typename T>
struct BlockArgs {
  int64_t m, n;
  int64_t k_begin, k_end, k;
  const T* a;
  int64_t a_row, a_k;
  const T* b;
  int64_t b_panel, b_k;
  T* c;
  int64_t ldc;
  T* a_copy;  // null, or room for CopySize(m) elements, to copy each run of a to
};

// The distance between rows (along k), or between values of k, of a run of op(a) in a_copy. Rows
// are a line more than a power of two apart, so that they do not compete for the same sets of a
// cache.
constexpr int64_t CopyStride(bool along_k, int64_t m, int64_t k) {
  return ((along_k ? k : m) + 15) / 16 * 16 + (along_k ? 16 : 0);
}
constexpr int64_t CopySize(int64_t m) {
  const int64_t along_k = m * CopyStride(true, m, kLastRun);
  const int64_t along_m = kLastRun * CopyStride(false, m, kLastRun);
  return along_k > along_m ? along_k : along_m;
}

template <typename T>
struct Kernels {
  int64_t rows;     // of the register tile
  int64_t columns;  // of the register tile, and of a packed panel
  // c[0..m, 0..n] = or += the product over [k_begin, k_end), "=" where k_begin is 0.
  void (*block)(const BlockArgs<T>& args);
  // Writes columns [0, n) (at most `columns`) of op(b) for k in [0, k) to `panel`, k rows of
  // `columns` elements, zeros after column n. op(b)[p, j] is b[p * b_k + j * b_column], where one
  // of the strides is 1.
  void (*pack)(const T* b, int64_t b_k, int64_t b_column, int64_t n, int64_t k, T* panel);
  // c[i * c_row + j] = dot(a + i * lda, b + j * ldb) over k, in lanes.
  void (*dot)(int64_t m, int64_t n, int64_t k, const T* a, int64_t lda, const T* b, int64_t ldb,
              T* c, int64_t ldc);
};

struct KernelSet {
  Kernels<float> f32;
  Kernels<double> f64;
  Kernels<uint32_t> u32;
  Kernels<uint64_t> u64;
};

const KernelSet& GenericKernels();
const KernelSet& Avx2Kernels();    // needs AVX2 and FMA (x86-64-v3)
const KernelSet& Avx512Kernels();  // needs AVX-512 F, DQ, BW, VL (x86-64-v4)

}  // namespace duet::runtime::cpu::gemm

#endif  // DUET_RUNTIME_CPU_GEMM_KERNELS_H_
