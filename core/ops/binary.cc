// Elementwise functions of two tensors that broadcast.
#include "core/ops/families.h"
#include "core/ops/infer_util.h"
#include "core/ops/ops.h"

namespace duet {
namespace {

// Refuses an integer division by an element that is 0.
absl::Status CheckDivisor(const Attrs&, absl::Span<const Tensor> inputs) {
  const Tensor& y = inputs[1];
  int64_t position = -1;
  VisitDType(y.dtype(), [&](auto zero) {
    using T = decltype(zero);
    if constexpr (std::is_integral_v<T>) {
      const T* data = static_cast<const T*>(y.raw_data());
      const int64_t n = inputs[0].num_elements() == 0 ? 0 : y.num_elements();
      for (int64_t i = 0; i < n && position < 0; ++i) {
        if (data[i] == T{0}) position = i;
      }
    }
  });
  if (position < 0) return absl::OkStatus();
  return Invalid("division by zero: the divisor, ", DescribeType(y.dtype(), y.shape()),
                 ", is 0 at element ", position, "; use Select to put another number there");
}

// Refuses a negative exponent of an integer power.
absl::Status CheckExponent(const Attrs&, absl::Span<const Tensor> inputs) {
  const Tensor& y = inputs[1];
  absl::Status status;
  VisitDType(y.dtype(), [&](auto zero) {
    using T = decltype(zero);
    if constexpr (std::is_integral_v<T>) {
      const T* data = static_cast<const T*>(y.raw_data());
      const int64_t n = inputs[0].num_elements() == 0 ? 0 : y.num_elements();
      for (int64_t i = 0; i < n && status.ok(); ++i) {
        if (data[i] < T{0}) {
          status = Invalid("integers have no negative powers: the exponent is ",
                           static_cast<int64_t>(data[i]), " at element ", i,
                           "; Cast to a floating dtype first");
        }
      }
    }
  });
  return status;
}

}  // namespace

DUET_BINARY_OP(Add,
               {.value = [](Builder& b, Value x, Value y) { return b.Binary(Code::kAdd, x, y); },
                .grad = BinaryGrads([](auto& x, auto& y, auto& z, auto& g) { return g; },
                                    [](auto& x, auto& y, auto& z, auto& g) { return g; }),
                .commutative = true,
                .doc = "x + y. Integers wrap.",
                .examples = {{"Add(Constant({1, 2}), 10)", "[11 12]"},
                             {"Constant({{1}, {2}}) + Constant({10, 20})", "[[11 21]\n [12 22]]"}},
                .wire = "AddV2"});

DUET_BINARY_OP(Sub,
               {.value = [](Builder& b, Value x, Value y) { return b.Binary(Code::kSub, x, y); },
                .grad = BinaryGrads([](auto& x, auto& y, auto& z, auto& g) { return g; },
                                    [](auto& x, auto& y, auto& z, auto& g) { return -g; }),
                .doc = "x - y. Integers wrap.",
                .examples = {{"Sub(Constant({5, 7}), 5)", "[0 2]"}}});

DUET_BINARY_OP(Mul,
               {.value = [](Builder& b, Value x, Value y) { return b.Binary(Code::kMul, x, y); },
                .grad = BinaryGrads([](auto& x, auto& y, auto& z, auto& g) { return g * y; },
                                    [](auto& x, auto& y, auto& z, auto& g) { return g * x; }),
                .commutative = true,
                .doc = "x * y. Integers wrap.",
                .examples = {{"Mul(Constant({5, 7}), 2)", "[10 14]"}}});

DUET_OP(Div,
        Binary("Div",
               {.types = kFloatingTypes,
                .value = [](Builder& b, Value x, Value y) { return b.Binary(Code::kDiv, x, y); },
                .grad = BinaryGrads([](auto& x, auto& y, auto& z, auto& g) { return g / y; },
                                    [](auto& x, auto& y, auto& z, auto& g) {
                                      return -(g * z) / y;
                                    }),
                .doc = "x / y by IEEE 754: a number over 0 is inf or NaN.",
                .examples = {{"Div(Constant({1., 3.}), 2)", "[0.5 1.5]"}},
                .test_low = 0.5,
                .wire = "RealDiv"}));
Tensor Div(const Operand& x, const Operand& y) {
  const DType dtype = CommonDType(x, y);
  if (IsInteger(dtype)) {
    Refuse(Invalid("found ", Name(dtype),
                   " operands, expected float32 or float64; use FloorDiv for whole numbers, or "
                   "Cast them first"),
           ops::DivOp().public_name, x.location());
  }
  return CallBinary(ops::DivOp(), NoAttrs(), x, y);
}

DUET_BINARY_OP(FloorDiv,
               {.value = [](Builder& b, Value x,
                            Value y) { return b.Binary(Code::kFloorDiv, x, y); },
                .check = CheckDivisor,
                .checked_inputs = {1},
                .doc = "The largest whole number not above x / y. Integer division by 0 is an "
                       "error; the smallest integer by -1 wraps. Not differentiable.",
                .examples = {{"FloorDiv(Constant({7, -7}), 2)", "[ 3 -4]"}},
                .test_low = 1,
                .test_high = 5});

DUET_BINARY_OP(
    FloorMod,
    {.value = [](Builder& b, Value x, Value y) { return b.Binary(Code::kFloorMod, x, y); },
     .grad = BinaryGrads([](auto& x, auto& y, auto& z, auto& g) { return g; },
                         [](auto& x, auto& y, auto& z, auto& g) { return -(g * FloorDiv(x, y)); }),
     .check = CheckDivisor,
     .checked_inputs = {1},
     .doc = "What FloorDiv leaves: x - FloorDiv(x, y) * y, with the sign of y. Integer "
            "division by 0 is an error.",
     .examples = {{"FloorMod(Constant({7, -7}), 3)", "[1 2]"}},
     .test_low = 1,
     .test_high = 5});

DUET_BINARY_OP(Pow,
               {.types = kSignedTypes,
                .value = [](Builder& b, Value x, Value y) { return b.Binary(Code::kPow, x, y); },
                .grad = BinaryGrads(
                    // y * x^(y - 1), which for 0^0 would be 0 * inf; there it is 0.
                    [](auto& x, auto& y, auto& z, auto& g) {
                      const Tensor both_zero = LogicalAnd(Equal(x, 0), Equal(y, 0));
                      return g * (y * Pow(Select(both_zero, 1, x), y - 1));
                    },
                    // z * log(x) where the logarithm is real, else 0, as in TensorFlow.
                    [](auto& x, auto& y, auto& z, auto& g) {
                      const Tensor positive = x > 0;
                      return g * (z * Select(positive, Log(Select(positive, x, 1)), 0));
                    }),
                .check = CheckExponent,
                .checked_inputs = {1},
                .doc = "x to the power of y. Integers wrap and refuse a negative exponent.",
                .examples = {{"Pow(Constant({2, 3}), Constant({10, 2}))", "[1024    9]"}},
                .tolerance_ulp = 2,
                .test_low = 0.1});

DUET_BINARY_OP(
    Maximum,
    {.value = [](Builder& b, Value x, Value y) { return b.Binary(Code::kMax, x, y); },
     .grad = BinaryGrads([](auto& x, auto& y, auto& z, auto& g) { return Select(x >= y, g, 0); },
                         [](auto& x, auto& y, auto& z, auto& g) { return Select(x >= y, 0, g); }),
     .commutative = true,
     .doc = "The larger of x and y; NaN if one is NaN. Where they are equal the gradient is x's.",
     .examples = {{"Maximum(Constant({1, 5}), 3)", "[3 5]"}}});

DUET_BINARY_OP(
    Minimum,
    {.value = [](Builder& b, Value x, Value y) { return b.Binary(Code::kMin, x, y); },
     .grad = BinaryGrads([](auto& x, auto& y, auto& z, auto& g) { return Select(x <= y, g, 0); },
                         [](auto& x, auto& y, auto& z, auto& g) { return Select(x <= y, 0, g); }),
     .commutative = true,
     .doc = "The smaller of x and y; NaN if one is NaN. Where they are equal the gradient is x's.",
     .examples = {{"Minimum(Constant({1, 5}), 3)", "[1 3]"}}});

DUET_BINARY_OP(
    SquaredDifference,
    {.value =
         [](Builder& b, Value x, Value y) {
           const Value d = b.Binary(Code::kSub, x, y);
           return b.Binary(Code::kMul, d, d);
         },
     .grad = BinaryGrads([](auto& x, auto& y, auto& z, auto& g) { return g * ((x - y) * 2); },
                         [](auto& x, auto& y, auto& z, auto& g) { return g * ((y - x) * 2); }),
     .commutative = true,
     .doc = "(x - y) * (x - y).",
     .examples = {{"SquaredDifference(Constant({1, 5}), 3)", "[4 4]"}}});

}  // namespace duet
