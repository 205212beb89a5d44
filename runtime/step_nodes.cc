// The part of StepBuilder that emits nodes one by one.
#include <algorithm>
#include <cstring>
#include <set>

#include "compiler/group.h"
#include "core/execute.h"
#include "core/strings.h"
#include "runtime/step_builder.h"

namespace duet::runtime {

absl::Status StepBuilder::EmitNode(int32_t i) {
  const Node& node = graph_.node(i);
  const OpDef& op = *node.op;
  if (op.resource != ResourceUse::kNone) return EmitVariable(i);
  if (op.forwards_input) {
    EmitAlias(i);
    return absl::OkStatus();
  }
  EmitCheck(i, {});
  switch (op.family) {
    case Family::kElementwise:
      return EmitElementwise(i);
    case Family::kView:
      return EmitView(i);
    case Family::kReduction:
      return EmitReduction(i);
    case Family::kContraction:
      if (!EmitProduct(i, Id({i, 0}), -1)) EmitCall(i, StepKind::kKernel);
      return absl::OkStatus();
    case Family::kOpaque:
      EmitCall(i, StepKind::kKernel);
      return absl::OkStatus();
    case Family::kComposite:
      EmitCall(i, StepKind::kExecute);
      return absl::OkStatus();
    case Family::kConstant:
    case Family::kPlaceholder:
      break;
  }
  throw InternalError("a leaf of the graph is scheduled to run");
}

// The output is input 0, under its own shape.
void StepBuilder::EmitAlias(int32_t i) {
  const int32_t source = Id(graph_.node(i).inputs[0]);
  const int32_t output = Id({i, 0});
  values[output].root = values[source].root;
  values[output].kind = Root(source).kind;
}

absl::Status StepBuilder::EmitElementwise(int32_t i) {
  const Node& node = graph_.node(i);
  const int32_t output = Id({i, 0});
  const ValueSpec spec = values[output].spec;
  absl::InlinedVector<DType, 4> dtypes;
  absl::InlinedVector<loop::Strides, 4> strides;
  absl::InlinedVector<SlotUse, 4> operands;
  bool layouts_equal = true;
  for (const NodeOutput& in : node.inputs) {
    const ValueSpec& s = values[Id(in)].spec;
    dtypes.push_back(s.dtype);
    strides.push_back(loop::BroadcastStrides(s.shape, spec.shape));
    operands.push_back({Id(in), 0});
    layouts_equal = layouts_equal && s.shape == spec.shape;
  }
  const loop::Strides out = ContiguousStrides(spec.shape);
  loop::Program program;
  loop::Launch launch;
  DUET_RETURN_IF_ERROR(loop::PlanLaunch(ElementwiseBody(*node.op, node.attrs, dtypes, spec.dtype),
                                        {spec.shape, 0, 0}, strides, {&out, 1}, &program, &launch));
  if (JoinsUpdate(program, launch, operands, output)) return absl::OkStatus();
  overwritable_.clear();
  overwritable_step_ = step();
  for (const SlotUse& o : operands) {
    const ValueSpec& s = values[o.value].spec;
    bool fits = s.shape == spec.shape && SizeOf(s.dtype) == SizeOf(spec.dtype);
    for (const SlotUse& other : operands) {
      const bool shared = values[other.value].root == values[o.value].root;
      fits = fits && (!shared || values[other.value].spec.shape == spec.shape);
    }
    if (!fits) continue;
    in_place.push_back({step(), o.value, output});
    overwritable_.push_back(o.value);
  }
  const int32_t index = AddLoop(program, launch, operands, {&output, 1});
  AddStep(StepKind::kLoop, static_cast<size_t>(index), i);
  return absl::OkStatus();
}

absl::Status StepBuilder::MapOf(int32_t i, ViewMap* map) const {
  const Node& node = graph_.node(i);
  absl::InlinedVector<InputInfo, 4> infos;
  for (const NodeOutput& in : node.inputs) {
    const int32_t id = plan_.id(in);
    const Tensor& value = concrete_.values[id];
    const ValueSpec& spec = concrete_.specs[id];
    infos.push_back({spec.dtype, &spec.shape, value.defined() ? &value : nullptr});
  }
  InferContext context(*node.op, node.attrs, infos);
  return node.op->view(context, map);
}

std::vector<int64_t> StepBuilder::ReducedAxes(int32_t i) const {
  const Node& node = graph_.node(i);
  const Tensor& axes = concrete_.values[plan_.id(node.inputs[1])];
  InternalCheck(axes.defined(), "the axes of a reduction are not known");
  const int64_t rank = concrete_.specs[plan_.id(node.inputs[0])].shape.rank();
  std::set<int64_t> sorted;
  for (int64_t a : axes.AsInt64Vector()) sorted.insert(a < 0 ? a + rank : a);
  return {sorted.begin(), sorted.end()};
}

// True if the node by itself gives input 0 back under another shape.
bool StepBuilder::IsAlias(int32_t i) const {
  const OpDef& op = *graph_.node(i).op;
  if (op.forwards_input) return true;
  if (op.family == Family::kReduction) return ReducedAxes(i).empty();
  ViewMap map;
  return op.family == Family::kView && MapOf(i, &map).ok() && map.reshape;
}

absl::Status StepBuilder::EmitView(int32_t i) {
  const Node& node = graph_.node(i);
  const int32_t output = Id({i, 0});
  ViewMap map;
  DUET_RETURN_IF_ERROR(MapOf(i, &map));
  if (map.reshape) {
    EmitAlias(i);
    return absl::OkStatus();
  }
  const ValueSpec spec = values[output].spec;
  loop::Body body;
  body.operands = {spec.dtype};
  loop::Builder builder(&body);
  body.outputs = {{builder.Load(0)}};
  const loop::Strides out = ContiguousStrides(spec.shape);
  loop::Program program;
  loop::Launch launch;
  DUET_RETURN_IF_ERROR(
      loop::PlanLaunch(body, {spec.shape, 0, 0}, {&map.strides, 1}, {&out, 1}, &program, &launch));
  const SlotUse operand{Id(node.inputs[0]), map.offset * static_cast<int64_t>(SizeOf(spec.dtype))};
  if (JoinsUpdate(program, launch, {&operand, 1}, output)) return absl::OkStatus();
  const int32_t index = AddLoop(program, launch, {&operand, 1}, {&output, 1});
  AddStep(StepKind::kLoop, static_cast<size_t>(index), i);
  return absl::OkStatus();
}

absl::Status StepBuilder::EmitReduction(int32_t i) {
  const Node& node = graph_.node(i);
  const int32_t output = Id({i, 0});
  const int32_t input = Id(node.inputs[0]);
  const Shape shape = values[input].spec.shape;
  const DType dtype = values[input].spec.dtype;
  const std::vector<int64_t> axes = ReducedAxes(i);
  const std::vector<ReduceStep> steps = PlanReduction(shape, axes);
  if (steps.empty()) {
    EmitAlias(i);
    return absl::OkStatus();
  }
  int32_t current = input;
  for (size_t s = 0; s < steps.size(); ++s) {
    const loop::Space& space = steps[s].space;
    const bool last = s + 1 == steps.size();
    const bool mean = node.op->reduce_mean && last;
    const loop::Axis axis =
        space.reduce_end == space.shape.rank() ? loop::Axis::kInner : loop::Axis::kRows;
    Shape kept = space.shape;
    for (int d = space.reduce_begin; d < space.reduce_end; ++d) kept.set_dim(d, 1);
    loop::Strides out = ContiguousStrides(kept);
    for (int d = space.reduce_begin; d < space.reduce_end; ++d) out[d] = 0;
    absl::InlinedVector<loop::Strides, 2> strides = {ContiguousStrides(space.shape)};
    absl::InlinedVector<SlotUse, 2> operands = {{current, 0}};
    if (mean) {
      int64_t count = 1;
      for (int64_t a : axes) count *= shape.dim(static_cast<int>(a));
      const loop::Scalar scalar = loop::Scalar::OfInt(dtype, count);
      Tensor t = Tensor::Allocate(dtype, Shape());
      std::memcpy(t.mutable_raw_data(), &scalar.bits, SizeOf(dtype));
      strides.push_back(loop::Strides(static_cast<size_t>(space.shape.rank()), 0));
      operands.push_back({NewConstant(std::move(t)), 0});
    }
    loop::Program program;
    loop::Launch launch;
    DUET_RETURN_IF_ERROR(loop::PlanLaunch(ReductionBody(node.op->reduce, dtype, axis, mean), space,
                                          strides, {&out, 1}, &program, &launch));
    const int32_t result = last ? output : NewValue({dtype, kept});
    const int32_t index = AddLoop(program, launch, operands, {&result, 1});
    AddStep(StepKind::kLoop, static_cast<size_t>(index), i);
    current = result;
  }
  return absl::OkStatus();
}

// False, without a step, if the product is not one of two matrices. `epilogue` is a loop or -1.
bool StepBuilder::EmitProduct(int32_t i, int32_t result, int32_t epilogue) {
  const Node& node = graph_.node(i);
  const ValueSpec& a = values[Id(node.inputs[0])].spec;
  const ValueSpec& b = values[Id(node.inputs[1])].spec;
  const AttrValue* ta = node.attrs.Find("transpose_a");
  const AttrValue* tb = node.attrs.Find("transpose_b");
  if (node.inputs.size() != 2 || a.shape.rank() != 2 || b.shape.rank() != 2 || ta == nullptr ||
      tb == nullptr || !std::holds_alternative<bool>(*ta) || !std::holds_alternative<bool>(*tb)) {
    return false;
  }
  ProductStep product;
  product.args.dtype = a.dtype;
  product.args.transpose_a = std::get<bool>(*ta);
  product.args.transpose_b = std::get<bool>(*tb);
  product.args.m = a.shape.dim(product.args.transpose_a ? 1 : 0);
  product.args.k = a.shape.dim(product.args.transpose_a ? 0 : 1);
  product.args.n = b.shape.dim(product.args.transpose_b ? 0 : 1);
  product.first = static_cast<Slot>(pointer_slots.size());
  if (epilogue >= 0) product.epilogues.push_back(epilogue);
  for (const NodeOutput& in : node.inputs) {
    Use(Id(in));
    AddPointer(Id(in), 0);
  }
  Define(result);
  AddPointer(result, 0);
  if (epilogue < 0) product_ = {.first = product.first};
  product_.step = step();
  product_.unit = unit_of_[i];
  product_.result = result;
  instance_.products.push_back(std::move(product));
  ++instance_.kernels;
  AddStep(StepKind::kProduct, instance_.products.size() - 1, i);
  return true;
}

void StepBuilder::EmitCall(int32_t i, StepKind kind) {
  const Node& node = graph_.node(i);
  CallStep call;
  call.node = &node;
  call.first = static_cast<Slot>(tensor_slots.size());
  call.inputs = static_cast<int32_t>(node.inputs.size());
  call.outputs = static_cast<int32_t>(node.outputs.size());
  for (const NodeOutput& in : node.inputs) {
    const bool shape_alone = node.op->shape_only && Root(Id(in)).kind == Value::Kind::kNone;
    if (!shape_alone) Use(Id(in));
    AddTensor(Id(in), values[Id(in)].spec, shape_alone);
  }
  for (int32_t k = 0; k < call.outputs; ++k) {
    const int32_t output = Id({i, k});
    Define(output);
    AddTensor(output, values[output].spec, false);
    call.specs.push_back(values[output].spec);
  }
  instance_.calls.push_back(std::move(call));
  AddStep(kind, instance_.calls.size() - 1, i);
}

// The op's check of its elements, before the unit that holds it (empty: it runs by itself).
void StepBuilder::EmitCheck(int32_t i, const Unit& unit) {
  const Node& node = graph_.node(i);
  if (node.op->check == nullptr) return;
  std::vector<bool> elements;
  for (int k = 0; k < static_cast<int>(node.inputs.size()); ++k) {
    elements.push_back(compiler::NeedsMaterialised(node, k, values[Id(node.inputs[k])].spec.dtype));
  }
  if (std::find(elements.begin(), elements.end(), true) == elements.end()) return;
  CallStep call;
  call.node = &node;
  call.first = static_cast<Slot>(tensor_slots.size());
  call.inputs = static_cast<int32_t>(node.inputs.size());
  for (size_t k = 0; k < node.inputs.size(); ++k) {
    const int32_t id = Id(node.inputs[k]);
    if (elements[k]) {
      const bool inside = std::find(unit.begin(), unit.end(), node.inputs[k].node) != unit.end();
      InternalCheck(!inside, "a checked value was fused away");
      Use(id);
    }
    AddTensor(id, values[id].spec, !elements[k]);
  }
  instance_.calls.push_back(std::move(call));
  AddStep(StepKind::kCheck, instance_.calls.size() - 1, i);
}

}  // namespace duet::runtime
