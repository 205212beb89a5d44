// Elementwise functions of one tensor.
#include "core/ops/families.h"
#include "core/ops/ops.h"

namespace duet {

DUET_UNARY_OP(Neg, {.types = kSignedTypes,
                    .value = [](Builder& b, Value x) { return b.Unary(Code::kNeg, x); },
                    .grad = [](const Tensor&, const Tensor&, const Tensor& g) { return -g; },
                    .doc = "-x. The smallest integer stays itself.",
                    .examples = {{"Neg(Constant({1, -2}))", "[-1  2]"}}});

DUET_UNARY_OP(Abs,
              {.types = kSignedTypes,
               .value = [](Builder& b, Value x) { return b.Unary(Code::kAbs, x); },
               .grad = [](const Tensor& x, const Tensor&, const Tensor& g) { return g * Sign(x); },
               .doc = "|x|. The smallest integer stays itself.",
               .examples = {{"Abs(Constant({1, -2}))", "[1 2]"}}});

DUET_UNARY_OP(Sign,
              {.types = kSignedTypes,
               .value = [](Builder& b, Value x) { return b.Unary(Code::kSign, x); },
               .grad = [](const Tensor& x, const Tensor&, const Tensor&) { return ZerosLike(x); },
               .doc = "-1, 0 or 1 by the sign of x; NaN for NaN, zeros as they are.",
               .examples = {{"Sign(Constant({-5, 0, 7}))", "[-1  0  1]"}}});

DUET_UNARY_OP(Floor, {.value = [](Builder& b, Value x) { return b.Unary(Code::kFloor, x); },
                      .doc = "The largest whole number that is not above x.",
                      .examples = {{"Floor(Constant({1.5, -1.5}))", "[ 1. -2.]"}}});

DUET_UNARY_OP(Exp, {.value = [](Builder& b, Value x) { return b.Unary(Code::kExp, x); },
                    .grad = [](const Tensor&, const Tensor& y, const Tensor& g) { return g * y; },
                    .doc = "e to the power of x.",
                    .examples = {{"Exp(Constant({0., 1.}))", "[1.        2.7182817]"}},
                    .tolerance_ulp = 2});

DUET_UNARY_OP(Log, {.value = [](Builder& b, Value x) { return b.Unary(Code::kLog, x); },
                    .grad = [](const Tensor& x, const Tensor&, const Tensor& g) { return g / x; },
                    .doc = "The natural logarithm of x: -inf for 0, NaN below.",
                    .examples = {{"Log(Constant({1., 0.}))", "[  0. -inf]"}},
                    .tolerance_ulp = 2,
                    .test_low = 0.1});

DUET_UNARY_OP(Log1p,
              {.value = [](Builder& b, Value x) { return b.Unary(Code::kLog1p, x); },
               .grad = [](const Tensor& x, const Tensor&, const Tensor& g) { return g / (x + 1); },
               .doc = "The natural logarithm of 1 + x, accurate for small x.",
               .examples = {{"Log1p(Constant({0., 1e-10}))", "[0.e+00 1.e-10]"}},
               .tolerance_ulp = 2,
               .test_low = -0.9});

DUET_UNARY_OP(Sqrt,
              {.value = [](Builder& b, Value x) { return b.Unary(Code::kSqrt, x); },
               .grad = [](const Tensor&, const Tensor& y, const Tensor& g) { return g * 0.5 / y; },
               .doc = "The square root of x; NaN below 0.",
               .examples = {{"Sqrt(Constant({4., 9.}))", "[2. 3.]"}},
               .test_low = 0.1});

DUET_UNARY_OP(Rsqrt, {.value = [](Builder& b, Value x) { return b.Unary(Code::kRsqrt, x); },
                      .grad = [](const Tensor&, const Tensor& y,
                                 const Tensor& g) { return g * -0.5 * (y * y * y); },
                      .doc = "1 over the square root of x; inf for 0, NaN below.",
                      .examples = {{"Rsqrt(Constant({4., 0.25}))", "[0.5 2. ]"}},
                      .tolerance_ulp = 2,
                      .test_low = 0.1});

DUET_UNARY_OP(Square,
              {.types = kNumericTypes,
               .value = [](Builder& b, Value x) { return b.Binary(Code::kMul, x, x); },
               .grad = [](const Tensor& x, const Tensor&, const Tensor& g) { return g * (x * 2); },
               .doc = "x * x.",
               .examples = {{"Square(Constant({3, -4}))", "[ 9 16]"}}});

DUET_UNARY_OP(Tanh, {.value = [](Builder& b, Value x) { return b.Unary(Code::kTanh, x); },
                     .grad = [](const Tensor&, const Tensor& y,
                                const Tensor& g) { return g * (1 - y * y); },
                     .doc = "The hyperbolic tangent of x.",
                     .examples = {{"Tanh(Constant({0., 100.}))", "[0. 1.]"}},
                     .tolerance_ulp = 2});

DUET_UNARY_OP(Sigmoid, {.value = [](Builder& b, Value x) { return b.Unary(Code::kSigmoid, x); },
                        .grad = [](const Tensor&, const Tensor& y,
                                   const Tensor& g) { return g * (y * (1 - y)); },
                        .doc = "1 / (1 + exp(-x)).",
                        .examples = {{"Sigmoid(Constant({0., 100.}))", "[0.5 1. ]"}},
                        .tolerance_ulp = 2});

DUET_UNARY_OP(
    Relu,
    {.types = kNumericTypes,
     .value = [](Builder& b, Value x) { return b.Binary(Code::kMax, x, b.Const(b.dtype(x), 0)); },
     .grad = [](const Tensor& x, const Tensor&, const Tensor& g) { return Select(x > 0, g, 0); },
     .doc = "x where it is above 0, else 0; NaN stays NaN. The gradient at 0 is 0.",
     .examples = {{"Relu(Constant({-1, 0, 2}))", "[0 0 2]"}},
     .input = "features",
     .output = "activations"});

// Values of a tensor's shape that do not depend on its elements.
DUET_UNARY_OP(ZerosLike,
              {.types = kAllTypes,
               .value = [](Builder& b, Value x) { return b.Const(b.dtype(x), 0); },
               .grad = [](const Tensor& x, const Tensor&, const Tensor&) { return ZerosLike(x); },
               .doc = "Zeros of the shape and dtype of x.",
               .examples = {{"ZerosLike(Constant({1, 2}))", "[0 0]"}}});

DUET_UNARY_OP(OnesLike,
              {.types = kAllTypes,
               .value = [](Builder& b, Value x) { return b.Const(b.dtype(x), 1); },
               .grad = [](const Tensor& x, const Tensor&, const Tensor&) { return ZerosLike(x); },
               .doc = "Ones of the shape and dtype of x.",
               .examples = {{"OnesLike(Constant({5, 2}))", "[1 1]"}}});

}  // namespace duet
