#include "graph/graph.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_join.h"
#include "core/strings.h"
#include "graph/graph_data.h"
#include "graph/static_value.h"
#include "graph/text.h"

namespace duet {
namespace graph_internal {
namespace {

bool IsFirst(char c) { return absl::ascii_isalnum(c) || c == '.'; }
bool IsLater(char c) { return IsFirst(c) || c == '_' || c == '-' || c == '/'; }

}  // namespace

bool IsValidNodeName(std::string_view name) {
  bool at_start = true;
  for (char c : name) {
    if (at_start) {
      if (!IsFirst(c)) return false;
      at_start = false;
    } else if (c == '>') {
      at_start = true;
    } else if (!IsLater(c)) {
      return false;
    }
  }
  return !at_start;
}

std::string MakeValidNodeName(std::string_view name) {
  std::string out;
  for (char c : name) out.push_back(IsLater(c) ? c : '_');
  if (out.empty() || !IsFirst(out[0])) out.insert(0, "x");
  return out;
}

std::string GraphData::TensorName(int32_t node, int32_t output) const {
  return Str(nodes[node].node.name, ":", output);
}

const Tensor* GraphData::StaticValue(int32_t node, int32_t output) const {
  const NodeSlot& slot = nodes[node];
  if (slot.static_values.empty()) return nullptr;
  const Tensor& value = slot.static_values[static_cast<size_t>(output)];
  return value.defined() ? &value : nullptr;
}

Location GraphData::SourceLocation(int32_t node) const { return nodes[node].node.location; }

int32_t GraphData::Find(std::string_view name) const {
  absl::MutexLock lock(&mutex_);
  auto it = by_name_.find(ToAbsl(name));
  return it == by_name_.end() ? -1 : it->second;
}

std::string GraphData::UniqueName(std::string_view base) {
  absl::MutexLock lock(&mutex_);
  if (!by_name_.contains(ToAbsl(base))) return std::string(base);
  int32_t& next = next_suffix_[ToAbsl(base)];
  std::string name;
  do {
    name = Str(base, "_", ++next);
  } while (by_name_.contains(name));
  return name;
}

void GraphData::Append(NodeSlot slot) {
  absl::MutexLock lock(&mutex_);
  by_name_.emplace(slot.node.name, nodes.size());
  nodes.Append(std::move(slot));
}

}  // namespace graph_internal

using graph_internal::GraphData;
using graph_internal::NodeSlot;

Graph::Graph() : data_(std::make_shared<GraphData>()) {}

int Graph::size() const { return data_->nodes.size(); }

const Node& Graph::node(int i) const { return data_->nodes[i].node; }

int Graph::Find(std::string_view name) const { return data_->Find(name); }

std::string Graph::OutputName(NodeOutput o) const { return data_->TensorName(o.node, o.index); }

const Tensor* Graph::StaticValue(NodeOutput o) const { return data_->StaticValue(o.node, o.index); }

namespace {

// The edit distance of two names, or `limit` if it is at least that.
int EditDistance(std::string_view a, std::string_view b, int limit) {
  if (static_cast<int>(std::max(a.size(), b.size()) - std::min(a.size(), b.size())) >= limit) {
    return limit;
  }
  std::vector<int> row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) row[j] = static_cast<int>(j);
  for (size_t i = 1; i <= a.size(); ++i) {
    int diagonal = row[0];
    row[0] = static_cast<int>(i);
    for (size_t j = 1; j <= b.size(); ++j) {
      const int above = row[j];
      const bool same = absl::ascii_tolower(a[i - 1]) == absl::ascii_tolower(b[j - 1]);
      row[j] = std::min({above + 1, row[j - 1] + 1, diagonal + (same ? 0 : 1)});
      diagonal = above;
    }
  }
  return std::min(row[b.size()], limit);
}

// "; did you mean x, y?" from the graph's first nodes, or "".
std::string SimilarNodes(const Graph& graph, std::string_view name) {
  constexpr int kNodesLookedAt = 10000;
  constexpr size_t kShown = 3;
  const int limit = std::min(4, static_cast<int>(name.size()) / 2 + 1) + 1;
  std::vector<std::pair<int, std::string>> found;
  for (int i = 0; i < std::min(graph.size(), kNodesLookedAt); ++i) {
    const int distance = EditDistance(graph.node(i).name, name, limit);
    if (distance < limit) found.emplace_back(distance, graph.node(i).name);
  }
  if (found.empty()) return "";
  std::stable_sort(found.begin(), found.end(),
                   [](const auto& a, const auto& b) { return a.first < b.first; });
  found.resize(std::min(found.size(), kShown));
  return Str("; did you mean ",
             absl::StrJoin(found, ", ", [](std::string* out, const auto& f) { *out += f.second; }),
             "?");
}

}  // namespace

absl::StatusOr<NodeOutput> Graph::FindOutput(std::string_view tensor_name) const {
  std::string_view name = tensor_name;
  int32_t index = 0;
  if (const size_t colon = name.rfind(':'); colon != std::string_view::npos) {
    if (!absl::SimpleAtoi(ToAbsl(name.substr(colon + 1)), &index) || index < 0) {
      return absl::InvalidArgumentError(
          Str("\"", tensor_name, "\" is not a tensor's name; write \"node\" or \"node:0\""));
    }
    name = name.substr(0, colon);
  }
  const int32_t node = Find(name);
  if (node < 0) {
    return absl::NotFoundError(
        Str("the graph has no node \"", name, "\"", SimilarNodes(*this, name)));
  }
  const size_t outputs = this->node(node).outputs.size();
  if (static_cast<size_t>(index) >= outputs) {
    return absl::NotFoundError(Str("node \"", name, "\" has ", outputs,
                                   outputs == 1 ? " output" : " outputs", "; there is no \"", name,
                                   ":", index, "\""));
  }
  return NodeOutput{node, index};
}

std::string Graph::ToText() const { return PrintGraph(*this); }

absl::StatusOr<Graph> Graph::FromText(std::string_view text) { return ParseGraphText(text); }

bool SameGraph(const Graph& a, const Graph& b) {
  if (a.data_ptr() == b.data_ptr()) return true;
  if (a.size() != b.size()) return false;
  for (int i = 0; i < a.size(); ++i) {
    const Node &x = a.node(i), &y = b.node(i);
    if (x.op != y.op || x.name != y.name || x.inputs != y.inputs ||
        x.control_inputs != y.control_inputs || x.device != y.device || x.group != y.group ||
        x.resource != y.resource || x.outputs.size() != y.outputs.size() || !(x.attrs == y.attrs)) {
      return false;
    }
    for (size_t k = 0; k < x.outputs.size(); ++k) {
      if (x.outputs[k].dtype != y.outputs[k].dtype || !(x.outputs[k].shape == y.outputs[k].shape)) {
        return false;
      }
    }
  }
  return true;
}

// ---- GraphBuilder -------------------------------------------------------------------------------

namespace {

absl::Status CheckLinks(const Graph& graph, const GraphBuilder::NodeArgs& args) {
  for (const NodeOutput& in : args.inputs) {
    if (in.node < 0 || in.node >= graph.size()) {
      return absl::InvalidArgumentError(
          Str("an input is node ", in.node, "; the graph has ", graph.size(), " nodes"));
    }
    const Node& producer = graph.node(in.node);
    if (in.index < 0 || static_cast<size_t>(in.index) >= producer.outputs.size()) {
      return absl::InvalidArgumentError(Str("an input is output ", in.index, " of \"",
                                            producer.name, "\", which has ",
                                            producer.outputs.size()));
    }
  }
  for (int32_t c : args.control_inputs) {
    if (c < 0 || c >= graph.size()) {
      return absl::InvalidArgumentError(
          Str("a control input is node ", c, "; the graph has ", graph.size(), " nodes"));
    }
  }
  return absl::OkStatus();
}

// What rules look at; the pointers are into the graph.
absl::InlinedVector<InputInfo, 4> InputInfos(const Graph& graph,
                                             absl::Span<const NodeOutput> inputs) {
  absl::InlinedVector<InputInfo, 4> infos;
  for (const NodeOutput& in : inputs) {
    const ValueSpec& spec = graph.spec(in);
    infos.push_back({spec.dtype, &spec.shape, graph.StaticValue(in)});
  }
  return infos;
}

// What Add does, without the annotation of errors and the appending.
absl::StatusOr<NodeSlot> MakeNode(const Graph& graph, GraphBuilder::NodeArgs& args,
                                  absl::Span<const ValueSpec> specs) {
  const OpDef& op = *args.op;
  if (!args.name.empty() && !graph_internal::IsValidNodeName(args.name)) {
    return absl::InvalidArgumentError(Str(
        "\"", args.name,
        "\" is not a node's name: the first character is a letter, a digit or '.', later ones may "
        "also be one of _ - / >"));
  }
  if (graph.size() == std::numeric_limits<int32_t>::max()) {
    return absl::ResourceExhaustedError("the graph has as many nodes as it can hold");
  }
  NodeSlot slot;
  Node& node = slot.node;
  if (specs.empty()) {
    DUET_ASSIGN_OR_RETURN(node.outputs, graph_internal::InferNode(graph, &args));
  } else {
    DUET_RETURN_IF_ERROR(CheckLinks(graph, args));
    node.outputs.assign(specs.begin(), specs.end());
  }
  std::sort(args.control_inputs.begin(), args.control_inputs.end());
  args.control_inputs.erase(std::unique(args.control_inputs.begin(), args.control_inputs.end()),
                            args.control_inputs.end());
  node.op = &op;
  node.attrs = std::move(args.attrs);
  node.inputs = std::move(args.inputs);
  node.control_inputs = std::move(args.control_inputs);
  node.location = args.location;
  node.device = std::move(args.device);
  node.group = args.group;
  node.resource = std::move(args.resource);
  if (op.family == Family::kConstant) {
    const AttrValue* value = node.attrs.Find("value");
    if (value != nullptr && std::holds_alternative<Tensor>(*value)) {
      slot.static_values.push_back(std::get<Tensor>(*value));
    }
  } else {
    slot.static_values = graph_internal::ComputeStaticValues(
        op, node.attrs, InputInfos(graph, node.inputs), node.outputs);
  }
  return slot;
}

}  // namespace

absl::StatusOr<std::vector<ValueSpec>> graph_internal::InferNode(const Graph& graph,
                                                                 GraphBuilder::NodeArgs* args) {
  DUET_RETURN_IF_ERROR(CheckLinks(graph, *args));
  DUET_RETURN_IF_ERROR(FillDefaults(*args->op, &args->attrs));
  const auto infos = InputInfos(graph, args->inputs);
  InferContext context(*args->op, args->attrs, infos);
  DUET_RETURN_IF_ERROR(Infer(context));
  return std::vector<ValueSpec>(context.outputs.begin(), context.outputs.end());
}

absl::StatusOr<int32_t> GraphBuilder::Add(NodeArgs args, absl::Span<const ValueSpec> specs) {
  InternalCheck(args.op != nullptr, "GraphBuilder::Add without an op");
  auto slot = MakeNode(graph_, args, specs);
  if (!slot.ok()) return Annotate(slot.status(), args.op->public_name, args.location);
  GraphData& data = *graph_.data_;
  slot->node.name = data.UniqueName(args.name.empty() ? args.op->public_name : args.name);
  const int32_t position = data.nodes.size();
  data.Append(*std::move(slot));
  return position;
}

absl::StatusOr<int32_t> GraphBuilder::Copy(const Node& node, std::vector<NodeOutput> inputs,
                                           std::vector<int32_t> control_inputs) {
  return Add({.op = node.op,
              .name = node.name,
              .attrs = node.attrs,
              .inputs = std::move(inputs),
              .control_inputs = std::move(control_inputs),
              .location = node.location,
              .device = node.device,
              .group = node.group,
              .resource = node.resource});
}

}  // namespace duet
