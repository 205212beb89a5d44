// The reference evaluator: runs a graph node by node with ReferenceExecute. Slow and obvious; what
// eager, the compiler and the sessions are compared with.
#ifndef DUET_GRAPH_REFERENCE_H_
#define DUET_GRAPH_REFERENCE_H_

#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "core/tensor.h"
#include "graph/graph.h"

namespace duet {

// The values of `fetches`. Only what they (and `targets`, nodes that run for their effect) need is
// run, in the graph's order. Variables that the graph captured are read and assigned; those of a
// loaded graph start without a value.
absl::StatusOr<std::vector<Tensor>> ReferenceRun(
    const Graph& graph, const std::vector<std::pair<NodeOutput, Tensor>>& feeds,
    const std::vector<NodeOutput>& fetches, const std::vector<int32_t>& targets = {});

}  // namespace duet

#endif  // DUET_GRAPH_REFERENCE_H_
