// What is done with a program once it is there; see random_programs.h.

#include "core/dispatch.h"
#include "core/strings.h"
#include "tests/random_programs.h"

namespace duet::testing {

std::vector<bool> NeededNodes(const Program& program) {
  std::vector<bool> needed(static_cast<size_t>(program.graph.size()), false);
  for (const NodeOutput& f : program.fetches) needed[static_cast<size_t>(f.node)] = true;
  for (int i = program.graph.size() - 1; i >= 0; --i) {
    if (!needed[static_cast<size_t>(i)]) continue;
    for (const NodeOutput& in : program.graph.node(i).inputs) {
      needed[static_cast<size_t>(in.node)] = true;
    }
  }
  return needed;
}

absl::StatusOr<NodeValues> RunNodes(const Program& program,
                                    const std::vector<std::pair<int32_t, Tensor>>& feeds) {
  NodeValues values(static_cast<size_t>(program.graph.size()));
  for (const auto& [node, t] : feeds) values[static_cast<size_t>(node)] = {t};
  const std::vector<bool> needed = NeededNodes(program);
  for (int i = 0; i < program.graph.size(); ++i) {
    const Node& node = program.graph.node(i);
    if (!needed[static_cast<size_t>(i)] || !values[static_cast<size_t>(i)].empty()) continue;
    std::vector<Tensor> inputs;
    for (const NodeOutput& in : node.inputs) {
      inputs.push_back(values[static_cast<size_t>(in.node)][static_cast<size_t>(in.index)]);
    }
    try {
      const Outputs out = Dispatch(*node.op, node.attrs, inputs, node.location);
      values[static_cast<size_t>(i)].assign(out.begin(), out.end());
    } catch (const Error& e) {
      return e.status();
    }
  }
  return values;
}

absl::StatusOr<std::vector<Tensor>> RunEagerly(
    const Program& program, const std::vector<std::pair<int32_t, Tensor>>& feeds) {
  DUET_ASSIGN_OR_RETURN(const NodeValues values, RunNodes(program, feeds));
  std::vector<Tensor> out;
  for (const NodeOutput& f : program.fetches) {
    out.push_back(values[static_cast<size_t>(f.node)][static_cast<size_t>(f.index)]);
  }
  return out;
}

std::string Describe(const Program& program) {
  std::string out = "# fetches:";
  for (const NodeOutput& f : program.fetches) {
    AppendTo(&out, " ", program.graph.OutputName(f));
  }
  for (const auto& [node, t] : program.feeds) {
    AppendTo(&out, "\n# ", program.graph.node(node).name, " is fed ", AttrToString(t));
  }
  AppendTo(&out, "\n", program.graph.ToText());
  return out;
}

}  // namespace duet::testing
