// Graph: recorded op calls. Nodes are immutable and valid by construction: GraphBuilder::Add runs
// the op's shape rule, so a Graph that exists is well typed, and passes return new graphs.
#ifndef DUET_GRAPH_GRAPH_H_
#define DUET_GRAPH_GRAPH_H_

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "core/op_def.h"
#include "core/tensor.h"

namespace duet {

// One output of a node.
struct NodeOutput {
  int32_t node = -1;
  int32_t index = 0;
  friend bool operator==(const NodeOutput&, const NodeOutput&) = default;
  template <class H>
  friend H AbslHashValue(H h, const NodeOutput& o) {
    return H::combine(std::move(h), o.node, o.index);
  }
};

struct Node {
  const OpDef* op = nullptr;
  std::string name;                     // unique in its graph; TensorFlow's naming rule
  Attrs attrs;                          // complete (defaults filled in)
  std::vector<NodeOutput> inputs;       // earlier nodes only
  std::vector<int32_t> control_inputs;  // earlier nodes that must run before; sorted, unique
  std::vector<ValueSpec> outputs;
  Location location;   // the user's call
  std::string device;  // "" is any
  // The fusion group this node belongs to, or -1. Set by the fusion pass; all nodes of a group
  // become one kernel.
  int32_t group = -1;
  // For a variable handle that was recorded in this process: the variable it captured.
  std::shared_ptr<Resource> resource;
};

namespace graph_internal {
struct GraphData;  // graph_data.h
}

// A handle; copies share one graph. Nodes are only ever appended (by a recorder or a builder), in
// topological order, and never change. One thread may append while others read the nodes that were
// there before; two threads must not append to one graph at once.
class Graph {
 public:
  Graph();
  int size() const;
  const Node& node(int i) const;
  // The position of the node called `name`, or -1.
  int Find(std::string_view name) const;
  // "Identity:0" or "Identity" -> the output; NotFound with similar names otherwise.
  absl::StatusOr<NodeOutput> FindOutput(std::string_view tensor_name) const;
  const ValueSpec& spec(NodeOutput o) const { return node(o.node).outputs[o.index]; }
  std::string OutputName(NodeOutput o) const;  // "Identity:0"
  // The value of an output known without running: constants, shapes of known sizes, and small
  // integer arithmetic on those; null if not known.
  const Tensor* StaticValue(NodeOutput o) const;

  // The text form: one node a line, in the order of the nodes, parsed back by FromText
  // (graph/text.h states the grammar); FromText(g.ToText()).ToText() == g.ToText().
  std::string ToText() const;
  static absl::StatusOr<Graph> FromText(std::string_view text);

  // For the rooms of Duet.
  const std::shared_ptr<graph_internal::GraphData>& data_ptr() const { return data_; }

 private:
  friend class GraphBuilder;
  std::shared_ptr<graph_internal::GraphData> data_;
};

// True if both have the same nodes in the same order: names, ops, attributes, links, types and
// groups (source locations aside).
bool SameGraph(const Graph& a, const Graph& b);

// Appends checked nodes to a graph.
class GraphBuilder {
 public:
  GraphBuilder() = default;                                         // a new graph
  explicit GraphBuilder(Graph graph) : graph_(std::move(graph)) {}  // appends to an existing one

  struct NodeArgs {
    const OpDef* op;
    std::string name = "";  // made unique; "" takes the op's public name, counted: Add, Add_1, ...
    Attrs attrs = {};
    std::vector<NodeOutput> inputs = {};
    std::vector<int32_t> control_inputs = {};
    Location location = {};
    std::string device = "";
    int32_t group = -1;
    std::shared_ptr<Resource> resource = nullptr;
  };
  // Fills attribute defaults, checks inputs and runs the shape rule. Errors are annotated with op
  // and location. With `specs` given (a recorder that has just inferred) the rule is not run again.
  absl::StatusOr<int32_t> Add(NodeArgs args, absl::Span<const ValueSpec> specs = {});
  // Copies a node of another graph under the same name with its inputs replaced.
  absl::StatusOr<int32_t> Copy(const Node& node, std::vector<NodeOutput> inputs,
                               std::vector<int32_t> control_inputs);
  const Graph& graph() const { return graph_; }
  Graph Build() { return std::move(graph_); }

 private:
  Graph graph_;
};

// Records op calls on this thread into `graph` while it lives. Tensors made inside are symbols of
// the graph; values from outside become constants; variables are captured by handle.
class GraphScope {
 public:
  explicit GraphScope(const Graph& graph);
  ~GraphScope();
  GraphScope(const GraphScope&) = delete;
  GraphScope& operator=(const GraphScope&) = delete;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// A tensor of the graph being recorded whose value is fed when it runs. Error outside a GraphScope.
Tensor Placeholder(DType dtype, Shape shape, std::string_view name = "Placeholder",
                   std::source_location loc = std::source_location::current());

// The symbol of an output of `graph`, and the output a symbol stands for (FailedPrecondition, with
// the reason, if it is a value or belongs to another graph).
Tensor SymbolOf(const Graph& graph, NodeOutput output);
absl::StatusOr<NodeOutput> OutputOf(const Graph& graph, const Tensor& tensor);

// ---- Files
// ----------------------------------------------------------------------------------------

// Limits on what is read (shared/SAFETY rules): checked before memory is taken.
struct ImportOptions {
  int64_t max_nodes = 10'000'000;
  int max_attr_depth = 100;
  int max_function_depth = 64;
  int64_t max_string_bytes = int64_t{256} << 20;
  int64_t max_constant_bytes = int64_t{4} << 30;  // and at most 1000 times the file's size
};

// Writes a GraphDef: binary for ".pb", protobuf text for ".pbtxt", by the name's ending. The file
// is replaced atomically. Values of captured variables are not written: the handle is, by name.
absl::Status WriteGraph(const Graph& graph, const std::string& path);
absl::StatusOr<Graph> ReadGraph(const std::string& path, const ImportOptions& options = {});
// The same on bytes in memory (binary form).
absl::StatusOr<std::string> SerializeGraph(const Graph& graph);
absl::StatusOr<Graph> ParseGraph(std::string_view bytes, const ImportOptions& options = {});

}  // namespace duet

#endif  // DUET_GRAPH_GRAPH_H_
