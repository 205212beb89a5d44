#include "compiler/verify.h"

#include <algorithm>
#include <string>
#include <string_view>

#include "absl/container/flat_hash_set.h"
#include "core/strings.h"

namespace duet::compiler {
namespace {

absl::Status Bad(const Node& node, std::string_view what) {
  return absl::InternalError(Str("node \"", node.name, "\" (", node.op->name, "): ", what));
}

bool Exists(const Graph& graph, NodeOutput o, int32_t before) {
  return o.node >= 0 && o.node < before && o.index >= 0 &&
         static_cast<size_t>(o.index) < graph.node(o.node).outputs.size();
}

absl::Status VerifyLinks(const Graph& graph, int32_t i) {
  const Node& node = graph.node(i);
  for (size_t k = 0; k < node.inputs.size(); ++k) {
    if (!Exists(graph, node.inputs[k], i)) {
      return Bad(node, Str("input ", k, " is output ", node.inputs[k].index, " of node ",
                           node.inputs[k].node, ", which is not an output of an earlier node"));
    }
  }
  for (int32_t c : node.control_inputs) {
    if (c < 0 || c >= i) return Bad(node, Str("control input ", c, " is not an earlier node"));
  }
  if (!std::is_sorted(node.control_inputs.begin(), node.control_inputs.end()) ||
      std::adjacent_find(node.control_inputs.begin(), node.control_inputs.end()) !=
          node.control_inputs.end()) {
    return Bad(node, "control inputs are not sorted and unique");
  }
  return absl::OkStatus();
}

absl::Status VerifyTypes(const PassInput& input, int32_t i) {
  const Graph& graph = input.graph;
  const Node& node = graph.node(i);
  absl::InlinedVector<InputInfo, 4> infos;
  for (const NodeOutput& in : node.inputs) {
    const ValueSpec& spec = graph.spec(in);
    infos.push_back({spec.dtype, &spec.shape, graph.StaticValue(in)});
  }
  Attrs attrs = node.attrs;
  if (absl::Status s = FillDefaults(*node.op, &attrs); !s.ok()) {
    return Bad(node, FromAbsl(s.message()));
  }
  if (!(attrs == node.attrs)) return Bad(node, "attributes are missing");
  InferContext context(*node.op, node.attrs, infos);
  if (absl::Status s = Infer(context); !s.ok()) return Bad(node, FromAbsl(s.message()));
  if (context.outputs.size() != node.outputs.size()) {
    return Bad(node,
               Str("has ", node.outputs.size(), " outputs, its op gives ", context.outputs.size()));
  }
  for (size_t k = 0; k < node.outputs.size(); ++k) {
    const ValueSpec &found = node.outputs[k], &expected = context.outputs[k];
    if (found.dtype != expected.dtype || !found.shape.IsCompatibleWith(expected.shape)) {
      return Bad(node, Str("output ", k, " is ", DescribeType(found.dtype, found.shape),
                           ", its op gives ", DescribeType(expected.dtype, expected.shape)));
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status VerifyGraph(const PassInput& input) {
  const Graph& graph = input.graph;
  absl::flat_hash_set<absl::string_view> names;
  absl::flat_hash_set<int32_t> closed_groups;
  int32_t group = -1;
  for (int32_t i = 0; i < graph.size(); ++i) {
    const Node& node = graph.node(i);
    if (node.op == nullptr) return absl::InternalError(Str("node ", i, " has no op"));
    if (node.name.empty() || !names.insert(node.name).second) {
      return Bad(node, "its name is empty or not unique");
    }
    DUET_RETURN_IF_ERROR(VerifyLinks(graph, i));
    DUET_RETURN_IF_ERROR(VerifyTypes(input, i));
    if (node.group != group) {
      if (group >= 0) closed_groups.insert(group);
      if (closed_groups.contains(node.group)) {
        return Bad(node, Str("the nodes of group ", node.group, " do not stand together"));
      }
      group = node.group;
    }
  }
  for (const auto* outputs : {&input.feeds, &input.fetches}) {
    for (const NodeOutput& o : *outputs) {
      if (!Exists(graph, o, graph.size())) {
        return absl::InternalError(Str(outputs == &input.feeds ? "a feed" : "a fetch",
                                       " is output ", o.index, " of node ", o.node,
                                       ", which does not exist"));
      }
    }
  }
  for (int32_t t : input.targets) {
    if (t < 0 || t >= graph.size()) {
      return absl::InternalError(Str("a target is node ", t, ", which does not exist"));
    }
  }
  return absl::OkStatus();
}

absl::Status VerifyEnds(const PassInput& before, const PassInput& after) {
  if (before.feeds.size() != after.feeds.size() || before.fetches.size() != after.fetches.size()) {
    return absl::InternalError(Str("there were ", before.feeds.size(), " feeds and ",
                                   before.fetches.size(), " fetches, now ", after.feeds.size(),
                                   " and ", after.fetches.size()));
  }
  for (const auto ends : {&PassInput::feeds, &PassInput::fetches}) {
    for (size_t i = 0; i < (before.*ends).size(); ++i) {
      const NodeOutput was_at = (before.*ends)[i];
      const ValueSpec& was = before.graph.spec(was_at);
      const ValueSpec& is = after.graph.spec((after.*ends)[i]);
      if (was.dtype != is.dtype || !was.shape.IsCompatibleWith(is.shape)) {
        return absl::InternalError(Str(ends == &PassInput::feeds ? "feed " : "fetch ", "\"",
                                       before.graph.OutputName(was_at), "\" was ",
                                       DescribeType(was.dtype, was.shape), ", now it is ",
                                       DescribeType(is.dtype, is.shape)));
      }
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<PassInput> Verify(const PassInput& input, const PassOptions& /*options*/) {
  DUET_RETURN_IF_ERROR(VerifyGraph(input));
  return input;
}

}  // namespace duet::compiler
