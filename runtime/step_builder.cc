#include "runtime/step_builder.h"

#include <algorithm>
#include <cstring>

#include "compiler/group.h"
#include "core/execute.h"
#include "core/strings.h"

namespace duet::runtime {
namespace {

// True if in all operands and outputs the next row is where the row ends, and positions do not
// count.
bool IsFlat(const loop::Program& program, const loop::Launch& launch) {
  for (const loop::Launch::Layout& layout : launch.layouts) {
    if (layout.row != layout.inner * launch.inner) return false;
  }
  const auto& instrs = program.body.instrs;
  return program.body.axis == loop::Axis::kNone && launch.outer.empty() &&
         std::none_of(instrs.begin(), instrs.end(), [](const loop::Instr& instr) {
           return instr.code == loop::Code::kIndexInner;
         });
}

}  // namespace

StepBuilder::StepBuilder(const Plan& plan, const Concrete& concrete, Instance* instance)
    : plan_(plan), graph_(plan.graph()), concrete_(concrete), instance_(*instance) {
  const std::vector<std::string>& disabled = plan.context().options().disabled_passes;
  fuses_ = std::find(disabled.begin(), disabled.end(), "fusion") == disabled.end();
}

absl::Status StepBuilder::Build() {
  const auto outputs = static_cast<size_t>(plan_.num_outputs());
  values.resize(outputs);
  for (size_t i = 0; i < outputs; ++i) {
    values[i].root = static_cast<int32_t>(i);
    values[i].spec = concrete_.specs[i];
  }
  FindRunning();
  PlaceLeaves();
  FindEscaping();
  const std::vector<Unit> units = Schedule(plan_, runs_);
  unit_of_.assign(static_cast<size_t>(graph_.size()), -1);
  users_.resize(outputs);
  for (size_t u = 0; u < units.size(); ++u) {
    for (int32_t i : units[u]) {
      unit_of_[i] = static_cast<int32_t>(u);
      for (const NodeOutput& in : graph_.node(i).inputs) users_[Id(in)].push_back(i);
    }
  }
  for (size_t u = 0; u < units.size(); ++u) {
    next_unit_ = u + 1 < units.size() ? &units[u + 1] : nullptr;
    DUET_RETURN_IF_ERROR(EmitUnit(units[u]));
  }
  InternalCheck(joined_.output < 0, "an update did not compute its delta");
  // What is handed out is alive to the end.
  for (const NodeOutput& o : plan_.fetches()) Use(Id(o));
  return absl::OkStatus();
}

// What fetches and targets need, stopping at values that are known already.
void StepBuilder::FindRunning() {
  runs_.assign(static_cast<size_t>(graph_.size()), false);
  std::vector<int32_t> open;
  std::vector<bool> seen(static_cast<size_t>(graph_.size()), false);
  const auto visit = [&](int32_t node) {
    if (seen[node]) return;
    seen[node] = true;
    open.push_back(node);
  };
  for (const NodeOutput& o : plan_.fetches()) visit(o.node);
  for (int32_t t : plan_.targets()) visit(t);
  while (!open.empty()) {
    const int32_t i = open.back();
    open.pop_back();
    const Node& node = graph_.node(i);
    const OpDef& op = *node.op;
    for (int32_t c : node.control_inputs) visit(c);
    const bool leaf = op.family == Family::kPlaceholder || op.family == Family::kConstant ||
                      op.resource == ResourceUse::kHandle ||
                      (!node.outputs.empty() && concrete_.values[Id({i, 0})].defined());
    if (leaf || (op.forwards_input && node.outputs[0].dtype == kResource)) continue;
    runs_[i] = true;
    for (const NodeOutput& in : node.inputs) visit(in.node);
  }
}

void StepBuilder::PlaceLeaves() {
  for (const NodeOutput& feed : plan_.feeds()) MakeDynamic(Id(feed), /*allocated=*/false);
  for (int32_t id = 0; id < plan_.num_outputs(); ++id) {
    Value& v = values[id];
    if (v.kind != Value::Kind::kNone || !concrete_.values[id].defined()) continue;
    v.kind = Value::Kind::kConstant;
    v.constant = concrete_.values[id];
    // What was computed for this instance has no other owner, and pointers will lead to it.
    instance_.owned_constants.push_back(v.constant);
  }
}

// Marks what outlives the run, so that it gets memory of its own: fetches, values that variables
// take over, and what these are other shapes of.
void StepBuilder::FindEscaping() {
  escapes_.assign(static_cast<size_t>(plan_.num_outputs()), false);
  fetched_ = escapes_;
  for (const NodeOutput& o : plan_.fetches()) {
    escapes_[Id(o)] = true;
    fetched_[Id(o)] = true;
  }
  for (int32_t i = graph_.size() - 1; i >= 0; --i) {
    if (!runs_[i]) continue;
    const Node& node = graph_.node(i);
    if (node.op->resource == ResourceUse::kAssign) escapes_[Id(node.inputs[1])] = true;
    if (node.outputs.empty() || !escapes_[Id({i, 0})]) continue;
    if (IsAlias(i)) escapes_[Id(node.inputs[0])] = true;
  }
}

int32_t StepBuilder::NewValue(const ValueSpec& spec) {
  Value v;
  v.root = static_cast<int32_t>(values.size());
  v.spec = spec;
  values.push_back(std::move(v));
  return values.back().root;
}

int32_t StepBuilder::NewConstant(Tensor t) {
  const int32_t id = NewValue({t.dtype(), t.shape()});
  values[id].kind = Value::Kind::kConstant;
  values[id].constant = t;
  instance_.owned_constants.push_back(std::move(t));
  return id;
}

void StepBuilder::MakeDynamic(int32_t value, bool allocated) {
  Value& v = values[value];
  v.kind = Value::Kind::kDynamic;
  v.dynamic = static_cast<int32_t>(instance_.dynamic.size());
  DynamicValue& d = instance_.dynamic.emplace_back();
  d.spec = v.spec;
  d.allocated = allocated;
}

void StepBuilder::AddStep(StepKind kind, size_t index, int32_t node) {
  instance_.steps.push_back({kind, static_cast<int32_t>(index), node});
}

void StepBuilder::Use(int32_t value) {
  Value& root = RootOf(value);
  InternalCheck(root.kind != Value::Kind::kNone, "a value is used before it is computed");
  root.last = std::max(root.last, step());
}

void StepBuilder::Define(int32_t value) {
  Value& v = values[value];
  if (v.kind == Value::Kind::kNone) {
    const bool escapes = value < plan_.num_outputs() && escapes_[value];
    if (escapes) {
      MakeDynamic(value, /*allocated=*/true);
    } else {
      v.kind = Value::Kind::kArena;
    }
  }
  Value& root = RootOf(value);
  root.first = std::min(root.first, step());
  root.last = std::max(root.last, step());
}

void StepBuilder::AddPointer(int32_t value, int64_t offset) {
  pointer_slots.push_back({value >= 0 ? values[value].root : -1, offset});
}

void StepBuilder::AddTensor(int32_t value, const ValueSpec& spec, bool shape_alone) {
  tensor_slots.push_back({shape_alone ? -1 : values[value].root, spec, shape_alone});
}

int32_t StepBuilder::AddLoop(const loop::Program& program, const loop::Launch& launch,
                             absl::Span<const SlotUse> operands,
                             absl::Span<const int32_t> outputs) {
  LoopStep loop;
  loop.axis = program.body.axis;
  loop.launch = launch;
  loop.first = static_cast<Slot>(pointer_slots.size());
  loop.count = static_cast<int32_t>(operands.size() + outputs.size());
  loop.flat = IsFlat(program, launch);
  const bool one_thread = instance_.num_threads == 1;
  loop.direct = launch.outer.empty() && (one_thread || launch.points() < kInlinePoints);
  for (const loop::Launch::Layout& layout : launch.layouts) {
    loop.row_strides.push_back(layout.row);
    loop.inner_strides.push_back(layout.inner);
  }
  for (const SlotUse& o : operands) {
    if (o.value >= 0) Use(o.value);
    AddPointer(o.value, o.offset);
  }
  bool empty = true;
  for (int32_t o : outputs) {
    if (o >= 0) Define(o);
    AddPointer(o, 0);
    empty = empty && (o >= 0 ? values[o].spec.shape.num_elements() : launch.points()) == 0;
  }
  // Nothing to compute; the sizes of the other dimensions do not matter.
  if (empty) loop.fn = [](const loop::KernelArgs*) {};
  programs.push_back(program);
  instance_.loops.push_back(std::move(loop));
  ++instance_.kernels;
  return static_cast<int32_t>(instance_.loops.size()) - 1;
}

absl::Status StepBuilder::EmitUnit(const Unit& unit) {
  const bool single = unit.size() == 1;
  if (!single || graph_.node(unit[0]).group >= 0) {
    compiler::LowerContext context{
        graph_, [&](NodeOutput o) -> const ValueSpec& { return concrete_.specs[Id(o)]; },
        [&](NodeOutput o) -> const Tensor* {
          const Tensor& value = concrete_.values[Id(o)];
          return value.defined() ? &value : nullptr;
        },
        [&](NodeOutput o) {
          if (fetched_[Id(o)]) return true;
          for (int32_t user : users_[Id(o)]) {
            if (unit_of_[user] != unit_of_[o.node]) return true;
          }
          return false;
        }};
    // A view by itself may need no kernel at all.
    const Node& first = graph_.node(unit[0]);
    const bool view = first.op->family == Family::kView || first.op->forwards_input;
    if (!(single && view) && EmitGroup(unit, context)) return absl::OkStatus();
  }
  for (int32_t node : unit) {
    absl::Status status = EmitNode(node);
    if (!status.ok()) {
      return Annotate(status, graph_.node(node).op->public_name, graph_.node(node).location);
    }
  }
  return absl::OkStatus();
}

// True if the group's kernel computes all that others use of its nodes.
bool StepBuilder::CoversUses(const Unit& unit, const compiler::LoweredGroup& group) const {
  for (int32_t i : unit) {
    for (int32_t k = 0; k < static_cast<int32_t>(graph_.node(i).outputs.size()); ++k) {
      const NodeOutput o{i, k};
      bool used = fetched_[Id(o)];
      for (int32_t user : users_[Id(o)]) used = used || unit_of_[user] != unit_of_[i];
      const auto& computed = group.loop.outputs;
      if (used && std::find(computed.begin(), computed.end(), o) == computed.end()) {
        return false;
      }
    }
  }
  return true;
}

bool StepBuilder::EmitGroup(const Unit& unit, const compiler::LowerContext& context) {
  auto lowered = compiler::LowerGroup(unit, context);
  if (!lowered.ok() || !CoversUses(unit, *lowered)) return false;
  const compiler::LoweredGroup& group = *lowered;
  const bool product = group.contraction >= 0;
  for (const compiler::LoweredOperand& o : group.loop.operands) {
    const bool inside = o.source.node >= 0 && o.source.node != group.contraction &&
                        std::find(unit.begin(), unit.end(), o.source.node) != unit.end();
    if (inside) return false;
  }
  const size_t pointers = group.loop.operands.size() + group.loop.outputs.size();
  if (product && pointers > kMaxPanelPointers) return false;
  for (int32_t i : unit) EmitCheck(i, unit);
  const int32_t last = unit.back();
  absl::InlinedVector<int32_t, 4> outputs;
  for (const NodeOutput& o : group.loop.outputs) outputs.push_back(Id(o));
  int32_t result = -1;
  if (product) {
    result = Id({group.contraction, 0});
    // The product may be written where the epilogue writes its result, and lives nowhere else then.
    for (size_t k = 0; k < group.loop.operands.size(); ++k) {
      if (!(group.loop.operands[k].source == NodeOutput{group.contraction, 0})) continue;
      const int target = k < group.loop.in_place.size() ? group.loop.in_place[k] : -1;
      if (target < 0 || values[result].kind != Value::Kind::kNone) continue;
      const int32_t output = outputs[static_cast<size_t>(target)];
      if (values[output].spec.dtype != values[result].spec.dtype) continue;
      if (values[output].spec.shape.num_elements() != values[result].spec.shape.num_elements()) {
        continue;
      }
      Define(output);
      values[result].root = values[output].root;
      values[result].kind = values[output].kind;
      break;
    }
    Define(result);
  }
  absl::InlinedVector<SlotUse, 8> operands;
  for (const compiler::LoweredOperand& o : group.loop.operands) {
    if (o.source.node >= 0) {
      operands.push_back({Id(o.source), o.offset});
      continue;
    }
    const DType dtype = group.loop.program.body.operands[operands.size()];
    Tensor scalar = Tensor::Allocate(dtype, Shape());
    std::memcpy(scalar.mutable_raw_data(), &o.value.bits, SizeOf(dtype));
    operands.push_back({NewConstant(std::move(scalar)), 0});
  }
  if (!product && outputs.size() == 1 &&
      JoinsUpdate(group.loop.program, group.loop.launch, operands, outputs[0])) {
    return true;
  }
  if (product) {
    product_ = {.first = static_cast<Slot>(pointer_slots.size())};
    for (size_t k = 0; k < operands.size(); ++k) {
      if (operands[k].value != result) continue;
      product_.slots.push_back(product_.first + static_cast<Slot>(k));
    }
  }
  overwritable_.clear();
  overwritable_step_ = step();
  for (size_t k = 0; k < operands.size() && k < group.loop.in_place.size(); ++k) {
    const int target = group.loop.in_place[k];
    if (target < 0) continue;
    const int32_t root = values[operands[k].value].root;
    bool alone = true;
    for (size_t j = 0; j < operands.size(); ++j) {
      alone = alone && (j == k || values[operands[j].value].root != root);
    }
    if (!alone) continue;
    overwritable_.push_back(operands[k].value);
    // A product may be written where the output goes, before the operand is read.
    if (!product) {
      in_place.push_back({step(), operands[k].value, outputs[static_cast<size_t>(target)]});
    }
  }
  const int32_t index = AddLoop(group.loop.program, group.loop.launch, operands, outputs);
  if (product) {
    const bool emitted = EmitProduct(group.contraction, result, index);
    InternalCheck(emitted, "a matrix product of a form without a kernel was fused");
  } else {
    AddStep(StepKind::kLoop, static_cast<size_t>(index), last);
  }
  return true;
}

}  // namespace duet::runtime
