#include "tools/duet/eager_run.h"

#include "core/dispatch.h"
#include "core/strings.h"

namespace duet::tool {
namespace {

std::vector<Tensor> Call(const Node& node, const std::vector<std::vector<Tensor>>& values) {
  std::vector<Tensor> inputs;
  inputs.reserve(node.inputs.size());
  for (const NodeOutput& input : node.inputs) inputs.push_back(values[input.node][input.index]);
  const Outputs outputs = Dispatch(*node.op, node.attrs, inputs, node.location);
  return {outputs.begin(), outputs.end()};
}

}  // namespace

absl::StatusOr<EagerRun> EagerRun::Create(const Graph& graph,
                                          std::vector<std::pair<int32_t, Tensor>> feeds,
                                          std::vector<NodeOutput> fetches) try {
  EagerRun run(graph, std::move(fetches));
  run.values_.resize(graph.size());
  for (auto& [node, value] : feeds) run.values_[node] = {std::move(value)};

  std::vector<bool> needed(graph.size(), false);
  std::vector<int32_t> last_use(graph.size(), -1);  // the last node that uses it; -1: keep
  for (const NodeOutput& fetch : run.fetches_) needed[fetch.node] = true;
  for (int32_t i = graph.size() - 1; i >= 0; --i) {
    if (!needed[i]) continue;
    for (const NodeOutput& input : graph.node(i).inputs) {
      if (!needed[input.node]) last_use[input.node] = i;
      needed[input.node] = true;
    }
    for (int32_t control : graph.node(i).control_inputs) needed[control] = true;
  }

  std::vector<std::vector<int32_t>> released(graph.size());
  for (int32_t i = 0; i < graph.size(); ++i) {
    const Node& node = graph.node(i);
    if (!needed[i] || !run.values_[i].empty()) continue;
    if (node.op->resource != ResourceUse::kNone) {
      return absl::UnimplementedError(
          Str("node '", node.name, "' uses a variable, whose value a graph does not hold"));
    }
    if (node.op->family == Family::kPlaceholder) {
      return absl::InvalidArgumentError(Str("nothing is fed to '", node.name, "'"));
    }
    if (node.op->family == Family::kConstant) {
      run.values_[i] = Call(node, run.values_);
      continue;
    }
    if (last_use[i] >= 0) released[last_use[i]].push_back(i);
    run.steps_.push_back({i, {}});
  }
  for (Step& step : run.steps_) step.last_uses = std::move(released[step.node]);
  return run;
} catch (const Error& error) {
  return error.status();
}

absl::StatusOr<std::vector<Tensor>> EagerRun::Run() const try {
  std::vector<std::vector<Tensor>> values = values_;
  for (const Step& step : steps_) {
    values[step.node] = Call(graph_.node(step.node), values);
    for (int32_t last : step.last_uses) values[last].clear();
  }
  std::vector<Tensor> results;
  for (const NodeOutput& fetch : fetches_) results.push_back(values[fetch.node][fetch.index]);
  return results;
} catch (const Error& error) {
  return error.status();
}

}  // namespace duet::tool
