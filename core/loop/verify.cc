#include "core/loop/program.h"
#include "core/strings.h"

namespace duet::loop {
namespace {

absl::Status Bad(size_t i, const Instr& instr, std::string_view what) {
  return absl::InvalidArgumentError(
      Str("loop program: instruction ", i, " (", CodeName(instr.code), "): ", what));
}

// How many of a, b, c an instruction reads as positions of earlier instructions.
int Arity(Code code) {
  if (code <= Code::kIndexInner) return 0;
  if (code <= Code::kCast) return 1;
  if (code <= Code::kOr) return 2;
  return code == Code::kSelect ? 3 : 1;
}

// The types that the operands of `code` may have; they all have one, and the result has it too
// unless VerifyTypes says otherwise.
DTypeSet Allowed(Code code) {
  switch (code) {
    case Code::kNeg:
    case Code::kAbs:
    case Code::kSign:
    case Code::kAdd:
    case Code::kSub:
    case Code::kMul:
    case Code::kDiv:
    case Code::kFloorDiv:
    case Code::kFloorMod:
    case Code::kPow:
    case Code::kMax:
    case Code::kMin:
    case Code::kReduce:
    case Code::kLess:
    case Code::kLessEqual:
      return kNumericTypes;
    case Code::kEqual:
    case Code::kNotEqual:
    case Code::kCast:
    case Code::kSelect:
      return kAllTypes;
    case Code::kNot:
    case Code::kAnd:
    case Code::kOr:
      return DTypeSet(kBool);
    default:
      return kFloatingTypes;
  }
}

absl::Status VerifyTypes(const Body& body, size_t i) {
  const Instr& instr = body.instrs[i];
  const DType a = body.instrs[instr.a].dtype;
  const bool select = instr.code == Code::kSelect;
  const DType operand = select ? body.instrs[instr.b].dtype : a;
  if (!Allowed(instr.code).Contains(operand)) {
    return Bad(i, instr, Str("operands may not be ", Name(operand)));
  }
  if (select && a != kBool) return Bad(i, instr, Str("the condition is ", Name(a), ", not bool"));
  for (int32_t v : {instr.b, instr.c}) {
    if (v >= 0 && body.instrs[v].dtype != operand) {
      return Bad(i, instr,
                 Str("operands are ", Name(operand), " and ", Name(body.instrs[v].dtype)));
    }
  }
  DType expected = operand;
  switch (instr.code) {
    case Code::kIsNan:
    case Code::kLess:
    case Code::kLessEqual:
    case Code::kEqual:
    case Code::kNotEqual:
      expected = kBool;
      break;
    case Code::kCast:
      expected = instr.dtype;
      break;
    default:
      break;
  }
  if (instr.dtype != expected) {
    return Bad(i, instr, Str("the result is ", Name(instr.dtype), ", not ", Name(expected)));
  }
  return absl::OkStatus();
}

absl::Status VerifyInstr(const Body& body, size_t i) {
  const Instr& instr = body.instrs[i];
  if (instr.code > Code::kReduce || instr.reduce > Reduce::kMin) {
    return absl::InvalidArgumentError(Str("loop program: instruction ", i, " is not known"));
  }
  if (!kAllTypes.Contains(instr.dtype)) return Bad(i, instr, "the result has no element type");
  if (instr.code == Code::kLoad) {
    if (instr.a < 0 || static_cast<size_t>(instr.a) >= body.operands.size()) {
      return Bad(i, instr, Str("there is no operand ", instr.a));
    }
    if (instr.dtype != body.operands[instr.a]) {
      return Bad(i, instr, Str("operand ", instr.a, " is ", Name(body.operands[instr.a])));
    }
    return absl::OkStatus();
  }
  if (instr.code == Code::kIndexInner) {
    return instr.dtype == kInt64 ? absl::OkStatus() : Bad(i, instr, "the result is not int64");
  }
  const int arity = Arity(instr.code);
  const int32_t inputs[] = {instr.a, instr.b, instr.c};
  for (int k = 0; k < 3; ++k) {
    const bool used = inputs[k] >= 0 && static_cast<size_t>(inputs[k]) < i;
    if (k < arity && !used) {
      return Bad(i, instr, Str("reads ", inputs[k], ", which is not an earlier instruction"));
    }
    if (k >= arity && inputs[k] != -1) return Bad(i, instr, "has too many operands");
  }
  if (instr.code == Code::kReduce && body.axis == Axis::kNone) {
    return Bad(i, instr, "the body has no reduced dimension");
  }
  return arity > 0 ? VerifyTypes(body, i) : absl::OkStatus();
}

absl::Status VerifyOperands(const Program& program) {
  const Body& body = program.body;
  if (program.inner.size() != body.operands.size()) {
    return absl::InvalidArgumentError(Str("loop program: ", body.operands.size(),
                                          " operands, but the stride classes of ",
                                          program.inner.size()));
  }
  const size_t varies = body.axis == Axis::kNone ? 0 : body.operands.size();
  if (body.varies.size() != varies) {
    return absl::InvalidArgumentError(Str("loop program: says of ", body.varies.size(),
                                          " operands, not of ", varies, ", whether they vary"));
  }
  for (size_t k = 0; k < body.operands.size(); ++k) {
    if (!kAllTypes.Contains(body.operands[k])) {
      return absl::InvalidArgumentError(Str("loop program: operand ", k, " has no element type"));
    }
    if (program.inner[k] > Stride::kAny) {
      return absl::InvalidArgumentError(Str("loop program: operand ", k, " has no stride class"));
    }
    if (body.axis == Axis::kInner && !body.varies[k] && program.inner[k] != Stride::kZero) {
      return absl::InvalidArgumentError(
          Str("loop program: operand ", k, " does not vary along inner but has a stride there"));
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status Verify(const Program& program) {
  const Body& body = program.body;
  if (body.axis > Axis::kRows) return absl::InvalidArgumentError("loop program: no such axis");
  if (absl::Status s = VerifyOperands(program); !s.ok()) return s;
  for (size_t i = 0; i < body.instrs.size(); ++i) {
    if (absl::Status s = VerifyInstr(body, i); !s.ok()) return s;
  }
  if (body.outputs.empty()) return absl::InvalidArgumentError("loop program: no outputs");
  const std::vector<bool> reduced = ReducedLevel(body);
  for (size_t k = 0; k < body.outputs.size(); ++k) {
    const int32_t value = body.outputs[k].value;
    if (value < 0 || static_cast<size_t>(value) >= body.instrs.size()) {
      return absl::InvalidArgumentError(
          Str("loop program: output ", k, " is instruction ", value, ", which does not exist"));
    }
    if (body.axis == Axis::kRows && !reduced[value]) {
      return Bad(value, body.instrs[value],
                 Str("output ", k, " varies along the rows that the body reduces"));
    }
  }
  return absl::OkStatus();
}

}  // namespace duet::loop
