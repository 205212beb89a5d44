#include "core/ops/families.h"

#include <utility>

#include "core/ops/grad_util.h"

namespace duet {
namespace {

// What all families fill in alike.
template <class Spec>
OpDef Common(std::string public_name, Spec& spec) {
  OpDef op;
  op.name = public_name;
  if constexpr (requires { spec.wire; }) {
    if (!spec.wire.empty()) op.name = spec.wire;
  }
  op.public_name = std::move(public_name);
  op.doc = std::move(spec.doc);
  op.examples = std::move(spec.examples);
  if constexpr (requires { spec.attrs; }) op.attrs = std::move(spec.attrs);
  if constexpr (requires { spec.tolerance_ulp; }) op.tolerance_ulp = spec.tolerance_ulp;
  if constexpr (requires { spec.test_low; }) {
    op.test_low = spec.test_low;
    op.test_high = spec.test_high;
  }
  return op;
}

// The same for families whose signature is given.
template <class Spec>
OpDef WithSignature(std::string public_name, Spec& spec) {
  OpDef op = Common(std::move(public_name), spec);
  op.inputs = std::move(spec.inputs);
  op.outputs = std::move(spec.outputs);
  op.type_attrs = std::move(spec.type_attrs);
  op.infer = spec.infer;
  op.grad = spec.grad;
  return op;
}

absl::Status ReshapeView(InferContext&, ViewMap* map) {
  map->reshape = true;
  return absl::OkStatus();
}

}  // namespace

absl::Status InferReduction(InferContext& c);  // reduce.cc

OpDef Unary(std::string public_name, UnarySpec spec) {
  OpDef op = Common(std::move(public_name), spec);
  op.inputs = {{.name = spec.input, .type_attr = "T"}};
  op.outputs = {{.name = spec.output, .type_attr = "T"}};
  op.type_attrs = {{"T", spec.types}};
  op.family = Family::kElementwise;
  op.infer = InferLikeInput;
  op.elementwise = spec.value.fn;
  op.grad = spec.grad.fn;
  op.differentiable = op.grad != nullptr;
  return op;
}

OpDef Binary(std::string public_name, BinarySpec spec) {
  OpDef op = Common(std::move(public_name), spec);
  op.inputs = {{.name = "x", .type_attr = "T"}, {.name = "y", .type_attr = "T"}};
  op.outputs = {{.name = "z", .type_attr = "T"}};
  op.type_attrs = {{"T", spec.types}};
  op.family = Family::kElementwise;
  op.infer = InferBroadcast;
  op.elementwise = spec.value.fn;
  op.grad = spec.grad;
  op.differentiable = op.grad != nullptr;
  op.commutative = spec.commutative;
  op.check = spec.check;
  op.checked_inputs = std::move(spec.checked_inputs);
  return op;
}

OpDef Compare(std::string public_name, CompareSpec spec) {
  OpDef op = Common(std::move(public_name), spec);
  op.inputs = {{.name = "x", .type_attr = "T"}, {.name = "y", .type_attr = "T"}};
  op.outputs = {{.name = "z", .type = kBool}};
  op.type_attrs = {{"T", spec.types}};
  op.family = Family::kElementwise;
  op.infer = InferBroadcastToBool;
  op.elementwise = spec.value.fn;
  op.differentiable = false;
  op.commutative = spec.commutative;
  return op;
}

OpDef Logical(std::string public_name, LogicalSpec spec) {
  OpDef op = Common(std::move(public_name), spec);
  op.inputs = {{.name = "x", .type = kBool}};
  if (spec.inputs == 2) op.inputs.push_back({.name = "y", .type = kBool});
  op.outputs = {{.name = spec.inputs == 2 ? "z" : "y", .type = kBool}};
  op.family = Family::kElementwise;
  op.infer = InferBroadcastToBool;
  op.elementwise = spec.value.fn;
  op.differentiable = false;
  op.commutative = spec.inputs == 2;
  return op;
}

OpDef Reduction(std::string public_name, ReduceSpec spec) {
  OpDef op = Common(std::move(public_name), spec);
  op.inputs = {{.name = "input", .type_attr = "T"},
               {.name = "reduction_indices", .type_attr = "Tidx", .host = true}};
  op.outputs = {{.name = "output", .type_attr = "T"}};
  op.type_attrs = {{"T", spec.types}, {"Tidx", kIndexTypes}};
  op.attrs = {{"keep_dims", false}};
  op.family = Family::kReduction;
  op.infer = InferReduction;
  op.reduce = spec.reduce;
  op.reduce_mean = spec.mean;
  op.grad = spec.grad;
  return op;
}

OpDef View(std::string public_name, ViewSpec spec) {
  OpDef op = WithSignature(std::move(public_name), spec);
  op.family = Family::kView;
  op.view = spec.view != nullptr ? spec.view : ReshapeView;
  op.differentiable = op.grad != nullptr;
  op.forwards_input = spec.forwards_input;
  return op;
}

OpDef Composite(std::string public_name, CompositeSpec spec) {
  OpDef op = WithSignature(std::move(public_name), spec);
  op.family = Family::kComposite;
  op.composite = spec.body;
  return op;
}

OpDef Opaque(std::string public_name, OpaqueSpec spec) {
  OpDef op = WithSignature(std::move(public_name), spec);
  op.family = Family::kOpaque;
  op.kernel = spec.kernel;
  op.differentiable = op.grad != nullptr;
  op.check = spec.check;
  op.checked_inputs = std::move(spec.checked_inputs);
  op.random = spec.random;
  op.stateful = spec.random || spec.resource != ResourceUse::kNone;
  op.shape_only = spec.shape_only;
  op.resource = spec.resource;
  op.side_effect = spec.resource == ResourceUse::kAssign ||
                   spec.resource == ResourceUse::kAssignAdd ||
                   spec.resource == ResourceUse::kAssignSub;
  return op;
}

// ---- Shape rules
// ----------------------------------------------------------------------------------

namespace {

absl::Status BroadcastInputs(InferContext& c, DType dtype) {
  // Equal shapes are by far the most frequent.
  int i = 1;
  while (i < c.num_inputs() && c.shape(i) == c.shape(0)) ++i;
  Shape shape = c.shape(0);
  for (; i < c.num_inputs(); ++i) {
    DUET_ASSIGN_OR_RETURN(shape, BroadcastShapes(shape, c.shape(i)));
  }
  c.AddOutput(dtype, std::move(shape));
  return absl::OkStatus();
}

}  // namespace

absl::Status InferBroadcast(InferContext& c) { return BroadcastInputs(c, c.dtype(0)); }
absl::Status InferBroadcastToBool(InferContext& c) { return BroadcastInputs(c, kBool); }
absl::Status InferLikeInput(InferContext& c) {
  c.AddOutput(c.dtype(0), c.shape(0));
  return absl::OkStatus();
}

// ---- Gradients
// ------------------------------------------------------------------------------------

void SetBinaryGrad(GradContext& c, BinaryGrad::Fn x, BinaryGrad::Fn y) {
  const Tensor& a = c.input(0);
  const Tensor& b = c.input(1);
  if (c.needed(0)) c.Set(0, SumToOperand(x(a, b, c.output(), c.grad()), a, {&b}));
  if (c.needed(1)) c.Set(1, SumToOperand(y(a, b, c.output(), c.grad()), b, {&a}));
}

// ---- Calls
// ----------------------------------------------------------------------------------------

Tensor CallUnary(const OpDef& op, const Operand& x) {
  if (!x.is_number()) return Dispatch1(op, NoAttrs(), {&x.tensor_ref(), 1}, x.location());
  const Tensor value = x.tensor();
  return Dispatch1(op, NoAttrs(), {&value, 1}, x.location());
}

DType CommonDType(const Operand& x, const Operand& y) {
  return x.is_number() ? CommonDType({&x, &y}) : x.dtype();
}

DType CommonDType(std::initializer_list<const Operand*> operands) {
  DType common = kInvalid;
  for (const Operand* x : operands) {
    if (!x->is_number()) return x->dtype();
    const DType dtype = x->dtype();
    const bool wider = SizeOf(dtype) > SizeOf(common) && !IsFloating(common);
    if (wider || IsFloating(dtype)) common = dtype;
  }
  return common;
}

Tensor AsOperand(const Operand& x, DType dtype, const OpDef& op) {
  if (!x.is_number()) return x.tensor_ref();
  return SizeOf(dtype) == 0 ? x.tensor() : x.As(dtype, op.public_name);
}

Tensor CallBinary(const OpDef& op, const Attrs& attrs, const Operand& x, const Operand& y) {
  if (!x.is_number() && !y.is_number()) {
    return Dispatch1(op, attrs, BorrowedInputs<2>(x.tensor_ref(), y.tensor_ref()), x.location());
  }
  const DType dtype = CommonDType(x, y);
  const Tensor inputs[] = {AsOperand(x, dtype, op), AsOperand(y, dtype, op)};
  return Dispatch1(op, attrs, inputs, x.location());
}

}  // namespace duet
