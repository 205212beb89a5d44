// Recorder: the interpreter that adds a node to a graph for every op call.
#ifndef DUET_GRAPH_RECORDER_H_
#define DUET_GRAPH_RECORDER_H_

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "core/dispatch.h"
#include "graph/graph.h"

namespace duet {

// Records the calls of one thread. Values from outside become constants, one per value; variables'
// handles become one handle node per variable, named as the variable. The order of effects is kept
// by control inputs: a read of a variable runs after the last assignment before it, an assignment
// after the last assignment and all reads since; random ops without a seed and other stateful ops
// run in program order.
//
//   Recorder recorder(graph);
//   Tensor x = recorder.AddPlaceholder(TensorSpec(kFloat32, {-1, 64}, "x"), location);
//   {
//     InterpreterScope scope(&recorder);
//     y = f(x);
//   }
class Recorder : public Interpreter {
 public:
  // Appends to `graph`, whose variables, constants and effects are taken up.
  explicit Recorder(Graph graph);

  void Run(const OpCall& call, absl::Span<const ValueSpec> specs,
           absl::Span<Tensor> outputs) override;
  bool recording() const override { return true; }

  // A tensor that is fed when the graph runs. Throws Error for a name or shape that is not legal.
  Tensor AddPlaceholder(const TensorSpec& spec, Location location = {});
  // The output that stands for `t` in the graph: of the node that recorded it, or of the constant
  // or variable handle that is added for it. Throws Error (naming `op`) for a symbol of another
  // graph.
  NodeOutput Capture(const Tensor& t, std::string_view op, Location location);
  // A symbol for an output of the graph.
  Tensor Symbol(NodeOutput output) const;

  const Graph& graph() const { return builder_.graph(); }
  // The nodes with an effect (assignments) that this recorder added, in program order.
  const std::vector<int32_t>& side_effects() const { return side_effects_; }
  // The tensors from outside that were captured by this recorder, with the node that each became.
  const std::vector<std::pair<Tensor, int32_t>>& captures() const { return captures_; }

 private:
  struct VariableOrder {
    int32_t last_assign = -1;
    std::vector<int32_t> reads;  // since last_assign
  };

  // The nodes that a call must run after.
  std::vector<int32_t> ControlInputs(const OpDef& op, const Attrs& attrs,
                                     absl::Span<const NodeOutput> inputs);
  // Takes node `i`, just added, into the order of effects.
  void NoteEffects(int32_t i);
  VariableOrder& OrderOf(NodeOutput handle);
  NodeOutput CaptureValue(const Tensor& t, Location location);
  NodeOutput CaptureVariable(const Tensor& t, Location location);

  GraphBuilder builder_;
  absl::flat_hash_map<const void*, int32_t> values_;       // Tensor::id() -> constant node
  absl::flat_hash_map<const Resource*, int32_t> handles_;  // -> handle node
  std::map<std::string, VariableOrder> variables_;
  int32_t last_stateful_ = -1;
  std::vector<int32_t> side_effects_;
  std::vector<std::pair<Tensor, int32_t>> captures_;
};

// The complete attributes of a constant of value `t`, and of a placeholder.
Attrs ConstantAttrs(const Tensor& t);
Attrs PlaceholderAttrs(DType dtype, const Shape& shape, Location location = {});

}  // namespace duet

#endif  // DUET_GRAPH_RECORDER_H_
