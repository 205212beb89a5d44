#ifndef DUET_TOOLS_BENCH_PEERS_MEASURE_H_
#define DUET_TOOLS_BENCH_PEERS_MEASURE_H_

// How all peer programs measure: batches of at least 5 ms, the median over the batches, so that one
// noisy moment of a shared machine does not count. A line is `name<TAB>seconds_per_op<TAB>threads`.

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <vector>

namespace duet::bench {

template <typename Body>
double Seconds(int64_t count, Body& body) {
  const auto start = std::chrono::steady_clock::now();
  for (int64_t i = 0; i < count; ++i) body();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

template <typename Body>
void Measure(const char* name, int threads, Body body) {
  constexpr double kBatchSeconds = 5e-3;
  constexpr int kBatches = 41;
  body();  // first use: allocation, thread start, code loading
  int64_t count = 1;
  while (Seconds(count, body) < kBatchSeconds) count *= 2;
  std::vector<double> batches(kBatches);
  for (double& batch : batches) batch = Seconds(count, body) / static_cast<double>(count);
  std::nth_element(batches.begin(), batches.begin() + kBatches / 2, batches.end());
  std::printf("%s\t%.4g\t%d\n", name, batches[kBatches / 2], threads);
  std::fflush(stdout);
}

}  // namespace duet::bench

#endif  // DUET_TOOLS_BENCH_PEERS_MEASURE_H_
