// Comparisons, logic, choice and conversion.
#include "core/ops/families.h"
#include "core/ops/grad_util.h"
#include "core/ops/ops.h"

namespace duet {

#define DUET_COMPARE_OP(fn, ...)                       \
  DUET_OP(fn, Compare(#fn, __VA_ARGS__));              \
  Tensor fn(const Operand& x, const Operand& y) {      \
    return CallBinary(ops::fn##Op(), NoAttrs(), x, y); \
  }

DUET_COMPARE_OP(Less,
                {.value = [](Builder& b, Value x, Value y) { return b.Binary(Code::kLess, x, y); },
                 .doc = "x < y, a bool; false if one is NaN.",
                 .examples = {{"Less(Constant({1, 2}), 2)", "[ True False]"}}});

DUET_COMPARE_OP(LessEqual, {.value = [](Builder& b, Value x,
                                        Value y) { return b.Binary(Code::kLessEqual, x, y); },
                            .doc = "x <= y, a bool; false if one is NaN.",
                            .examples = {{"LessEqual(Constant({3, 2}), 2)", "[False  True]"}}});

DUET_COMPARE_OP(Greater,
                {.value = [](Builder& b, Value x, Value y) { return b.Binary(Code::kLess, y, x); },
                 .doc = "x > y, a bool; false if one is NaN.",
                 .examples = {{"Greater(Constant({3, 2}), 2)", "[ True False]"}}});

DUET_COMPARE_OP(GreaterEqual,
                {.value = [](Builder& b, Value x,
                             Value y) { return b.Binary(Code::kLessEqual, y, x); },
                 .doc = "x >= y, a bool; false if one is NaN.",
                 .examples = {{"GreaterEqual(Constant({1, 2}), 2)", "[False  True]"}}});

// Graphs carry the attribute; shapes that do not broadcast are an error either way.
#define DUET_EQUALITY_OP(fn, ...)                            \
  DUET_OP(fn, Compare(#fn, __VA_ARGS__));                    \
  Tensor fn(const Operand& x, const Operand& y) {            \
    return CallBinary(ops::fn##Op(), EqualityAttrs(), x, y); \
  }

namespace {
const Attrs& EqualityAttrs() {
  static const auto* attrs = new Attrs{{"incompatible_shape_error", true}};
  return *attrs;
}
}  // namespace

DUET_EQUALITY_OP(Equal, {.types = kAllTypes,
                         .value = [](Builder& b, Value x,
                                     Value y) { return b.Binary(Code::kEqual, x, y); },
                         .commutative = true,
                         .attrs = {{"incompatible_shape_error", true}},
                         .doc = "x == y, a bool; false if one is NaN.",
                         .examples = {{"Equal(Constant({1, 2}), 2)", "[False  True]"}}});

DUET_EQUALITY_OP(NotEqual, {.types = kAllTypes,
                            .value = [](Builder& b, Value x,
                                        Value y) { return b.Binary(Code::kNotEqual, x, y); },
                            .commutative = true,
                            .attrs = {{"incompatible_shape_error", true}},
                            .doc = "x != y, a bool; true if one is NaN.",
                            .examples = {{"NotEqual(Constant({1, 2}), 2)", "[ True False]"}}});

DUET_OP(LogicalAnd,
        Logical("LogicalAnd",
                {.value = [](Builder& b, Value x, Value y) { return b.Binary(Code::kAnd, x, y); },
                 .doc = "x and y, for bool tensors.",
                 .examples = {{"LogicalAnd(Constant({true, false}), true)", "[ True False]"}}}));
Tensor LogicalAnd(const Operand& x, const Operand& y) {
  return CallBinary(ops::LogicalAndOp(), NoAttrs(), x, y);
}

DUET_OP(LogicalOr,
        Logical("LogicalOr",
                {.value = [](Builder& b, Value x, Value y) { return b.Binary(Code::kOr, x, y); },
                 .doc = "x or y, for bool tensors.",
                 .examples = {{"LogicalOr(Constant({true, false}), false)", "[ True False]"}}}));
Tensor LogicalOr(const Operand& x, const Operand& y) {
  return CallBinary(ops::LogicalOrOp(), NoAttrs(), x, y);
}

DUET_OP(LogicalNot,
        Logical("LogicalNot",
                {.inputs = 1,
                 .value = [](Builder& b, Value x) { return b.Unary(Code::kNot, x); },
                 .doc = "not x, for a bool tensor.",
                 .examples = {{"LogicalNot(Constant({true, false}))", "[False  True]"}}}));
Tensor LogicalNot(const Operand& x) { return CallUnary(ops::LogicalNotOp(), x); }

// ---- Select
// ---------------------------------------------------------------------------------------

namespace {

absl::Status InferSelect(InferContext& c) {
  DUET_ASSIGN_OR_RETURN(const Shape values, BroadcastShapes(c.shape(1), c.shape(2)));
  DUET_ASSIGN_OR_RETURN(Shape shape, BroadcastShapes(c.shape(0), values));
  c.AddOutput(c.dtype(1), std::move(shape));
  return absl::OkStatus();
}

OpDef SelectDef() {
  OpDef op;
  op.name = "SelectV2";
  op.public_name = "Select";
  op.inputs = {{.name = "condition", .type = kBool},
               {.name = "t", .type_attr = "T"},
               {.name = "e", .type_attr = "T"}};
  op.outputs = {{.name = "output", .type_attr = "T"}};
  op.type_attrs = {{"T", kAllTypes}};
  op.family = Family::kElementwise;
  op.infer = InferSelect;
  op.elementwise =
      Meaning([](Builder& b, Value c, Value t, Value e) { return b.Select(c, t, e); }).fn;
  op.grad = [](GradContext& c) {
    const Tensor &condition = c.input(0), &t = c.input(1), &e = c.input(2);
    c.Set(1, SumToOperand(Select(condition, c.grad(), 0), t, {&condition, &e}));
    c.Set(2, SumToOperand(Select(condition, 0, c.grad()), e, {&condition, &t}));
  };
  op.doc = "t where condition (a bool) is true, else e. The three broadcast.";
  op.examples = {{"Select(Constant({true, false}), Constant({1, 2}), 0)", "[1 0]"}};
  return op;
}

}  // namespace

DUET_OP(Select, SelectDef());
Tensor Select(const Operand& condition, const Operand& t, const Operand& e) {
  const OpDef& op = ops::SelectOp();
  const DType dtype = CommonDType(t, e);
  const Tensor inputs[] = {AsOperand(condition, kBool, op), AsOperand(t, dtype, op),
                           AsOperand(e, dtype, op)};
  return Dispatch1(op, NoAttrs(), inputs, condition.location());
}

// ---- Cast
// -----------------------------------------------------------------------------------------

namespace {

absl::Status InferCast(InferContext& c) {
  c.AddOutput(c.attrs().Get<DType>("DstT"), c.shape(0));
  return absl::OkStatus();
}

OpDef CastDef() {
  OpDef op;
  op.name = op.public_name = "Cast";
  op.inputs = {{.name = "x", .type_attr = "SrcT"}};
  op.outputs = {{.name = "y", .type_attr = "DstT"}};
  op.type_attrs = {{"SrcT", kAllTypes}, {"DstT", kAllTypes, /*from_input=*/false}};
  op.attrs = {{"Truncate", false}};
  op.family = Family::kElementwise;
  op.infer = InferCast;
  op.elementwise = [](Builder& b, const Attrs&, absl::Span<const Value> in, DType output) {
    return b.Cast(output, in[0]);
  };
  op.grad = [](GradContext& c) {
    if (IsFloating(c.input(0).dtype()) && IsFloating(c.output().dtype())) {
      c.Set(0, Cast(c.grad(), c.input(0).dtype()));
    }
  };
  op.doc =
      "x in another dtype. A real number becomes an integer by dropping its fraction; beyond the "
      "integer's range it becomes the nearest end of the range, NaN becomes 0. A wide integer "
      "becomes a narrow one by keeping its low bits. A bool is true where x is not 0.";
  op.examples = {{"Cast(Constant({1.7, -1.7}), kInt32)", "[ 1 -1]"},
                 {"Cast(Constant({300, -1}), kUInt8)", "[ 44 255]"}};
  return op;
}

}  // namespace

DUET_OP(Cast, CastDef());
Tensor Cast(const Operand& x, DType dtype) {
  const Tensor value = x.tensor();
  return Dispatch1(ops::CastOp(), Attrs{{"DstT", dtype}, {"Truncate", false}}, {&value, 1},
                   x.location());
}

}  // namespace duet
