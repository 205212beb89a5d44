#include "compiler/constant_folding.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "compiler/rewrite.h"
#include "core/execute.h"
#include "core/ops/defs.h"
#include "core/strings.h"
#include "graph/recorder.h"

namespace duet::compiler {
namespace {

// A result of up to this many bytes may be larger than what it is computed from.
constexpr int64_t kSmallBytes = 1024;

// True if the op's value is the same whatever its inputs' elements are (zeros or ones of a shape).
bool IgnoresInputs(const Graph& graph, const Node& node) {
  const OpDef& op = *node.op;
  if (op.family != Family::kElementwise || op.elementwise == nullptr || op.check != nullptr) {
    return false;
  }
  absl::InlinedVector<DType, 4> dtypes;
  for (const NodeOutput& in : node.inputs) dtypes.push_back(graph.spec(in).dtype);
  const loop::Body body = ElementwiseBody(op, node.attrs, dtypes, node.outputs[0].dtype);
  std::vector<int32_t> stack = {body.outputs[0].value};
  while (!stack.empty()) {
    const loop::Instr& instr = body.instrs[static_cast<size_t>(stack.back())];
    stack.pop_back();
    if (instr.code == loop::Code::kLoad) return false;
    for (int32_t operand : {instr.a, instr.b, instr.c}) {
      if (operand >= 0) stack.push_back(operand);
    }
  }
  return true;
}

class Folder {
 public:
  Folder(const PassInput& input, const PassOptions& options, std::vector<std::string>* refusals)
      : input_(input),
        options_(options),
        refusals_(refusals),
        ends_(input),
        out_(input),
        values_(static_cast<size_t>(input.graph.size())),
        placed_(values_.size()) {}

  absl::StatusOr<PassInput> Run();

 private:
  // Empty if the node is not to be folded.
  Outputs Fold(int32_t i);
  Outputs Refuse(const Node& node, std::string_view reason);
  // Gives a folded node its place in the new graph, as constants.
  absl::Status Place(int32_t i);

  const PassInput& input_;
  const PassOptions& options_;
  std::vector<std::string>* refusals_;
  const Ends ends_;
  Rewriter out_;
  std::vector<Outputs> values_;  // of constants and folded nodes
  std::vector<bool> placed_;
};

Outputs Folder::Refuse(const Node& node, std::string_view reason) {
  if (refusals_ != nullptr) refusals_->push_back(Str(node.name, ": ", reason));
  return {};
}

Outputs Folder::Fold(int32_t i) {
  const Graph& graph = input_.graph;
  const Node& node = graph.node(i);
  if (ends_.fed[static_cast<size_t>(i)] || node.op->family == Family::kPlaceholder) return {};
  if (node.op->family == Family::kConstant) return {node.attrs.Get<Tensor>("value")};
  Outputs inputs;
  int64_t input_bytes = 0;
  bool constant = !node.inputs.empty();
  for (const NodeOutput& in : node.inputs) {
    const Outputs& values = values_[static_cast<size_t>(in.node)];
    if (values.empty()) {
      constant = false;
      break;
    }
    inputs.push_back(values[static_cast<size_t>(in.index)]);
    input_bytes += static_cast<int64_t>(inputs.back().byte_size());
  }
  const bool ignores_inputs = !constant && IgnoresInputs(graph, node);
  if (!constant && !node.op->shape_only && !ignores_inputs) return {};
  if (!IsPure(node)) {
    return constant ? Refuse(node, "it is stateful, random or uses a variable") : Outputs{};
  }
  if (!node.control_inputs.empty()) return Refuse(node, "it waits for other nodes");
  if (ignores_inputs) {
    inputs.clear();
    input_bytes = 0;
    for (const NodeOutput& in : node.inputs) {
      const ValueSpec& spec = graph.spec(in);
      if (!spec.shape.IsFullyDefined() || spec.shape.num_elements() > kSmallBytes) return {};
      inputs.push_back(Tensor::Allocate(spec.dtype, spec.shape));
      std::memset(inputs.back().mutable_raw_data(), 0, inputs.back().byte_size());
    }
  } else if (!constant) {
    // The shape of a tensor whose sizes are known.
    const Tensor* value = graph.StaticValue({i, 0});
    if (value == nullptr || node.outputs.size() != 1) return {};
    return {*value};
  }
  if (node.op->family == Family::kComposite) return Refuse(node, "it is a composite");
  int64_t bytes = 0;
  for (const ValueSpec& spec : node.outputs) {
    if (!spec.shape.IsFullyDefined()) return Refuse(node, "its shape is not known");
    bytes += spec.shape.num_elements() * static_cast<int64_t>(SizeOf(spec.dtype));
  }
  if (bytes > options_.max_folded_bytes) {
    return Refuse(node, Str(bytes, " bytes, the limit is ", options_.max_folded_bytes));
  }
  if (bytes > kSmallBytes && bytes > input_bytes) {
    return Refuse(node, Str(bytes, " bytes from ", input_bytes, " bytes of constants"));
  }
  Outputs outputs(node.outputs.size());
  try {
    const absl::Status status = ExecuteOp({*node.op, node.attrs, inputs, node.location},
                                          node.outputs, absl::MakeSpan(outputs));
    if (!status.ok()) return Refuse(node, Str("it fails: ", FromAbsl(status.message())));
  } catch (const Error& error) {
    return Refuse(node, Str("it fails: ", std::string_view(error.what())));
  }
  return outputs;
}

absl::Status Folder::Place(int32_t i) {
  const auto k = static_cast<size_t>(i);
  if (placed_[k] || values_[k].empty()) return absl::OkStatus();
  placed_[k] = true;
  const Node& node = input_.graph.node(i);
  if (node.op->family == Family::kConstant) return out_.Copy(i);
  std::vector<NodeOutput> constants;
  for (const Tensor& value : values_[k]) {
    DUET_ASSIGN_OR_RETURN(const int32_t constant, out_.Add({.op = &ops::ConstOp(),
                                                            .name = node.name,
                                                            .attrs = ConstantAttrs(value),
                                                            .location = node.location,
                                                            .device = node.device}));
    constants.push_back({constant, 0});
  }
  out_.Forward(i, std::move(constants));
  return absl::OkStatus();
}

absl::StatusOr<PassInput> Folder::Run() {
  const Graph& graph = input_.graph;
  bool changed = false;
  for (int32_t i = 0; i < graph.size(); ++i) {
    const auto k = static_cast<size_t>(i);
    const Node& node = graph.node(i);
    values_[k] = Fold(i);
    if (!values_[k].empty()) {
      changed |= node.op->family != Family::kConstant;
      // A constant is placed where it was; what was folded, when someone needs it.
      const bool end = ends_.fetched[k] || ends_.target[k];
      if (end || node.op->family == Family::kConstant) DUET_RETURN_IF_ERROR(Place(i));
      continue;
    }
    for (const NodeOutput& in : node.inputs) DUET_RETURN_IF_ERROR(Place(in.node));
    DUET_RETURN_IF_ERROR(out_.Copy(i));
  }
  if (!changed) return input_;
  return std::move(out_).Finish();
}

}  // namespace

absl::StatusOr<PassInput> ConstantFoldingWithReasons(const PassInput& input,
                                                     const PassOptions& options,
                                                     std::vector<std::string>* refusals) {
  return Folder(input, options, refusals).Run();
}

absl::StatusOr<PassInput> ConstantFolding(const PassInput& input, const PassOptions& options) {
  return ConstantFoldingWithReasons(input, options, nullptr);
}

}  // namespace duet::compiler
