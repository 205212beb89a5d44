// What a pass is, and the pipeline that runs them. The recipe (order and reasons) is in
// pipeline.cc.
#ifndef DUET_COMPILER_PASS_H_
#define DUET_COMPILER_PASS_H_

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "graph/graph.h"

namespace duet::compiler {

// What a pass works on: a graph and the outputs that must keep their meaning. Feeds are never
// folded or removed.
struct PassInput {
  Graph graph;
  std::vector<NodeOutput> feeds;
  std::vector<NodeOutput> fetches;
  std::vector<int32_t> targets;  // nodes that run for their effect (assignments)
};

struct PassOptions {
  bool fast_math = false;
  int64_t max_folded_bytes = int64_t{10} << 20;  // larger results are not folded
};

// A pass returns the new input (graph, feeds, fetches and targets renumbered). A pass with nothing
// to do returns its argument; "changed" is seen by comparing graphs, not told.
using PassFn = absl::StatusOr<PassInput> (*)(const PassInput& input, const PassOptions& options);

// A pass has one word that is its file, its flag, its dump and its name in errors.
struct Pass {
  const char* name;
  PassFn run;
  const char* doc;
};

// The recipe, in order.
const std::vector<Pass>& Pipeline();

struct PassReport {
  std::string name;
  int nodes_before = 0, nodes_after = 0;
  bool changed = false;
  bool disabled = false;
  double seconds = 0;
};

// Runs the pipeline. After every changing pass the verifier checks the graph (types, shapes, order,
// names; that fetches kept dtype and shape) and names the guilty pass in the error (Internal).
// InvalidArgument for a name in `disabled` that is no pass. Honours DUET_DISABLE_PASSES,
// DUET_DUMP_TO and DUET_TIME_PASSES.
absl::StatusOr<PassInput> RunPipeline(PassInput input, const PassOptions& options,
                                      const std::vector<std::string>& disabled,
                                      std::vector<PassReport>* reports);
// The same with a given list of passes (for tests and `duet opt`).
absl::StatusOr<PassInput> RunPasses(const std::vector<Pass>& passes, PassInput input,
                                    const PassOptions& options,
                                    const std::vector<std::string>& disabled,
                                    std::vector<PassReport>* reports);

// Copies the nodes that `keep` marks, with inputs redirected by `replace` (identity where unset),
// for passes that delete or merge nodes.
absl::StatusOr<PassInput> Rebuild(const PassInput& input, const std::vector<bool>& keep,
                                  const std::vector<std::vector<NodeOutput>>& replace);

}  // namespace duet::compiler

#endif  // DUET_COMPILER_PASS_H_
