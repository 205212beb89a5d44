#include "runtime/cpu/gemm.h"

#include <atomic>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <random>
#include <string>
#include <thread>
#include <type_traits>
#include <vector>

#include "gtest/gtest.h"
#include "runtime/cpu/gemm_kernels.h"

namespace duet::runtime::cpu {
namespace {

template <typename T>
std::vector<T> Random(int64_t count, uint32_t seed) {
  std::mt19937_64 generator(seed);
  std::vector<T> values(count);
  for (T& value : values) {
    if constexpr (std::is_floating_point_v<T>) {
      value = std::uniform_real_distribution<T>(-1, 1)(generator);
    } else {
      value = static_cast<T>(generator());
    }
  }
  return values;
}

// The obvious loop, in double for floating point and in wrapping arithmetic for integers.
template <typename T>
void ExpectIsProduct(const GemmShape& shape, const std::vector<T>& a, const std::vector<T>& b,
                     const T* c) {
  const auto [ta, tb, m, n, k] = shape;
  for (int64_t i = 0; i < m; ++i) {
    for (int64_t j = 0; j < n; ++j) {
      std::conditional_t<std::is_floating_point_v<T>, long double, uint64_t> sum = 0, size = 0;
      for (int64_t p = 0; p < k; ++p) {
        const auto x = static_cast<decltype(sum)>(a[ta ? p * m + i : i * k + p]);
        const auto y = static_cast<decltype(sum)>(b[tb ? j * k + p : p * n + j]);
        sum += x * y;
        if constexpr (std::is_floating_point_v<T>) size += std::fabs(x * y);
      }
      if constexpr (std::is_floating_point_v<T>) {
        const long double bound = size * 16 * std::numeric_limits<T>::epsilon();
        ASSERT_LE(std::fabs(c[i * n + j] - sum), bound) << i << ", " << j;
      } else {
        ASSERT_EQ(c[i * n + j], static_cast<T>(sum)) << i << ", " << j;
      }
    }
  }
}

const int64_t kSizes[][3] = {
    {1, 1, 1},    {2, 2, 2},     {1, 1, 2000},  {2000, 1, 1},  {1, 2000, 1},   {3, 5, 7},
    {14, 32, 10}, {15, 33, 11},  {13, 31, 257}, {1, 70, 100},  {70, 1, 100},   {4, 9, 64},
    {5, 17, 385}, {32, 10, 128}, {2, 3, 1000},  {29, 65, 513}, {100, 47, 640}, {120, 100, 30},
};

template <typename T>
class GemmTest : public ::testing::Test {};
using Types = ::testing::Types<float, double, int32_t, int64_t>;
TYPED_TEST_SUITE(GemmTest, Types);

TYPED_TEST(GemmTest, MatchesTheObviousLoop) {
  for (const auto& [m, n, k] : kSizes) {
    for (int transposes = 0; transposes < 4; ++transposes) {
      const GemmShape shape{(transposes & 1) != 0, (transposes & 2) != 0, m, n, k};
      SCOPED_TRACE(testing::Message() << m << " x " << n << " x " << k << ", " << transposes);
      const auto a = Random<TypeParam>(m * k, 1), b = Random<TypeParam>(k * n, 2);
      std::vector<TypeParam> c(m * n, TypeParam{99});
      Gemm<TypeParam>(shape, a.data(), b.data(), c.data());
      ExpectIsProduct(shape, a, b, c.data());
    }
  }
}

struct RowCount {
  std::vector<std::atomic<int>> rows;
  static void Run(void* context, int64_t begin, int64_t end, void*) {
    for (int64_t i = begin; i < end; ++i) ++static_cast<RowCount*>(context)->rows[i];
  }
};

// Large enough to be packed, copied and split over threads, with odd edges.
TYPED_TEST(GemmTest, BitsDependOnTheShapeAlone) {
  const int64_t sizes[][3] = {{301, 515, 403}, {33, 1030, 300},  {1500, 1, 900}, {3, 1025, 700},
                              {260, 40, 1024}, {600, 300, 1024}, {32, 64, 2000}, {5, 7, 9}};
  for (const auto& [m, n, k] : sizes) {
    for (int transposes = 0; transposes < 4; ++transposes) {
      const GemmShape shape{(transposes & 1) != 0, (transposes & 2) != 0, m, n, k};
      SCOPED_TRACE(testing::Message() << m << " x " << n << " x " << k << ", " << transposes);
      auto a = Random<TypeParam>(m * k, 1), b = Random<TypeParam>(k * n, 2);
      std::vector<TypeParam> expected(m * n);
      Gemm<TypeParam>(shape, a.data(), b.data(), expected.data());
      a.insert(a.begin(), TypeParam{});
      b.insert(b.begin(), 3, TypeParam{});
      for (int threads : {1, 2, 5}) {
        ThreadPool pool(threads);
        RowCount count{std::vector<std::atomic<int>>(m)};
        const GemmEpilogue epilogue{&RowCount::Run, &count};
        for (const GemmEpilogue* e : {static_cast<const GemmEpilogue*>(nullptr), &epilogue}) {
          std::vector<TypeParam> c(m * n + 5, TypeParam{7});
          Gemm<TypeParam>(shape, a.data() + 1, b.data() + 3, c.data() + 5, e, &pool);
          EXPECT_EQ(std::memcmp(expected.data(), c.data() + 5, m * n * sizeof(TypeParam)), 0);
        }
        for (int64_t i = 0; i < m; ++i) ASSERT_EQ(count.rows[i], 1) << i;
      }
    }
  }
}

struct AddOne {
  float* c;
  int64_t n;
  static void Run(void* context, int64_t begin, int64_t end, void* rows) {
    const auto* self = static_cast<AddOne*>(context);
    EXPECT_EQ(rows, self->c + begin * self->n);
    for (int64_t i = begin * self->n; i < end * self->n; ++i) self->c[i] += 1;
  }
};

TEST(Gemm, EpilogueSeesFinishedRows) {
  ThreadPool pool(3);
  for (const auto& [m, n, k] :
       {std::tuple{400, 300, 700}, {20, 3000, 800}, {500, 1, 5000}, {4, 4, 0}}) {
    const GemmShape shape{.m = m, .n = n, .k = k};
    const auto a = Random<float>(m * k, 1), b = Random<float>(k * n, 2);
    std::vector<float> expected(m * n, 5), c(m * n, 5);
    Gemm<float>(shape, a.data(), b.data(), expected.data());
    for (float& value : expected) value += 1;
    AddOne context{c.data(), n};
    const GemmEpilogue epilogue{&AddOne::Run, &context};
    Gemm<float>(shape, a.data(), b.data(), c.data(), &epilogue, &pool);
    EXPECT_EQ(expected, c);
  }
}

struct KeepRows {
  std::vector<double> c;
  std::vector<std::atomic<int>> times;
  int64_t n;
  static void Run(void* context, int64_t begin, int64_t end, void* rows) {
    auto* self = static_cast<KeepRows*>(context);
    std::memcpy(self->c.data() + begin * self->n, rows, (end - begin) * self->n * sizeof(double));
    std::memset(rows, 0x7f, (end - begin) * self->n * sizeof(double));
    for (int64_t i = begin; i < end; ++i) ++self->times[i];
  }
};

// Without a c the epilogue gets the same rows, each once: packed or not, in columns, by dot
// products, with a b of more than the packing buffer, without any k.
TEST(Gemm, RowsForTheEpilogueAlone) {
  for (const auto& [m, n, k] : {std::tuple{784, 128, 32},
                                {401, 70, 600},
                                {500, 1, 900},
                                {3, 40, 300},
                                {40, 1030, 2100},
                                {30, 5, 0},
                                {1, 1, 1},
                                {0, 4, 4}}) {
    for (int transposes = 0; transposes < 4; ++transposes) {
      const GemmShape shape{(transposes & 1) != 0, (transposes & 2) != 0, m, n, k};
      SCOPED_TRACE(testing::Message() << m << " x " << n << " x " << k << ", " << transposes);
      const auto a = Random<double>(m * k, 1), b = Random<double>(k * n, 2);
      std::vector<double> expected(m * n);
      Gemm<double>(shape, a.data(), b.data(), expected.data());
      for (int threads : {1, 2, 5}) {
        ThreadPool pool(threads);
        KeepRows kept{std::vector<double>(m * n), std::vector<std::atomic<int>>(m), n};
        const GemmEpilogue epilogue{&KeepRows::Run, &kept};
        Gemm<double>(shape, a.data(), b.data(), nullptr, &epilogue, &pool);
        EXPECT_EQ(kept.c, expected);
        for (int64_t i = 0; i < m; ++i) ASSERT_EQ(kept.times[i], 1) << i;
      }
    }
  }
}

// A b of more than the packing buffer is packed part by part, along n and along k.
TEST(Gemm, LargeB) {
  const GemmShape shape{.transpose_b = true, .m = 5, .n = 2100, .k = 2600};
  const auto a = Random<float>(shape.m * shape.k, 1), b = Random<float>(shape.n * shape.k, 2);
  std::vector<float> c(shape.m * shape.n);
  Gemm<float>(shape, a.data(), b.data(), c.data());
  ExpectIsProduct(shape, a, b, c.data());
}

TEST(Gemm, EmptyShapes) {
  std::vector<float> c(6, 3);
  Gemm<float>({.m = 2, .n = 3, .k = 0}, nullptr, nullptr, c.data());
  EXPECT_EQ(c, std::vector<float>(6, 0));
  Gemm<float>({.m = 0, .n = 3, .k = 4}, nullptr, nullptr, nullptr);
  Gemm<float>({.m = 3, .n = 0, .k = 4}, nullptr, nullptr, nullptr);
}

TEST(Gemm, SpecialValuesSpreadAsInASum) {
  const float inf = std::numeric_limits<float>::infinity();
  const std::vector<float> a = {inf, 0, 1, 1}, b = {0, 1, 1, 1};
  std::vector<float> c(4);
  Gemm<float>({.m = 2, .n = 2, .k = 2}, a.data(), b.data(), c.data());
  EXPECT_TRUE(std::isnan(c[0]));
  EXPECT_EQ(c[1], inf);
  EXPECT_EQ(c[2], 1);
  EXPECT_EQ(c[3], 2);
}

TEST(Gemm, CallsFromSeveralThreads) {
  ThreadPool pool(2);
  const GemmShape shape{.transpose_b = true, .m = 130, .n = 140, .k = 300};
  const auto a = Random<double>(shape.m * shape.k, 1), b = Random<double>(shape.n * shape.k, 2);
  std::vector<double> expected(shape.m * shape.n);
  Gemm<double>(shape, a.data(), b.data(), expected.data());
  std::vector<std::thread> threads;
  for (int t = 0; t < 3; ++t) {
    threads.emplace_back([&] {
      for (int round = 0; round < 5; ++round) {
        std::vector<double> c(shape.m * shape.n);
        Gemm<double>(shape, a.data(), b.data(), c.data(), nullptr, &pool);
        EXPECT_EQ(c, expected);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
}

// Every instruction set that this machine has, straight through the kernel tables; those with FMA
// must agree bit by bit.
template <typename T>
std::vector<T> BlockAndDot(const gemm::Kernels<T>& kernels, int64_t m, int64_t n, int64_t k,
                           const std::vector<T>& a, const std::vector<T>& b) {
  const int64_t panels = (n + kernels.columns - 1) / kernels.columns;
  std::vector<T> packed(panels * kernels.columns * k), c(2 * m * n);
  for (int64_t i = 0; i < panels; ++i) {
    const int64_t j = i * kernels.columns;
    kernels.pack(b.data() + j * k, 1, k, std::min(n - j, kernels.columns), k,
                 packed.data() + j * k);
  }
  kernels.block({.m = m,
                 .n = n,
                 .k_begin = 0,
                 .k_end = k,
                 .k = k,
                 .a = a.data(),
                 .a_row = k,
                 .a_k = 1,
                 .b = packed.data(),
                 .b_panel = k * kernels.columns,
                 .b_k = kernels.columns,
                 .c = c.data(),
                 .ldc = n,
                 .a_copy = nullptr});
  kernels.dot(m, n, k, a.data(), k, b.data(), k, c.data() + m * n, n);
  return c;
}

TEST(GemmKernels, InstructionSetsAgree) {
#if defined(__x86_64__)
  for (const auto& [m, n, k] : kSizes) {
    const GemmShape shape{.transpose_b = true, .m = m, .n = n, .k = k};
    SCOPED_TRACE(testing::Message() << m << " x " << n << " x " << k);
    const auto a = Random<float>(m * k, 1), b = Random<float>(n * k, 2);
    const auto ai = Random<uint64_t>(m * k, 1), bi = Random<uint64_t>(n * k, 2);
    const auto generic = BlockAndDot(gemm::GenericKernels().f32, m, n, k, a, b);
    ExpectIsProduct(shape, a, b, generic.data());
    ExpectIsProduct(shape, a, b, generic.data() + m * n);
    const auto generic_int = BlockAndDot(gemm::GenericKernels().u64, m, n, k, ai, bi);
    if (!__builtin_cpu_supports("x86-64-v3")) continue;
    const auto avx2 = BlockAndDot(gemm::Avx2Kernels().f32, m, n, k, a, b);
    ExpectIsProduct(shape, a, b, avx2.data());
    ExpectIsProduct(shape, a, b, avx2.data() + m * n);
    EXPECT_EQ(BlockAndDot(gemm::Avx2Kernels().u64, m, n, k, ai, bi), generic_int);
    if (!__builtin_cpu_supports("x86-64-v4")) continue;
    EXPECT_EQ(BlockAndDot(gemm::Avx512Kernels().f32, m, n, k, a, b), avx2);
    EXPECT_EQ(BlockAndDot(gemm::Avx512Kernels().u64, m, n, k, ai, bi), generic_int);
  }
#endif
}

}  // namespace
}  // namespace duet::runtime::cpu
