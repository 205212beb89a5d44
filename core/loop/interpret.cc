// The reference interpreter. It is written to be read, not to be fast.

#include <cmath>
#include <cstring>
#include <limits>
#include <type_traits>

#include "core/loop/program.h"

namespace duet::loop {
namespace {

// The bits of a value of any dtype, as Scalar has them.
using Cell = uint64_t;

template <class T>
T Get(Cell cell) {
  if constexpr (std::is_same_v<T, bool>) {
    return (cell & 0xff) != 0;
  } else {
    T value;
    std::memcpy(&value, &cell, sizeof(T));
    return value;
  }
}

template <class T>
Cell Put(T value) {
  Cell cell = 0;
  std::memcpy(&cell, &value, sizeof(T));
  return cell;
}

template <class T>
using Wide = std::conditional_t<std::is_same_v<T, float>, double, long double>;

// Integer arithmetic that wraps, in the type's unsigned twin (uint64 so that uint8 does not promote
// to a signed int).
template <class T, class F>
T Wrap(T x, T y, F f) {
  return static_cast<T>(f(static_cast<uint64_t>(x), static_cast<uint64_t>(y)));
}

template <class To, class From>
To Cast(From x) {
  if constexpr (std::is_same_v<To, bool>) {
    return x != 0;
  } else if constexpr (std::is_floating_point_v<From> && std::is_integral_v<To>) {
    if (std::isnan(x)) return 0;
    const long double wide = x;
    if (wide >= static_cast<long double>(std::numeric_limits<To>::max())) {
      return std::numeric_limits<To>::max();
    }
    if (wide <= static_cast<long double>(std::numeric_limits<To>::min())) {
      return std::numeric_limits<To>::min();
    }
    return static_cast<To>(x);
  } else {
    return static_cast<To>(x);
  }
}

template <class T>
Cell UnaryFloating(Code code, T x) {
  const Wide<T> w = x;
  switch (code) {
    case Code::kFloor:
      return Put<T>(std::floor(x));
    case Code::kSqrt:
      return Put<T>(std::sqrt(x));
    case Code::kRsqrt:
      return Put<T>(1 / std::sqrt(w));
    case Code::kExp:
      return Put<T>(std::exp(w));
    case Code::kLog:
      return Put<T>(std::log(w));
    case Code::kLog1p:
      return Put<T>(std::log1p(w));
    case Code::kTanh:
      return Put<T>(std::tanh(w));
    case Code::kSigmoid:
      return Put<T>(w < 0 ? std::exp(w) / (1 + std::exp(w)) : 1 / (1 + std::exp(-w)));
    case Code::kIsNan:
      return Put<bool>(std::isnan(x));
    default:
      return 0;
  }
}

template <class T>
Cell Unary(Code code, T x) {
  if constexpr (std::is_same_v<T, bool>) return code == Code::kNot ? Put<bool>(!x) : 0;
  switch (code) {
    case Code::kNeg:
      if constexpr (std::is_floating_point_v<T>) return Put<T>(-x);
      return Put<T>(Wrap<T>(0, x, [](auto a, auto b) { return a - b; }));
    case Code::kAbs:
      if constexpr (std::is_floating_point_v<T>) return Put<T>(std::abs(x));
      return x < T(0) ? Unary<T>(Code::kNeg, x) : Put<T>(x);
    case Code::kSign:
      if (x == 0 || x != x) return Put<T>(x);
      return Put<T>(x < T(0) ? T(-1) : T(1));
    default:
      break;
  }
  if constexpr (std::is_floating_point_v<T>) return UnaryFloating<T>(code, x);
  return 0;
}

template <class T>
Cell BinaryFloating(Code code, T x, T y) {
  switch (code) {
    case Code::kAdd:
      return Put<T>(x + y);
    case Code::kSub:
      return Put<T>(x - y);
    case Code::kMul:
      return Put<T>(x * y);
    case Code::kDiv:
      return Put<T>(x / y);
    case Code::kFloorDiv:
      return Put<T>(std::floor(x / y));
    case Code::kFloorMod: {
      const T r = std::fmod(x, y);
      return Put<T>(r != 0 && (r < 0) != (y < 0) ? r + y : r);
    }
    case Code::kPow:
      return Put<T>(std::pow(Wide<T>(x), Wide<T>(y)));
    default:
      return 0;
  }
}

template <class T>
Cell BinaryInteger(Code code, T x, T y) {
  // No quotient for a zero divisor, and min / -1 wraps as a negation does.
  const bool zero = y == 0, negates = std::is_signed_v<T> && y == static_cast<T>(-1);
  const T negated = Wrap<T>(0, x, [](auto a, auto b) { return a - b; });
  const T quotient = zero ? T(0) : negates ? negated : static_cast<T>(x / (zero ? T(1) : y));
  const T remainder = zero || negates ? T(0) : static_cast<T>(x % y);
  const bool adjust = remainder != 0 && (remainder < 0) != (y < 0);
  switch (code) {
    case Code::kAdd:
      return Put<T>(Wrap<T>(x, y, [](auto a, auto b) { return a + b; }));
    case Code::kSub:
      return Put<T>(Wrap<T>(x, y, [](auto a, auto b) { return a - b; }));
    case Code::kMul:
      return Put<T>(Wrap<T>(x, y, [](auto a, auto b) { return a * b; }));
    case Code::kDiv:
      return Put<T>(quotient);
    case Code::kFloorDiv:
      return Put<T>(adjust ? static_cast<T>(quotient - 1) : quotient);
    case Code::kFloorMod:
      return Put<T>(adjust ? static_cast<T>(remainder + y) : remainder);
    case Code::kPow: {
      uint64_t result = 1, base = static_cast<uint64_t>(x);
      for (T e = y < 0 ? T(0) : y; e != 0; e = static_cast<T>(e >> 1)) {
        if (e & 1) result *= base;
        base *= base;
      }
      return Put<T>(static_cast<T>(result));
    }
    default:
      return 0;
  }
}

template <class T>
Cell Binary(Code code, T x, T y) {
  switch (code) {
    case Code::kMax:
      return Put<T>(x != x ? x : y != y ? y : x < y ? y : x);
    case Code::kMin:
      return Put<T>(x != x ? x : y != y ? y : y < x ? y : x);
    case Code::kLess:
      return Put<bool>(x < y);
    case Code::kLessEqual:
      return Put<bool>(x <= y);
    case Code::kEqual:
      return Put<bool>(x == y);
    case Code::kNotEqual:
      return Put<bool>(x != y);
    case Code::kAnd:
      return Put<bool>(x && y);
    case Code::kOr:
      return Put<bool>(x || y);
    default:
      break;
  }
  if constexpr (std::is_same_v<T, bool>) {
    return 0;
  } else if constexpr (std::is_floating_point_v<T>) {
    return BinaryFloating<T>(code, x, y);
  } else {
    return BinaryInteger<T>(code, x, y);
  }
}

class Interpreter {
 public:
  Interpreter(const Program& program, const KernelArgs& args)
      : program_(program), body_(program.body), args_(args), reduced_(ReducedLevel(body_)) {
    values_.resize(body_.instrs.size());
  }

  void Run() {
    const bool rows_reduced = body_.axis == Axis::kRows;
    const int64_t count = rows_reduced ? args_.inner : args_.rows;
    for (int64_t i = 0; i < count; ++i) {
      for (size_t r = 0; r < body_.instrs.size(); ++r) {
        if (body_.instrs[r].code == Code::kReduce) ReduceAlong(r, i);
      }
      const bool any_level = body_.axis != Axis::kNone;
      if (any_level) Store(i, 0, /*reduced=*/true);
      for (int64_t j = 0; j < args_.inner && !rows_reduced; ++j) {
        Evaluate(body_.instrs.size(), i, j);
        Store(i, j, /*reduced=*/false);
      }
    }
  }

 private:
  // Instruction r's value at position i of the loop that is not reduced.
  void ReduceAlong(size_t r, int64_t i) {
    const Instr& instr = body_.instrs[r];
    const bool rows = body_.axis == Axis::kRows;
    VisitDType(instr.dtype, [&](auto t) {
      using T = decltype(t);
      using Sum = std::conditional_t<std::is_floating_point_v<T>, long double, T>;
      Sum total = Get<T>(ReduceIdentity(instr.reduce, instr.dtype).bits);
      const int64_t n = rows ? args_.rows : args_.inner;
      for (int64_t j = 0; j < n; ++j) {
        Evaluate(r, rows ? j : i, rows ? i : j);
        const Sum x = Get<T>(values_[instr.a]);
        if constexpr (std::is_floating_point_v<T>) {
          if (instr.reduce == Reduce::kSum) total += x;
          if (instr.reduce == Reduce::kProd) total *= x;
        } else if constexpr (!std::is_same_v<T, bool>) {
          if (instr.reduce == Reduce::kSum) total = Get<T>(Binary<T>(Code::kAdd, total, x));
          if (instr.reduce == Reduce::kProd) total = Get<T>(Binary<T>(Code::kMul, total, x));
        }
        const T narrow = static_cast<T>(total), y = static_cast<T>(x);
        if (instr.reduce == Reduce::kMax) total = Get<T>(Binary<T>(Code::kMax, narrow, y));
        if (instr.reduce == Reduce::kMin) total = Get<T>(Binary<T>(Code::kMin, narrow, y));
      }
      values_[r] = Put<T>(static_cast<T>(total));
    });
    // What follows from reductions alone is needed even where no point is evaluated again.
    EvaluateReduced(i);
  }

  // The instructions before `end` at (row, inner); reductions keep their values.
  void Evaluate(size_t end, int64_t row, int64_t inner) {
    for (size_t i = 0; i < end; ++i) EvaluateOne(i, row, inner);
  }

  void EvaluateReduced(int64_t i) {
    const bool rows = body_.axis == Axis::kRows;
    for (size_t k = 0; k < body_.instrs.size(); ++k) {
      if (reduced_[k]) EvaluateOne(k, rows ? 0 : i, rows ? i : 0);
    }
  }

  void EvaluateOne(size_t i, int64_t row, int64_t inner) {
    const Instr& instr = body_.instrs[i];
    Cell& out = values_[i];
    switch (instr.code) {
      case Code::kReduce:
        return;
      case Code::kConst:
        out = instr.imm;
        return;
      case Code::kIndexInner:
        out = Put<int64_t>(args_.index_base + inner);
        return;
      case Code::kLoad:
        out = Load(instr.a, row, inner);
        return;
      case Code::kSelect:
        out = Get<bool>(values_[instr.a]) ? values_[instr.b] : values_[instr.c];
        return;
      case Code::kCast:
        VisitDType(body_.instrs[instr.a].dtype, [&](auto from) {
          VisitDType(instr.dtype, [&](auto to) {
            out = Put(Cast<decltype(to)>(Get<decltype(from)>(values_[instr.a])));
          });
        });
        return;
      default:
        VisitDType(body_.instrs[instr.a].dtype, [&](auto t) {
          using T = decltype(t);
          const T x = Get<T>(values_[instr.a]);
          out = instr.b < 0 ? Unary<T>(instr.code, x)
                            : Binary<T>(instr.code, x, Get<T>(values_[instr.b]));
        });
    }
  }

  Cell Load(int32_t k, int64_t row, int64_t inner) const {
    const int64_t size = static_cast<int64_t>(SizeOf(body_.operands[k]));
    int64_t stride = 0;
    if (program_.inner[k] == Stride::kUnit) stride = size;
    if (program_.inner[k] == Stride::kAny) stride = args_.inner_strides[k];
    const char* p = static_cast<const char*>(args_.pointers[k]);
    Cell cell = 0;
    std::memcpy(&cell, p + row * args_.row_strides[k] + inner * stride, size);
    return cell;
  }

  // Stores the outputs of one level at (row, inner); for kRows `row` is the inner position.
  void Store(int64_t row, int64_t inner, bool reduced) {
    if (reduced) EvaluateReduced(row);
    for (size_t k = 0; k < body_.outputs.size(); ++k) {
      const int32_t value = body_.outputs[k].value;
      if (reduced_[value] != reduced) continue;
      const size_t slot = body_.operands.size() + k;
      const int64_t size = static_cast<int64_t>(SizeOf(body_.instrs[value].dtype));
      char* p = static_cast<char*>(args_.pointers[slot]);
      p += body_.axis == Axis::kRows ? row * size : row * args_.row_strides[slot] + inner * size;
      std::memcpy(p, &values_[value], size);
    }
  }

  const Program& program_;
  const Body& body_;
  const KernelArgs& args_;
  const std::vector<bool> reduced_;
  std::vector<Cell> values_;
};

}  // namespace

void Interpret(const Program& program, const KernelArgs& args) { Interpreter(program, args).Run(); }

}  // namespace duet::loop
