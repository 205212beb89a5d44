#include "compiler/llvm/emitter.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <memory>

#include "absl/strings/str_cat.h"
#include "compiler/llvm/kernel_testing.h"
#include "core/loop/launch.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace duet::compiler::llvm_backend {
namespace {

using loop::Axis;
using loop::Body;
using loop::Builder;
using loop::Code;
using loop::KernelFn;
using loop::Program;
using loop::Reduce;
using loop::Stride;

// One engine for each level of instruction sets.
JitEngine& Engine(JitOptions::Level level) {
  static JitEngine* engines[] = {
      new JitEngine({JitOptions::Level::kSse2}), new JitEngine({JitOptions::Level::kAvx2}),
      new JitEngine({JitOptions::Level::kAvx512}), new JitEngine({JitOptions::Level::kHost})};
  return *engines[static_cast<int>(level)];
}
constexpr JitOptions::Level kLevels[] = {JitOptions::Level::kSse2, JitOptions::Level::kAvx2,
                                         JitOptions::Level::kHost};

std::vector<KernelFn> Compile(const std::vector<Program>& programs,
                              JitOptions::Level level = JitOptions::Level::kHost,
                              bool fast_math = false) {
  std::vector<KernelSource> sources;
  for (size_t i = 0; i < programs.size(); ++i) {
    sources.push_back({&programs[i], absl::StrCat("k", i), fast_math});
  }
  JitEngine& jit = Engine(level);
  auto object = CompileKernels(jit, sources);
  if (!object.ok()) throw std::runtime_error(object.status().ToString());
  auto code = jit.Load(*object);
  if (!code.ok()) throw std::runtime_error(code.status().ToString());
  std::vector<KernelFn> result;
  for (const KernelSource& s : sources) {
    result.push_back(code->Function<void(const loop::KernelArgs*)>(s.symbol));
  }
  return result;
}

KernelFn CompileOne(const Program& program, JitOptions::Level level = JitOptions::Level::kHost,
                    bool fast_math = false) {
  return Compile({program}, level, fast_math)[0];
}

Program Unary(Code code, DType dtype, DType to, Stride stride = Stride::kUnit) {
  Program p{.inner = {stride}};
  p.body.operands = {dtype};
  Builder b(&p.body);
  const auto x = b.Load(0);
  p.body.outputs = {{code == Code::kCast ? b.Cast(to, x) : b.Unary(code, x)}};
  return p;
}

Program Binary(Code code, DType dtype, Stride x_stride, Stride y_stride) {
  Program p{.inner = {x_stride, y_stride}};
  p.body.operands = {dtype, dtype};
  Builder b(&p.body);
  const auto x = b.Load(0), y = b.Load(1);
  p.body.outputs = {{b.Binary(code, x, y)}};
  return p;
}

Program Reduction(Axis axis, Reduce reduce, DType dtype) {
  Program p{.inner = {Stride::kUnit}};
  p.body.axis = axis;
  p.body.operands = {dtype};
  p.body.varies = {true};
  Builder b(&p.body);
  const auto x = b.Load(0);
  p.body.outputs = {{b.Reduction(reduce, x)}};
  return p;
}

// The kernel gives what the interpreter gives, on memory that ends where the data does.
void ExpectInterpreted(const Program& p, KernelFn fn, int64_t rows, int64_t inner, uint64_t seed) {
  Rng rng(seed);
  KernelRun run(p, rows, inner, rng);
  run.Interpret();
  const auto expected = run.TakeOutputs();
  run.Run(fn);
  const auto found = run.TakeOutputs();
  for (size_t k = 0; k < expected.size(); ++k) {
    const DType dtype = p.body.instrs[p.body.outputs[k].value].dtype;
    const std::string difference =
        FirstDifference(dtype, expected[k], found[k], p.body.axis == Axis::kNone);
    EXPECT_EQ(difference, "") << "output " << k << " of " << rows << "x" << inner << ", seed "
                              << seed << "\n"
                              << ToString(p);
  }
}

TEST(EmitterTest, EveryExactInstructionIsTheInterpreters) {
  std::vector<Program> programs;
  for (DType t : {kFloat32, kFloat64, kInt32, kInt64, kUInt8, kBool}) {
    for (Stride s : {Stride::kUnit, Stride::kAny}) {
      for (DType to : {kFloat32, kFloat64, kInt32, kInt64, kUInt8, kBool}) {
        if (to != t) programs.push_back(Unary(Code::kCast, t, to, s));
      }
    }
    for (int c = static_cast<int>(Code::kNeg); c <= static_cast<int>(Code::kNot); ++c) {
      const Code code = static_cast<Code>(c);
      if (code >= Code::kRsqrt && code <= Code::kSigmoid) continue;
      Program p = Unary(code, t, t);
      if (Verify(p).ok()) programs.push_back(p);
    }
    for (int c = static_cast<int>(Code::kAdd); c <= static_cast<int>(Code::kOr); ++c) {
      const Code code = static_cast<Code>(c);
      if (code == Code::kPow && IsFloating(t)) continue;
      Program p = Binary(code, t, Stride::kUnit, Stride::kUnit);
      if (!Verify(p).ok()) continue;
      programs.push_back(p);
      programs.push_back(Binary(code, t, Stride::kZero, Stride::kUnit));
    }
  }
  for (JitOptions::Level level : kLevels) {
    const std::vector<KernelFn> fns = Compile(programs, level);
    for (size_t i = 0; i < programs.size(); ++i) {
      for (int64_t inner : {0, 1, 3, 16, 31, 100, 1000}) {
        ExpectInterpreted(programs[i], fns[i], 1, inner, i);
        ExpectInterpreted(programs[i], fns[i], 3, inner, i + 1);
      }
    }
  }
}

TEST(EmitterTest, RandomProgramsAreTheInterpreters) {
  constexpr int kPrograms = 240, kBatch = 60;
  constexpr int64_t kSizes[] = {0, 1, 2, 5, 15, 16, 17, 33, 40, 63, 64, 65, 100};
  for (int first = 0; first < kPrograms; first += kBatch) {
    std::vector<Program> programs;
    for (int i = first; i < first + kBatch; ++i) programs.push_back(RandomProgram(i).Make());
    for (JitOptions::Level level : kLevels) {
      const std::vector<KernelFn> fns = Compile(programs, level);
      for (int i = 0; i < kBatch; ++i) {
        Rng rng(first + i);
        for (int n = 0; n < 6; ++n) {
          const int64_t rows = kSizes[Pick(rng, std::size(kSizes))];
          const int64_t inner = kSizes[Pick(rng, std::size(kSizes))];
          ExpectInterpreted(programs[i], fns[i], rows, inner, first + i);
        }
      }
      if (HasFailure()) return;
    }
  }
}

TEST(EmitterTest, ReductionsOverLongLoopsAreTheInterpreters) {
  for (Axis axis : {Axis::kInner, Axis::kRows}) {
    for (DType t : {kInt32, kInt64, kUInt8}) {
      for (Reduce r : {Reduce::kSum, Reduce::kProd, Reduce::kMax, Reduce::kMin}) {
        const Program p = Reduction(axis, r, t);
        const KernelFn fn = CompileOne(p);
        for (int64_t n : {255, 256, 257, 4095, 4096, 4097, 9000}) {
          const bool inner = axis == Axis::kInner;
          ExpectInterpreted(p, fn, inner ? 2 : n, inner ? n : 5, n);
        }
      }
    }
  }
}

// The order that core/loop/program.h promises, written out.
float SumInOrder(const float* x, int64_t n) {
  float running[16] = {};
  for (int64_t block = 0; block < n; block += 4096) {
    float lanes[16] = {};
    for (int64_t i = block; i < std::min(block + 4096, n); ++i) lanes[i % 16] += x[i];
    for (int l = 0; l < 16; ++l) running[l] += lanes[l];
  }
  for (int half = 8; half >= 1; half /= 2) {
    for (int l = 0; l < half; ++l) running[l] += running[l + half];
  }
  return running[0];
}

TEST(EmitterTest, SumsOverInnerHaveTheirOrder) {
  const Program p = Reduction(Axis::kInner, Reduce::kSum, kFloat32);
  Rng rng(1);
  std::vector<float> x(10000);
  for (float& v : x) v = static_cast<float>(Pick(rng, 1000003)) * 1e-3f;
  for (JitOptions::Level level : kLevels) {
    const KernelFn fn = CompileOne(p, level);
    for (int64_t n : {0, 1, 7, 16, 100, 4095, 4096, 4097, 8192, 10000}) {
      float sum = -1;
      void* pointers[] = {x.data(), &sum};
      const int64_t rows[] = {0, 0}, inner[] = {4, 0};
      const loop::KernelArgs args{1, n, 0, pointers, rows, inner};
      fn(&args);
      EXPECT_EQ(sum, SumInOrder(x.data(), n)) << n;
    }
  }
}

TEST(EmitterTest, SumsOverRowsHaveTheirOrder) {
  const Program p = Reduction(Axis::kRows, Reduce::kSum, kFloat32);
  Rng rng(2);
  constexpr int64_t kRows = 700, kInner = 150;
  std::vector<float> x(kRows * kInner);
  for (float& v : x) v = static_cast<float>(Pick(rng, 1000003)) * 1e-3f;
  for (JitOptions::Level level : kLevels) {
    std::vector<float> sum(kInner, -1);
    void* pointers[] = {x.data(), sum.data()};
    const int64_t rows[] = {kInner * 4, 0}, inner[] = {4, 4};
    const loop::KernelArgs args{kRows, kInner, 0, pointers, rows, inner};
    CompileOne(p, level)(&args);
    for (int64_t j = 0; j < kInner; ++j) {
      float running = 0;
      for (int64_t block = 0; block < kRows; block += 256) {
        float total = 0;
        for (int64_t i = block; i < std::min<int64_t>(block + 256, kRows); ++i) {
          total += x[i * kInner + j];
        }
        running += total;
      }
      ASSERT_EQ(sum[j], running) << j;
    }
  }
}

TEST(EmitterTest, MathIsWithinTwoUlpOfTheInterpreter) {
  for (Code code : {Code::kExp, Code::kLog, Code::kLog1p, Code::kTanh, Code::kSigmoid, Code::kRsqrt,
                    Code::kSqrt}) {
    const Program p = Unary(code, kFloat32, kFloat32);
    Rng rng(3);
    KernelRun run(p, 1, 5001, rng);
    run.Interpret();
    const std::string expected = run.TakeOutputs()[0];
    run.Run(CompileOne(p));
    const std::string found = run.TakeOutputs()[0];
    for (size_t i = 0; i < expected.size(); i += 4) {
      float e, f;
      std::memcpy(&e, &expected[i], 4);
      std::memcpy(&f, &found[i], 4);
      if (std::isnan(e) || std::isinf(e)) {
        EXPECT_TRUE(std::isnan(e) ? std::isnan(f) : e == f) << CodeName(code) << " " << i / 4;
        continue;
      }
      const float ulp = std::nextafter(std::abs(e), INFINITY) - std::abs(e);
      EXPECT_LE(std::abs(f - e), 2 * ulp) << CodeName(code) << " " << i / 4;
    }
  }
}

// softmax: reductions in two phases, then points.
Program Softmax() {
  Program p{.inner = {Stride::kUnit}};
  p.body.axis = Axis::kInner;
  p.body.operands = {kFloat32};
  p.body.varies = {true};
  Builder b(&p.body);
  const auto x = b.Load(0);
  const auto e = b.Unary(Code::kExp, b.Binary(Code::kSub, x, b.Reduction(Reduce::kMax, x)));
  const auto sum = b.Reduction(Reduce::kSum, e);
  p.body.outputs = {{b.Binary(Code::kDiv, e, sum)}, {b.Unary(Code::kLog, sum)}};
  return p;
}

TEST(EmitterTest, SoftmaxInOneKernel) {
  const Program p = Softmax();
  for (JitOptions::Level level : kLevels) {
    const KernelFn fn = CompileOne(p, level);
    for (int64_t n : {1, 10, 16, 50, 5000}) {
      std::vector<float> x(2 * n), y(2 * n), log_sum(2);
      for (int64_t i = 0; i < 2 * n; ++i) x[i] = std::sin(static_cast<float>(i)) * 10;
      void* pointers[] = {x.data(), y.data(), log_sum.data()};
      const int64_t rows[] = {n * 4, n * 4, 4}, inner[] = {4, 4, 0};
      const loop::KernelArgs args{2, n, 0, pointers, rows, inner};
      fn(&args);
      for (int64_t r = 0; r < 2; ++r) {
        double max = -INFINITY, sum = 0;
        for (int64_t i = 0; i < n; ++i) max = std::max<double>(max, x[r * n + i]);
        for (int64_t i = 0; i < n; ++i) sum += std::exp(x[r * n + i] - max);
        EXPECT_NEAR(log_sum[r], std::log(sum), 1e-5);
        for (int64_t i = 0; i < n; ++i) {
          ASSERT_NEAR(y[r * n + i], std::exp(x[r * n + i] - max) / sum, 1e-6) << n << " " << i;
        }
      }
    }
  }
}

// Mathematical functions included: the same bits whatever the vector width.
TEST(EmitterTest, BitsDoNotDependOnTheInstructionSet) {
  const Program p = Softmax();
  std::vector<std::vector<std::string>> results;
  for (JitOptions::Level level : kLevels) {
    Rng rng(4);
    KernelRun run(p, 7, 103, rng);
    run.Run(CompileOne(p, level));
    results.push_back(run.TakeOutputs());
  }
  EXPECT_EQ(results[0], results[1]);
  EXPECT_EQ(results[1], results[2]);
}

// A launch in one go and unit by unit.
TEST(EmitterTest, BitsDoNotDependOnTheSplit) {
  struct Case {
    Program program;
    Shape space;
    std::vector<Shape> operands;
    int reduce_begin, reduce_end;
  };
  Program tanh_add = Binary(Code::kAdd, kFloat32, Stride::kUnit, Stride::kUnit);
  Builder b(&tanh_add.body);
  tanh_add.body.outputs = {{b.Unary(Code::kTanh, 2)}};
  const std::vector<Case> cases = {
      {tanh_add, {1000}, {{1000}, {1000}}, 0, 0},
      {tanh_add, {7, 5, 33}, {{7, 5, 33}, {33}}, 0, 0},
      {tanh_add, {7, 5, 33}, {{7, 1, 33}, {5, 1}}, 0, 0},
      {Softmax(), {3, 4, 50}, {{3, 4, 50}}, 2, 3},
      {Reduction(Axis::kRows, Reduce::kSum, kFloat32), {3, 600, 70}, {{3, 600, 70}}, 1, 2},
  };
  for (const Case& c : cases) {
    const loop::Space space{c.space, c.reduce_begin, c.reduce_end};
    std::vector<loop::Strides> in, out;
    std::vector<std::vector<float>> buffers;
    Rng rng(5);
    for (const Shape& s : c.operands) {
      in.push_back(loop::BroadcastStrides(s, c.space));
      buffers.emplace_back(s.num_elements());
      for (float& v : buffers.back()) v = static_cast<float>(Pick(rng, 2001) - 1000) * 1e-3f;
    }
    const std::vector<bool> reduced = ReducedLevel(c.program.body);
    for (const loop::Output& o : c.program.body.outputs) {
      Shape s = c.space;
      for (int d = c.reduce_begin; d < c.reduce_end && reduced[o.value]; ++d) s.set_dim(d, 1);
      out.push_back(loop::BroadcastStrides(s, c.space));
      buffers.emplace_back(s.num_elements(), -1.0f);
    }
    Program program;
    loop::Launch launch;
    ASSERT_TRUE(PlanLaunch(c.program.body, space, in, out, &program, &launch).ok());
    const KernelFn fn = CompileOne(program);
    std::vector<void*> pointers;
    for (auto& v : buffers) pointers.push_back(v.data());
    const Axis axis = program.body.axis;
    const int64_t units = NumUnits(axis, launch);
    RunUnits(fn, axis, launch, pointers, 0, units);
    const auto whole = buffers;
    for (int64_t step : {1, 3}) {
      for (size_t k = c.operands.size(); k < buffers.size(); ++k) {
        std::fill(buffers[k].begin(), buffers[k].end(), -1.0f);
      }
      for (int64_t u = 0; u < units; u += step) {
        RunUnits(fn, axis, launch, pointers, u, std::min(u + step, units));
      }
      EXPECT_EQ(buffers, whole) << ToString(program) << step;
    }
  }
}

TEST(EmitterTest, IndexCountsFromTheBase) {
  Program p;
  Builder b(&p.body);
  p.body.outputs = {{b.IndexInner()}};
  std::vector<int64_t> out(100, -1);
  loop::Launch launch{.inner = 100, .layouts = {{.inner = 8}}};
  void* pointers[] = {out.data()};
  const KernelFn fn = CompileOne(p);
  RunUnits(fn, Axis::kNone, launch, pointers, 0, 2);
  RunUnits(fn, Axis::kNone, launch, pointers, 2, 7);
  for (int64_t i = 0; i < 100; ++i) EXPECT_EQ(out[i], i);
}

TEST(EmitterTest, EmptyReductionsGiveTheIdentity) {
  for (Axis axis : {Axis::kInner, Axis::kRows}) {
    float out[3] = {7, 7, 7};
    float none = 0;
    void* pointers[] = {&none, out};
    const int64_t rows[] = {0, 4}, inner[] = {4, 4};
    const bool is_inner = axis == Axis::kInner;
    const loop::KernelArgs args{is_inner ? 3 : 0, is_inner ? 0 : 3, 0, pointers, rows, inner};
    CompileOne(Reduction(axis, Reduce::kMax, kFloat32))(&args);
    for (float v : out) EXPECT_EQ(v, -INFINITY);
  }
}

TEST(EmitterTest, FastMathContracts) {
  Program p{.inner = {Stride::kUnit, Stride::kUnit, Stride::kUnit}};
  p.body.operands = {kFloat32, kFloat32, kFloat32};
  Builder b(&p.body);
  const auto product = b.Binary(Code::kMul, b.Load(0), b.Load(1));
  p.body.outputs = {{b.Binary(Code::kSub, product, b.Load(2))}};
  float x = 1 + 0x1p-12f, y = x, z = x * y, exact = -1, fast = -1;
  const int64_t strides[] = {0, 0, 0, 0};
  void* to_exact[] = {&x, &y, &z, &exact};
  void* to_fast[] = {&x, &y, &z, &fast};
  const loop::KernelArgs exact_args{1, 1, 0, to_exact, strides, strides};
  const loop::KernelArgs fast_args{1, 1, 0, to_fast, strides, strides};
  CompileOne(p)(&exact_args);
  CompileOne(p, JitOptions::Level::kHost, true)(&fast_args);
  EXPECT_EQ(exact, 0.0f);
  if (Engine(JitOptions::Level::kHost).vector_bytes() >= 32) {
    EXPECT_EQ(fast, std::fma(x, y, -z));
  }
}

TEST(EmitterTest, ComputedNansAreTheQuietOne) {
  // inf - inf gives the negative NaN on x86; NaN operands of either sign keep their payload there.
  const auto nan = [](uint32_t bits) { return std::bit_cast<float>(bits); };
  std::vector<float> x = {INFINITY, nan(0xffc00123), 1, nan(0x7fc00001)};
  std::vector<float> y = {INFINITY, 2, nan(0xffc00000), nan(0xffc00002)};
  x.resize(37, INFINITY);
  y.resize(37, INFINITY);
  std::vector<float> out(37, 0);
  Program p{.inner = {Stride::kUnit, Stride::kUnit}};
  p.body.operands = {kFloat32, kFloat32};
  Builder b(&p.body);
  const auto left = b.Load(0), right = b.Load(1);
  p.body.outputs = {{b.Binary(Code::kSub, left, right)}};
  const int64_t strides[] = {0, 0, 0};
  void* pointers[] = {x.data(), y.data(), out.data()};
  const loop::KernelArgs args{1, 37, 0, pointers, strides, strides};
  CompileOne(p)(&args);
  for (float v : out) EXPECT_EQ(std::bit_cast<uint32_t>(v), 0x7fc00000u);
  // What is only moved keeps its bits.
  p.body.outputs = {{left}};
  CompileOne(p)(&args);
  EXPECT_EQ(std::bit_cast<uint32_t>(out[1]), 0xffc00123u);
}

TEST(EmitterTest, RefusesWhatDoesNotVerify) {
  Program p = Unary(Code::kExp, kInt32, kInt32);
  const auto object =
      CompileKernels(Engine(JitOptions::Level::kHost), std::vector<KernelSource>{{&p, "k", false}});
  EXPECT_EQ(object.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(object.status().message()), testing::HasSubstr("exp"));
}

}  // namespace
}  // namespace duet::compiler::llvm_backend
