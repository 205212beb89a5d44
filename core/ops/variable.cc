// Reading and assigning variables. A tensor of dtype resource stands for the variable and carries
// its shape.
#include <mutex>
#include <utility>

#include "core/execute.h"
#include "core/ops/families.h"
#include "core/ops/infer_util.h"
#include "core/ops/ops.h"
#include "core/variable_state.h"

namespace duet {
namespace {

absl::Status InferHandle(InferContext& c) {
  c.AddOutput(kResource, c.attrs().Get<Shape>("shape"));
  return absl::OkStatus();
}

absl::Status InferRead(InferContext& c) {
  c.AddOutput(c.attrs().Get<DType>("dtype"), c.shape(0));
  return absl::OkStatus();
}

absl::Status InferAssign(InferContext& c) {
  const DType dtype = c.attrs().Get<DType>("dtype");
  if (c.dtype(1) != dtype || !c.shape(0).IsCompatibleWith(c.shape(1))) {
    return Invalid(
        "the variable is ", DescribeType(dtype, c.shape(0)), ", found a value of ",
        DescribeType(c.dtype(1), c.shape(1)),
        "; a variable keeps its dtype and shape: Cast, Reshape or BroadcastTo the value");
  }
  return absl::OkStatus();
}

// The variable behind a handle, of the dtype that the call was checked with.
absl::StatusOr<VariableState*> StateOf(const KernelContext& c) {
  auto* state = dynamic_cast<VariableState*>(c.inputs[0].resource().get());
  if (state == nullptr) return Invalid("the handle belongs to no variable");
  if (state->dtype() != c.attrs.Get<DType>("dtype")) {
    return Invalid("variable \"", state->name(), "\" is ", Name(state->dtype()), ", found ",
                   Name(c.attrs.Get<DType>("dtype")));
  }
  return state;
}

absl::Status Uninitialised(const VariableState& state) {
  return absl::FailedPreconditionError(
      Str("variable \"", state.name(), "\" has no value yet; assign one first"));
}

absl::Status ReadKernel(KernelContext& c) {
  DUET_ASSIGN_OR_RETURN(VariableState * state, StateOf(c));
  const Tensor value = state->Read();
  if (!value.defined()) return Uninitialised(*state);
  // A handle of its own: what is computed from two reads, or from the value that was assigned,
  // is told apart by a gradient tape.
  c.outputs[0] = value.Alias(value.shape());
  return absl::OkStatus();
}

absl::Status AssignKernel(KernelContext& c) {
  DUET_ASSIGN_OR_RETURN(VariableState * state, StateOf(c));
  if (!state->shape().IsCompatibleWith(c.inputs[1].shape())) {
    return Invalid("variable \"", state->name(), "\" has shape ", state->shape().ToString(),
                   ", found a value of shape ", c.inputs[1].shape().ToString());
  }
  const std::lock_guard lock(state->update_mutex());
  state->Assign(c.inputs[1]);
  return absl::OkStatus();
}

// Adds or subtracts, in place if nobody else holds the value.
absl::Status UpdateKernel(KernelContext& c) {
  DUET_ASSIGN_OR_RETURN(VariableState * state, StateOf(c));
  const OpDef& op = c.op.resource == ResourceUse::kAssignAdd ? ops::AddOp() : ops::SubOp();
  const std::lock_guard lock(state->update_mutex());
  Tensor value = state->Take();
  if (!value.defined()) return Uninitialised(*state);
  if (value.shape() != c.inputs[1].shape()) {
    const Shape shape = value.shape();
    state->Assign(std::move(value));
    return Invalid("variable \"", state->name(), "\" has shape ", shape.ToString(),
                   ", found a value of shape ", c.inputs[1].shape().ToString());
  }
  Tensor result;
  if (value.OwnsElementsAlone()) result = value;
  const Tensor inputs[] = {value, c.inputs[1]};
  const ValueSpec spec{value.dtype(), value.shape()};
  absl::Status status;
  try {
    status = ExecuteOp({op, NoAttrs(), inputs, {}}, {&spec, 1}, absl::MakeSpan(&result, 1),
                       c.num_threads);
  } catch (...) {
    state->Assign(value);
    throw;
  }
  state->Assign(status.ok() ? std::move(result) : value);
  return status;
}

OpDef Update(std::string name, std::string wire, ResourceUse use, KernelFunction kernel,
             std::string doc) {
  std::vector<AttrDef> attrs;
  if (use == ResourceUse::kAssign) attrs = {{"validate_shape", false}};
  return Opaque(std::move(name), {.inputs = {{.name = "resource", .type = kResource},
                                             {.name = "value", .type_attr = "dtype"}},
                                  .type_attrs = {{"dtype", kAllTypes, false}},
                                  .attrs = std::move(attrs),
                                  .infer = InferAssign,
                                  .kernel = kernel,
                                  .resource = use,
                                  .doc = std::move(doc),
                                  .wire = std::move(wire)});
}

}  // namespace

DUET_OP(VarHandle,
        Opaque("VarHandleOp", {.outputs = {{.name = "resource", .type = kResource}},
                               .type_attrs = {{"dtype", kAllTypes, false}},
                               .attrs = {{"container", std::string()},
                                         {"shared_name", std::string()},
                                         {"debug_name", std::string()},
                                         {"shape", Shape(), /*required=*/true}},
                               .infer = InferHandle,
                               .kernel =
                                   [](KernelContext&) {
                                     return absl::FailedPreconditionError(
                                         "a variable's handle is made by a graph or a "
                                         "Variable");
                                   },
                               .resource = ResourceUse::kHandle,
                               .doc = "The handle of the variable called shared_name."}));

DUET_OP(ReadVariable,
        Opaque("ReadVariableOp", {.inputs = {{.name = "resource", .type = kResource}},
                                  .outputs = {{.name = "value", .type_attr = "dtype"}},
                                  .type_attrs = {{"dtype", kAllTypes, false}},
                                  .infer = InferRead,
                                  .kernel = ReadKernel,
                                  .grad = [](GradContext& c) { c.Set(0, c.grad()); },
                                  .resource = ResourceUse::kRead,
                                  .doc = "The variable's value now."}));

DUET_OP(AssignVariable, Update("Assign", "AssignVariableOp", ResourceUse::kAssign, AssignKernel,
                               "Replaces the variable's value by one of its dtype and shape."));
DUET_OP(AssignAddVariable, Update("AssignAdd", "AssignAddVariableOp", ResourceUse::kAssignAdd,
                                  UpdateKernel, "Adds to the variable's value. Integers wrap."));
DUET_OP(AssignSubVariable,
        Update("AssignSub", "AssignSubVariableOp", ResourceUse::kAssignSub, UpdateKernel,
               "Subtracts from the variable's value. Integers wrap."));

}  // namespace duet
