// The programs of TensorFlow's guide to eager execution, as far as their ops exist, in C++. Each
// runs now and recorded, with the same bits. The calls whose spelling is promised are here as
// promised.

#include <unistd.h>

#include <cmath>

#include "core/allocator.h"
#include "core/strings.h"
#include "duet.h"
#include "gtest/gtest.h"
#include "tests/op_cases.h"
#include "tests/test_environment.h"

namespace duet::testing {
namespace {

const OwnKernelCache own_cache;

void ExpectSameBits(const Tensor& a, const Tensor& b, const char* what) {
  std::string why;
  EXPECT_TRUE(SameBits(a, b, &why)) << what << ": " << why;
}

// ---- Spelled as promised ------------------------------------------------------------------------

TEST(GuideTest, LinesThatAreFixed) {
  const std::string folder = TempFolder() + "/";
  ASSERT_EQ(chdir(folder.c_str()), 0);
  const Tensor labels = Constant(std::vector<int32_t>(32, 3), {32});
  // clang-format off
  Tensor a = Constant({{1, 2}, {3, 4}}), b = Add(a, 1), c = a * b, s = Constant(std::vector<int64_t>{7, 8}, {2});
  Tensor u = RandomUniform({32, 64}, kFloat32, /*seed=*/3), n = RandomNormal({64, 10}, kFloat32, /*seed=*/4), o = Ones({2, 2});
  Tensor m = Mean(u), r = Sum(u, {1}, /*keep_dims=*/true), p = Softmax(MatMul(u, n)), t = Transpose(u, {1, 0});
  Tensor l = Mean(SparseSoftmaxCrossEntropyWithLogits(MatMul(u, n), labels));
  // clang-format on
  EXPECT_EQ(c.ToString(), "Tensor([[ 2  6]\n [12 20]], shape=(2, 2), dtype=int32)");
  EXPECT_EQ(b.ValueString(), "[[2 3]\n [4 5]]");
  EXPECT_EQ(s.dtype(), kInt64);
  EXPECT_EQ(s.ToVector<int64_t>(), (std::vector<int64_t>{7, 8}));
  EXPECT_EQ(o.ToVector<float>(), std::vector<float>(4, 1));
  EXPECT_GT(m.Item<float>(), 0.4f);
  EXPECT_LT(m.Item<float>(), 0.6f);
  EXPECT_EQ(r.shape(), Shape({32, 1}));
  EXPECT_EQ(p.shape(), Shape({32, 10}));
  EXPECT_EQ(t.shape(), Shape({64, 32}));
  EXPECT_EQ(t.data<float>()[1], u.data<float>()[64]);
  EXPECT_EQ(l.rank(), 0);
  {
    Tensor g = Ones({64, 10});
    // clang-format off
    Variable w(n, "w"); w.AssignSub(g * 0.01f); Tensor now = w.Read();
    // clang-format on
    EXPECT_EQ(now.data<float>()[0], n.data<float>()[0] - 1 * 0.01f);
    GradientTape outer;
    {
      // clang-format off
      GradientTape tape; tape.Watch(u); Tensor l = Mean(SparseSoftmaxCrossEntropyWithLogits(MatMul(u, w), labels));
      Tensor g = tape.Gradient(l, w);
      // clang-format on
      EXPECT_EQ(g.shape(), Shape({64, 10}));
    }
    {
      GradientTape tape;
      tape.Watch(u);
      Tensor l = Mean(SparseSoftmaxCrossEntropyWithLogits(MatMul(u, w), labels));
      std::vector<Tensor> gs = tape.Gradient(l, {w, u});
      ASSERT_EQ(gs.size(), 2);
      EXPECT_EQ(gs[1].shape(), u.shape());
    }
    GradientTape many(GradientTape::kPersistent);
    many.Watch(u);
    const Tensor y = Sum(Square(u));
    ExpectSameBits(many.Gradient(y, u), many.Gradient(y, u), "a persistent tape");
  }
  // clang-format off
  Function f([&](const Tensor& x, const Tensor& y) { return Sum(x * y); }); Tensor z = f(u, u); int64_t traces = f.trace_count();
  Graph graph; Tensor x, y; { GraphScope scope(graph); x = Placeholder(kFloat32, {-1, 64}, "x"); y = Identity(Tanh(x)); }   // y.name() is "Identity:0"
  SessionOptions options; options.num_threads = 1; options.disabled_passes = {"cse", "constant_folding", "simplify", "fusion"};
  Session session(graph, options); absl::StatusOr<std::vector<Tensor>> out = session.Run({{x, u}}, {y}); out = session.Run({{"x", u}}, {"Identity:0"});
  int64_t compiled = session.stats().kernels_compiled; absl::Status saved = WriteGraph(graph, "g.pb"); absl::StatusOr<Graph> again = ReadGraph("g.pb"), parsed = Graph::FromText(graph.ToText());
  // clang-format on
  ExpectSameBits(z, Sum(u * u), "a Function");
  EXPECT_EQ(traces, 1);
  EXPECT_EQ(y.name(), "Identity:0");
  ASSERT_TRUE(out.ok()) << out.status();
  ExpectSameBits((*out)[0], Tanh(u), "a session");
  EXPECT_GE(compiled, 0);
  ASSERT_TRUE(saved.ok()) << saved;
  ASSERT_TRUE(again.ok()) << again.status();
  ASSERT_TRUE(parsed.ok()) << parsed.status();
  EXPECT_TRUE(SameGraph(*again, graph));
  EXPECT_TRUE(SameGraph(*parsed, graph));
}

// ---- Tensors ------------------------------------------------------------------------------------

TEST(GuideTest, TensorsAndBroadcasting) {
  const auto program = [](const Tensor& a) {
    const Tensor b = Add(a, 1), c = a * b;
    return std::vector<Tensor>{b,
                               c,
                               MatMul(Cast(a, kFloat32), Cast(a, kFloat32), false, true),
                               a + Constant({{10}, {20}}),
                               a % 2,
                               -a - 3};
  };
  const Tensor a = Constant({{1, 2}, {3, 4}});
  const std::vector<Tensor> now = program(a);
  EXPECT_EQ(now[0].ValueString(), "[[2 3]\n [4 5]]");
  EXPECT_EQ(now[1].ValueString(), "[[ 2  6]\n [12 20]]");
  EXPECT_EQ(now[2].ValueString(), "[[ 5. 11.]\n [11. 25.]]");
  EXPECT_EQ(now[3].ValueString(), "[[11 12]\n [23 24]]");
  EXPECT_EQ(now[4].ValueString(), "[[1 0]\n [1 0]]");
  EXPECT_EQ(now[5].ValueString(), "[[-4 -5]\n [-6 -7]]");
  Function f(program);
  const std::vector<Tensor> recorded = f(a);
  ASSERT_EQ(recorded.size(), now.size());
  for (size_t i = 0; i < now.size(); ++i) ExpectSameBits(now[i], recorded[i], "tensors");
}

// ---- Host control flow --------------------------------------------------------------------------

std::vector<std::string> FizzBuzz(const Tensor& max_num) {
  std::vector<std::string> lines;
  Tensor counter = Constant(0);
  for (Tensor num = Constant(1); num <= max_num; num = num + 1) {
    if (Equal(num % 3, 0) && Equal(num % 5, 0)) {
      lines.emplace_back("FizzBuzz");
    } else if (Equal(num % 3, 0)) {
      lines.emplace_back("Fizz");
    } else if (Equal(num % 5, 0)) {
      lines.emplace_back("Buzz");
    } else {
      lines.push_back(num.ValueString());
    }
    counter = counter + 1;
  }
  EXPECT_EQ(counter.Item<int32_t>(), max_num.Item<int32_t>());
  return lines;
}

TEST(GuideTest, FizzBuzz) {
  const std::vector<std::string> lines = FizzBuzz(Constant(15));
  EXPECT_EQ(lines,
            (std::vector<std::string>{"1", "2", "Fizz", "4", "Buzz", "Fizz", "7", "8", "Fizz",
                                      "Buzz", "11", "Fizz", "13", "14", "FizzBuzz"}));
  // Recorded, the same is said with values: 3 for Fizz, 5 for Buzz, 15 for both.
  Function f([](const Tensor& n) {
    return Select(Equal(n % 3, 0), 3, 1) * Select(Equal(n % 5, 0), 5, 1);
  });
  EXPECT_EQ(f(Range(1, 16)).ToVector<int32_t>(),
            (std::vector<int32_t>{1, 1, 3, 1, 5, 3, 1, 1, 3, 5, 1, 3, 1, 1, 15}));
}

// ---- Gradients ----------------------------------------------------------------------------------

TEST(GuideTest, GradientTape) {
  const auto program = [](const Tensor& w) {
    GradientTape tape;
    tape.Watch(w);
    const Tensor loss = w * w;
    return tape.Gradient(loss, w);
  };
  const Tensor w = Constant({{1.0}});
  EXPECT_EQ(program(w).ToString(), "Tensor([[2.]], shape=(1, 1), dtype=float32)");
  Function f(program);
  ExpectSameBits(program(w), f(w), "gradient");
}

TEST(GuideTest, HigherOrderGradients) {
  // x^3 at 3: 27, 27, 18, 6.
  const auto program = [](const Tensor& x) {
    GradientTape third, second, first;
    third.Watch(x);
    second.Watch(x);
    first.Watch(x);
    const Tensor y = x * x * x;
    const Tensor dy = first.Gradient(y, x);
    const Tensor d2y = second.Gradient(dy, x);
    return std::vector<Tensor>{y, dy, d2y, third.Gradient(d2y, x)};
  };
  const Tensor x = Constant(3.0);
  const std::vector<Tensor> now = program(x);
  const float expected[] = {27, 27, 18, 6};
  for (size_t i = 0; i < 4; ++i) EXPECT_EQ(now[i].Item<float>(), expected[i]) << i;
  Function f(program);
  const std::vector<Tensor> recorded = f(x);
  for (size_t i = 0; i < 4; ++i) ExpectSameBits(now[i], recorded[i], "higher order");
}

TEST(GuideTest, UnconnectedSourceGivesAnUndefinedTensor) {
  const Tensor x = Constant(3.0), z = Constant(2.0);
  GradientTape tape;
  tape.Watch(x);
  tape.Watch(z);
  const std::vector<Tensor> g = tape.Gradient(x * x, {x, z});
  EXPECT_EQ(g[0].Item<float>(), 6);
  EXPECT_FALSE(g[1].defined());
}

TEST(GuideTest, GradientThroughHostControlFlow) {
  // f(x, y): the product of x over 1 < i <= 5, i < y.
  const auto f = [](const Tensor& x, int y) {
    Tensor output = Constant(1.0);
    for (int i = 0; i < y; ++i) {
      if (i > 1 && i < 5) output = output * x;
    }
    return output;
  };
  const auto grad = [&](const Tensor& x, int y) {
    GradientTape tape;
    tape.Watch(x);
    return tape.Gradient(f(x, y), x);
  };
  const Tensor x = Constant(2.0);
  EXPECT_EQ(grad(x, 6).Item<float>(), 12);
  EXPECT_EQ(grad(x, 5).Item<float>(), 12);
  EXPECT_EQ(grad(x, 4).Item<float>(), 4);
  for (int y : {4, 5, 6}) {
    Function recorded([&](const Tensor& t) { return grad(t, y); });
    ExpectSameBits(grad(x, y), recorded(x), "host control flow");
  }
}

TEST(GuideTest, LogOnePlusExpNeedsAStableGradient) {
  const auto grad = [](const Tensor& x) {
    GradientTape tape;
    tape.Watch(x);
    return tape.Gradient(Log(Exp(x) + 1), x);
  };
  EXPECT_EQ(grad(Constant(0.0)).Item<float>(), 0.5f);
  EXPECT_TRUE(std::isnan(grad(Constant(100.0)).Item<float>()));
  const auto stable = [](const Tensor& x) {
    GradientTape tape;
    tape.Watch(x);
    return tape.Gradient(Maximum(x, 0) + Log1p(Exp(-Abs(x))), x);
  };
  EXPECT_EQ(stable(Constant(100.0)).Item<float>(), 1);
  Function f(grad);
  Function g(stable);
  ExpectSameBits(grad(Constant(0.0)), f(Constant(0.0)), "log1pexp");
  ExpectSameBits(stable(Constant(100.0)), g(Constant(100.0)), "stable log1pexp");
}

// ---- Training -----------------------------------------------------------------------------------

constexpr int64_t kExamples = 2000;

// y = 3 x + 2 with noise; the squared error of w x + b and its gradients.
struct Regression {
  Tensor x = RandomNormal({kExamples}, kFloat32, 21);
  Tensor y = x * 3 + 2 + RandomNormal({kExamples}, kFloat32, 22);
  Variable w{Constant(5.0), "weight"}, b{Constant(10.0), "bias"};
  Tensor Loss(const Tensor& inputs, const Tensor& targets) const {
    return Mean(Square(inputs * w + b - targets));
  }
};

TEST(GuideTest, LinearRegression) {
  const auto train = [](bool recorded) {
    Regression model;
    const auto step = [&](const Tensor& x, const Tensor& y) {
      GradientTape tape;
      const Tensor loss = model.Loss(x, y);
      const std::vector<Tensor> g = tape.Gradient(loss, {model.w, model.b});
      model.w.AssignSub(g[0] * 0.03f);
      model.b.AssignSub(g[1] * 0.03f);
      return loss;
    };
    Function f(step);
    std::vector<Tensor> history;
    for (int i = 0; i < 200; ++i) {
      history.push_back(recorded ? f(model.x, model.y) : step(model.x, model.y));
    }
    EXPECT_EQ(f.trace_count(), recorded ? 1 : 0);
    history.push_back(model.w.Read());
    history.push_back(model.b.Read());
    return history;
  };
  const std::vector<Tensor> now = train(false), recorded = train(true);
  ASSERT_EQ(now.size(), recorded.size());
  for (size_t i = 0; i < now.size(); ++i) ExpectSameBits(now[i], recorded[i], "training");
  EXPECT_GT(now[0].Item<float>(), 50);
  EXPECT_LT(now[199].Item<float>(), 1.2f);
  EXPECT_NEAR(now[200].Item<float>(), 3, 0.1);
  EXPECT_NEAR(now[201].Item<float>(), 2, 0.1);
}

TEST(GuideTest, MomentumStep) {
  const auto train = [](bool recorded) {
    const Tensor x = RandomUniform({64, 8}, kFloat32, 31);
    const Tensor labels = ArgMax(MatMul(x, RandomNormal({8, 3}, kFloat32, 32)), 1);
    Variable w(RandomNormal({8, 3}, kFloat32, 33), "w"), m(Zeros({8, 3}), "m");
    const auto step = [&](const Tensor& in, const Tensor& at) {
      GradientTape tape;
      const Tensor loss = Mean(SparseSoftmaxCrossEntropyWithLogits(MatMul(in, w), at));
      m.Assign(m * 0.9f + tape.Gradient(loss, w));
      w.AssignSub(m * 0.5f);
      return loss;
    };
    Function f(step);
    std::vector<Tensor> history;
    for (int i = 0; i < 60; ++i) history.push_back(recorded ? f(x, labels) : step(x, labels));
    history.push_back(w.Read());
    history.push_back(m.Read());
    return history;
  };
  const std::vector<Tensor> now = train(false), recorded = train(true);
  for (size_t i = 0; i < now.size(); ++i) ExpectSameBits(now[i], recorded[i], "momentum");
  EXPECT_LT(now[59].Item<float>(), now[0].Item<float>() / 2);
}

// ---- Variables ----------------------------------------------------------------------------------

TEST(GuideTest, StorageLivesAsLongAsTheLastHandle) {
  TrimMemory();
  const int64_t before = GetMemoryStats().in_use;
  {
    Variable v(Zeros({1000, 1000}), "v");
    EXPECT_GE(GetMemoryStats().in_use - before, 4'000'000);
    {
      const Variable copy = v;
      v = Variable(Zeros({1}), "small");
      EXPECT_GE(GetMemoryStats().in_use - before, 4'000'000);
      EXPECT_EQ(copy.shape(), Shape({1000, 1000}));
    }
    EXPECT_LT(GetMemoryStats().in_use - before, 100'000);
  }
  EXPECT_LE(GetMemoryStats().in_use, before);
}

TEST(GuideTest, AGraphKeepsTheVariablesItCaptured) {
  TrimMemory();
  const int64_t before = GetMemoryStats().in_use;
  {
    Graph graph;
    Tensor y;
    {
      const Variable v(Ones({500, 500}), "v");
      const GraphScope scope(graph);
      y = Sum(v * 2);
    }
    Session session(graph);
    const auto out = session.Run({}, {y});
    ASSERT_TRUE(out.ok()) << out.status();
    EXPECT_EQ((*out)[0].Item<float>(), 500'000);
    EXPECT_GE(GetMemoryStats().in_use - before, 1'000'000);
  }
  EXPECT_LT(GetMemoryStats().in_use - before, 100'000);
}

TEST(GuideTest, ReadsAndAssignmentsKeepTheirOrder) {
  const auto program = [](Variable* v) {
    const Tensor first = v->Read();
    v->AssignAdd(1);
    const Tensor second = *v * 10;
    v->Assign(second + first);
    return std::vector<Tensor>{first, second, v->Read()};
  };
  Variable eager(Constant(1), "v"), recorded(Constant(1), "v");
  Function f([&] { return program(&recorded); });
  for (int i = 0; i < 3; ++i) {
    const std::vector<Tensor> now = program(&eager), then = f();
    for (size_t k = 0; k < now.size(); ++k) ExpectSameBits(now[k], then[k], "assignments");
  }
  EXPECT_EQ(f.trace_count(), 1);
  EXPECT_EQ(eager.Read().Item<int32_t>(), recorded.Read().Item<int32_t>());
}

}  // namespace
}  // namespace duet::testing
