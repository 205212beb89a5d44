#include "tools/duet/graph_file.h"

#include "core/file.h"
#include "core/strings.h"

namespace duet::tool {
namespace {

constexpr int64_t kMaxTextBytes = int64_t{1} << 30;

bool EndsWith(std::string_view text, std::string_view ending) { return text.ends_with(ending); }

absl::Status UnknownForm(const std::string& path) {
  return absl::InvalidArgumentError(Str(
      "'", path, "' is no graph file by its name; expected one that ends in .pb, .pbtxt or .txt"));
}

// With the file's name, which messages about the content do not have.
absl::Status Named(const absl::Status& status, const std::string& path) {
  const std::string_view message(status.message().data(), status.message().size());
  if (status.ok() || message.find(path) != std::string_view::npos) return status;
  return absl::Status(status.code(), ToAbsl(Str(path, ": ", message)));
}

}  // namespace

absl::StatusOr<Graph> LoadGraph(const std::string& path) {
  absl::StatusOr<Graph> graph = UnknownForm(path);
  if (EndsWith(path, ".pb") || EndsWith(path, ".pbtxt")) {
    graph = ReadGraph(path);
  } else if (EndsWith(path, ".txt")) {
    DUET_ASSIGN_OR_RETURN(const std::string text, ReadFile(path, kMaxTextBytes));
    graph = Graph::FromText(text);
  }
  if (!graph.ok()) return Named(graph.status(), path);
  return graph;
}

absl::Status SaveGraph(const Graph& graph, const std::string& path) {
  if (EndsWith(path, ".txt")) return WriteFile(path, {graph.ToText()});
  if (EndsWith(path, ".pb") || EndsWith(path, ".pbtxt")) {
    return Named(WriteGraph(graph, path), path);
  }
  return UnknownForm(path);
}

std::vector<int32_t> PlaceholdersOf(const Graph& graph) {
  std::vector<int32_t> placeholders;
  for (int i = 0; i < graph.size(); ++i) {
    if (graph.node(i).op->family == Family::kPlaceholder) placeholders.push_back(i);
  }
  return placeholders;
}

absl::StatusOr<std::vector<NodeOutput>> FetchesOf(const Graph& graph,
                                                  const std::vector<std::string>& names) {
  std::vector<NodeOutput> fetches;
  for (const std::string& name : names) {
    DUET_ASSIGN_OR_RETURN(const NodeOutput output, graph.FindOutput(name));
    fetches.push_back(output);
  }
  if (!names.empty()) return fetches;
  std::vector<bool> used(graph.size(), false);
  for (int i = 0; i < graph.size(); ++i) {
    for (const NodeOutput& input : graph.node(i).inputs) used[input.node] = true;
  }
  for (int i = 0; i < graph.size(); ++i) {
    const Node& node = graph.node(i);
    if (used[i] || node.op->family == Family::kConstant ||
        node.op->family == Family::kPlaceholder) {
      continue;
    }
    for (int o = 0; o < static_cast<int>(node.outputs.size()); ++o) {
      if (node.outputs[o].dtype != kResource) fetches.push_back({i, o});
    }
  }
  if (fetches.empty()) {
    return absl::InvalidArgumentError("the graph computes nothing; name what to fetch: --fetch");
  }
  return fetches;
}

std::vector<int32_t> EffectsOf(const Graph& graph) {
  std::vector<int32_t> effects;
  for (int i = 0; i < graph.size(); ++i) {
    if (graph.node(i).op->side_effect) effects.push_back(i);
  }
  return effects;
}

absl::StatusOr<std::pair<std::string, std::string>> SplitAssignment(const std::string& text) {
  const size_t equals = text.find('=');
  if (equals == std::string::npos || equals == 0 || equals + 1 == text.size()) {
    return absl::InvalidArgumentError(
        Str("'", text, "' is no feed; expected NAME=FILE, as in x=input.npy"));
  }
  return std::pair(text.substr(0, equals), text.substr(equals + 1));
}

}  // namespace duet::tool
