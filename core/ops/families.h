// Family constructors: each builds the complete OpDef of an op from the little that is its own. The
// family gives the inputs and outputs, the shape and dtype rule, and the traits.
//
// An elementwise op is one statement in one file, plus its declaration in core/ops/ops.h:
//
//   DUET_UNARY_OP(Exp, {.value = [](Builder& b, Value x) { return b.Unary(Code::kExp, x); },
//                       .grad = [](const Tensor& x, const Tensor& y, const Tensor& g) {
//                         return g * y;
//                       },
//                       .doc = "e to the power of x.",
//                       .examples = {{"Exp(Constant({0.}))", "[1.]"}},
//                       .tolerance_ulp = 2});
//
// Lambdas given here capture nothing: they become plain function pointers.
#ifndef DUET_CORE_OPS_FAMILIES_H_
#define DUET_CORE_OPS_FAMILIES_H_

#include <initializer_list>
#include <string>
#include <type_traits>
#include <vector>

#include "core/dispatch.h"
#include "core/loop/program.h"
#include "core/op_def.h"
#include "core/ops/defs.h"

namespace duet {

using loop::Builder;
using loop::Code;
using Value = loop::Builder::Value;

inline constexpr DTypeSet kSignedTypes{kFloat32, kFloat64, kInt32, kInt64};

// ---- Meanings and gradients by arity
// --------------------------------------------------------------

// The loop expression of an op of one, two or three operands: f(builder, operands...).
struct Meaning {
  ElementwiseFn fn = nullptr;
  template <class F>
  Meaning(F)  // NOLINT: implicit, so that a definition reads as one statement
      : fn([](Builder& b, const Attrs&, absl::Span<const Value> in, DType) {
          if constexpr (std::is_invocable_v<F, Builder&, Value, Value, Value>) {
            return F{}(b, in[0], in[1], in[2]);
          } else if constexpr (std::is_invocable_v<F, Builder&, Value, Value>) {
            return F{}(b, in[0], in[1]);
          } else {
            return F{}(b, in[0]);
          }
        }) {}
};

// The gradient of a unary op: f(x, y, g) with y = op(x) and g the gradient of y.
struct UnaryGrad {
  GradFn fn = nullptr;
  UnaryGrad() = default;
  template <class F>
  UnaryGrad(F)  // NOLINT
      : fn([](GradContext& c) { c.Set(0, F{}(c.input(0), c.output(), c.grad())); }) {}
};

// One side of the gradient of a binary op: f(x, y, z, g) with z = op(x, y), before it is summed
// over the dimensions that the side was broadcast along.
struct BinaryGrad {
  using Fn = Tensor (*)(const Tensor& x, const Tensor& y, const Tensor& z, const Tensor& g);
  Fn fn = nullptr;
  BinaryGrad() = default;
  template <class F>
  BinaryGrad(F)  // NOLINT
      : fn([](const Tensor& x, const Tensor& y, const Tensor& z, const Tensor& g) -> Tensor {
          return F{}(x, y, z, g);
        }) {}
};

// ---- Families
// -------------------------------------------------------------------------------------

// One input, an output of its shape and dtype.
struct UnarySpec {
  DTypeSet types = kFloatingTypes;
  Meaning value;
  UnaryGrad grad = {};  // none: not differentiable
  std::string doc;
  std::vector<OpExample> examples;
  double tolerance_ulp = 0;
  double test_low = -3, test_high = 3;
  std::string wire = "";  // the wire name where it is not the public one
  std::string input = "x", output = "y";
};
OpDef Unary(std::string public_name, UnarySpec spec);

// Two inputs of one dtype that broadcast, an output of that dtype.
struct BinarySpec {
  DTypeSet types = kNumericTypes;
  Meaning value;
  GradFn grad = nullptr;  // by BinaryGrads; none: not differentiable
  bool commutative = false;
  absl::Status (*check)(const Attrs& attrs, absl::Span<const Tensor> inputs) = nullptr;
  std::vector<int> checked_inputs = {};
  std::string doc;
  std::vector<OpExample> examples;
  double tolerance_ulp = 0;
  double test_low = -3, test_high = 3;
  std::string wire = "";
};
OpDef Binary(std::string public_name, BinarySpec spec);

// Both sides of a binary op's gradient, summed over what each was broadcast along.
void SetBinaryGrad(GradContext& c, BinaryGrad::Fn x, BinaryGrad::Fn y);
template <class X, class Y>
GradFn BinaryGrads(X, Y) {
  return [](GradContext& c) { SetBinaryGrad(c, BinaryGrad(X{}).fn, BinaryGrad(Y{}).fn); };
}

// Two inputs of one dtype that broadcast, a bool output. Not differentiable.
struct CompareSpec {
  DTypeSet types = kNumericTypes;
  Meaning value;
  bool commutative = false;
  std::vector<AttrDef> attrs = {};
  std::string doc;
  std::vector<OpExample> examples;
};
OpDef Compare(std::string public_name, CompareSpec spec);

// bool inputs (as many as `inputs`), a bool output. Not differentiable.
struct LogicalSpec {
  int inputs = 2;
  Meaning value;
  std::string doc;
  std::vector<OpExample> examples;
};
OpDef Logical(std::string public_name, LogicalSpec spec);

// (input, reduction_indices) with attribute keep_dims.
struct ReduceSpec {
  DTypeSet types = kNumericTypes;
  loop::Reduce reduce = loop::Reduce::kSum;
  bool mean = false;
  GradFn grad = nullptr;
  std::string doc;
  std::vector<OpExample> examples;
  double tolerance_ulp = 0;
  double test_low = -3, test_high = 3;
};
OpDef Reduction(std::string public_name, ReduceSpec spec);

// Input 0 seen through a map; further inputs are host values.
struct ViewSpec {
  std::vector<ArgDef> inputs, outputs;
  std::vector<TypeAttrDef> type_attrs = {};
  std::vector<AttrDef> attrs = {};
  InferFn infer = nullptr;
  ViewFn view = nullptr;  // none: the same elements under another shape
  GradFn grad = nullptr;
  bool forwards_input = false;
  std::string doc;
  std::vector<OpExample> examples;
  std::string wire = "";
};
OpDef View(std::string public_name, ViewSpec spec);

// A function of other ops.
struct CompositeSpec {
  std::vector<ArgDef> inputs, outputs;
  std::vector<TypeAttrDef> type_attrs = {};
  std::vector<AttrDef> attrs = {};
  InferFn infer = nullptr;
  CompositeFn body = nullptr;
  GradFn grad = nullptr;  // none: follows from the body
  std::string doc;
  std::vector<OpExample> examples;
  double tolerance_ulp = 0;
};
OpDef Composite(std::string public_name, CompositeSpec spec);

// An op with a kernel of its own.
struct OpaqueSpec {
  std::vector<ArgDef> inputs, outputs;
  std::vector<TypeAttrDef> type_attrs = {};
  std::vector<AttrDef> attrs = {};
  InferFn infer = nullptr;
  KernelFunction kernel = nullptr;
  GradFn grad = nullptr;  // none: not differentiable
  absl::Status (*check)(const Attrs& attrs, absl::Span<const Tensor> inputs) = nullptr;
  std::vector<int> checked_inputs = {};
  bool random = false;
  bool shape_only = false;
  ResourceUse resource = ResourceUse::kNone;
  std::string doc;
  std::vector<OpExample> examples;
  double tolerance_ulp = 0;
  double test_low = -3, test_high = 3;
  std::string wire = "";
};
OpDef Opaque(std::string public_name, OpaqueSpec spec);

// ---- Shape rules that families share
// --------------------------------------------------------------

// Output 0 has the broadcast shape of all inputs and the dtype of the first / bool.
absl::Status InferBroadcast(InferContext& c);
absl::Status InferBroadcastToBool(InferContext& c);
// Output 0 has the shape and dtype of input 0.
absl::Status InferLikeInput(InferContext& c);

// ---- Registration
// ---------------------------------------------------------------------------------

// Registers an op before main().
struct OpRegistration {
  explicit OpRegistration(const OpDef& (*op)()) { op(); }
};

// Defines ops::<fn>Op(), which gives the registered definition. `...` is an OpDef. Used in
// namespace duet.
#define DUET_OP(fn, ...)                                  \
  namespace ops {                                         \
  const OpDef& fn##Op() {                                 \
    static const OpDef& op = RegisterOp(__VA_ARGS__);     \
    return op;                                            \
  }                                                       \
  static const OpRegistration fn##_registration(&fn##Op); \
  }                                                       \
  static_assert(true, "takes the semicolon")

// An op and its public function, from a spec in braces.
#define DUET_UNARY_OP(fn, ...)          \
  DUET_OP(fn, Unary(#fn, __VA_ARGS__)); \
  Tensor fn(const Operand& x) { return CallUnary(ops::fn##Op(), x); }
#define DUET_BINARY_OP(fn, ...)                        \
  DUET_OP(fn, Binary(#fn, __VA_ARGS__));               \
  Tensor fn(const Operand& x, const Operand& y) {      \
    return CallBinary(ops::fn##Op(), NoAttrs(), x, y); \
  }

// ---- Calls from public functions
// --------------------------------------------------------------------

Tensor CallUnary(const OpDef& op, const Operand& x);
// A number takes the dtype of the tensor beside it; two numbers are float32 if one of them is real.
Tensor CallBinary(const OpDef& op, const Attrs& attrs, const Operand& x, const Operand& y);
// The dtype operands meet in, by that rule: the first tensor's, or float32 if a number is real, or
// the widest.
DType CommonDType(const Operand& x, const Operand& y);
DType CommonDType(std::initializer_list<const Operand*> operands);
// `x` in `dtype`; an undefined tensor's dtype leaves a number as it is, so that Dispatch names the
// undefined one.
Tensor AsOperand(const Operand& x, DType dtype, const OpDef& op);

}  // namespace duet

#endif  // DUET_CORE_OPS_FAMILIES_H_
