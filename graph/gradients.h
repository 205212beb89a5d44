// Symbolic gradients of a graph, for graphs that were loaded and not recorded under a tape.
#ifndef DUET_GRAPH_GRADIENTS_H_
#define DUET_GRAPH_GRADIENTS_H_

#include <vector>

#include "absl/status/statusor.h"
#include "graph/graph.h"

namespace duet {

// Appends nodes to `graph` that compute, for each of `xs`, the gradient of the sum of all elements
// of `ys` with respect to it. An x is a floating tensor or a variable's handle. An entry {-1, 0}
// says that no y depends on that x. InvalidArgument if a y or x is not floating; Unimplemented
// names an op on the way that has no gradient.
absl::StatusOr<std::vector<NodeOutput>> AddGradients(Graph* graph,
                                                     const std::vector<NodeOutput>& ys,
                                                     const std::vector<NodeOutput>& xs);

}  // namespace duet

#endif  // DUET_GRAPH_GRADIENTS_H_
