#include "graph/gradients.h"

#include <cmath>

#include "core/ops/ops.h"
#include "gmock/gmock.h"
#include "graph/reference.h"
#include "gtest/gtest.h"

namespace duet {
namespace {

using ::testing::HasSubstr;

// d sum(y) / dx of the graph in `text` at `x`, by AddGradients and by central differences.
void ExpectGradient(const std::string& text, const Tensor& x) {
  auto g = Graph::FromText(text);
  ASSERT_TRUE(g.ok()) << g.status();
  const NodeOutput xo = *g->FindOutput("x"), yo = *g->FindOutput("y");
  auto grads = AddGradients(&*g, {yo}, {xo});
  ASSERT_TRUE(grads.ok()) << grads.status();
  auto out = ReferenceRun(*g, {{xo, x}}, {(*grads)[0]});
  ASSERT_TRUE(out.ok()) << out.status();
  ASSERT_EQ((*out)[0].shape(), x.shape());
  const std::vector<double> found = (*out)[0].ToVector<double>();
  const auto sum_at = [&](size_t i, double step) {
    std::vector<double> moved = x.ToVector<double>();
    moved[i] += step;
    auto y = ReferenceRun(*g, {{xo, Constant(moved, x.shape())}}, {yo});
    EXPECT_TRUE(y.ok()) << y.status();
    double sum = 0;
    for (double v : (*y)[0].data<double>()) sum += v;
    return sum;
  };
  constexpr double kStep = 1e-5;
  for (size_t i = 0; i < found.size(); ++i) {
    const double numeric = (sum_at(i, kStep) - sum_at(i, -kStep)) / (2 * kStep);
    EXPECT_NEAR(found[i], numeric, 1e-6 * std::max(1.0, std::abs(numeric))) << text << " at " << i;
  }
}

const char kX[] = "x = Placeholder() {dtype=float64, shape=shape[?,3]}\n";

TEST(AddGradients, AgreesWithDifferences) {
  const Tensor x = Constant(std::vector<double>{0.5, -1, 2, 0.25, 1.5, -0.75}, {2, 3});
  const std::string row = "row = Const() {value=float64[3]{1, -2, 3}}\n";
  ExpectGradient(std::string(kX) + "y = Tanh(x)", x);
  ExpectGradient(kX + row + "a = Mul(x, row)\ny = Mul(a, x)", x);
  ExpectGradient(kX + row +
                     "axes = Const() {value=int32[1]{1}}\nm = Mul(x, row)\n"
                     "s = Sum(m, axes)\ny = Exp(s)",
                 x);
  ExpectGradient(std::string(kX) + "m = MatMul(x, x) {transpose_b=true}\ny = Square(m)", x);
}

TEST(AddGradients, OfACompositeIsThatOfItsBody) {
  const Tensor x = Constant(std::vector<double>{0.5, -1, 2, 0.25, 1.5, -0.75}, {2, 3});
  ExpectGradient(std::string(kX) +
                     "row = Const() {value=float64[3]{1, -2, 3}}\ns = Softmax(x)\n"
                     "y = Mul(s, row)",
                 x);
}

TEST(AddGradients, TwiceIsASecondDerivative) {
  auto g = Graph::FromText(
      "x = Placeholder() {dtype=float64, shape=shape[2]}\ns = Square(x)\ny = Mul(s, x)\n");
  ASSERT_TRUE(g.ok());
  const NodeOutput x{0, 0};
  const auto first = AddGradients(&*g, {{2, 0}}, {x});
  ASSERT_TRUE(first.ok()) << first.status();
  const auto second = AddGradients(&*g, *first, {x});
  ASSERT_TRUE(second.ok()) << second.status();
  auto out = ReferenceRun(*g, {{x, Constant(std::vector<double>{2, -3}, {2})}},
                          {(*first)[0], (*second)[0]});
  ASSERT_TRUE(out.ok()) << out.status();
  EXPECT_EQ((*out)[0].ToVector<double>(), (std::vector<double>{12, 27}));
  EXPECT_EQ((*out)[1].ToVector<double>(), (std::vector<double>{12, -18}));
}

TEST(AddGradients, UnconnectedAndWrongOnes) {
  auto g = Graph::FromText(std::string(kX) +
                           "z = Placeholder() {dtype=float64, shape=shape[2]}\n"
                           "n = Placeholder() {dtype=int32, shape=shape[2]}\n"
                           "y = Tanh(x)\nstopped = StopGradient(y)\n");
  ASSERT_TRUE(g.ok());
  const auto at = [&](const char* name) { return *g->FindOutput(name); };
  const int before = g->size();
  auto none = AddGradients(&*g, {at("y")}, {at("z"), at("x")});
  ASSERT_TRUE(none.ok()) << none.status();
  EXPECT_EQ((*none)[0], NodeOutput{});
  EXPECT_GE((*none)[1].node, before);
  EXPECT_EQ((*AddGradients(&*g, {at("stopped")}, {at("x")}))[0], NodeOutput{});
  EXPECT_EQ(AddGradients(&*g, {at("y")}, {at("n")}).status().message(),
            "the gradient needs a floating source; \"n:0\" is int32");
  EXPECT_THAT(std::string(AddGradients(&*g, {at("n")}, {at("x")}).status().message()),
              HasSubstr("needs a floating target"));
  EXPECT_FALSE(AddGradients(&*g, {{999, 0}}, {at("x")}).ok());
}

}  // namespace
}  // namespace duet
