// Compares every unary float function with double libm on all 2^32 arguments, and every other
// function on random arguments. Takes some minutes; the results belong in docs/accuracy.md.
//
//   vector_math_exhaustive [function ...] [--step=N]   N: check every N-th bit pattern
#include <bit>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "compiler/llvm/vector_math_testing.h"

namespace duet::compiler::llvm_backend {
namespace {

struct Worst {
  double ulp = 0;
  double x = 0, y = 0, result = 0, reference = 0;
  int64_t checked = 0, not_rounded_correctly = 0;

  void Merge(const Worst& other) {
    int64_t sum = checked + other.checked;
    int64_t wrong = not_rounded_correctly + other.not_rounded_correctly;
    if (other.ulp > ulp) *this = other;
    checked = sum;
    not_rounded_correctly = wrong;
  }
};

template <typename T, typename Wide>
void Check(Worst& worst, T x, T y, T result, Wide reference) {
  ++worst.checked;
  // Correct rounding is the common case, and cheap to see.
  T rounded = static_cast<T>(reference);
  if (std::memcmp(&rounded, &result, sizeof(T)) == 0) return;
  double ulp = UlpError(result, reference);
  if (!(std::isnan(rounded) && std::isnan(result))) ++worst.not_rounded_correctly;
  if (ulp > worst.ulp) {
    worst.ulp = ulp;
    worst.x = x;
    worst.y = y;
    worst.result = result;
    worst.reference = static_cast<double>(reference);
  }
}

void Print(const char* type, const char* name, const Worst& w) {
  std::printf("| %s | %s | %.3f | %a | %a | %.2f %% | %lld |\n", type, name, w.ulp, w.x, w.y,
              100.0 * w.not_rounded_correctly / w.checked, static_cast<long long>(w.checked));
  std::fflush(stdout);
}

constexpr int kBlock = 4096;

Worst CheckFloatRange(UnaryLoop<float>* loop, MathFn fn, uint64_t begin, uint64_t end,
                      uint64_t step) {
  Worst worst;
  std::vector<float> in(kBlock), out(kBlock);
  for (uint64_t base = begin; base < end; base += kBlock * step) {
    for (int i = 0; i < kBlock; ++i) {
      in[i] = std::bit_cast<float>(static_cast<uint32_t>(base + i * step));
    }
    loop(in.data(), out.data(), kBlock);
    for (int i = 0; i < kBlock; ++i) {
      Check<float, double>(worst, in[i], 0, out[i], ReferenceMath<double>(fn, in[i]));
    }
  }
  return worst;
}

void CheckFloat(JitEngine& jit, MathFn fn, uint64_t step) {
  UnaryLoop<float>* loop = CompileUnary<float>(jit, fn, 16);
  Worst halves[2];
  std::thread second(
      [&] { halves[1] = CheckFloatRange(loop, fn, uint64_t{1} << 31, uint64_t{1} << 32, step); });
  halves[0] = CheckFloatRange(loop, fn, 0, uint64_t{1} << 31, step);
  second.join();
  halves[0].Merge(halves[1]);
  Print("float", MathFnName(fn), halves[0]);
}

// Arguments of every magnitude, and more of those for which the function is neither 0, 1 nor
// infinite.
template <typename T>
T Sample(std::mt19937_64& random, int i) {
  std::uniform_real_distribution<double> unit(0, 1);
  auto any = [&] {
    if constexpr (sizeof(T) == 4) return std::bit_cast<float>(static_cast<uint32_t>(random()));
    if constexpr (sizeof(T) == 8) return std::bit_cast<double>(random());
  };
  switch (i % 6) {
    case 0:
      return any();
    case 1:
      return static_cast<T>(40 * (unit(random) - 0.5));
    case 2:
      return static_cast<T>(1500 * (unit(random) - 0.5));
    case 3:
      return static_cast<T>(std::exp2(140 * (unit(random) - 0.5)) * (random() % 2 ? 1 : -1));
    case 4:
      return static_cast<T>(2 * unit(random) - 1);
    default:
      return static_cast<T>(1 + std::exp2(-50 * unit(random)) * (random() % 2 ? 1 : -1));
  }
}

void CheckDouble(JitEngine& jit, MathFn fn, int64_t blocks) {
  UnaryLoop<double>* loop = CompileUnary<double>(jit, fn, 16);
  std::mt19937_64 random(1);
  Worst worst;
  std::vector<double> in(kBlock), out(kBlock);
  for (int64_t block = 0; block < blocks; ++block) {
    for (int i = 0; i < kBlock; ++i) in[i] = Sample<double>(random, i);
    loop(in.data(), out.data(), kBlock);
    for (int i = 0; i < kBlock; ++i) {
      Check<double, long double>(worst, in[i], 0, out[i],
                                 ReferenceMath<long double>(fn, static_cast<long double>(in[i])));
    }
  }
  Print("double", MathFnName(fn), worst);
}

template <typename T, typename Wide>
void CheckPow(JitEngine& jit, const char* type, int64_t blocks) {
  BinaryLoop<T>* loop = CompilePow<T>(jit, 16);
  std::mt19937_64 random(1);
  Worst worst;
  std::vector<T> x(kBlock), y(kBlock), out(kBlock);
  for (int64_t block = 0; block < blocks; ++block) {
    for (int i = 0; i < kBlock; ++i) {
      x[i] = Sample<T>(random, i / 6);
      y[i] = Sample<T>(random, i);
      if (i % 4 == 1) y[i] = std::round(y[i]);
      // The whole range of results, where the error of the logarithm counts most.
      if (i % 4 != 0) x[i] = std::abs(x[i]);
      if (i % 4 == 3) {
        T log = std::log2(x[i]);
        T limit = std::numeric_limits<T>::max_exponent;
        y[i] = limit * static_cast<T>(2.1 * (random() % 10001) / 10000.0 - 1.05) / log;
      }
    }
    loop(x.data(), y.data(), out.data(), kBlock);
    for (int i = 0; i < kBlock; ++i) {
      Check<T, Wide>(worst, x[i], y[i], out[i], std::pow(Wide(x[i]), Wide(y[i])));
    }
  }
  Print(type, "pow", worst);
}

int Main(int argc, char** argv) {
  uint64_t step = 1;
  std::vector<std::string> names;
  for (int i = 1; i < argc; ++i) {
    if (std::strncmp(argv[i], "--step=", 7) == 0) {
      step = std::strtoull(argv[i] + 7, nullptr, 10);
    } else {
      names.push_back(argv[i]);
    }
  }
  auto wanted = [&](const char* name) {
    return names.empty() || std::find(names.begin(), names.end(), name) != names.end();
  };
  JitEngine& jit = JitEngine::Get();
  std::printf("| type | function | max ULP | at x | at y | not correctly rounded | checked |\n");
  std::printf("|---|---|---|---|---|---|---|\n");
  int64_t blocks = std::max<int64_t>(1, 10000 / static_cast<int64_t>(step));
  for (MathFn fn : kAllMathFns) {
    if (!wanted(MathFnName(fn))) continue;
    CheckFloat(jit, fn, step);
    CheckDouble(jit, fn, blocks);
  }
  if (wanted("pow")) {
    CheckPow<float, double>(jit, "float", blocks);
    CheckPow<double, long double>(jit, "double", blocks);
  }
  return 0;
}

}  // namespace
}  // namespace duet::compiler::llvm_backend

int main(int argc, char** argv) { return duet::compiler::llvm_backend::Main(argc, argv); }
