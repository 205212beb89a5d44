// The part of StepBuilder that emits reads, assignments and updates of variables. The aim is that a
// training step goes over the memory of its weights once: an assignment is made in place by the
// step that computes the value, and an update runs on the panels of the matrix product that gives
// the gradient, while they are in the cache.
#include <algorithm>
#include <functional>
#include <mutex>

#include "core/error.h"
#include "runtime/step_builder.h"

namespace duet::runtime {

absl::Status StepBuilder::EmitVariable(int32_t i) {
  const Node& node = graph_.node(i);
  VariableStep v;
  v.variable = plan_.variable(i).get();
  switch (node.op->resource) {
    case ResourceUse::kRead: {
      if (EmitForwardedRead(i)) return absl::OkStatus();
      const int32_t output = Id({i, 0});
      MakeDynamic(output, /*allocated=*/false);
      values[output].first = step();
      values[output].last = step();
      v.value = values[output].dynamic;
      instance_.variables.push_back(std::move(v));
      AddStep(StepKind::kRead, instance_.variables.size() - 1, i);
      return absl::OkStatus();
    }
    case ResourceUse::kAssign: {
      if (EmitAssignInPlace(i)) return absl::OkStatus();
      const int32_t value = Id(node.inputs[1]);
      Use(value);
      const Value& root = Root(value);
      if (root.kind == Value::Kind::kConstant || !(root.spec.shape == values[value].spec.shape)) {
        // Through the tensor table, where it has its own shape.
        v.tensor = static_cast<Slot>(tensor_slots.size());
        AddTensor(value, values[value].spec, false);
      } else {
        InternalCheck(root.kind == Value::Kind::kDynamic, "an assigned value is planned away");
        v.value = root.dynamic;
      }
      instance_.variables.push_back(std::move(v));
      AddStep(StepKind::kAssign, instance_.variables.size() - 1, i);
      return absl::OkStatus();
    }
    case ResourceUse::kAssignAdd:
    case ResourceUse::kAssignSub:
      return EmitUpdate(i);
    default:
      throw InternalError("a resource op of an unknown kind");
  }
}

// What the last step made of the variable is what a read right after it gives.
bool StepBuilder::EmitForwardedRead(int32_t i) {
  const UpdateStep::Target* target = TargetOfLastStep(plan_.variable(i).get());
  if (target == nullptr || target->value < 0) return false;
  const auto assigned = std::find_if(values.begin(), values.end(),
                                     [&](const Value& v) { return v.dynamic == target->value; });
  Value& output = values[Id({i, 0})];
  output.root = assigned->root;
  output.kind = assigned->kind;
  return true;
}

// True if the value may share memory with the variable: it was read from it, or assigned in place.
bool StepBuilder::IsReadOf(int32_t value, const VariableState* variable) const {
  const int32_t dynamic = Root(value).dynamic;
  if (dynamic < 0) return false;
  for (const VariableStep& v : instance_.variables) {
    if (v.value == dynamic && v.variable == variable) return true;
  }
  for (const UpdateStep& update : instance_.updates) {
    for (const UpdateStep::Target& t : update.targets) {
      if (t.value == dynamic && t.variable == variable) return true;
    }
  }
  return false;
}

// The product of the last step, or null.
ProductStep* StepBuilder::ProductOfLastStep() {
  const auto last = static_cast<int32_t>(instance_.steps.size()) - 1;
  if (last < 0 || product_.step != last) return nullptr;
  const Step& step = instance_.steps.back();
  const int32_t index = step.kind == StepKind::kProduct
                            ? step.index
                            : instance_.updates[static_cast<size_t>(step.index)].product;
  return &instance_.products[static_cast<size_t>(index)];
}

UpdateStep& StepBuilder::LastStepAsUpdate() {
  Step& last = instance_.steps.back();
  if (last.kind != StepKind::kUpdate) {
    UpdateStep& update = instance_.updates.emplace_back();
    (last.kind == StepKind::kProduct ? update.product : update.loop) = last.index;
    update.nodes.push_back(last.node);
    last = {StepKind::kUpdate, static_cast<int32_t>(instance_.updates.size()) - 1, last.node};
  }
  return instance_.updates[static_cast<size_t>(last.index)];
}

// What the last step makes of the variable, or null.
const UpdateStep::Target* StepBuilder::TargetOfLastStep(const VariableState* variable) const {
  if (instance_.steps.empty() || instance_.steps.back().kind != StepKind::kUpdate) return nullptr;
  const int32_t index = instance_.steps.back().index;
  for (const UpdateStep::Target& t : instance_.updates[static_cast<size_t>(index)].targets) {
    if (t.variable == variable) return &t;
  }
  return nullptr;
}

void StepBuilder::AddTarget(UpdateStep* update, UpdateStep::Target target) {
  update->locks.push_back(&target.variable->update_mutex());
  std::sort(update->locks.begin(), update->locks.end(), std::less<>());
  update->targets.push_back(std::move(target));
}

void StepBuilder::KeepInPanels(int32_t root) {
  ProductStep& product = *ProductOfLastStep();
  for (size_t s = static_cast<size_t>(product_.first); s < pointer_slots.size(); ++s) {
    if (pointer_slots[s].value != root) continue;
    pointer_slots[s] = {-1, 0};
    if (static_cast<Slot>(s) != product.first + 2) {
      product.panel_slots.push_back(static_cast<Slot>(s));
    }
  }
  values[root].kind = Value::Kind::kPanel;
}

// An assignment of what the last step computes from a read of the same variable, and nothing else
// uses: the step writes over the variable's old value. Without that read the value needs new memory
// anyway.
bool StepBuilder::EmitAssignInPlace(int32_t i) {
  if (!fuses_ || instance_.steps.empty()) return false;
  const int32_t value = Id(graph_.node(i).inputs[1]);
  const int32_t defined = step() - 1;
  const Value& v = values[value];
  if (v.root != value || v.kind != Value::Kind::kDynamic || v.first != defined ||
      overwritable_step_ != defined || users_[value].size() != 1 || fetched_[value] ||
      v.spec.shape.num_elements() == 0) {
    return false;
  }
  VariableState* variable = plan_.variable(i).get();
  const auto read = std::find_if(overwritable_.begin(), overwritable_.end(),
                                 [&](int32_t operand) { return IsReadOf(operand, variable); });
  if (read == overwritable_.end() || TargetOfLastStep(variable) != nullptr) return false;
  if (const ProductStep* product = ProductOfLastStep()) {
    // Neither the product, which reads its inputs to the end, nor another loop on its panels may
    // use what is overwritten.
    int uses = 0;
    for (size_t s = static_cast<size_t>(product_.first); s < pointer_slots.size(); ++s) {
      uses += pointer_slots[s].value == values[*read].root;
    }
    if (uses != 1) return false;
    // Other rows are still to be computed when the first are overwritten, so the product must be
    // elsewhere.
    if (values[product_.result].root == value) {
      for (Slot slot : product_.slots) pointer_slots[slot].value = product_.result;
      pointer_slots[product->first + 2].value = product_.result;
      values[product_.result].root = product_.result;
      KeepInPanels(product_.result);
    }
  }
  UpdateStep& update = LastStepAsUpdate();
  UpdateStep::Target target;
  target.variable = variable;
  target.node = i;
  target.value = v.dynamic;
  target.read = Root(*read).dynamic;
  AddTarget(&update, std::move(target));
  update.nodes.push_back(i);
  instance_.dynamic[v.dynamic].allocated = false;
  return true;
}

// Values do not change once they are computed, so a loop can run later than its unit. What it reads
// then lives longer, though; next to the update that is not more memory than the delta would need.
bool StepBuilder::JoinsUpdate(const loop::Program& program, const loop::Launch& launch,
                              absl::Span<const SlotUse> operands, int32_t output) {
  if (!fuses_ || next_unit_ == nullptr || next_unit_->size() != 1 || fetched_[output]) {
    return false;
  }
  const int32_t next = next_unit_->front();
  const Node& node = graph_.node(next);
  const bool update =
      node.op->resource == ResourceUse::kAssignAdd || node.op->resource == ResourceUse::kAssignSub;
  if (!update || Id(node.inputs[1]) != output || users_[output].size() != 1) return false;
  const ValueSpec& spec = values[output].spec;
  const loop::Launch::Layout& layout = launch.layouts.back();
  if (program.body.axis != loop::Axis::kNone || spec.shape.num_elements() == 0 ||
      layout.inner != static_cast<int64_t>(SizeOf(spec.dtype))) {
    return false;
  }
  // A read of the variable is let go before the update, which could not be in place otherwise.
  const VariableState* variable = plan_.variable(next).get();
  for (const SlotUse& o : operands) {
    if (IsReadOf(o.value, variable)) return false;
  }
  joined_ = {program, launch, {operands.begin(), operands.end()}, output};
  return true;
}

bool StepBuilder::JoinsProduct(int32_t i, absl::Span<const SlotUse> operands,
                               loop::Launch* launch) {
  const ProductStep* product = ProductOfLastStep();
  const VariableState* variable = plan_.variable(i).get();
  if (!fuses_ || product == nullptr || operands.size() + 1 > kMaxPanelPointers ||
      TargetOfLastStep(variable) != nullptr) {
    return false;
  }
  const int32_t last = step() - 1;
  // What the step reads of the variable would be held by it, and a copy be made of all the rest.
  for (int32_t v = 0; v < static_cast<int32_t>(values.size()); ++v) {
    if (values[v].dynamic >= 0 && values[v].last >= last && IsReadOf(v, variable)) return false;
  }
  const Step& step = instance_.steps.back();
  for (const SlotUse& o : operands) {
    if (o.value < 0) continue;
    if (IsReadOf(o.value, variable)) return false;
    if (step.kind != StepKind::kUpdate || Root(o.value).first == last) continue;
    // The old value of another target is overwritten row by row.
    for (const UpdateStep::Target& t : instance_.updates[static_cast<size_t>(step.index)].targets) {
      if (IsReadOf(o.value, t.variable)) return false;
    }
  }
  loop::Launch rows = *launch;
  if (!loop::OpenRows(product->args.m, product->args.n, &rows)) return false;
  // Rows that the step computes are used as they come, each at its own place.
  bool uses_product = false;
  for (size_t k = 0; k < operands.size(); ++k) {
    if (operands[k].value < 0) continue;
    const Value& root = Root(operands[k].value);
    if (root.first != last) continue;
    const auto size = static_cast<int64_t>(SizeOf(root.spec.dtype));
    const loop::Launch::Layout& layout = rows.layouts[k];
    if (operands[k].offset != 0 || layout.inner != size || layout.row != rows.inner * size) {
      return false;
    }
    uses_product = true;
  }
  if (!uses_product) return false;
  *launch = std::move(rows);
  return true;
}

absl::Status StepBuilder::EmitUpdate(int32_t i) {
  const Node& node = graph_.node(i);
  const int32_t delta = Id(node.inputs[1]);
  const ValueSpec spec = values[delta].spec;
  const bool joined = joined_.output == delta;
  // The variable's value is operand and instruction 0. Those of the joined loop follow it, each one
  // place later than it was; without one, operand 1 is the delta.
  loop::Body body;
  body.operands = {spec.dtype};
  loop::Builder builder(&body);
  const loop::Builder::Value old = builder.Load(0);
  loop::Builder::Value change = -1;
  if (joined) {
    const loop::Body& from = joined_.program.body;
    body.operands.insert(body.operands.end(), from.operands.begin(), from.operands.end());
    for (loop::Instr instr : from.instrs) {
      for (int32_t* use : {&instr.a, &instr.b, &instr.c}) {
        if (*use >= 0) ++*use;
      }
      body.instrs.push_back(instr);
    }
    change = from.outputs[0].value + 1;
  } else {
    body.operands.push_back(spec.dtype);
    change = builder.Load(1);
  }
  const bool add = node.op->resource == ResourceUse::kAssignAdd;
  body.outputs = {{builder.Binary(add ? loop::Code::kAdd : loop::Code::kSub, old, change)}};
  loop::Program program;
  loop::Launch launch;
  absl::InlinedVector<SlotUse, 4> operands = {{-1, 0}};
  std::vector<int32_t> nodes;
  if (joined) {
    program.body = std::move(body);
    program.inner = std::move(joined_.program.inner);
    program.inner.insert(program.inner.begin(), loop::Stride::kUnit);
    launch = std::move(joined_.launch);
    const loop::Launch::Layout layout = launch.layouts.back();
    launch.layouts.insert(launch.layouts.begin(), layout);
    operands.insert(operands.end(), joined_.operands.begin(), joined_.operands.end());
    nodes.push_back(node.inputs[1].node);
    joined_ = {};
  } else {
    const loop::Strides strides = ContiguousStrides(spec.shape);
    const loop::Strides both[] = {strides, strides};
    DUET_RETURN_IF_ERROR(
        loop::PlanLaunch(body, {spec.shape, 0, 0}, both, {&strides, 1}, &program, &launch));
    operands.push_back({delta, 0});
  }
  nodes.push_back(i);
  joins_last_ = JoinsProduct(i, operands, &launch);
  constexpr int32_t kResult = -1;
  const int32_t index = AddLoop(program, launch, operands, {&kResult, 1});
  const LoopStep& loop = instance_.loops[static_cast<size_t>(index)];
  UpdateStep::Target target;
  target.variable = plan_.variable(i).get();
  target.node = i;
  target.old = loop.first;
  target.result = loop.first + loop.count - 1;
  if (joins_last_) {
    UpdateStep& update = LastStepAsUpdate();
    instance_.products[static_cast<size_t>(update.product)].epilogues.push_back(index);
    AddTarget(&update, std::move(target));
    update.nodes.insert(update.nodes.end(), nodes.begin(), nodes.end());
    if (StaysInPanels(update, node.inputs[1].node)) KeepInPanels(values[product_.result].root);
    joins_last_ = false;
    return absl::OkStatus();
  }
  UpdateStep& update = instance_.updates.emplace_back();
  update.loop = index;
  update.nodes = std::move(nodes);
  AddTarget(&update, std::move(target));
  AddStep(StepKind::kUpdate, instance_.updates.size() - 1, i);
  return absl::OkStatus();
}

// True if all that shares the memory of the last product is used by its own step alone, which has
// been joined by an update by what `delta_node` gives.
bool StepBuilder::StaysInPanels(const UpdateStep& update, int32_t delta_node) const {
  const int32_t root = values[product_.result].root;
  if (values[root].kind != Value::Kind::kArena) return false;
  const auto in_step = [&](int32_t unit) {
    return std::any_of(update.nodes.begin(), update.nodes.end(),
                       [&](int32_t node) { return unit_of_[node] == unit; });
  };
  for (int32_t value = 0; value < plan_.num_outputs(); ++value) {
    if (values[value].root != root) continue;
    if (fetched_[value]) return false;
    for (const int32_t user : users_[value]) {
      // The delta may be the product in another shape.
      if (user != delta_node && !in_step(unit_of_[user])) return false;
    }
  }
  return true;
}

}  // namespace duet::runtime
