#include "core/loop/program.h"

#include <cmath>
#include <cstring>
#include <limits>

#include "core/strings.h"

namespace duet::loop {
namespace {

template <class T>
uint64_t BitsOf(T value) {
  uint64_t bits = 0;
  std::memcpy(&bits, &value, sizeof(value));
  return bits;
}

// kCast's rule from float64: truncates, saturates, NaN gives 0.
template <class T>
T FromDouble(double value) {
  if constexpr (std::is_same_v<T, bool>) {
    return value != 0;
  } else if constexpr (std::is_floating_point_v<T>) {
    return static_cast<T>(value);
  } else {
    if (std::isnan(value)) return 0;
    // max() + 1 is a power of two, so exact as a double; max() itself need not be.
    const double limit = std::ldexp(1.0, std::numeric_limits<T>::digits);
    if (value >= limit) return std::numeric_limits<T>::max();
    if (value <= static_cast<double>(std::numeric_limits<T>::min())) {
      return std::numeric_limits<T>::min();
    }
    return static_cast<T>(value);
  }
}

std::string_view ShortName(DType dtype) {
  switch (dtype) {
    case kFloat32:
      return "f32";
    case kFloat64:
      return "f64";
    case kInt32:
      return "i32";
    case kInt64:
      return "i64";
    case kUInt8:
      return "u8";
    case kBool:
      return "bool";
    default:
      return "invalid";
  }
}

std::string_view AxisName(Axis axis) {
  switch (axis) {
    case Axis::kNone:
      return "none";
    case Axis::kInner:
      return "inner";
    case Axis::kRows:
      return "rows";
  }
  return "invalid";
}

std::string_view StrideName(Stride stride) {
  switch (stride) {
    case Stride::kZero:
      return "zero";
    case Stride::kUnit:
      return "unit";
    case Stride::kAny:
      return "any";
  }
  return "invalid";
}

// The value of a constant for people; the bits beside it are what counts.
std::string Readable(DType dtype, uint64_t bits) {
  std::string text;
  VisitDType(dtype, [&](auto t) {
    std::memcpy(&t, &bits, sizeof(t));
    if constexpr (std::is_same_v<decltype(t), bool>) {
      text = (bits & 1) ? "true" : "false";
    } else if constexpr (std::is_floating_point_v<decltype(t)>) {
      text = Str(t);
    } else {
      text = Str(static_cast<int64_t>(t));
    }
  });
  return text;
}

template <class T>
T IdentityOf(Reduce reduce) {
  using Limits = std::numeric_limits<T>;
  switch (reduce) {
    case Reduce::kSum:
      return T(0);
    case Reduce::kProd:
      return T(1);
    case Reduce::kMax:
      return std::is_floating_point_v<T> ? -Limits::infinity() : Limits::lowest();
    case Reduce::kMin:
      return std::is_floating_point_v<T> ? Limits::infinity() : Limits::max();
  }
  return T(0);
}

}  // namespace

Scalar Scalar::Of(DType dtype, double value) {
  Scalar result;
  VisitDType(dtype, [&](auto t) { result.bits = BitsOf(FromDouble<decltype(t)>(value)); });
  return result;
}

Scalar Scalar::OfInt(DType dtype, int64_t value) {
  Scalar result;
  VisitDType(dtype, [&](auto t) {
    using T = decltype(t);
    result.bits = BitsOf(std::is_same_v<T, bool> ? T(value != 0) : static_cast<T>(value));
  });
  return result;
}

Scalar ReduceIdentity(Reduce reduce, DType dtype) {
  Scalar result;
  VisitDType(dtype, [&](auto t) { result.bits = BitsOf(IdentityOf<decltype(t)>(reduce)); });
  return result;
}

Builder::Value Builder::Raw(const Instr& instr) {
  auto& instrs = body_->instrs;
  // Bodies hold tens of instructions, so a scan is cheaper than a table.
  for (size_t i = 0; i < instrs.size(); ++i) {
    if (instrs[i] == instr) return static_cast<Value>(i);
  }
  instrs.push_back(instr);
  return static_cast<Value>(instrs.size() - 1);
}

Builder::Value Builder::Load(int operand) {
  return Raw({.code = Code::kLoad, .dtype = body_->operands[operand], .a = operand});
}

Builder::Value Builder::Const(DType dtype, double value) {
  return Raw({.code = Code::kConst, .dtype = dtype, .imm = Scalar::Of(dtype, value).bits});
}

Builder::Value Builder::ConstInt(DType dtype, int64_t value) {
  return Raw({.code = Code::kConst, .dtype = dtype, .imm = Scalar::OfInt(dtype, value).bits});
}

Builder::Value Builder::IndexInner() { return Raw({.code = Code::kIndexInner, .dtype = kInt64}); }

Builder::Value Builder::Unary(Code code, Value a) {
  return Raw({.code = code, .dtype = code == Code::kIsNan ? kBool : dtype(a), .a = a});
}

Builder::Value Builder::Cast(DType to, Value a) {
  if (dtype(a) == to) return a;
  return Raw({.code = Code::kCast, .dtype = to, .a = a});
}

Builder::Value Builder::Binary(Code code, Value a, Value b) {
  const bool compares = code == Code::kLess || code == Code::kLessEqual || code == Code::kEqual ||
                        code == Code::kNotEqual;
  return Raw({.code = code, .dtype = compares ? kBool : dtype(a), .a = a, .b = b});
}

Builder::Value Builder::Select(Value condition, Value t, Value f) {
  return Raw({.code = Code::kSelect, .dtype = dtype(t), .a = condition, .b = t, .c = f});
}

Builder::Value Builder::Reduction(Reduce reduce, Value a) {
  return Raw({.code = Code::kReduce, .dtype = dtype(a), .a = a, .reduce = reduce});
}

std::string ToString(const Program& program) {
  const Body& body = program.body;
  std::string text = Str("program ", AxisName(body.axis), "(");
  for (size_t i = 0; i < body.operands.size(); ++i) {
    AppendTo(&text, i ? ", " : "", ShortName(body.operands[i]));
    if (i < program.inner.size()) AppendTo(&text, " ", StrideName(program.inner[i]));
    if (i < body.varies.size() && body.varies[i]) AppendTo(&text, " varies");
  }
  AppendTo(&text, ") -> (");
  for (size_t i = 0; i < body.outputs.size(); ++i) {
    AppendTo(&text, i ? ", " : "", body.outputs[i].value);
  }
  AppendTo(&text, ")\n");
  for (size_t i = 0; i < body.instrs.size(); ++i) {
    const Instr& instr = body.instrs[i];
    AppendTo(&text, i, ": ", ShortName(instr.dtype), " ", CodeName(instr.code));
    if (instr.code == Code::kConst) {
      AppendTo(&text, " 0x", absl::Hex(instr.imm), " (", Readable(instr.dtype, instr.imm), ")");
    }
    if (instr.code == Code::kReduce) AppendTo(&text, " ", ReduceName(instr.reduce));
    for (int32_t v : {instr.a, instr.b, instr.c}) {
      if (v >= 0) AppendTo(&text, " ", v);
    }
    text += '\n';
  }
  return text;
}

std::vector<bool> ReducedLevel(const Body& body) {
  std::vector<bool> reduced(body.instrs.size(), false);
  if (body.axis == Axis::kNone) return reduced;
  for (size_t i = 0; i < body.instrs.size(); ++i) {
    const Instr& instr = body.instrs[i];
    switch (instr.code) {
      case Code::kLoad:
        reduced[i] = static_cast<size_t>(instr.a) < body.varies.size() && !body.varies[instr.a];
        break;
      case Code::kIndexInner:
        reduced[i] = body.axis == Axis::kRows;
        break;
      case Code::kConst:
      case Code::kReduce:
        reduced[i] = true;
        break;
      default:
        reduced[i] = true;
        for (int32_t v : {instr.a, instr.b, instr.c}) {
          if (v >= 0 && static_cast<size_t>(v) < i && !reduced[v]) reduced[i] = false;
        }
    }
  }
  return reduced;
}

std::string_view ReduceName(Reduce reduce) {
  switch (reduce) {
    case Reduce::kSum:
      return "sum";
    case Reduce::kProd:
      return "prod";
    case Reduce::kMax:
      return "max";
    case Reduce::kMin:
      return "min";
  }
  return "invalid";
}

std::string_view CodeName(Code code) {
  switch (code) {
    case Code::kLoad:
      return "load";
    case Code::kConst:
      return "const";
    case Code::kIndexInner:
      return "index";
    case Code::kNeg:
      return "neg";
    case Code::kAbs:
      return "abs";
    case Code::kSign:
      return "sign";
    case Code::kFloor:
      return "floor";
    case Code::kSqrt:
      return "sqrt";
    case Code::kRsqrt:
      return "rsqrt";
    case Code::kExp:
      return "exp";
    case Code::kLog:
      return "log";
    case Code::kLog1p:
      return "log1p";
    case Code::kTanh:
      return "tanh";
    case Code::kSigmoid:
      return "sigmoid";
    case Code::kNot:
      return "not";
    case Code::kIsNan:
      return "isnan";
    case Code::kCast:
      return "cast";
    case Code::kAdd:
      return "add";
    case Code::kSub:
      return "sub";
    case Code::kMul:
      return "mul";
    case Code::kDiv:
      return "div";
    case Code::kFloorDiv:
      return "floordiv";
    case Code::kFloorMod:
      return "floormod";
    case Code::kPow:
      return "pow";
    case Code::kMax:
      return "max";
    case Code::kMin:
      return "min";
    case Code::kLess:
      return "less";
    case Code::kLessEqual:
      return "lessequal";
    case Code::kEqual:
      return "equal";
    case Code::kNotEqual:
      return "notequal";
    case Code::kAnd:
      return "and";
    case Code::kOr:
      return "or";
    case Code::kSelect:
      return "select";
    case Code::kReduce:
      return "reduce";
  }
  return "invalid";
}

}  // namespace duet::loop
