#include "eager/variable.h"

#include <array>

namespace duet {
namespace {

// The op for a use of variables, with its dtype attribute filled in; kept, because assignments are
// frequent.
struct ResourceCall {
  const OpDef* op = nullptr;
  Attrs attrs;
};
const ResourceCall& CallFor(ResourceUse use, DType dtype) {
  static const auto* table = [] {
    auto* t = new std::array<std::array<ResourceCall, 32>, 6>();
    for (ResourceUse u : {ResourceUse::kRead, ResourceUse::kAssign, ResourceUse::kAssignAdd,
                          ResourceUse::kAssignSub}) {
      for (DType d : {kFloat32, kFloat64, kInt32, kInt64, kUInt8, kBool}) {
        ResourceCall& call = (*t)[static_cast<size_t>(u)][static_cast<size_t>(d)];
        call.op = &ResourceOp(u);
        call.attrs.Set("dtype", d);
        InternalCheck(FillDefaults(*call.op, &call.attrs).ok(), "attributes of a resource op");
      }
    }
    return t;
  }();
  return (*table)[static_cast<size_t>(use)][static_cast<size_t>(dtype)];
}

void Update(ResourceUse use, const Tensor& handle, const VariableState& state,
            const Operand& value) {
  const ResourceCall& call = CallFor(use, state.dtype());
  const Tensor inputs[] = {handle, value.As(state.dtype(), call.op->public_name)};
  Dispatch(*call.op, call.attrs, inputs, value.location());
}

}  // namespace

Variable::Variable(const Operand& value, std::string_view name) {
  const Tensor initial = value.tensor();
  if (!initial.defined() || initial.is_symbolic()) {
    ThrowError(absl::FailedPreconditionError(
                   !initial.defined()
                       ? "the initial value is undefined"
                       : "the initial value is being recorded and has no value yet; make variables "
                         "outside of a Function or GraphScope, so that they live longer than "
                         "one call"),
               "Variable", value.location());
  }
  state_ = std::make_shared<VariableState>(std::string(name), initial.dtype(), initial.shape());
  state_->Assign(initial);
  handle_ = Tensor::FromResource(kResource, initial.shape(), state_);
}

Tensor Variable::ReadAt(Location location) const {
  const ResourceCall& call = CallFor(ResourceUse::kRead, dtype());
  return Dispatch1(*call.op, call.attrs, {&handle_, 1}, location);
}

void Variable::Assign(const Operand& value) {
  Update(ResourceUse::kAssign, handle_, *state_, value);
}
void Variable::AssignAdd(const Operand& delta) {
  Update(ResourceUse::kAssignAdd, handle_, *state_, delta);
}
void Variable::AssignSub(const Operand& delta) {
  Update(ResourceUse::kAssignSub, handle_, *state_, delta);
}

}  // namespace duet
