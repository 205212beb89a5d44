// Gradients of every differentiable op against finite differences in float64, first and second
// order, and the recorded gradient against the eager one, bit for bit.

#include <cmath>
#include <cstring>

#include "core/dispatch.h"
#include "core/strings.h"
#include "duet.h"
#include "gtest/gtest.h"
#include "tests/op_cases.h"
#include "tests/test_environment.h"

namespace duet::testing {
namespace {

const OwnKernelCache kernel_cache;

constexpr int64_t kMaxElements = 64;  // larger cases say no more and take quadratic time

// One call as a function of its float64 inputs: sum over the outputs of output * weight.
class Scalarised {
 public:
  explicit Scalarised(const OpCase& c) : case_(c) {
    std::mt19937_64 random(7);
    for (size_t i = 0; i < c.inputs.size(); ++i) {
      if (c.inputs[i].dtype() == kFloat64 && !c.host[i]) active_.push_back(i);
    }
    for (const Tensor& out : Dispatch(*c.op, c.attrs, c.inputs, Location())) {
      weights_.push_back(out.dtype() == kFloat64
                             ? RandomTensor(kFloat64, out.shape(), 0.5, 1.5, random)
                             : Tensor());
    }
  }
  const std::vector<size_t>& active() const { return active_; }
  // Only the first output: an op's further outputs need not be differentiable.
  Tensor operator()(const std::vector<Tensor>& inputs) const {
    const Outputs outputs = Dispatch(*case_.op, case_.attrs, inputs, Location());
    return Sum(outputs[0] * weights_[0]);
  }
  bool usable() const { return !active_.empty() && weights_[0].defined(); }

 private:
  const OpCase& case_;
  std::vector<size_t> active_;
  std::vector<Tensor> weights_;
};

std::vector<Tensor> GradientsOf(const Scalarised& f, const std::vector<Tensor>& inputs) {
  GradientTape tape;
  std::vector<GradientSource> sources;
  for (size_t i : f.active()) {
    tape.Watch(inputs[i]);
    sources.emplace_back(inputs[i]);
  }
  return tape.Gradient(f(inputs), sources);
}

// The directional derivative: sum over inputs of gradient * direction.
Tensor Directional(const Scalarised& f, const std::vector<Tensor>& inputs,
                   const std::vector<Tensor>& directions) {
  const std::vector<Tensor> grads = GradientsOf(f, inputs);
  Tensor sum = Constant(0.0, kFloat64);
  for (size_t k = 0; k < grads.size(); ++k) {
    if (grads[k].defined()) sum = sum + Sum(grads[k] * directions[k]);
  }
  return sum;
}

Tensor Shifted(const Tensor& t, int64_t element, double step) {
  Tensor copy = Tensor::Allocate(kFloat64, t.shape());
  std::memcpy(copy.mutable_raw_data(), t.raw_data(), t.byte_size());
  static_cast<double*>(copy.mutable_raw_data())[element] += step;
  return copy;
}

// Compares a gradient of `f` with central differences of it.
template <class F>
void CompareWithDifferences(const std::string& what, const F& f, std::vector<Tensor> inputs,
                            const std::vector<size_t>& active, const std::vector<Tensor>& grads) {
  constexpr double kStep = 1e-5;
  for (size_t k = 0; k < active.size(); ++k) {
    const Tensor original = inputs[active[k]];
    for (int64_t e = 0; e < original.num_elements(); ++e) {
      inputs[active[k]] = Shifted(original, e, kStep);
      const double up = f(inputs).template Item<double>();
      inputs[active[k]] = Shifted(original, e, -kStep);
      const double down = f(inputs).template Item<double>();
      const double expected = (up - down) / (2 * kStep);
      const double found =
          grads[k].defined() ? grads[k].data<double>()[static_cast<size_t>(e)] : 0.0;
      const double scale = std::max({1.0, std::fabs(expected), std::fabs(found)});
      EXPECT_NEAR(found, expected, 2e-5 * scale)
          << what << ", input " << active[k] << ", element " << e;
    }
    inputs[active[k]] = original;
  }
}

class GradientTest : public ::testing::TestWithParam<const OpDef*> {};

TEST_P(GradientTest, AgreesWithDifferences) {
  const OpDef& op = *GetParam();
  for (const OpCase& c : CasesFor(op)) {
    if (c.name.find("specials") != std::string::npos) continue;
    int64_t elements = 0;
    for (const Tensor& t : c.inputs) elements += t.num_elements();
    if (elements > kMaxElements) continue;
    const Scalarised f(c);
    if (!f.usable()) continue;
    const std::vector<Tensor> grads = GradientsOf(f, c.inputs);
    for (size_t k = 0; k < grads.size(); ++k) {
      if (!grads[k].defined()) continue;
      EXPECT_EQ(grads[k].shape(), c.inputs[f.active()[k]].shape()) << c.name;
    }
    CompareWithDifferences(c.name, f, c.inputs, f.active(), grads);

    // Second order: the gradient of a directional derivative.
    std::mt19937_64 random(11);
    std::vector<Tensor> directions;
    for (size_t i : f.active()) {
      directions.push_back(RandomTensor(kFloat64, c.inputs[i].shape(), -1, 1, random));
    }
    const auto directional = [&](const std::vector<Tensor>& in) {
      return Directional(f, in, directions);
    };
    GradientTape outer;
    std::vector<GradientSource> sources;
    for (size_t i : f.active()) {
      outer.Watch(c.inputs[i]);
      sources.emplace_back(c.inputs[i]);
    }
    const std::vector<Tensor> second = outer.Gradient(directional(c.inputs), sources);
    CompareWithDifferences(Str(c.name, ", second order"), directional, c.inputs, f.active(),
                           second);
    if (HasFailure()) break;
  }
}

TEST_P(GradientTest, RecordedIsEager) {
  const OpDef& op = *GetParam();
  for (const OpCase& c : CasesFor(op)) {
    if (c.name.find("specials") != std::string::npos) continue;
    const Scalarised f(c);
    if (!f.usable()) continue;
    const std::vector<Tensor> eager = GradientsOf(f, c.inputs);
    Graph graph;
    Session::Feeds feeds;
    std::vector<TensorRef> fetches;
    std::vector<Tensor> expected;
    {
      const GraphScope scope(graph);
      std::vector<Tensor> inputs = c.inputs;
      for (size_t i : f.active()) {
        Shape shape = c.inputs[i].shape();
        // The rank must follow from the sizes that are known (Squeeze without axes).
        const bool open = shape.rank() > 0 && c.op->attrs.empty();
        if (open) shape.set_dim(0, -1);
        inputs[i] = Placeholder(kFloat64, shape, Str("x", i));
        feeds.emplace_back(Str("x", i), c.inputs[i]);
      }
      const std::vector<Tensor> grads = GradientsOf(f, inputs);
      for (size_t k = 0; k < grads.size(); ++k) {
        ASSERT_EQ(grads[k].defined(), eager[k].defined()) << c.name;
        if (!grads[k].defined()) continue;
        fetches.emplace_back(Identity(grads[k]).name());
        expected.push_back(eager[k]);
      }
    }
    if (fetches.empty()) continue;
    Session session(graph);
    const auto out = session.Run(feeds, fetches);
    ASSERT_TRUE(out.ok()) << c.name << ": " << out.status() << "\n" << graph.ToText();
    for (size_t k = 0; k < expected.size(); ++k) {
      std::string why;
      EXPECT_TRUE(SameBits(expected[k], (*out)[k], &why)) << c.name << ": " << why;
    }
    if (HasFailure()) break;
  }
}

std::vector<const OpDef*> DifferentiableOps() {
  std::vector<const OpDef*> ops;
  for (const OpDef* op : TestableOps()) {
    if (op->differentiable && !op->random) ops.push_back(op);
  }
  return ops;
}

INSTANTIATE_TEST_SUITE_P(Registry, GradientTest, ::testing::ValuesIn(DifferentiableOps()),
                         [](const auto& info) { return info.param->name; });

}  // namespace
}  // namespace duet::testing
