#include "graph/reference.h"

#include <map>
#include <string>

#include "absl/container/flat_hash_map.h"
#include "core/strings.h"
#include "core/variable_state.h"
#include "graph/reference_execute.h"

namespace duet {
namespace {

class Evaluator {
 public:
  explicit Evaluator(const Graph& graph)
      : graph_(graph), needed_(static_cast<size_t>(graph.size()), false) {}

  absl::Status Feed(NodeOutput at, const Tensor& value) {
    DUET_RETURN_IF_ERROR(Check(at));
    const ValueSpec& spec = graph_.spec(at);
    if (!value.defined() || value.is_symbolic() || value.dtype() != spec.dtype ||
        !value.shape().IsCompatibleWith(spec.shape)) {
      return absl::InvalidArgumentError(Str("\"", graph_.OutputName(at), "\" is fed ",
                                            value.ToString(), ", expected a value of ",
                                            DescribeType(spec.dtype, spec.shape)));
    }
    values_[at] = value;
    return absl::OkStatus();
  }

  // Marks what `node` needs; nodes come after their inputs, so one walk down is enough.
  absl::Status Run(const std::vector<NodeOutput>& fetches, const std::vector<int32_t>& targets) {
    for (const NodeOutput& f : fetches) {
      DUET_RETURN_IF_ERROR(Check(f));
      if (!values_.contains(f)) needed_[static_cast<size_t>(f.node)] = true;
    }
    for (int32_t t : targets) {
      DUET_RETURN_IF_ERROR(Check({t, -1}));
      needed_[static_cast<size_t>(t)] = true;
    }
    for (int i = graph_.size() - 1; i >= 0; --i) {
      if (!needed_[static_cast<size_t>(i)]) continue;
      for (const NodeOutput& in : graph_.node(i).inputs) {
        if (!values_.contains(in)) needed_[static_cast<size_t>(in.node)] = true;
      }
      for (int32_t c : graph_.node(i).control_inputs) needed_[static_cast<size_t>(c)] = true;
    }
    for (int i = 0; i < graph_.size(); ++i) {
      if (!needed_[static_cast<size_t>(i)]) continue;
      const Node& node = graph_.node(i);
      if (absl::Status s = RunNode(i, node); !s.ok()) {
        return Annotate(s, node.op->public_name, node.location);
      }
    }
    return absl::OkStatus();
  }

  const Tensor& value(NodeOutput o) const { return values_.at(o); }

 private:
  absl::Status Check(NodeOutput o) const {
    if (o.node >= 0 && o.node < graph_.size() &&
        o.index < static_cast<int32_t>(graph_.node(o.node).outputs.size()) && o.index >= -1) {
      return absl::OkStatus();
    }
    return absl::InvalidArgumentError(
        Str("the graph has no output ", o.index, " of node ", o.node));
  }

  absl::Status RunNode(int32_t i, const Node& node) {
    if (node.op->resource == ResourceUse::kHandle) {
      values_[{i, 0}] = Tensor::FromResource(kResource, node.outputs[0].shape, StateOf(node));
      return absl::OkStatus();
    }
    if (node.op->family == Family::kPlaceholder) {
      if (values_.contains(NodeOutput{i, 0})) return absl::OkStatus();
      return absl::InvalidArgumentError(Str("\"", node.name, "\" was not fed a value"));
    }
    std::vector<Tensor> inputs, outputs(node.outputs.size());
    std::vector<InputInfo> infos;
    for (const NodeOutput& in : node.inputs) inputs.push_back(values_.at(in));
    for (const Tensor& t : inputs) {
      infos.push_back({t.dtype(), &t.shape(), t.dtype() == kResource ? nullptr : &t});
    }
    InferContext context(*node.op, node.attrs, infos);
    DUET_RETURN_IF_ERROR(Infer(context));
    DUET_RETURN_IF_ERROR(
        ReferenceExecute(*node.op, node.attrs, inputs, context.outputs, absl::MakeSpan(outputs)));
    for (size_t k = 0; k < outputs.size(); ++k) {
      // A fed output keeps the fed value.
      values_.try_emplace({i, static_cast<int32_t>(k)}, outputs[k]);
    }
    return absl::OkStatus();
  }

  // The variable that was captured, or one without a value for each shared name.
  std::shared_ptr<Resource> StateOf(const Node& node) {
    if (node.resource != nullptr) return node.resource;
    const AttrValue* shared = node.attrs.Find("shared_name");
    std::string name = node.name;
    if (shared != nullptr && std::holds_alternative<std::string>(*shared) &&
        !std::get<std::string>(*shared).empty()) {
      name = std::get<std::string>(*shared);
    }
    std::shared_ptr<Resource>& state = variables_[name];
    if (state == nullptr) {
      state = std::make_shared<VariableState>(name, node.attrs.Get<DType>("dtype"),
                                              node.outputs[0].shape);
    }
    return state;
  }

  const Graph& graph_;
  std::vector<bool> needed_;
  absl::flat_hash_map<NodeOutput, Tensor> values_;
  std::map<std::string, std::shared_ptr<Resource>> variables_;
};

}  // namespace

absl::StatusOr<std::vector<Tensor>> ReferenceRun(
    const Graph& graph, const std::vector<std::pair<NodeOutput, Tensor>>& feeds,
    const std::vector<NodeOutput>& fetches, const std::vector<int32_t>& targets) {
  for (const NodeOutput& f : fetches) {
    if (f.index < 0) return absl::InvalidArgumentError("a fetch of no output");
  }
  Evaluator evaluator(graph);
  for (const auto& [at, value] : feeds) DUET_RETURN_IF_ERROR(evaluator.Feed(at, value));
  DUET_RETURN_IF_ERROR(evaluator.Run(fetches, targets));
  std::vector<Tensor> results;
  for (const NodeOutput& f : fetches) results.push_back(evaluator.value(f));
  return results;
}

}  // namespace duet
