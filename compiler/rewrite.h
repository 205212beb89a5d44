// The one way in which passes make their result: node by node, from the old graph into a new one.
#ifndef DUET_COMPILER_REWRITE_H_
#define DUET_COMPILER_REWRITE_H_

#include <cstdint>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "compiler/pass.h"
#include "graph/graph.h"

namespace duet::compiler {

// True if the node's calls may not be merged, folded, dropped or moved past each other: it is
// stateful, random, has an effect, or reads or writes a variable.
bool KeepsOrder(const Node& node);

// True if the node's result depends on its inputs and attributes alone, so that it may be replaced
// by an equal value. Fed nodes are not asked here.
bool IsPure(const Node& node);

// Marks of the nodes that are fed, fetched or targets.
struct Ends {
  explicit Ends(const PassInput& input);
  std::vector<bool> fed, fetched, target;
};

// Walks the old graph in an order of the pass's choice (producers first) and gives each node a
// place in the new graph: Copy, Add or Forward. Finish renumbers feeds, fetches and targets.
class Rewriter {
 public:
  static constexpr int32_t kKeepGroup = -2;

  explicit Rewriter(const PassInput& input);

  // The new output that stands for an old one, which must have its place already.
  NodeOutput Map(NodeOutput old) const;
  std::vector<NodeOutput> MapInputs(const Node& node) const;
  // The new nodes that must have run for old node's control inputs to have run.
  std::vector<int32_t> MapControls(const Node& node) const;

  // Copies an old node, with its name. `local` overrides where its inputs come from: old node ->
  // new node.
  absl::Status Copy(int32_t old, int32_t group = kKeepGroup,
                    const absl::flat_hash_map<int32_t, int32_t>& local = {});
  // Adds a copy of an old node beside the one that stands for it, under a name of its own.
  absl::StatusOr<int32_t> Duplicate(int32_t old, int32_t group,
                                    const absl::flat_hash_map<int32_t, int32_t>& local);
  // Adds a new node; `Forward` then says for what it stands.
  absl::StatusOr<int32_t> Add(GraphBuilder::NodeArgs args);
  // The old node has no place in the new graph: its users use `outputs` (new ones).
  void Forward(int32_t old, std::vector<NodeOutput> outputs);

  const Graph& graph() const { return builder_.graph(); }
  GraphBuilder& builder() { return builder_; }
  absl::StatusOr<PassInput> Finish() &&;

 private:
  absl::StatusOr<int32_t> CopyAs(const Node& node, const std::string& name, int32_t group,
                                 const absl::flat_hash_map<int32_t, int32_t>& local);

  const PassInput& input_;
  GraphBuilder builder_;
  std::vector<std::vector<NodeOutput>> outputs_;  // old node -> new outputs
  std::vector<std::vector<int32_t>> after_;       // old node -> new nodes to wait for instead
};

}  // namespace duet::compiler

#endif  // DUET_COMPILER_REWRITE_H_
