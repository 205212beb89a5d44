#include "compiler/prebuilt/common_programs.h"

#include <set>
#include <string>
#include <utility>

#include "absl/container/inlined_vector.h"
#include "core/execute.h"
#include "core/op_def.h"
#include "core/ops/register.h"

namespace duet::compiler {
namespace {

using loop::Axis;
using loop::Body;
using loop::Program;
using loop::Stride;

constexpr DType kTypes[] = {kFloat32, kFloat64, kInt32, kInt64, kUInt8, kBool};
// Ops of more inputs are left to the compiler, so that the build stays small.
constexpr size_t kMaxInputs = 3;

class Collector {
 public:
  void Add(Body body, std::vector<Stride> inner) {
    Program program{std::move(body), std::move(inner)};
    if (!Verify(program).ok() || !seen_.insert(ToString(program)).second) return;
    programs_.push_back(std::move(program));
  }
  std::vector<Program> Take() { return std::move(programs_); }

 private:
  std::vector<Program> programs_;
  std::set<std::string> seen_;
};

// A choice of one dtype for each type attribute of an op.
using TypeChoice = std::vector<DType>;

std::vector<TypeChoice> TypeChoices(const OpDef& op) {
  std::vector<TypeChoice> choices = {{}};
  for (const TypeAttrDef& attr : op.type_attrs) {
    std::vector<TypeChoice> longer;
    for (const TypeChoice& c : choices) {
      for (DType t : kTypes) {
        if (!attr.allowed.Contains(t)) continue;
        longer.push_back(c);
        longer.back().push_back(t);
      }
    }
    choices = std::move(longer);
  }
  return choices;
}

DType TypeOf(const OpDef& op, const ArgDef& arg, const TypeChoice& choice) {
  for (size_t i = 0; i < op.type_attrs.size(); ++i) {
    if (op.type_attrs[i].name == arg.type_attr) return choice[i];
  }
  return arg.type;
}

void AddElementwise(const OpDef& op, Collector* out) {
  const size_t n = op.inputs.size();
  if (n == 0 || n > kMaxInputs || op.list_input >= 0) return;
  for (const TypeChoice& choice : TypeChoices(op)) {
    Attrs attrs;
    for (size_t i = 0; i < choice.size(); ++i) {
      if (!op.type_attrs[i].from_input) attrs.Set(op.type_attrs[i].name, choice[i]);
    }
    if (!FillDefaults(op, &attrs).ok()) continue;
    absl::InlinedVector<DType, 4> inputs;
    for (const ArgDef& arg : op.inputs) inputs.push_back(TypeOf(op, arg, choice));
    const Body body = ElementwiseBody(op, attrs, inputs, TypeOf(op, op.outputs[0], choice));
    out->Add(body, std::vector<Stride>(n, Stride::kUnit));
    for (size_t scalar = 0; n > 1 && scalar < n; ++scalar) {
      std::vector<Stride> inner(n, Stride::kUnit);
      inner[scalar] = Stride::kZero;
      out->Add(body, std::move(inner));
    }
  }
}

// A reduction of several groups of axes is a mean in its last step alone.
void AddReduction(const OpDef& op, Collector* out) {
  for (DType t : kTypes) {
    const bool allowed = !op.type_attrs.empty() && op.type_attrs[0].allowed.Contains(t);
    for (Axis axis : {Axis::kInner, Axis::kRows}) {
      if (!allowed) continue;
      out->Add(ReductionBody(op.reduce, t, axis, false), {Stride::kUnit});
      if (op.reduce_mean) {
        out->Add(ReductionBody(op.reduce, t, axis, true), {Stride::kUnit, Stride::kZero});
      }
    }
  }
}

void AddCopies(Collector* out) {
  for (DType t : kTypes) {
    Body body;
    body.operands = {t};
    body.outputs = {{loop::Builder(&body).Load(0)}};
    for (Stride s : {Stride::kUnit, Stride::kAny, Stride::kZero}) out->Add(body, {s});
  }
}

}  // namespace

std::vector<Program> CommonPrograms() {
  RegisterAllOps();
  Collector out;
  for (const OpDef* op : AllOps()) {
    if (op->family == Family::kElementwise) AddElementwise(*op, &out);
    if (op->family == Family::kReduction) AddReduction(*op, &out);
  }
  AddCopies(&out);
  return out.Take();
}

}  // namespace duet::compiler
