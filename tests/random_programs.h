// Random programs: graphs of 5 to 50 nodes over the registry with values to feed, made from a seed
// alone, so that a failure can be made again.
#ifndef DUET_TESTS_RANDOM_PROGRAMS_H_
#define DUET_TESTS_RANDOM_PROGRAMS_H_

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "core/tensor.h"
#include "graph/graph.h"

namespace duet::testing {

// A graph, the values of its placeholders and what is fetched. Nodes that no fetch needs stay in
// the graph: some of them would fail if they ran.
struct Program {
  Graph graph;
  std::vector<std::pair<int32_t, Tensor>> feeds;  // placeholder node -> value
  // Values of another leading size for the placeholders that leave it open; empty if none does.
  std::vector<std::pair<int32_t, Tensor>> other_feeds;
  std::vector<NodeOutput> fetches;
};

// The program of a seed. Most run; a few fetch a node that fails (a division by zero, an index out
// of range, ...), which must fail alike in every mode.
Program MakeRandomProgram(uint64_t seed);

// The nodes that the fetches need.
std::vector<bool> NeededNodes(const Program& program);

// The values of all needed nodes' outputs, each node dispatched in order, eagerly. Others are left
// empty.
using NodeValues = std::vector<std::vector<Tensor>>;
absl::StatusOr<NodeValues> RunNodes(const Program& program,
                                    const std::vector<std::pair<int32_t, Tensor>>& feeds);
// The values of the fetches by the same way.
absl::StatusOr<std::vector<Tensor>> RunEagerly(
    const Program& program, const std::vector<std::pair<int32_t, Tensor>>& feeds);

// The graph as text, after comments that name the fetches and give the feeds to the last bit.
std::string Describe(const Program& program);

}  // namespace duet::testing

#endif  // DUET_TESTS_RANDOM_PROGRAMS_H_
