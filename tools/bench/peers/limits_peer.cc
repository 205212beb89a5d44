// What this machine allows: the programs of Duet's benchmarks written by hand as single C++ loops
// and library calls, compiled for this very machine. See BUILD.bazel for the flags.

#include <cblas.h>
#include <math.h>
#include <omp.h>
#include <oneapi/dnnl/dnnl.h>

#include <cstdint>
#include <vector>

#include "tools/bench/peers/measure.h"

extern "C" void openblas_set_num_threads(int threads);

namespace {

using duet::bench::Measure;

constexpr int64_t kChain = 1 << 20;
constexpr int64_t kLarge = 1 << 24;

std::vector<float> Ramp(int64_t n) {
  std::vector<float> values(n);
  for (int64_t i = 0; i < n; ++i) values[i] = static_cast<float>(2 * (i % 4096)) / 4096 - 1;
  return values;
}

// t1 = 1.5 x, t2 = t1 + 0.25, t3 = tanh(t2), t4 = t3 x, t5 = sigmoid(t4), t6 = t5 - x, on the
// vector functions of the C library, to which -ffast-math gives access.
void ChainLibrary(const float* x, float* y, int threads) {
#pragma omp parallel for simd num_threads(threads) if (parallel : threads > 1) schedule(static)
  for (int64_t i = 0; i < kChain; ++i) {
    const float t4 = tanhf(x[i] * 1.5f + 0.25f) * x[i];
    y[i] = 1.0f / (1.0f + expf(-t4)) - x[i];
  }
}

// The same with tanh made from the cheaper exp.
void ChainExp(const float* x, float* y, int threads) {
#pragma omp parallel for simd num_threads(threads) if (parallel : threads > 1) schedule(static)
  for (int64_t i = 0; i < kChain; ++i) {
    const float t3 = 1.0f - 2.0f / (expf(2.0f * (x[i] * 1.5f + 0.25f)) + 1.0f);
    y[i] = 1.0f / (1.0f + expf(-t3 * x[i])) - x[i];
  }
}

void Add(const float* a, const float* b, float* c, int threads) {
#pragma omp parallel for simd num_threads(threads) if (parallel : threads > 1) schedule(static)
  for (int64_t i = 0; i < kLarge; ++i) c[i] = a[i] + b[i];
}

void MatMul(int threads) {
  constexpr int kN = 1000;
  const std::vector<float> a = Ramp(kN * kN), b = Ramp(kN * kN);
  std::vector<float> c(kN * kN);
  omp_set_num_threads(threads);
  Measure("matmul_1000_onednn", threads, [&] {
    dnnl_sgemm('N', 'N', kN, kN, kN, 1, a.data(), kN, b.data(), kN, 0, c.data(), kN);
  });
  openblas_set_num_threads(threads);
  Measure("matmul_1000_openblas", threads, [&] {
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, kN, kN, kN, 1, a.data(), kN, b.data(),
                kN, 0, c.data(), kN);
  });
}

}  // namespace

int main() {
  const std::vector<float> x = Ramp(kChain), a = Ramp(kLarge), b = Ramp(kLarge);
  std::vector<float> y(kChain), c(kLarge);
  for (int threads : {1, 2}) {
    Measure("chain6_1m_vector_library", threads,
            [&] { ChainLibrary(x.data(), y.data(), threads); });
    Measure("chain6_1m_vector_exp", threads, [&] { ChainExp(x.data(), y.data(), threads); });
    Measure("add_16m_warm", threads, [&] { Add(a.data(), b.data(), c.data(), threads); });
    MatMul(threads);
  }
  return 0;
}
