#include "runtime/concrete.h"

#include "core/allocator.h"
#include "core/execute.h"
#include "core/strings.h"

namespace duet::runtime {
namespace {

class Concretizer {
 public:
  Concretizer(const Plan& plan, Concrete* concrete) : plan_(plan), out_(*concrete) {
    out_.specs.resize(static_cast<size_t>(plan.num_outputs()));
    out_.values.resize(static_cast<size_t>(plan.num_outputs()));
  }

  void Feed(int i, const Tensor& value) {
    const int id = plan_.id(plan_.feeds()[i]);
    out_.specs[id] = {value.dtype(), value.shape()};
    if (plan_.feed_by_value(i)) out_.values[id] = value;
  }

  absl::Status Visit(int i) {
    const Node& node = plan_.graph().node(i);
    const int first = plan_.id({i, 0});
    switch (node.op->family) {
      case Family::kPlaceholder:
        return absl::OkStatus();  // fed
      case Family::kConstant: {
        const Tensor& value = node.attrs.Get<Tensor>("value");
        out_.values[first] = value;
        out_.specs[first] = {value.dtype(), value.shape()};
        return absl::OkStatus();
      }
      default:
        break;
    }
    absl::InlinedVector<InputInfo, 4> infos;
    for (const NodeOutput& in : node.inputs) {
      const int id = plan_.id(in);
      const Tensor& value = out_.values[id];
      const ValueSpec& spec = out_.specs[id];
      infos.push_back({spec.dtype, &spec.shape, value.defined() ? &value : nullptr});
    }
    InferContext context(*node.op, node.attrs, infos);
    DUET_RETURN_IF_ERROR(Infer(context));
    if (plan_.variable(i) != nullptr) DUET_RETURN_IF_ERROR(CheckVariable(i, &context));
    bool needed = false;
    for (size_t o = 0; o < context.outputs.size(); ++o) {
      if (!context.outputs[o].shape.IsFullyDefined()) {
        return absl::UnimplementedError(Str("the shape ", context.outputs[o].shape.ToString(),
                                            " of its result is only known while it runs"));
      }
      needed = needed || plan_.value_needed(first + static_cast<int>(o));
      out_.specs[first + static_cast<int>(o)] = std::move(context.outputs[o]);
    }
    return needed ? Evaluate(node, first) : absl::OkStatus();
  }

 private:
  // The variable's own type is what counts for a read, and what an assigned value is checked
  // against.
  absl::Status CheckVariable(int i, InferContext* context) {
    const VariableState& variable = *plan_.variable(i);
    const ResourceUse use = plan_.graph().node(i).op->resource;
    if (use == ResourceUse::kHandle) return absl::OkStatus();
    const bool read = use == ResourceUse::kRead;
    InternalCheck(read ? !context->outputs.empty() : context->num_inputs() >= 2,
                  "a variable op of an unknown form");
    const DType dtype = read ? context->outputs[0].dtype : context->dtype(1);
    const Shape& shape = read ? context->outputs[0].shape : context->shape(1);
    if (dtype != variable.dtype() || !variable.shape().IsCompatibleWith(shape)) {
      return absl::InvalidArgumentError(Str("the variable \"", variable.name(), "\" holds ",
                                            DescribeType(variable.dtype(), variable.shape()),
                                            ", and here it is ", read ? "read as " : "given ",
                                            DescribeType(dtype, shape)));
    }
    if (read && !shape.IsFullyDefined()) context->outputs[0].shape = variable.shape();
    return absl::OkStatus();
  }

  absl::Status Evaluate(const Node& node, int first) {
    absl::InlinedVector<Tensor, 4> inputs;
    for (const NodeOutput& in : node.inputs) {
      const int id = plan_.id(in);
      const bool known = out_.values[id].defined();
      if (!known && !node.op->shape_only) {
        throw InternalError("a value that decides a shape was not computed");
      }
      inputs.push_back(known ? out_.values[id] : ShapeAlone(out_.specs[id]));
    }
    const size_t n = node.outputs.size();
    std::vector<Tensor> results(n);
    const OpCall call{*node.op, node.attrs, inputs, node.location};
    DUET_RETURN_IF_ERROR(
        ExecuteOp(call, absl::MakeSpan(&out_.specs[first], n), absl::MakeSpan(results), 1));
    for (size_t o = 0; o < n; ++o) out_.values[first + static_cast<int>(o)] = std::move(results[o]);
    return absl::OkStatus();
  }

  const Plan& plan_;
  Concrete& out_;
};

}  // namespace

Tensor ShapeAlone(const ValueSpec& spec) {
  return Tensor::FromStorage(spec.dtype, spec.shape,
                             Storage::Wrap(
                                 nullptr, 0, [](void*) {}, nullptr),
                             0);
}

absl::Status Concretize(const Plan& plan, absl::Span<const Tensor> feeds, Concrete* concrete) {
  Concretizer concretizer(plan, concrete);
  for (size_t i = 0; i < feeds.size(); ++i) concretizer.Feed(static_cast<int>(i), feeds[i]);
  for (int i = 0; i < plan.graph().size(); ++i) {
    if (!plan.live(i)) continue;
    const Node& node = plan.graph().node(i);
    absl::Status status = concretizer.Visit(i);
    if (!status.ok()) return Annotate(status, node.op->public_name, node.location);
  }
  return absl::OkStatus();
}

}  // namespace duet::runtime
