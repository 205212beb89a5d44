#include "graph/gradients.h"

#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "core/ops/ops.h"
#include "core/strings.h"
#include "graph/recorder.h"

namespace duet {
namespace {

// A result and the gradient of the target with respect to it.
struct Seed {
  NodeOutput output;
  Tensor grad;
};

// Walks a graph backwards, under a recorder that appends to it.
class Differentiator {
 public:
  explicit Differentiator(Recorder* recorder) : recorder_(*recorder) {}

  // The gradients with respect to `sources` (undefined where there is none) through the nodes at
  // [begin, end).
  std::vector<Tensor> Backward(int begin, int end, const std::vector<Seed>& seeds,
                               absl::Span<const NodeOutput> sources) {
    const Graph& graph = recorder_.graph();
    absl::flat_hash_set<NodeOutput> reached(sources.begin(), sources.end());
    for (int i = begin; i < end; ++i) {
      const Node& node = graph.node(i);
      if (!node.op->differentiable || !AnyReached(node, reached)) continue;
      for (size_t k = 0; k < node.outputs.size(); ++k) {
        if (IsFloating(node.outputs[k].dtype)) reached.insert({i, static_cast<int32_t>(k)});
      }
    }
    absl::flat_hash_map<NodeOutput, Tensor> grads;
    for (const Seed& seed : seeds) {
      if (seed.grad.defined() && reached.contains(seed.output)) {
        Accumulate(&grads[seed.output], seed.grad);
      }
    }
    for (int i = end - 1; i >= begin; --i) {
      const Node& node = graph.node(i);
      if (!node.op->differentiable || !AnyReached(node, reached)) continue;
      std::vector<Tensor> output_grads(node.outputs.size());
      bool any = false;
      for (size_t k = 0; k < node.outputs.size(); ++k) {
        auto it = grads.find({i, static_cast<int32_t>(k)});
        if (it == grads.end()) continue;
        output_grads[k] = it->second;
        any = true;
      }
      if (!any) continue;
      const std::vector<Tensor> input_grads = NodeGradients(i, node, output_grads);
      for (size_t k = 0; k < node.inputs.size(); ++k) {
        if (input_grads[k].defined() && reached.contains(node.inputs[k])) {
          Accumulate(&grads[node.inputs[k]], input_grads[k]);
        }
      }
    }
    std::vector<Tensor> found;
    for (const NodeOutput& s : sources) {
      auto it = grads.find(s);
      found.push_back(it == grads.end() ? Tensor() : it->second);
    }
    return found;
  }

 private:
  static bool AnyReached(const Node& node, const absl::flat_hash_set<NodeOutput>& reached) {
    for (const NodeOutput& in : node.inputs) {
      if (reached.contains(in)) return true;
    }
    return false;
  }

  static void Accumulate(Tensor* sum, const Tensor& grad) {
    *sum = sum->defined() ? Add(*sum, grad) : grad;
  }

  std::vector<Tensor> NodeGradients(int i, const Node& node,
                                    absl::Span<const Tensor> output_grads) {
    const LocationScope location(node.location);
    std::vector<Tensor> inputs, outputs, input_grads(node.inputs.size());
    for (const NodeOutput& in : node.inputs) inputs.push_back(recorder_.Symbol(in));
    for (size_t k = 0; k < node.outputs.size(); ++k) {
      outputs.push_back(recorder_.Symbol({i, static_cast<int32_t>(k)}));
    }
    if (node.op->grad != nullptr) {
      GradContext context(node.attrs, inputs, outputs, output_grads, absl::MakeSpan(input_grads));
      node.op->grad(context);
    } else if (node.op->composite != nullptr) {
      input_grads = BodyGradients(node, inputs, output_grads);
    } else {
      ThrowError(absl::UnimplementedError("has no gradient"), node.op->public_name, node.location);
    }
    return input_grads;
  }

  // The gradient of a composite is that of its body, which is recorded once more.
  std::vector<Tensor> BodyGradients(const Node& node, absl::Span<const Tensor> inputs,
                                    absl::Span<const Tensor> output_grads) {
    const int begin = recorder_.graph().size();
    std::vector<Tensor> results(node.outputs.size());
    node.op->composite(node.attrs, inputs, absl::MakeSpan(results));
    const int end = recorder_.graph().size();
    std::vector<Seed> seeds;
    for (size_t k = 0; k < results.size(); ++k) {
      const NodeOutput output = recorder_.Capture(results[k], node.op->public_name, node.location);
      seeds.push_back({output, output_grads[k]});
    }
    std::vector<Tensor> found = Backward(begin, end, seeds, node.inputs);
    // An input that stands twice has the sum of both; it counts once.
    for (size_t k = 0; k < found.size(); ++k) {
      for (size_t j = 0; j < k; ++j) {
        if (node.inputs[j] == node.inputs[k]) found[k] = Tensor();
      }
    }
    return found;
  }

  Recorder& recorder_;
};

absl::Status Check(const Graph& graph, NodeOutput o, std::string_view what, bool may_be_variable) {
  if (o.node < 0 || o.node >= graph.size() || o.index < 0 ||
      static_cast<size_t>(o.index) >= graph.node(o.node).outputs.size()) {
    return absl::InvalidArgumentError(
        Str("the graph has no output ", o.index, " of node ", o.node));
  }
  const DType dtype = graph.spec(o).dtype;
  if (IsFloating(dtype) || (may_be_variable && dtype == kResource)) return absl::OkStatus();
  return absl::InvalidArgumentError(Str("the gradient needs a floating ", what, "; \"",
                                        graph.OutputName(o), "\" is ", Name(dtype)));
}

}  // namespace

absl::StatusOr<std::vector<NodeOutput>> AddGradients(Graph* graph,
                                                     const std::vector<NodeOutput>& ys,
                                                     const std::vector<NodeOutput>& xs) {
  for (const NodeOutput& y : ys) DUET_RETURN_IF_ERROR(Check(*graph, y, "target", false));
  for (const NodeOutput& x : xs) DUET_RETURN_IF_ERROR(Check(*graph, x, "source", true));
  Recorder recorder(*graph);
  const InterpreterScope scope(&recorder);
  const ListenerPause pause;
  try {
    const int end = graph->size();
    std::vector<Seed> seeds;
    for (const NodeOutput& y : ys) seeds.push_back({y, OnesLike(recorder.Symbol(y))});
    const std::vector<Tensor> found = Differentiator(&recorder).Backward(0, end, seeds, xs);
    std::vector<NodeOutput> grads;
    for (const Tensor& t : found) {
      grads.push_back(t.defined() ? recorder.Capture(t, "AddGradients", {}) : NodeOutput{});
    }
    return grads;
  } catch (const Error& e) {
    return e.status();
  }
}

}  // namespace duet
