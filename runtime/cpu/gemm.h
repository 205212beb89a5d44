#ifndef DUET_RUNTIME_CPU_GEMM_H_
#define DUET_RUNTIME_CPU_GEMM_H_

// Dense matrix product on the CPU: c = op(a) * op(b), all matrices row-major and contiguous.
//
//   Gemm<float>({.m = 32, .n = 10, .k = 128}, x, w, y);
//
// Kernels for AVX-512, AVX2 + FMA and plain x86-64 are built in; the best one the machine has is
// chosen at run time, so a plain x86-64 build loses nothing.

#include <cstdint>

#include "runtime/cpu/thread_pool.h"

namespace duet::runtime::cpu {

// op(a) is [m, k] and op(b) is [k, n]; op transposes what is stored: with transpose_a, `a` points
// at a [k, m] matrix; with transpose_b, `b` points at an [n, k] matrix.
struct GemmShape {
  bool transpose_a = false;
  bool transpose_b = false;
  int64_t m = 0;
  int64_t n = 0;
  int64_t k = 0;
};

// Work on rows of `c` as soon as they are final and while they are in cache, say adding a bias and
// applying an activation in place. Each row is passed exactly once, in some range of rows
// [row_begin, row_end) over all n columns, of which the first is at `rows`; calls for different
// ranges may be concurrent. It must not throw, nor call Gemm, whose working memory is in use.
struct GemmEpilogue {
  void (*run)(void* context, int64_t row_begin, int64_t row_end, void* rows) = nullptr;
  void* context = nullptr;
};

// T is float, double, int32_t or int64_t. Integers wrap around. `c` must not overlap `a` or `b`.
// With an epilogue `c` may be null: rows then lie in working memory, only while the epilogue has
// them. `epilogue` and `pool` may be null; without a pool the calling thread does all of the work.
//
// The bits of c are a function of the inputs and the shape alone: not of the number of threads, the
// presence of an epilogue or the alignment of a pointer, and machines with FMA agree with each
// other. Each element is a sum of partial sums, over runs of 256 values of k (the last one up to
// 384), of fused multiply-adds in the order of k. Where k is contiguous in both matrices and m is
// at most 4 (or n is 1), an element is instead one sum in 64 interleaved lanes (32 for double).
//
// std::bad_alloc may come before the first call of the epilogue, and not after it.
//
// k = 0 gives zeros; with m = 0 or n = 0 nothing happens, and no epilogue runs.
template <typename T>
void Gemm(const GemmShape& shape, const T* a, const T* b, T* c,
          const GemmEpilogue* epilogue = nullptr, ThreadPool* pool = nullptr);

extern template void Gemm<float>(const GemmShape&, const float*, const float*, float*,
                                 const GemmEpilogue*, ThreadPool*);
extern template void Gemm<double>(const GemmShape&, const double*, const double*, double*,
                                  const GemmEpilogue*, ThreadPool*);
extern template void Gemm<int32_t>(const GemmShape&, const int32_t*, const int32_t*, int32_t*,
                                   const GemmEpilogue*, ThreadPool*);
extern template void Gemm<int64_t>(const GemmShape&, const int64_t*, const int64_t*, int64_t*,
                                   const GemmEpilogue*, ThreadPool*);

}  // namespace duet::runtime::cpu

#endif  // DUET_RUNTIME_CPU_GEMM_H_
