#include "compiler/cse.h"

#include <algorithm>
#include <tuple>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/hash/hash.h"
#include "compiler/rewrite.h"
#include "core/ops/defs.h"

namespace duet::compiler {
namespace {

// What makes two nodes equal, with inputs of the new graph.
struct Key {
  const Node* node;  // op, attributes, device
  std::vector<NodeOutput> inputs;
  std::vector<int32_t> controls;

  friend bool operator==(const Key& a, const Key& b) {
    return a.node->op == b.node->op && a.inputs == b.inputs && a.controls == b.controls &&
           a.node->device == b.node->device && a.node->attrs == b.node->attrs;
  }
  template <class H>
  friend H AbslHashValue(H h, const Key& k) {
    return H::combine(std::move(h), k.node->op, k.inputs, k.controls, k.node->attrs.Hash());
  }
};

// True if swapping the inputs changes no bit. Of two zeros, the larger and the smaller one are the
// first, whatever its sign.
bool MaySwap(const Graph& graph, const Node& node) {
  if (!node.op->commutative || node.inputs.size() != 2) return false;
  const bool extremum = node.op == &ops::MaximumOp() || node.op == &ops::MinimumOp();
  return !extremum || !IsFloating(graph.spec(node.inputs[0]).dtype);
}

}  // namespace

absl::StatusOr<PassInput> Cse(const PassInput& input, const PassOptions& /*options*/) {
  const Graph& graph = input.graph;
  const Ends ends(input);
  Rewriter out(input);
  absl::flat_hash_map<Key, int32_t> seen;  // -> the old node that stays
  bool changed = false;
  for (int32_t i = 0; i < graph.size(); ++i) {
    const Node& node = graph.node(i);
    if (!IsPure(node) || ends.fed[static_cast<size_t>(i)]) {
      DUET_RETURN_IF_ERROR(out.Copy(i));
      continue;
    }
    Key key{&node, out.MapInputs(node), out.MapControls(node)};
    if (MaySwap(graph, node)) {
      const auto order = [](NodeOutput o) { return std::tuple(o.node, o.index); };
      if (order(key.inputs[1]) < order(key.inputs[0])) std::swap(key.inputs[0], key.inputs[1]);
    }
    const auto [it, inserted] = seen.try_emplace(std::move(key), i);
    if (inserted) {
      DUET_RETURN_IF_ERROR(out.Copy(i));
      continue;
    }
    changed = true;
    std::vector<NodeOutput> same;
    for (size_t k = 0; k < node.outputs.size(); ++k) {
      same.push_back(out.Map({it->second, static_cast<int32_t>(k)}));
    }
    out.Forward(i, std::move(same));
  }
  if (!changed) return input;
  return std::move(out).Finish();
}

}  // namespace duet::compiler
