#include "graph/recorder.h"

#include <utility>

#include "core/ops/defs.h"
#include "core/strings.h"
#include "core/variable_state.h"
#include "graph/graph_data.h"

namespace duet {
namespace {

// True if calls of the op with these attributes take their place in the program's order. A random
// op with a seed draws the same numbers wherever it runs.
bool IsOrdered(const OpDef& op, const Attrs& attrs) {
  if (op.resource != ResourceUse::kNone) return false;
  if (!op.random) return op.stateful || op.side_effect;
  for (const char* name : {"seed", "seed2"}) {
    const AttrValue* seed = attrs.Find(name);
    if (seed != nullptr && std::holds_alternative<int64_t>(*seed) &&
        std::get<int64_t>(*seed) != 0) {
      return false;
    }
  }
  return true;
}

bool IsAssignment(ResourceUse use) {
  return use == ResourceUse::kAssign || use == ResourceUse::kAssignAdd ||
         use == ResourceUse::kAssignSub;
}

// Sets the attribute `name` if the op declares it.
void SetIfDeclared(const OpDef& op, Attrs* attrs, std::string_view name, AttrValue value) {
  for (const AttrDef& a : op.attrs) {
    if (a.name == name) return attrs->Set(name, std::move(value));
  }
  for (const TypeAttrDef& t : op.type_attrs) {
    if (t.name == name && !t.from_input) return attrs->Set(name, std::move(value));
  }
}

Attrs Complete(const OpDef& op, Attrs attrs, Location location) {
  if (absl::Status s = FillDefaults(op, &attrs); !s.ok()) ThrowError(s, op.public_name, location);
  return attrs;
}

}  // namespace

Attrs ConstantAttrs(const Tensor& t) {
  const OpDef& op = ops::ConstOp();
  Attrs attrs;
  attrs.Set("value", t);
  SetIfDeclared(op, &attrs, "dtype", t.dtype());
  return Complete(op, std::move(attrs), {});
}

Attrs PlaceholderAttrs(DType dtype, const Shape& shape, Location location) {
  const OpDef& op = ops::PlaceholderOp();
  Attrs attrs;
  SetIfDeclared(op, &attrs, "dtype", dtype);
  SetIfDeclared(op, &attrs, "shape", shape);
  return Complete(op, std::move(attrs), location);
}

Recorder::Recorder(Graph graph) : builder_(std::move(graph)) {
  const Graph& g = builder_.graph();
  for (int32_t i = 0; i < g.size(); ++i) {
    const Node& node = g.node(i);
    if (node.op->family == Family::kConstant) {
      values_.emplace(node.attrs.Get<Tensor>("value").id(), i);
    } else if (node.op->resource == ResourceUse::kHandle && node.resource != nullptr) {
      handles_.emplace(node.resource.get(), i);
    }
    NoteEffects(i);
  }
}

Tensor Recorder::Symbol(NodeOutput output) const {
  const ValueSpec& spec = graph().spec(output);
  return Tensor::Symbolic(spec.dtype, spec.shape, graph().data_ptr(), output.node, output.index);
}

void Recorder::Run(const OpCall& call, absl::Span<const ValueSpec> specs,
                   absl::Span<Tensor> outputs) {
  std::vector<NodeOutput> inputs;
  inputs.reserve(call.inputs.size());
  for (const Tensor& t : call.inputs) {
    inputs.push_back(Capture(t, call.op.public_name, call.location));
  }
  auto node = builder_.Add({.op = &call.op,
                            .attrs = call.attrs,
                            .inputs = inputs,
                            .control_inputs = ControlInputs(call.op, call.attrs, inputs),
                            .location = call.location},
                           specs);
  if (!node.ok()) throw Error(node.status(), call.location);
  NoteEffects(*node);
  if (call.op.side_effect) side_effects_.push_back(*node);
  for (size_t i = 0; i < outputs.size(); ++i) {
    outputs[i] = Symbol({*node, static_cast<int32_t>(i)});
  }
}

Tensor Recorder::AddPlaceholder(const TensorSpec& spec, Location location) {
  const OpDef& op = ops::PlaceholderOp();
  if (absl::Status s = spec.shape.Validate(/*allow_unknown=*/true); !s.ok()) {
    ThrowError(s, op.public_name, location);
  }
  auto node = builder_.Add({.op = &op,
                            .name = spec.name,
                            .attrs = PlaceholderAttrs(spec.dtype, spec.shape, location),
                            .location = location});
  if (!node.ok()) throw Error(node.status(), location);
  return Symbol({*node, 0});
}

NodeOutput Recorder::Capture(const Tensor& t, std::string_view op, Location location) {
  if (t.is_symbolic()) {
    if (t.symbol_source() == graph().data_ptr()) return {t.symbol_node(), t.symbol_output()};
    ThrowError(absl::FailedPreconditionError(
                   Str("\"", t.name(),
                       "\" belongs to another graph than the one being recorded; make the call "
                       "inside a GraphScope of the graph that \"",
                       t.name(), "\" was recorded into, or feed its value")),
               op, location);
  }
  if (!t.defined()) {
    ThrowError(absl::InvalidArgumentError("an input is undefined"), op, location);
  }
  return t.dtype() == kResource ? CaptureVariable(t, location) : CaptureValue(t, location);
}

NodeOutput Recorder::CaptureValue(const Tensor& t, Location location) {
  if (auto it = values_.find(t.id()); it != values_.end()) return {it->second, 0};
  // The attribute holds a handle, so the identity stays this tensor's for the graph's life.
  auto node =
      builder_.Add({.op = &ops::ConstOp(), .attrs = ConstantAttrs(t), .location = location});
  if (!node.ok()) throw Error(node.status(), location);
  values_.emplace(t.id(), *node);
  captures_.emplace_back(t, *node);
  return {*node, 0};
}

NodeOutput Recorder::CaptureVariable(const Tensor& t, Location location) {
  const std::shared_ptr<Resource>& resource = t.resource();
  if (auto it = handles_.find(resource.get()); it != handles_.end()) return {it->second, 0};
  const auto* state = dynamic_cast<const VariableState*>(resource.get());
  InternalCheck(state != nullptr, "a resource tensor without a variable");
  const OpDef& op = ResourceOp(ResourceUse::kHandle);
  const std::string name =
      graph().data_ptr()->UniqueName(graph_internal::MakeValidNodeName(state->name()));
  Attrs attrs;
  // Two variables may have one name; in the graph, and in its file, each has its own.
  SetIfDeclared(op, &attrs, "shared_name", name);
  SetIfDeclared(op, &attrs, "dtype", state->dtype());
  SetIfDeclared(op, &attrs, "shape", state->shape());
  auto node = builder_.Add({.op = &op,
                            .name = name,
                            .attrs = Complete(op, std::move(attrs), location),
                            .location = location,
                            .resource = resource});
  if (!node.ok()) throw Error(node.status(), location);
  handles_.emplace(resource.get(), *node);
  captures_.emplace_back(t, *node);
  return {*node, 0};
}

Recorder::VariableOrder& Recorder::OrderOf(NodeOutput handle) {
  const Graph& g = graph();
  while (g.node(handle.node).op->forwards_input) handle = g.node(handle.node).inputs[0];
  const Node& node = g.node(handle.node);
  // Handles with one shared name stand for one variable.
  const AttrValue* shared = node.attrs.Find("shared_name");
  const bool is_shared = shared != nullptr && std::holds_alternative<std::string>(*shared) &&
                         !std::get<std::string>(*shared).empty();
  return variables_[is_shared ? std::get<std::string>(*shared) : node.name];
}

std::vector<int32_t> Recorder::ControlInputs(const OpDef& op, const Attrs& attrs,
                                             absl::Span<const NodeOutput> inputs) {
  std::vector<int32_t> before;
  if (op.resource == ResourceUse::kRead || IsAssignment(op.resource)) {
    const VariableOrder& order = OrderOf(inputs[0]);
    if (order.last_assign >= 0) before.push_back(order.last_assign);
    if (IsAssignment(op.resource)) {
      before.insert(before.end(), order.reads.begin(), order.reads.end());
    }
  } else if (IsOrdered(op, attrs) && last_stateful_ >= 0) {
    before.push_back(last_stateful_);
  }
  return before;
}

void Recorder::NoteEffects(int32_t i) {
  const Node& node = graph().node(i);
  if (node.op->resource == ResourceUse::kRead) {
    OrderOf(node.inputs[0]).reads.push_back(i);
  } else if (IsAssignment(node.op->resource)) {
    VariableOrder& order = OrderOf(node.inputs[0]);
    order.last_assign = i;
    order.reads.clear();
  } else if (IsOrdered(*node.op, node.attrs)) {
    last_stateful_ = i;
  }
}

// ---- The public functions -----------------------------------------------------------------------

struct GraphScope::State {
  explicit State(const Graph& graph) : recorder(graph), scope(&recorder) {}
  Recorder recorder;
  InterpreterScope scope;
};

GraphScope::GraphScope(const Graph& graph) : state_(std::make_unique<State>(graph)) {}
GraphScope::~GraphScope() = default;

Tensor Placeholder(DType dtype, Shape shape, std::string_view name, std::source_location loc) {
  auto* recorder = dynamic_cast<Recorder*>(CurrentDispatchState().interpreter);
  if (recorder == nullptr) {
    ThrowError(absl::FailedPreconditionError(
                   "nothing is being recorded on this thread; open a scope first: "
                   "GraphScope scope(graph);"),
               "Placeholder", Location(loc));
  }
  return recorder->AddPlaceholder(TensorSpec(dtype, std::move(shape), std::string(name)),
                                  Location(loc));
}

Tensor SymbolOf(const Graph& graph, NodeOutput output) {
  if (output.node < 0 || output.node >= graph.size() || output.index < 0 ||
      static_cast<size_t>(output.index) >= graph.node(output.node).outputs.size()) {
    ThrowError(absl::InvalidArgumentError(
                   Str("the graph has no output ", output.index, " of node ", output.node)),
               "SymbolOf", {});
  }
  const ValueSpec& spec = graph.spec(output);
  return Tensor::Symbolic(spec.dtype, spec.shape, graph.data_ptr(), output.node, output.index);
}

absl::StatusOr<NodeOutput> OutputOf(const Graph& graph, const Tensor& tensor) {
  if (!tensor.defined()) return absl::FailedPreconditionError("the tensor is undefined");
  if (!tensor.is_symbolic()) {
    return absl::FailedPreconditionError(
        Str("a tensor of shape ", tensor.shape().ToString(),
            " is a value, not a symbol of the graph; use a tensor recorded inside its GraphScope, "
            "or a name"));
  }
  if (tensor.symbol_source() != graph.data_ptr()) {
    return absl::FailedPreconditionError(Str("\"", tensor.name(), "\" belongs to another graph"));
  }
  return NodeOutput{tensor.symbol_node(), tensor.symbol_output()};
}

}  // namespace duet
