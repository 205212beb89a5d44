// What the subcommands share about graphs: files of every form, names given on the command line,
// and which outputs a graph is for.
#ifndef DUET_TOOLS_DUET_GRAPH_FILE_H_
#define DUET_TOOLS_DUET_GRAPH_FILE_H_

#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "graph/graph.h"

namespace duet::tool {

// By the name's ending: .pb (protobuf), .pbtxt (protobuf text), .txt (Duet's text form).
absl::StatusOr<Graph> LoadGraph(const std::string& path);
absl::Status SaveGraph(const Graph& graph, const std::string& path);

// The nodes that are fed, in order.
std::vector<int32_t> PlaceholdersOf(const Graph& graph);
// The outputs called `names`; without names those that no node uses (constants, placeholders and
// handles of variables aside). InvalidArgument if there are none.
absl::StatusOr<std::vector<NodeOutput>> FetchesOf(const Graph& graph,
                                                  const std::vector<std::string>& names);
// The nodes that run for their effect.
std::vector<int32_t> EffectsOf(const Graph& graph);

// "x=input.npy" -> {"x", "input.npy"}.
absl::StatusOr<std::pair<std::string, std::string>> SplitAssignment(const std::string& text);

}  // namespace duet::tool

#endif  // DUET_TOOLS_DUET_GRAPH_FILE_H_
