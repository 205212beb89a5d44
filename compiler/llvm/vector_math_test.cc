// Accuracy and special values against libm in a wider type, and equal bits whatever the number of
// lanes and the instruction set. All arguments of the float functions: vector_math_exhaustive.cc.
#include "compiler/llvm/vector_math.h"

#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "compiler/llvm/jit.h"
#include "compiler/llvm/vector_math_testing.h"
#include "gtest/gtest.h"

namespace duet::compiler::llvm_backend {
namespace {

constexpr double kMaxUlp = 2.0;

template <typename T>
std::vector<T> Specials() {
  using L = std::numeric_limits<T>;
  std::vector<T> v = {0,
                      L::denorm_min(),
                      3 * L::denorm_min(),
                      L::min() / 2,
                      std::nextafter(L::min(), T(0)),
                      L::min(),
                      T(1e-20),
                      L::epsilon() / 4,
                      L::epsilon(),
                      T(0.1),
                      T(0.25),
                      T(1) / 3,
                      T(0.5),
                      T(0.5625),
                      T(0.625),
                      std::nextafter(T(0.625), T(0)),
                      T(2) / 3,
                      std::sqrt(T(0.5)),
                      std::nextafter(T(1), T(0)),
                      T(1),
                      std::nextafter(T(1), T(2)),
                      T(1.5),
                      T(2),
                      T(2.5),
                      T(3),
                      T(10),
                      T(19.5),
                      T(88),
                      T(88.7),
                      T(88.73),
                      T(89),
                      T(87.5),
                      T(103.5),
                      T(104.5),
                      T(200),
                      T(708.5),
                      T(709.5),
                      T(709.9),
                      T(745.1),
                      T(745.2),
                      std::ldexp(T(1), L::digits - 2) + T(0.5),
                      std::ldexp(T(1), L::digits - 1) - 1,
                      std::ldexp(T(1), L::digits - 1) + 1,
                      std::ldexp(T(1), L::digits) - 1,
                      std::ldexp(T(1), L::digits),
                      std::ldexp(T(1), L::digits + 1),
                      L::max() / 2,
                      L::max(),
                      L::infinity(),
                      L::quiet_NaN()};
  size_t positive = v.size();
  for (size_t i = 0; i < positive; ++i) v.push_back(-v[i]);
  return v;
}

// Specials and a sample of all magnitudes; the size is a multiple of 16.
template <typename T>
std::vector<T> Arguments() {
  std::vector<T> v = Specials<T>();
  if constexpr (sizeof(T) == 4) {
    for (uint64_t bits = 0; bits < uint64_t{1} << 32; bits += 4096) {
      v.push_back(std::bit_cast<float>(static_cast<uint32_t>(bits)));
    }
  } else {
    std::mt19937_64 random(1);
    std::uniform_real_distribution<double> unit(-1, 1);
    for (int i = 0; i < 50000; ++i) {
      v.push_back(std::bit_cast<double>(random()));
      v.push_back(unit(random));
      v.push_back(20 * unit(random));
      v.push_back(750 * unit(random));
      v.push_back(std::exp2(60 * unit(random)));
    }
  }
  while (v.size() % 16 != 0) v.push_back(1);
  return v;
}

template <typename T>
std::vector<T> Apply(UnaryLoop<T>* loop, const std::vector<T>& in) {
  std::vector<T> out(in.size());
  loop(in.data(), out.data(), in.size());
  return out;
}

template <typename T>
void ExpectSameBits(const std::vector<T>& a, const std::vector<T>& b, const std::string& what,
                    const std::vector<T>& x) {
  for (size_t i = 0; i < a.size(); ++i) {
    ASSERT_EQ(std::memcmp(&a[i], &b[i], sizeof(T)), 0)
        << what << " differs at " << x[i] << ": " << a[i] << " and " << b[i];
  }
}

template <typename T, typename Wide>
void TestUnary(MathFn fn) {
  SCOPED_TRACE(MathFnName(fn));
  std::vector<T> x = Arguments<T>();
  std::vector<T> result = Apply(CompileUnary<T>(JitEngine::Get(), fn, 16), x);
  for (size_t i = 0; i < x.size(); ++i) {
    double ulp = UlpError<T, Wide>(result[i], ReferenceMath<Wide>(fn, Wide(x[i])));
    ASSERT_LE(ulp, kMaxUlp) << "at " << std::hexfloat << x[i] << ": " << result[i];
  }
  ExpectSameBits(result, Apply(CompileUnary<T>(JitEngine::Get(), fn, 1), x), "1 lane", x);
  ExpectSameBits(result, Apply(CompileUnary<T>(JitEngine::Get(), fn, 8), x), "8 lanes", x);
  JitEngine avx2({.level = JitOptions::Level::kAvx2});
  ExpectSameBits(result, Apply(CompileUnary<T>(avx2, fn, 16), x), "AVX2", x);
  JitEngine sse2({.level = JitOptions::Level::kSse2});
  ExpectSameBits(result, Apply(CompileUnary<T>(sse2, fn, 16), x), "SSE2", x);
}

class VectorMathTest : public testing::TestWithParam<MathFn> {};

TEST_P(VectorMathTest, Float) { TestUnary<float, double>(GetParam()); }
TEST_P(VectorMathTest, Double) { TestUnary<double, long double>(GetParam()); }

INSTANTIATE_TEST_SUITE_P(Functions, VectorMathTest, testing::ValuesIn(kAllMathFns),
                         [](const auto& info) { return MathFnName(info.param); });

template <typename T>
void ExpectValue(MathFn fn, T x, T expected) {
  std::vector<T> result = Apply(CompileUnary<T>(JitEngine::Get(), fn, 1), {x});
  EXPECT_EQ(std::memcmp(&result[0], &expected, sizeof(T)), 0)
      << MathFnName(fn) << "(" << x << ") = " << result[0] << ", not " << expected;
}

template <typename T>
void TestSpecialValues() {
  const T inf = std::numeric_limits<T>::infinity();
  const T nan = std::numeric_limits<T>::quiet_NaN();
  const T tiny = std::numeric_limits<T>::denorm_min();
  ExpectValue<T>(MathFn::kExp, -inf, 0);
  ExpectValue<T>(MathFn::kExp, inf, inf);
  ExpectValue<T>(MathFn::kExp, T(-0.0), 1);
  ExpectValue<T>(MathFn::kExp, nan, nan);
  ExpectValue<T>(MathFn::kExpm1, -inf, -1);
  ExpectValue<T>(MathFn::kExpm1, inf, inf);
  ExpectValue<T>(MathFn::kExpm1, T(-0.0), T(-0.0));
  ExpectValue<T>(MathFn::kExpm1, tiny, tiny);
  ExpectValue<T>(MathFn::kLog, -1, nan);
  ExpectValue<T>(MathFn::kLog, 0, -inf);
  ExpectValue<T>(MathFn::kLog, T(-0.0), -inf);
  ExpectValue<T>(MathFn::kLog, 1, 0);
  ExpectValue<T>(MathFn::kLog, inf, inf);
  ExpectValue<T>(MathFn::kLog1p, -1, -inf);
  ExpectValue<T>(MathFn::kLog1p, -2, nan);
  ExpectValue<T>(MathFn::kLog1p, T(-0.0), T(-0.0));
  ExpectValue<T>(MathFn::kLog1p, -tiny, -tiny);
  ExpectValue<T>(MathFn::kLog1p, inf, inf);
  ExpectValue<T>(MathFn::kTanh, inf, 1);
  ExpectValue<T>(MathFn::kTanh, -inf, -1);
  ExpectValue<T>(MathFn::kTanh, T(-0.0), T(-0.0));
  ExpectValue<T>(MathFn::kTanh, tiny, tiny);
  ExpectValue<T>(MathFn::kSigmoid, -inf, 0);
  ExpectValue<T>(MathFn::kSigmoid, inf, 1);
  ExpectValue<T>(MathFn::kSigmoid, 0, T(0.5));
  ExpectValue<T>(MathFn::kSigmoid, -200, static_cast<T>(std::exp(-200.0L)));
  ExpectValue<T>(MathFn::kRsqrt, 0, inf);
  ExpectValue<T>(MathFn::kRsqrt, T(-0.0), -inf);
  ExpectValue<T>(MathFn::kRsqrt, inf, 0);
}

TEST(VectorMathSpecials, Float) { TestSpecialValues<float>(); }
TEST(VectorMathSpecials, Double) { TestSpecialValues<double>(); }

template <typename T, typename Wide>
void TestPow() {
  std::vector<T> x, y;
  for (T a : Specials<T>()) {
    for (T b : Specials<T>()) {
      x.push_back(a);
      y.push_back(b);
    }
  }
  std::mt19937_64 random(1);
  std::uniform_real_distribution<double> unit(-1, 1);
  for (int i = 0; i < 100000; ++i) {
    T base = static_cast<T>(std::exp2((i % 2 ? 100 : 1) * unit(random)));
    T limit = std::numeric_limits<T>::max_exponent;
    T power = static_cast<T>(1.1 * unit(random)) * limit / std::log2(base);
    x.push_back(i % 3 ? base : -base);
    y.push_back(i % 3 ? power : std::round(power));
  }
  while (x.size() % 16 != 0) x.push_back(1), y.push_back(1);
  auto run = [&](JitEngine& jit, int lanes) {
    std::vector<T> out(x.size());
    CompilePow<T>(jit, lanes)(x.data(), y.data(), out.data(), out.size());
    return out;
  };
  std::vector<T> result = run(JitEngine::Get(), 16);
  for (size_t i = 0; i < x.size(); ++i) {
    Wide expected = std::pow(Wide(x[i]), Wide(y[i]));
    double ulp = UlpError<T, Wide>(result[i], expected);
    ASSERT_LE(ulp, kMaxUlp) << "pow(" << x[i] << ", " << y[i] << ") = " << result[i] << ", not "
                            << expected;
  }
  ExpectSameBits(result, run(JitEngine::Get(), 1), "1 lane", x);
  JitEngine avx2({.level = JitOptions::Level::kAvx2});
  ExpectSameBits(result, run(avx2, 16), "AVX2", x);
  JitEngine sse2({.level = JitOptions::Level::kSse2});
  ExpectSameBits(result, run(sse2, 16), "SSE2", x);
}

TEST(VectorMathPow, Float) { TestPow<float, double>(); }
TEST(VectorMathPow, Double) { TestPow<double, long double>(); }

}  // namespace
}  // namespace duet::compiler::llvm_backend
