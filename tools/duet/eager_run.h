// Runs a graph node by node through Dispatch: what an eager program that makes the same calls does.
#ifndef DUET_TOOLS_DUET_EAGER_RUN_H_
#define DUET_TOOLS_DUET_EAGER_RUN_H_

#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "graph/graph.h"

namespace duet::tool {

class EagerRun {
 public:
  // Unimplemented for a graph with variables: their values are not part of it. `feeds` gives the
  // value of each placeholder that the fetches need.
  static absl::StatusOr<EagerRun> Create(const Graph& graph,
                                         std::vector<std::pair<int32_t, Tensor>> feeds,
                                         std::vector<NodeOutput> fetches);

  // The values of the fetches. Others are released after their last use.
  absl::StatusOr<std::vector<Tensor>> Run() const;

 private:
  struct Step {
    int32_t node;
    std::vector<int32_t> last_uses;  // nodes whose values nothing needs after this step
  };
  EagerRun(const Graph& graph, std::vector<NodeOutput> fetches)
      : graph_(graph), fetches_(std::move(fetches)) {}

  Graph graph_;
  std::vector<NodeOutput> fetches_;
  std::vector<Step> steps_;
  std::vector<std::vector<Tensor>> values_;  // by node: feeds and constants
};

}  // namespace duet::tool

#endif  // DUET_TOOLS_DUET_EAGER_RUN_H_
