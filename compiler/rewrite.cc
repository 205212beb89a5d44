#include "compiler/rewrite.h"

#include <algorithm>
#include <utility>

#include "core/error.h"

namespace duet::compiler {

bool KeepsOrder(const Node& node) {
  const OpDef& op = *node.op;
  return op.stateful || op.random || op.side_effect ||
         (op.resource != ResourceUse::kNone && op.resource != ResourceUse::kHandle);
}

bool IsPure(const Node& node) {
  return !KeepsOrder(node) && node.op->resource == ResourceUse::kNone &&
         node.op->family != Family::kPlaceholder;
}

Ends::Ends(const PassInput& input)
    : fed(static_cast<size_t>(input.graph.size())), fetched(fed), target(fed) {
  for (const NodeOutput& o : input.feeds) fed[static_cast<size_t>(o.node)] = true;
  for (const NodeOutput& o : input.fetches) fetched[static_cast<size_t>(o.node)] = true;
  for (int32_t t : input.targets) target[static_cast<size_t>(t)] = true;
}

Rewriter::Rewriter(const PassInput& input)
    : input_(input),
      outputs_(static_cast<size_t>(input.graph.size())),
      after_(static_cast<size_t>(input.graph.size())) {}

NodeOutput Rewriter::Map(NodeOutput old) const {
  const auto& outputs = outputs_[static_cast<size_t>(old.node)];
  InternalCheck(static_cast<size_t>(old.index) < outputs.size(),
                "a pass uses a node that it has dropped");
  return outputs[static_cast<size_t>(old.index)];
}

std::vector<NodeOutput> Rewriter::MapInputs(const Node& node) const {
  std::vector<NodeOutput> inputs;
  inputs.reserve(node.inputs.size());
  for (const NodeOutput& in : node.inputs) inputs.push_back(Map(in));
  return inputs;
}

std::vector<int32_t> Rewriter::MapControls(const Node& node) const {
  std::vector<int32_t> controls;
  for (int32_t c : node.control_inputs) {
    const auto& after = after_[static_cast<size_t>(c)];
    controls.insert(controls.end(), after.begin(), after.end());
  }
  std::sort(controls.begin(), controls.end());
  controls.erase(std::unique(controls.begin(), controls.end()), controls.end());
  return controls;
}

absl::StatusOr<int32_t> Rewriter::CopyAs(const Node& node, const std::string& name, int32_t group,
                                         const absl::flat_hash_map<int32_t, int32_t>& local) {
  std::vector<NodeOutput> inputs;
  for (const NodeOutput& in : node.inputs) {
    const auto it = local.find(in.node);
    inputs.push_back(it != local.end() ? NodeOutput{it->second, in.index} : Map(in));
  }
  return builder_.Add({.op = node.op,
                       .name = name,
                       .attrs = node.attrs,
                       .inputs = std::move(inputs),
                       .control_inputs = MapControls(node),
                       .location = node.location,
                       .device = node.device,
                       .group = group == kKeepGroup ? node.group : group,
                       .resource = node.resource});
}

absl::Status Rewriter::Copy(int32_t old, int32_t group,
                            const absl::flat_hash_map<int32_t, int32_t>& local) {
  const Node& node = input_.graph.node(old);
  DUET_ASSIGN_OR_RETURN(const int32_t copy, CopyAs(node, node.name, group, local));
  std::vector<NodeOutput>& outputs = outputs_[static_cast<size_t>(old)];
  for (size_t k = 0; k < node.outputs.size(); ++k) {
    outputs.push_back({copy, static_cast<int32_t>(k)});
  }
  after_[static_cast<size_t>(old)] = {copy};
  return absl::OkStatus();
}

absl::StatusOr<int32_t> Rewriter::Duplicate(int32_t old, int32_t group,
                                            const absl::flat_hash_map<int32_t, int32_t>& local) {
  const Node& node = input_.graph.node(old);
  return CopyAs(node, node.name + "/copy", group, local);
}

absl::StatusOr<int32_t> Rewriter::Add(GraphBuilder::NodeArgs args) {
  return builder_.Add(std::move(args));
}

void Rewriter::Forward(int32_t old, std::vector<NodeOutput> outputs) {
  std::vector<int32_t> after = MapControls(input_.graph.node(old));
  for (const NodeOutput& o : outputs) after.push_back(o.node);
  outputs_[static_cast<size_t>(old)] = std::move(outputs);
  after_[static_cast<size_t>(old)] = std::move(after);
}

absl::StatusOr<PassInput> Rewriter::Finish() && {
  PassInput result;
  for (const NodeOutput& o : input_.feeds) result.feeds.push_back(Map(o));
  for (const NodeOutput& o : input_.fetches) result.fetches.push_back(Map(o));
  for (int32_t t : input_.targets) {
    const auto& after = after_[static_cast<size_t>(t)];
    result.targets.insert(result.targets.end(), after.begin(), after.end());
  }
  result.graph = builder_.Build();
  return result;
}

absl::StatusOr<PassInput> Rebuild(const PassInput& input, const std::vector<bool>& keep,
                                  const std::vector<std::vector<NodeOutput>>& replace) {
  Rewriter out(input);
  for (int32_t i = 0; i < input.graph.size(); ++i) {
    const auto k = static_cast<size_t>(i);
    if (keep[k]) {
      DUET_RETURN_IF_ERROR(out.Copy(i));
    } else if (k < replace.size() && !replace[k].empty()) {
      std::vector<NodeOutput> outputs;
      for (const NodeOutput& o : replace[k]) outputs.push_back(out.Map(o));
      out.Forward(i, std::move(outputs));
    }
  }
  return std::move(out).Finish();
}

}  // namespace duet::compiler
