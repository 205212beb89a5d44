// Runs a graph in the plainest way: nodes one by one, groups by the kernels that they lower to.
#ifndef DUET_COMPILER_EVALUATE_TESTING_H_
#define DUET_COMPILER_EVALUATE_TESTING_H_

#include <cstring>
#include <map>
#include <random>
#include <utility>
#include <vector>

#include "compiler/lower.h"
#include "compiler/pass_testing.h"
#include "core/execute.h"

namespace duet::compiler {

struct Evaluation {
  std::vector<Tensor> fetches;
  int kernels = 0;  // groups that ran as one kernel
  int refused = 0;  // groups that did not fit the concrete shapes
  std::vector<loop::Program> programs;
};

class Evaluator {
 public:
  Evaluator(const PassInput& input, const std::vector<Tensor>& feeds) : input_(input) {
    PlainDevice::Install();
    values_.resize(static_cast<size_t>(input.graph.size()));
    specs_.resize(values_.size());
    for (size_t i = 0; i < feeds.size(); ++i) Set(input.feeds[i].node, {feeds[i]});
  }

  Evaluation Run() {
    const Graph& graph = input_.graph;
    for (int32_t i = 0; i < graph.size();) {
      std::vector<int32_t> group = {i};
      const int id = graph.node(i).group;
      while (id >= 0 && group.back() + 1 < graph.size() &&
             graph.node(group.back() + 1).group == id) {
        group.push_back(group.back() + 1);
      }
      if (id < 0 || !RunGroup(group)) {
        result_.refused += id >= 0;
        for (int32_t n : group) RunNode(n);
      }
      i = group.back() + 1;
    }
    for (NodeOutput o : input_.fetches) result_.fetches.push_back(Value(o));
    return std::move(result_);
  }

 private:
  const Tensor& Value(NodeOutput o) const {
    return values_[static_cast<size_t>(o.node)][static_cast<size_t>(o.index)];
  }
  void Set(int32_t node, std::vector<Tensor> values) {
    for (const Tensor& t : values) {
      specs_[static_cast<size_t>(node)].push_back({t.dtype(), t.shape()});
    }
    values_[static_cast<size_t>(node)] = std::move(values);
  }
  std::vector<ValueSpec> InferNode(const Node& node, const std::vector<Tensor>& inputs,
                                   const std::vector<ValueSpec>& in) {
    std::vector<InputInfo> infos;
    for (size_t k = 0; k < in.size(); ++k) {
      infos.push_back({in[k].dtype, &in[k].shape, inputs[k].defined() ? &inputs[k] : nullptr});
    }
    InferContext context(*node.op, node.attrs, infos);
    const absl::Status status = Infer(context);
    EXPECT_TRUE(status.ok()) << node.name << ": " << status;
    return {context.outputs.begin(), context.outputs.end()};
  }
  void RunNode(int32_t i) {
    if (!values_[static_cast<size_t>(i)].empty()) return;
    const Node& node = input_.graph.node(i);
    std::vector<Tensor> inputs;
    std::vector<ValueSpec> in;
    for (NodeOutput o : node.inputs) {
      inputs.push_back(Value(o));
      in.push_back({inputs.back().dtype(), inputs.back().shape()});
    }
    const std::vector<ValueSpec> specs = InferNode(node, inputs, in);
    std::vector<Tensor> outputs(specs.size());
    const absl::Status status =
        ExecuteOp({*node.op, node.attrs, inputs, {}}, specs, absl::MakeSpan(outputs));
    ASSERT_TRUE(status.ok()) << node.name << ": " << status;
    specs_[static_cast<size_t>(i)].clear();
    Set(i, outputs);
  }
  bool RunGroup(const std::vector<int32_t>& group) {
    const Graph& graph = input_.graph;
    const auto inside = [&](int32_t n) { return n >= group.front() && n <= group.back(); };
    for (int32_t i : group) {  // concrete specs of what the kernel computes
      const Node& node = graph.node(i);
      std::vector<Tensor> inputs;
      std::vector<ValueSpec> in;
      for (NodeOutput o : node.inputs) {
        in.push_back(specs_[static_cast<size_t>(o.node)][static_cast<size_t>(o.index)]);
        inputs.push_back(inside(o.node) ? Tensor() : Value(o));
      }
      specs_[static_cast<size_t>(i)] = InferNode(node, inputs, in);
    }
    const LowerContext context{
        graph,
        [&](NodeOutput o) -> const ValueSpec& {
          return specs_[static_cast<size_t>(o.node)][static_cast<size_t>(o.index)];
        },
        [&](NodeOutput o) -> const Tensor* { return inside(o.node) ? nullptr : &Value(o); },
        [&](NodeOutput o) {
          for (NodeOutput f : input_.fetches) {
            if (f == o) return true;
          }
          for (int32_t i = 0; i < graph.size(); ++i) {
            if (inside(i)) continue;
            for (NodeOutput in : graph.node(i).inputs) {
              if (in == o) return true;
            }
          }
          return false;
        }};
    auto lowered = LowerGroup(group, context);
    if (!lowered.ok()) {
      EXPECT_EQ(lowered.status().code(), absl::StatusCode::kFailedPrecondition) << lowered.status();
      return false;
    }
    if (lowered->contraction >= 0) RunNode(lowered->contraction);
    LoweredLoop& loop = lowered->loop;
    EXPECT_TRUE(loop::Verify(loop.program).ok()) << loop::Verify(loop.program);
    auto kernel = CpuDevice().kernels().Get(loop.program);
    EXPECT_TRUE(kernel.ok()) << kernel.status() << loop::ToString(loop.program);
    if (!kernel.ok()) return false;
    std::vector<void*> pointers;
    for (LoweredOperand& o : loop.operands) {
      pointers.push_back(o.source.node < 0
                             ? static_cast<void*>(&o.value.bits)
                             : static_cast<char*>(const_cast<void*>(Value(o.source).raw_data())) +
                                   o.offset);
    }
    std::vector<Tensor> outputs;
    for (NodeOutput o : loop.outputs) {
      outputs.push_back(Tensor::Allocate(context.spec(o).dtype, context.spec(o).shape));
      pointers.push_back(outputs.back().mutable_raw_data());
    }
    CpuDevice().RunLoop(*kernel, loop.program.body.axis, loop.launch, absl::MakeSpan(pointers), 1);
    for (size_t k = 0; k < outputs.size(); ++k) {
      values_[static_cast<size_t>(loop.outputs[k].node)] = {outputs[k]};
    }
    ++result_.kernels;
    result_.programs.push_back(loop.program);
    return true;
  }

  const PassInput& input_;
  std::vector<std::vector<Tensor>> values_;
  std::vector<std::vector<ValueSpec>> specs_;
  Evaluation result_;
};

// A tensor of random values in [-3, 3), with NaN, infinities and both zeros among them for floating
// types if `specials`.
inline Tensor RandomTensor(DType dtype, const Shape& shape, uint64_t seed, bool specials = false) {
  std::mt19937_64 random(seed);
  Tensor t = Tensor::Allocate(dtype, shape);
  VisitDType(dtype, [&](auto zero) {
    using T = decltype(zero);
    auto* data = static_cast<T*>(t.mutable_raw_data());
    for (int64_t i = 0; i < t.num_elements(); ++i) {
      const double u = static_cast<double>(random() % 60000) / 10000 - 3;
      if constexpr (std::is_same_v<T, bool>) {
        data[i] = u > 0;
      } else if constexpr (std::is_unsigned_v<T>) {
        data[i] = static_cast<T>(random() % 256);
      } else {
        data[i] = static_cast<T>(u);
        if constexpr (std::is_floating_point_v<T>) {
          constexpr T inf = std::numeric_limits<T>::infinity();
          const T special[] = {T(0),
                               -T(0),
                               inf,
                               -inf,
                               std::numeric_limits<T>::quiet_NaN(),
                               -std::numeric_limits<T>::quiet_NaN(),
                               std::numeric_limits<T>::denorm_min(),
                               std::numeric_limits<T>::max()};
          if (specials && i % 3 == 0) data[i] = special[random() % 8];
        } else if (specials && i % 3 == 0) {
          data[i] = random() % 2 ? std::numeric_limits<T>::min() : std::numeric_limits<T>::max();
        }
      }
    }
  });
  return t;
}

inline void ExpectSameBits(const Tensor& a, const Tensor& b, const std::string& what) {
  ASSERT_TRUE(a.defined() && b.defined()) << what;
  ASSERT_EQ(a.dtype(), b.dtype()) << what;
  ASSERT_EQ(a.shape(), b.shape()) << what;
  EXPECT_EQ(std::memcmp(a.raw_data(), b.raw_data(), a.byte_size()), 0) << what << "\n"
                                                                       << a << "\n"
                                                                       << b;
}

}  // namespace duet::compiler

#endif  // DUET_COMPILER_EVALUATE_TESTING_H_
