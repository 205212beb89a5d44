// Tensors made from nothing: constants, placeholders, Fill and Range.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "core/ops/families.h"
#include "core/ops/infer_util.h"
#include "core/ops/ops.h"

namespace duet {
namespace {

// ---- Const and Placeholder
// ------------------------------------------------------------------------

absl::Status InferConst(InferContext& c) {
  const Tensor& value = c.attrs().Get<Tensor>("value");
  if (!value.defined() || value.is_symbolic()) return Invalid("attribute value has no elements");
  if (value.dtype() != c.attrs().Get<DType>("dtype")) {
    return Invalid("attribute value is ", Name(value.dtype()), ", attribute dtype says ",
                   Name(c.attrs().Get<DType>("dtype")));
  }
  c.AddOutput(value.dtype(), value.shape());
  return absl::OkStatus();
}

OpDef ConstDef() {
  OpDef op;
  op.name = "Const";
  op.public_name = "Constant";
  op.outputs = {{.name = "output", .type_attr = "dtype"}};
  op.type_attrs = {{"dtype", kAllTypes, /*from_input=*/false}};
  op.attrs = {{"value", Tensor(), /*required=*/true}};
  op.family = Family::kConstant;
  op.infer = InferConst;
  op.differentiable = false;
  op.doc = "The tensor in attribute value.";
  op.examples = {{"Constant({{1, 2}, {3, 4}})", "[[1 2]\n [3 4]]"}};
  return op;
}

absl::Status InferPlaceholder(InferContext& c) {
  c.AddOutput(c.attrs().Get<DType>("dtype"), c.attrs().Get<Shape>("shape"));
  return absl::OkStatus();
}

OpDef PlaceholderDef() {
  OpDef op;
  op.name = op.public_name = "Placeholder";
  op.outputs = {{.name = "output", .type_attr = "dtype"}};
  op.type_attrs = {{"dtype", kAllTypes, /*from_input=*/false}};
  op.attrs = {{"shape", Shape(), /*required=*/true}};
  op.family = Family::kPlaceholder;
  op.infer = InferPlaceholder;
  op.differentiable = false;
  op.doc = "A value that is fed when the graph runs; a size of -1 may be any.";
  return op;
}

}  // namespace

DUET_OP(Const, ConstDef());
DUET_OP(Placeholder, PlaceholderDef());

namespace {

// The value, or while recording a node that holds it.
Tensor Finish(Tensor value, Location loc) {
  if (!IsRecording()) return value;
  const DType dtype = value.dtype();
  return Dispatch1(ops::ConstOp(), Attrs{{"value", std::move(value)}, {"dtype", dtype}}, {}, loc);
}

}  // namespace

Tensor Constant(const Literal& value, std::source_location loc) {
  return Constant(value, kInvalid, loc);
}

Tensor Constant(const Literal& value, DType dtype, std::source_location loc) {
  absl::StatusOr<Tensor> tensor = value.ToTensor(dtype);
  if (!tensor.ok()) Refuse(tensor.status(), "Constant", loc);
  return Finish(*std::move(tensor), loc);
}

Tensor ops_internal::ConstantFrom(DType dtype, const Ints& sizes, size_t n,
                                  absl::FunctionRef<void(void*)> fill, Location loc) {
  if (sizes.is_tensor()) {
    Refuse(Invalid("found a tensor for the shape, expected a list of sizes"), "Constant", loc);
  }
  const Shape shape(sizes.values());
  if (absl::Status s = shape.Validate(); !s.ok()) Refuse(s, "Constant", loc);
  if (static_cast<int64_t>(n) != shape.num_elements()) {
    Refuse(Invalid("found ", n, " values for shape ", shape.ToString(), ", expected ",
                   shape.num_elements()),
           "Constant", loc);
  }
  Tensor t = Tensor::Allocate(dtype, shape);
  fill(t.mutable_raw_data());
  return Finish(std::move(t), loc);
}

// ---- Fill
// -----------------------------------------------------------------------------------------

namespace {

absl::Status InferFill(InferContext& c) {
  DUET_ASSIGN_OR_RETURN(Shape shape, HostShape(c, 0, "dims"));
  DUET_RETURN_IF_ERROR(CheckScalar(c, 1, "value"));
  c.AddOutput(c.dtype(1), std::move(shape));
  return absl::OkStatus();
}

absl::Status FillKernel(KernelContext& c) {
  Tensor& out = c.outputs[0];
  VisitDType(out.dtype(), [&](auto zero) {
    using T = decltype(zero);
    auto* data = static_cast<T*>(out.mutable_raw_data());
    std::fill(data, data + out.num_elements(), *static_cast<const T*>(c.inputs[1].raw_data()));
  });
  return absl::OkStatus();
}

// A scalar of any dtype from a small whole number.
Tensor Whole(DType dtype, int64_t value) {
  Tensor t = Tensor::Allocate(dtype, Shape());
  const loop::Scalar scalar = loop::Scalar::OfInt(dtype, value);
  std::memcpy(t.mutable_raw_data(), &scalar.bits, SizeOf(dtype));
  return t;
}

}  // namespace

DUET_OP(Fill, Opaque("Fill", {.inputs = {{.name = "dims", .type_attr = "index_type", .host = true},
                                         {.name = "value", .type_attr = "T"}},
                              .outputs = {{.name = "output", .type_attr = "T"}},
                              .type_attrs = {{"index_type", kIndexTypes}, {"T", kAllTypes}},
                              .infer = InferFill,
                              .kernel = FillKernel,
                              .grad = [](GradContext& c) { c.Set(1, Sum(c.grad())); },
                              .doc = "A tensor of shape dims with the scalar value everywhere.",
                              .examples = {{"Fill({2, 2}, 7)", "[[7 7]\n [7 7]]"}}}));

Tensor Fill(const Ints& shape, const Operand& value) {
  const Tensor inputs[] = {shape.AsTensor(), value.tensor()};
  return Dispatch1(ops::FillOp(), NoAttrs(), inputs, value.location());
}

namespace {
Tensor FillWith(const Ints& shape, DType dtype, int64_t value, Location loc) {
  if (!kAllTypes.Contains(dtype)) {
    Refuse(Invalid("a tensor cannot have elements of dtype ", Name(dtype)), "Fill", loc);
  }
  const Tensor inputs[] = {shape.AsTensor(), Whole(dtype, value)};
  return Dispatch1(ops::FillOp(), NoAttrs(), inputs, loc);
}
}  // namespace

Tensor Zeros(const Ints& shape, DType dtype, std::source_location loc) {
  return FillWith(shape, dtype, 0, loc);
}
Tensor Ones(const Ints& shape, DType dtype, std::source_location loc) {
  return FillWith(shape, dtype, 1, loc);
}

// ---- Range
// ----------------------------------------------------------------------------------------

namespace {

// How many elements start, start + delta, ... has before limit.
template <class T>
absl::StatusOr<int64_t> RangeSize(T start, T limit, T delta) {
  const auto text = [](T v) {
    if constexpr (std::is_floating_point_v<T>) {
      return Str(v);
    } else {
      return Str(static_cast<int64_t>(v));
    }
  };
  if (delta == T{0}) return Invalid("delta is 0, expected another number");
  if ((delta > T{0} && start > limit) || (delta < T{0} && start < limit)) {
    return Invalid("from ", text(start), " in steps of ", text(delta), " never reaches ",
                   text(limit), "; change the sign of delta");
  }
  if constexpr (std::is_floating_point_v<T>) {
    const double size = std::ceil(std::fabs(
        (static_cast<double>(limit) - static_cast<double>(start)) / static_cast<double>(delta)));
    if (!(size < 0x1p53)) {  // also NaN
      return Invalid("from ", text(start), " to ", text(limit), " in steps of ", text(delta),
                     " has too many elements");
    }
    return static_cast<int64_t>(size);
  } else {
    const __int128 distance = static_cast<__int128>(limit) - start, step = delta;
    const __int128 size = step > 0 ? (distance + step - 1) / step : (distance + step + 1) / step;
    if (size > std::numeric_limits<int64_t>::max() / 8) {
      return Invalid("from ", text(start), " to ", text(limit), " in steps of ", text(delta),
                     " has too many elements");
    }
    return static_cast<int64_t>(size);
  }
}

absl::Status InferRange(InferContext& c) {
  DUET_RETURN_IF_ERROR(CheckScalar(c, 0, "start"));
  DUET_RETURN_IF_ERROR(CheckScalar(c, 1, "limit"));
  DUET_RETURN_IF_ERROR(CheckScalar(c, 2, "delta"));
  int64_t size = -1;
  if (c.input(0).value != nullptr && c.input(1).value != nullptr && c.input(2).value != nullptr) {
    absl::Status status;
    VisitDType(c.dtype(0), [&](auto zero) {
      using T = decltype(zero);
      const auto at = [&](int i) { return *static_cast<const T*>(c.input(i).value->raw_data()); };
      if constexpr (!std::is_same_v<T, bool>) {
        const absl::StatusOr<int64_t> n = RangeSize<T>(at(0), at(1), at(2));
        status = n.status();
        if (n.ok()) size = *n;
      }
    });
    DUET_RETURN_IF_ERROR(status);
  }
  c.AddOutput(c.dtype(0), Shape({size}));
  return absl::OkStatus();
}

absl::Status RangeKernel(KernelContext& c) {
  Tensor& out = c.outputs[0];
  VisitDType(out.dtype(), [&](auto zero) {
    using T = decltype(zero);
    if constexpr (!std::is_same_v<T, bool>) {
      const T start = *static_cast<const T*>(c.inputs[0].raw_data());
      const T delta = *static_cast<const T*>(c.inputs[2].raw_data());
      auto* data = static_cast<T*>(out.mutable_raw_data());
      const int64_t n = out.num_elements();
      // Integers in 64 unsigned bits: the products stay in range, their halves may not.
      for (int64_t i = 0; i < n; ++i) {
        if constexpr (std::is_floating_point_v<T>) {
          data[i] = start + static_cast<T>(i) * delta;
        } else {
          data[i] = static_cast<T>(static_cast<uint64_t>(start) +
                                   static_cast<uint64_t>(i) * static_cast<uint64_t>(delta));
        }
      }
    }
  });
  return absl::OkStatus();
}

}  // namespace

DUET_OP(Range, Opaque("Range",
                      {.inputs = {{.name = "start", .type_attr = "Tidx", .host = true},
                                  {.name = "limit", .type_attr = "Tidx", .host = true},
                                  {.name = "delta", .type_attr = "Tidx", .host = true}},
                       .outputs = {{.name = "output", .type_attr = "Tidx"}},
                       .type_attrs = {{"Tidx", kSignedTypes}},
                       .infer = InferRange,
                       .kernel = RangeKernel,
                       .doc = "start, start + delta, ... before limit, as a vector. delta must "
                              "lead from start to limit and not be 0.",
                       .examples = {{"Range(3)", "[0 1 2]"}, {"Range(10, 4, -2)", "[10  8  6]"}}}));

namespace {
Tensor RangeAt(const Operand& start, const Operand& limit, const Operand& delta, Location loc) {
  const OpDef& op = ops::RangeOp();
  const DType dtype = CommonDType({&start, &limit, &delta});
  const Tensor inputs[] = {AsOperand(start, dtype, op), AsOperand(limit, dtype, op),
                           AsOperand(delta, dtype, op)};
  return Dispatch1(op, NoAttrs(), inputs, loc);
}
}  // namespace

Tensor Range(const Operand& limit) { return RangeAt(0, limit, 1, limit.location()); }
Tensor Range(const Operand& start, const Operand& limit, const Operand& delta) {
  return RangeAt(start, limit, delta, start.location());
}

}  // namespace duet
