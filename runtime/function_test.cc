#include "runtime/function.h"

#include <functional>
#include <source_location>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

#include "duet.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace duet {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(FunctionTest, RecordsOncePerSignature) {
  int calls = 0;
  Function f([&](const Tensor& x, const Tensor& y) {
    ++calls;
    return Sum(x * y);
  });
  EXPECT_EQ(f(Constant({1.0f, 2.0f}), Constant({3.0f, 4.0f})).Item<float>(), 11);
  EXPECT_EQ(f(Constant({1.0f, 1.0f}), Constant({3.0f, 4.0f})).Item<float>(), 7);
  EXPECT_EQ(calls, 1);
  EXPECT_EQ(f.trace_count(), 1);
  EXPECT_EQ(f(Constant({1.0f}), Constant({3.0f})).Item<float>(), 3);
  EXPECT_EQ(f(Constant({1, 2}), Constant({3, 4})).Item<int32_t>(), 11);
  EXPECT_EQ(f(Constant({5.0f, 5.0f}), Constant({1.0f, 1.0f})).Item<float>(), 10);
  EXPECT_EQ(calls, 3);
  EXPECT_EQ(f.trace_count(), 3);
}

TEST(FunctionTest, TakesVariablesAndNumbers) {
  Variable v(Constant({1.0f, 2.0f}), "v");
  Function f([](const Tensor& x, const Tensor& y) { return x * y; });
  EXPECT_THAT(f(v, 3.0f).ToVector<float>(), ElementsAre(3, 6));
}

TEST(FunctionTest, GivesWhatTheCallableReturns) {
  Function several([](const Tensor& x) { return std::vector<Tensor>{x + 1.0f, x * 2.0f, x}; });
  const std::vector<Tensor> out = several(Constant(5.0f));
  ASSERT_EQ(out.size(), 3u);
  EXPECT_EQ(out[0].Item<float>(), 6);
  EXPECT_EQ(out[1].Item<float>(), 10);
  EXPECT_EQ(out[2].Item<float>(), 5);
  Function none([] { return Constant(3.0f) + 1.0f; });
  EXPECT_EQ(none().Item<float>(), 4);
  const Tensor outside = Constant(9.0f);
  Function captured([&](const Tensor&) { return outside; });
  EXPECT_EQ(captured(Constant(1.0f)).Item<float>(), 9);
}

TEST(FunctionTest, UpdatesVariablesInOrder) {
  Variable v(Constant(1.0f), "v");
  Function step([&](const Tensor& x) {
    const Tensor before = v.Read();
    v.Assign(before * 2.0f);
    v.AssignAdd(x);
    return v.Read() - before;
  });
  EXPECT_EQ(step(Constant(10.0f)).Item<float>(), 11);
  EXPECT_EQ(v.Read().Item<float>(), 12);
  EXPECT_EQ(step(Constant(10.0f)).Item<float>(), 22);
  EXPECT_EQ(v.Read().Item<float>(), 34);
  Function only_effect([&](const Tensor& x) { v.AssignSub(x); });
  only_effect(Constant(4.0f));
  EXPECT_EQ(v.Read().Item<float>(), 30);
  EXPECT_EQ(step.trace_count(), 1);
}

TEST(FunctionTest, TrainsAsEagerDoesBitForBit) {
  const Tensor x = RandomUniform({20, 8}, kFloat32, 1), t = RandomUniform({20, 3}, kFloat32, 2);
  const auto train = [&](bool traced) {
    Variable w(RandomNormal({8, 3}, kFloat32, 3), "w"), b(Zeros({3}), "b");
    const auto body = [&](const Tensor& in, const Tensor& target) {
      GradientTape tape;
      const Tensor loss = Mean(Square(Tanh(MatMul(in, w) + b) - target));
      const std::vector<Tensor> g = tape.Gradient(loss, {w, b});
      w.AssignSub(g[0] * 0.5f);
      b.AssignSub(g[1] * 0.5f);
      return loss;
    };
    Function step(body);
    std::vector<float> history;
    for (int i = 0; i < 20; ++i) {
      history.push_back((traced ? step(x, t) : body(x, t)).Item<float>());
    }
    for (float f : w.Read().ToVector<float>()) history.push_back(f);
    for (float f : b.Read().ToVector<float>()) history.push_back(f);
    return history;
  };
  const std::vector<float> eager = train(false);
  EXPECT_LT(eager[19], eager[0]);
  EXPECT_EQ(train(true), eager);
}

TEST(FunctionTest, GradientsFlowThroughACall) {
  Function f([](const Tensor& x) { return x * x * x; });
  const Tensor x = Constant(2.0f);
  GradientTape tape;
  tape.Watch(x);
  const Tensor y = f(x);
  EXPECT_EQ(tape.Gradient(y, x).Item<float>(), 12);
}

TEST(FunctionTest, InsideAnotherItIsRecordedInline) {
  Function inner([](const Tensor& x) { return x + 1.0f; });
  Function outer([&](const Tensor& x) { return inner(inner(x)) * 2.0f; });
  EXPECT_EQ(outer(Constant(1.0f)).Item<float>(), 6);
  EXPECT_EQ(inner.trace_count(), 0);
  EXPECT_EQ(outer.trace_count(), 1);
}

TEST(FunctionTest, ConcreteGivesTheGraph) {
  Function f([](const Tensor& x, const Tensor& y) { return std::vector<Tensor>{Tanh(x), x * y}; });
  const Graph graph =
      f.Concrete({TensorSpec(kFloat32, {-1, 2}, "features"), TensorSpec(kFloat32, {})});
  EXPECT_GE(graph.Find("features"), 0);
  EXPECT_GE(graph.Find("arg1"), 0);
  Session session(graph);
  auto out = session.Run({{"features", Constant({{1.0f, 2.0f}})}, {"arg1", Constant(3.0f)}},
                         {"result1", "result0:0"});
  ASSERT_TRUE(out.ok()) << out.status();
  EXPECT_THAT((*out)[0].ToVector<float>(), ElementsAre(3, 6));
  EXPECT_THROW(f.Concrete({TensorSpec(kFloat32, {})}), Error);
}

TEST(FunctionTest, ExplainsWhyItWasTracedAgain) {
  Function f([](const Tensor& x) { return Exp(x) + 1.0f; });
  f(Ones({2, 3}));
  f(Ones({4, 3}));
  const uint32_t line = std::source_location::current().line() - 1;
  const std::string text = f.Explain();
  EXPECT_THAT(text, HasSubstr("2 traces"));
  EXPECT_THAT(text, HasSubstr("first call"));
  EXPECT_THAT(text, HasSubstr("arg0 changed from float32[2,3] to float32[4,3]"));
  EXPECT_THAT(text, HasSubstr("function_test.cc:" + std::to_string(line)));
  EXPECT_THAT(text, HasSubstr("pass fusion"));
  EXPECT_THAT(text, HasSubstr("kernels in the plan: 1"));
  EXPECT_THAT(text, HasSubstr("    Exp, Add (runtime/function_test.cc:" + std::to_string(line - 2) +
                              ")\n"));
}

// ---- Errors
// ---------------------------------------------------------------------------------------

TEST(FunctionErrorTest, AMistakeInsideHasItsOwnLine) {
  uint32_t line = 0;
  Function f([&](const Tensor& x) {
    line = std::source_location::current().line() + 1;
    return MatMul(x, Ones({5, 5}));
  });
  try {
    f(Ones({2, 3}));
    FAIL() << "no error";
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(e.what(), HasSubstr("function_test.cc:" + std::to_string(line)));
    EXPECT_THAT(e.what(), HasSubstr("MatMul"));
  }
  EXPECT_EQ(f(Ones({2, 5})).shape(), Shape({2, 5}));
  EXPECT_EQ(f.trace_count(), 1);
}

TEST(FunctionErrorTest, AFailureOfThePlanHasItsOwnLine) {
  uint32_t line = 0;
  Function f([&](const Tensor& x) {
    line = std::source_location::current().line() + 1;
    return FloorDiv(Constant(7), x);
  });
  EXPECT_EQ(f(Constant(2)).Item<int32_t>(), 3);
  try {
    f(Constant(0));
    FAIL() << "no error";
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(e.what(), HasSubstr("function_test.cc:" + std::to_string(line)));
  }
  EXPECT_EQ(f(Constant(7)).Item<int32_t>(), 1);
}

TEST(FunctionErrorTest, TheUsersOwnExceptionPassesThrough) {
  bool fail = true;
  Function f([&](const Tensor& x) {
    if (fail) throw std::runtime_error("mine");
    return x + 1.0f;
  });
  EXPECT_THROW(f(Constant(1.0f)), std::runtime_error);
  fail = false;
  EXPECT_EQ(f(Constant(1.0f)).Item<float>(), 2);
}

TEST(FunctionErrorTest, HostControlFlowOnARecordedValue) {
  Function f([](const Tensor& x) { return x > 0.0f ? x : -x; });
  try {
    f(Constant(1.0f));
    FAIL() << "no error";
  } catch (const Error& e) {
    EXPECT_THAT(e.what(), HasSubstr("Select"));
  }
}

TEST(FunctionErrorTest, UndefinedArgumentsAndResults) {
  Function f([](const Tensor& x) { return x + 1.0f; });
  EXPECT_THROW(f(Tensor()), Error);
  Function g([](const Tensor&) { return Tensor(); });
  EXPECT_THROW(g(Constant(1.0f)), Error);
}

TEST(FunctionErrorTest, AConditionNamesTheLineThatRecordedIt) {
  const uint32_t line = std::source_location::current().line() + 1;
  Function f([](const Tensor& x) { return x > 0.0f ? x : -x; });
  try {
    f(Constant(1.0f));
    FAIL() << "no error";
  } catch (const Error& e) {
    EXPECT_EQ(e.location().line, line) << e.what();
    EXPECT_THAT(e.location().file, HasSubstr("function_test.cc"));
  }
}

TEST(FunctionErrorTest, RecursionWithAnEndIsRecordedAndOneWithoutIsRefused) {
  std::function<Tensor(const Tensor&)> again;
  Function f([&](const Tensor& x) { return again(x); });
  Function g([&](const Tensor& x) { return f(x); });
  again = [&](const Tensor& x) { return g(x); };
  try {
    f(Constant(1.0f));
    FAIL() << "no error";
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), absl::StatusCode::kFailedPrecondition);
    EXPECT_THAT(e.what(), HasSubstr("Functions call each other"));
  }
  // The same under a tape, where the callables run at once.
  GradientTape tape;
  EXPECT_THROW(f(Constant(1.0f)), Error);
  again = [&](const Tensor& x) { return x.num_elements() > 1 ? g(Slice(x, {1}, {-1})) : x; };
  EXPECT_EQ(f(Range(100)).Item<int32_t>(), 99);
}

TEST(FunctionTest, PrintsAVariableAsItsValue) {
  const Variable v(Constant({1, 2}), "v");
  std::ostringstream out;
  out << v;
  EXPECT_EQ(out.str(), "Tensor([1 2], shape=(2,), dtype=int32)");
}

TEST(FunctionTest, RefusesItsOwnGraphWhileItIsRecorded) {
  std::function<Tensor(const Tensor&)> body;
  Function f([&](const Tensor& x) { return body(x); });
  body = [&](const Tensor& x) {
    (void)f.Concrete({TensorSpec(kFloat32, {2})});
    return x;
  };
  try {
    (void)f(Ones({2}));
    ADD_FAILURE() << "no error";
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), absl::StatusCode::kFailedPrecondition);
  }
  body = [](const Tensor& x) { return x + 1.0f; };
  EXPECT_EQ(f(Ones({2})).ToVector<float>(), (std::vector<float>{2, 2}));
}

}  // namespace
}  // namespace duet
