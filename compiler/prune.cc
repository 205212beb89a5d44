#include "compiler/prune.h"

#include <utility>
#include <vector>

#include "compiler/rewrite.h"
#include "core/ops/defs.h"
#include "graph/recorder.h"

namespace duet::compiler {

absl::StatusOr<PassInput> CutFeeds(const PassInput& input) {
  const Graph& graph = input.graph;
  std::vector<bool> cut(static_cast<size_t>(graph.size()));
  bool any = false;
  for (const NodeOutput& feed : input.feeds) {
    const Node& node = graph.node(feed.node);
    if (node.op->family == Family::kPlaceholder || node.outputs.size() != 1 ||
        node.outputs[0].dtype == kResource) {
      continue;
    }
    cut[static_cast<size_t>(feed.node)] = true;
    any = true;
  }
  if (!any) return input;
  Rewriter out(input);
  for (int32_t i = 0; i < graph.size(); ++i) {
    if (!cut[static_cast<size_t>(i)]) {
      DUET_RETURN_IF_ERROR(out.Copy(i));
      continue;
    }
    const Node& node = graph.node(i);
    const ValueSpec& spec = node.outputs[0];
    DUET_ASSIGN_OR_RETURN(const int32_t fed,
                          out.Add({.op = &ops::PlaceholderOp(),
                                   .name = node.name,
                                   .attrs = PlaceholderAttrs(spec.dtype, spec.shape),
                                   .location = node.location,
                                   .device = node.device}));
    out.Forward(i, {{fed, 0}});
  }
  return std::move(out).Finish();
}

absl::StatusOr<PassInput> Prune(const PassInput& uncut, const PassOptions& /*options*/) {
  DUET_ASSIGN_OR_RETURN(const PassInput input, CutFeeds(uncut));
  const Graph& graph = input.graph;
  const Ends ends(input);
  std::vector<bool> needed(static_cast<size_t>(graph.size()));
  bool drops = false;
  for (int32_t i = graph.size(); i-- > 0;) {
    const auto k = static_cast<size_t>(i);
    needed[k] = needed[k] || ends.fed[k] || ends.fetched[k] || ends.target[k];
    if (!needed[k]) {
      drops = true;
      continue;
    }
    const Node& node = graph.node(i);
    for (const NodeOutput& in : node.inputs) needed[static_cast<size_t>(in.node)] = true;
    for (int32_t c : node.control_inputs) needed[static_cast<size_t>(c)] = true;
  }
  if (!drops) return input;
  return Rebuild(input, needed, {});
}

}  // namespace duet::compiler
