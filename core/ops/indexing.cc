// Ops that move elements by position: Concat, Gather, OneHot, ArgMax, and the sizes of a tensor.
#include <algorithm>
#include <cstring>
#include <limits>

#include "core/ops/families.h"
#include "core/ops/grad_util.h"
#include "core/ops/infer_util.h"
#include "core/ops/ops.h"

namespace duet {
namespace {

// The product of sizes [begin, end) of a concrete shape.
int64_t Extent(const Shape& shape, int begin, int end) {
  int64_t n = 1;
  for (int d = begin; d < end; ++d) n *= shape.dim(d);
  return n;
}
const char* Bytes(const Tensor& t) { return static_cast<const char*>(t.raw_data()); }
char* Bytes(Tensor& t) { return static_cast<char*>(t.mutable_raw_data()); }

// ---- Shape
// ------------------------------------------------------------------------------------------

absl::Status InferShapeOf(InferContext& c) {
  c.AddOutput(c.attrs().Get<DType>("out_type"), Shape({c.shape(0).rank()}));
  return absl::OkStatus();
}

absl::Status ShapeOfKernel(KernelContext& c) {
  const Shape& shape = c.inputs[0].shape();
  for (int d = 0; d < shape.rank(); ++d) {
    if (c.outputs[0].dtype() == kInt64) {
      static_cast<int64_t*>(c.outputs[0].mutable_raw_data())[d] = shape.dim(d);
    } else if (shape.dim(d) > std::numeric_limits<int32_t>::max()) {
      return Invalid("size ", shape.dim(d), " does not fit int32; ask for out_type int64");
    } else {
      static_cast<int32_t*>(c.outputs[0].mutable_raw_data())[d] =
          static_cast<int32_t>(shape.dim(d));
    }
  }
  return absl::OkStatus();
}

// ---- ArgMax
// -----------------------------------------------------------------------------------------

absl::Status InferArgMax(InferContext& c) {
  const Shape& input = c.shape(0);
  const DType output = c.attrs().Get<DType>("output_type");
  DUET_RETURN_IF_ERROR(CheckScalar(c, 1, "dimension"));
  if (input.rank() == 0) return Invalid("found a scalar, expected a tensor with an axis");
  if (c.HostInts(1) == nullptr) {
    c.AddOutput(output, UnknownShape(input.rank() - 1));
    return absl::OkStatus();
  }
  DUET_ASSIGN_OR_RETURN(const int axis, NormalizeAxis((*c.HostInts(1))[0], input.rank(), "axis"));
  if (input.dim(axis) == 0) {
    return Invalid("axis ", axis, " of shape ", input.ToString(),
                   " is empty and has no largest element");
  }
  Shape shape;
  for (int d = 0; d < input.rank(); ++d) {
    if (d != axis) shape.AddDim(input.dim(d));
  }
  c.AddOutput(output, std::move(shape));
  return absl::OkStatus();
}

template <class T, class I>
void ArgMaxLoop(const T* in, I* out, int64_t outer, int64_t size, int64_t inner) {
  constexpr T kLowest = std::is_floating_point_v<T> ? -std::numeric_limits<T>::infinity()
                                                    : std::numeric_limits<T>::lowest();
  for (int64_t o = 0; o < outer; ++o) {
    for (int64_t i = 0; i < inner; ++i) {
      T best = kLowest;
      int64_t at = 0;
      for (int64_t k = 0; k < size; ++k) {
        const T v = in[(o * size + k) * inner + i];
        if (v > best) {
          best = v;
          at = k;
        }
      }
      out[o * inner + i] = static_cast<I>(at);
    }
  }
}

absl::Status ArgMaxKernel(KernelContext& c) {
  const Shape& shape = c.inputs[0].shape();
  int64_t a = c.inputs[1].AsInt64Vector()[0];
  if (a < 0) a += shape.rank();
  const int axis = static_cast<int>(a);
  const int64_t outer = Extent(shape, 0, axis), inner = Extent(shape, axis + 1, shape.rank());
  VisitDType(c.inputs[0].dtype(), [&](auto zero) {
    using T = decltype(zero);
    if constexpr (!std::is_same_v<T, bool>) {
      const T* in = static_cast<const T*>(c.inputs[0].raw_data());
      void* out = c.outputs[0].mutable_raw_data();
      if (c.outputs[0].dtype() == kInt32) {
        ArgMaxLoop(in, static_cast<int32_t*>(out), outer, shape.dim(axis), inner);
      } else {
        ArgMaxLoop(in, static_cast<int64_t*>(out), outer, shape.dim(axis), inner);
      }
    }
  });
  return absl::OkStatus();
}

// ---- Concat
// -----------------------------------------------------------------------------------------

absl::Status InferConcat(InferContext& c) {
  const int n = c.num_inputs() - 1;
  const int rank = c.shape(0).rank();
  DUET_RETURN_IF_ERROR(CheckScalar(c, n, "axis"));
  if (rank == 0) return Invalid("scalars have no axis to join along; use ExpandDims first");
  for (int i = 1; i < n; ++i) {
    if (c.shape(i).rank() != rank) {
      return Invalid("found shapes ", c.shape(0).ToString(), " and ", c.shape(i).ToString(),
                     " (input ", i, "), expected equal ranks");
    }
  }
  if (c.HostInts(n) == nullptr) {
    c.AddOutput(c.dtype(0), UnknownShape(rank));
    return absl::OkStatus();
  }
  DUET_ASSIGN_OR_RETURN(const int axis, NormalizeAxis((*c.HostInts(n))[0], rank, "axis"));
  Shape shape = c.shape(0);
  for (int i = 1; i < n; ++i) {
    for (int d = 0; d < rank; ++d) {
      const int64_t size = c.shape(i).dim(d), so_far = shape.dim(d);
      if (d == axis) {
        int64_t sum = -1;
        if (size >= 0 && so_far >= 0 && __builtin_add_overflow(size, so_far, &sum)) {
          return Invalid("the sizes along axis ", axis, " add up to more than a size can be");
        }
        shape.set_dim(d, sum);
      } else if (so_far < 0) {
        shape.set_dim(d, size);
      } else if (size >= 0 && size != so_far) {
        return Invalid("found shapes ", c.shape(0).ToString(), " and ", c.shape(i).ToString(),
                       " (input ", i, "), expected equal sizes except along axis ", axis);
      }
    }
  }
  c.AddOutput(c.dtype(0), std::move(shape));
  return absl::OkStatus();
}

absl::Status ConcatKernel(KernelContext& c) {
  const size_t n = c.inputs.size() - 1;
  Tensor& out = c.outputs[0];
  if (out.num_elements() == 0) return absl::OkStatus();
  int64_t a = c.inputs[n].AsInt64Vector()[0];
  if (a < 0) a += out.rank();
  const int axis = static_cast<int>(a);
  const int64_t outer = Extent(out.shape(), 0, axis);
  const size_t size = SizeOf(out.dtype());
  char* to = Bytes(out);
  for (int64_t o = 0; o < outer; ++o) {
    for (size_t i = 0; i < n; ++i) {
      const size_t row = static_cast<size_t>(Extent(c.inputs[i].shape(), axis, out.rank())) * size;
      std::memcpy(to, Bytes(c.inputs[i]) + static_cast<size_t>(o) * row, row);
      to += row;
    }
  }
  return absl::OkStatus();
}

// Each input's gradient is its part of the result's.
void ConcatGrad(GradContext& c) {
  const int n = c.num_inputs() - 1;
  const int rank = c.output().rank();
  const auto axes = KnownInts(c.input(n));
  if (!axes.has_value()) {
    Refuse(Invalid("the gradient of Concat needs an axis that is known while recording"),
           "Gradient", {});
  }
  const int64_t axis = (*axes)[0] < 0 ? (*axes)[0] + rank : (*axes)[0];
  const auto at = static_cast<size_t>(axis);
  std::vector<int64_t> begin(static_cast<size_t>(rank), 0);
  std::vector<int64_t> unit(static_cast<size_t>(rank), 0);
  unit[at] = 1;
  Tensor moving;  // where the next part begins, once a size was not known
  for (int i = 0; i < n; ++i) {
    const Tensor& x = c.input(i);
    const int64_t size = x.shape().dim(static_cast<int>(axis));
    if (!moving.defined() && size >= 0) {
      std::vector<int64_t> count(static_cast<size_t>(rank), -1);
      count[at] = size;
      c.Set(i, Slice(c.grad(), begin, count));
      begin[at] += size;
      continue;
    }
    const Tensor along = Constant(unit, {rank});
    const Tensor sizes = ShapeOf(x, kInt64);
    if (!moving.defined()) moving = Constant(begin, {rank});
    c.Set(i, Slice(c.grad(), moving, sizes));
    moving = moving + sizes * along;
  }
}

// ---- Gather
// -----------------------------------------------------------------------------------------

// The sizes of a gather: [batch, outer, size, inner] of params, `count` indices a batch entry.
struct GatherSizes {
  int64_t batch, outer, size, inner, count;
  GatherSizes(const Shape& params, const Shape& indices, int axis, int batch_dims)
      : batch(Extent(params, 0, batch_dims)),
        outer(Extent(params, batch_dims, axis)),
        size(params.dim(axis)),
        inner(Extent(params, axis + 1, params.rank())),
        count(Extent(indices, batch_dims, indices.rank())) {}
};

absl::StatusOr<int> GatherBatchDims(const Attrs& attrs, const Shape& params, const Shape& indices) {
  int64_t b = attrs.Get<int64_t>("batch_dims");
  if (b < 0) b += indices.rank();
  if (b < 0 || b > indices.rank() || b >= std::max(params.rank(), 1)) {
    return Invalid("batch_dims is ", attrs.Get<int64_t>("batch_dims"), " for indices of shape ",
                   indices.ToString(), " and params of shape ", params.ToString());
  }
  return static_cast<int>(b);
}

absl::Status InferGather(InferContext& c) {
  const Shape &params = c.shape(0), &indices = c.shape(1);
  DUET_RETURN_IF_ERROR(CheckScalar(c, 2, "axis"));
  if (params.rank() == 0) return Invalid("params is a scalar, expected a tensor with an axis");
  DUET_ASSIGN_OR_RETURN(const int batch, GatherBatchDims(c.attrs(), params, indices));
  if (c.HostInts(2) == nullptr) {
    c.AddOutput(c.dtype(0), UnknownShape(params.rank() - 1 + indices.rank() - batch));
    return absl::OkStatus();
  }
  DUET_ASSIGN_OR_RETURN(const int axis, NormalizeAxis((*c.HostInts(2))[0], params.rank(), "axis"));
  if (axis < batch) return Invalid("axis ", axis, " is one of the ", batch, " batch dimensions");
  Shape shape;
  for (int d = 0; d < axis; ++d) shape.AddDim(params.dim(d));
  for (int d = 0; d < batch; ++d) {
    const int64_t x = params.dim(d), y = indices.dim(d);
    if (x >= 0 && y >= 0 && x != y) {
      return Invalid("found params of shape ", params.ToString(), " and indices of shape ",
                     indices.ToString(), ", expected equal batch dimensions");
    }
  }
  for (int d = batch; d < indices.rank(); ++d) shape.AddDim(indices.dim(d));
  for (int d = axis + 1; d < params.rank(); ++d) shape.AddDim(params.dim(d));
  c.AddOutput(c.dtype(0), std::move(shape));
  return absl::OkStatus();
}

absl::Status CheckIndices(const Tensor& indices, int64_t size) {
  absl::Status status;
  VisitDType(indices.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const T* data = static_cast<const T*>(indices.raw_data());
    const int64_t n = indices.num_elements();
    for (int64_t i = 0; i < n; ++i) {
      const auto index = static_cast<int64_t>(data[i]);
      if (index < 0 || index >= size) {
        status = Invalid("indices[", i, "] is ", index, ", expected a position in [0, ", size, ")");
        return;
      }
    }
  });
  return status;
}

int AxisFrom(const Tensor& host, int rank) {
  const int64_t a = host.AsInt64Vector()[0];
  return static_cast<int>(a < 0 ? a + rank : a);
}

absl::Status CheckGather(const Attrs&, absl::Span<const Tensor> in) {
  return CheckIndices(in[1], in[0].shape().dim(AxisFrom(in[2], in[0].rank())));
}

absl::Status GatherKernel(KernelContext& c) {
  const Tensor &params = c.inputs[0], &indices = c.inputs[1];
  DUET_ASSIGN_OR_RETURN(const int batch, GatherBatchDims(c.attrs, params.shape(), indices.shape()));
  const GatherSizes s(params.shape(), indices.shape(), AxisFrom(c.inputs[2], params.rank()), batch);
  // Also where the check was not asked for, memory outside of params is never read.
  DUET_RETURN_IF_ERROR(CheckIndices(indices, s.size));
  const std::vector<int64_t> at = indices.AsInt64Vector();
  const size_t row = static_cast<size_t>(s.inner) * SizeOf(params.dtype());
  if (row == 0) return absl::OkStatus();
  char* to = Bytes(c.outputs[0]);
  for (int64_t b = 0; b < s.batch; ++b) {
    for (int64_t o = 0; o < s.outer; ++o) {
      const char* from = Bytes(params) + static_cast<size_t>((b * s.outer + o) * s.size) * row;
      for (int64_t k = 0; k < s.count; ++k, to += row) {
        std::memcpy(to, from + static_cast<size_t>(at[static_cast<size_t>(b * s.count + k)]) * row,
                    row);
      }
    }
  }
  return absl::OkStatus();
}

void GatherGrad(GradContext& c) {
  const Tensor inputs[] = {c.grad(), c.input(1), c.input(2), c.input(0)};
  c.Set(0, Dispatch1(ops::GatherGradOp(), c.attrs(), inputs, {}));
}

// (g, indices, axis, like)
absl::Status InferGatherGrad(InferContext& c) {
  c.AddOutput(c.dtype(0), c.shape(3));
  const Shape &g = c.shape(0), &like = c.shape(3);
  DUET_RETURN_IF_ERROR(CheckScalar(c, 2, "axis"));
  DUET_ASSIGN_OR_RETURN(const int batch, GatherBatchDims(c.attrs(), like, c.shape(1)));
  if (like.rank() == 0) return Invalid("like is a scalar, expected a tensor with an axis");
  Shape expected = UnknownShape(like.rank() - 1 + c.shape(1).rank() - batch);
  if (const auto* axes = c.HostInts(2); axes != nullptr) {
    DUET_ASSIGN_OR_RETURN(const int axis, NormalizeAxis((*axes)[0], like.rank(), "axis"));
    if (axis < batch) return Invalid("axis ", axis, " is one of the ", batch, " batch dimensions");
    expected = Shape();
    for (int d = 0; d < axis; ++d) expected.AddDim(like.dim(d));
    for (int d = batch; d < c.shape(1).rank(); ++d) expected.AddDim(c.shape(1).dim(d));
    for (int d = axis + 1; d < like.rank(); ++d) expected.AddDim(like.dim(d));
  }
  for (int d = 0; d < batch; ++d) {
    if (!Shape({c.shape(1).dim(d)}).IsCompatibleWith(Shape({like.dim(d)}))) {
      return Invalid("found indices of shape ", c.shape(1).ToString(), " for like of shape ",
                     like.ToString(), ", expected equal batch dimensions");
    }
  }
  if (!g.IsCompatibleWith(expected)) {
    return Invalid("found a gradient of shape ", g.ToString(), ", expected ", expected.ToString());
  }
  return absl::OkStatus();
}

absl::Status GatherGradKernel(KernelContext& c) {
  const Tensor &g = c.inputs[0], &indices = c.inputs[1];
  Tensor& out = c.outputs[0];
  DUET_ASSIGN_OR_RETURN(const int batch, GatherBatchDims(c.attrs, out.shape(), indices.shape()));
  const GatherSizes s(out.shape(), indices.shape(), AxisFrom(c.inputs[2], out.rank()), batch);
  DUET_RETURN_IF_ERROR(CheckIndices(indices, s.size));
  const std::vector<int64_t> at = indices.AsInt64Vector();
  if (out.num_elements() > 0) std::memset(out.mutable_raw_data(), 0, out.byte_size());
  VisitDType(out.dtype(), [&](auto zero) {
    using T = decltype(zero);
    if constexpr (!std::is_same_v<T, bool>) {
      const T* from = static_cast<const T*>(g.raw_data());
      for (int64_t b = 0; b < s.batch; ++b) {
        for (int64_t o = 0; o < s.outer; ++o) {
          T* base = static_cast<T*>(out.mutable_raw_data()) + (b * s.outer + o) * s.size * s.inner;
          for (int64_t k = 0; k < s.count; ++k) {
            T* to = base + at[static_cast<size_t>(b * s.count + k)] * s.inner;
            for (int64_t i = 0; i < s.inner; ++i) to[i] += *from++;
          }
        }
      }
    }
  });
  return absl::OkStatus();
}

// ---- OneHot
// -----------------------------------------------------------------------------------------

absl::Status InferOneHot(InferContext& c) {
  const Shape& indices = c.shape(0);
  DUET_RETURN_IF_ERROR(CheckScalar(c, 1, "depth"));
  DUET_RETURN_IF_ERROR(CheckScalar(c, 2, "on_value"));
  DUET_RETURN_IF_ERROR(CheckScalar(c, 3, "off_value"));
  DUET_ASSIGN_OR_RETURN(const int axis,
                        NormalizeAxis(c.attrs().Get<int64_t>("axis"), indices.rank() + 1, "axis"));
  const std::vector<int64_t>* depth = c.HostInts(1);
  if (depth != nullptr && (*depth)[0] < 0) {
    return Invalid("depth is ", (*depth)[0], ", expected 0 or more");
  }
  Shape shape;
  for (int d = 0; d <= indices.rank(); ++d) {
    if (d == axis) shape.AddDim(depth == nullptr ? -1 : (*depth)[0]);
    if (d < indices.rank()) shape.AddDim(indices.dim(d));
  }
  c.AddOutput(c.dtype(2), std::move(shape));
  return absl::OkStatus();
}

absl::Status OneHotKernel(KernelContext& c) {
  const Tensor& indices = c.inputs[0];
  Tensor& out = c.outputs[0];
  int64_t axis = c.attrs.Get<int64_t>("axis");
  if (axis < 0) axis += out.rank();
  const int at = static_cast<int>(axis);
  const int64_t depth = out.shape().dim(at);
  const int64_t outer = Extent(out.shape(), 0, at);
  const int64_t inner = Extent(out.shape(), at + 1, out.rank());
  VisitDType(out.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const T on = *static_cast<const T*>(c.inputs[2].raw_data());
    const T off = *static_cast<const T*>(c.inputs[3].raw_data());
    auto* to = static_cast<T*>(out.mutable_raw_data());
    std::fill(to, to + out.num_elements(), off);
    VisitDType(indices.dtype(), [&](auto index_zero) {
      using I = decltype(index_zero);
      const I* from = static_cast<const I*>(indices.raw_data());
      for (int64_t o = 0; o < outer; ++o) {
        for (int64_t i = 0; i < inner; ++i) {
          const auto k = static_cast<int64_t>(from[o * inner + i]);
          if (k >= 0 && k < depth) to[(o * depth + k) * inner + i] = on;
        }
      }
    });
  });
  return absl::OkStatus();
}

}  // namespace

DUET_OP(ShapeOf,
        Opaque("ShapeOf", {.inputs = {{.name = "input", .type_attr = "T"}},
                           .outputs = {{.name = "output", .type_attr = "out_type"}},
                           .type_attrs = {{"T", kAllTypes}, {"out_type", kIndexTypes, false}},
                           .attrs = {{"out_type", kInt32}},
                           .infer = InferShapeOf,
                           .kernel = ShapeOfKernel,
                           .shape_only = true,
                           .doc = "The sizes of the input's dimensions, as a vector.",
                           .examples = {{"ShapeOf(Constant({{1, 2, 3}}))", "[1 3]"}},
                           .wire = "Shape"}));
Tensor ShapeOf(const Operand& x, DType out_type) {
  const Tensor value = x.tensor();
  return Dispatch1(ops::ShapeOfOp(), Attrs{{"out_type", out_type}}, {&value, 1}, x.location());
}

DUET_OP(ArgMax,
        Opaque("ArgMax", {.inputs = {{.name = "input", .type_attr = "T"},
                                     {.name = "dimension", .type_attr = "Tidx", .host = true}},
                          .outputs = {{.name = "output", .type_attr = "output_type"}},
                          .type_attrs = {{"T", kNumericTypes},
                                         {"Tidx", kIndexTypes},
                                         {"output_type", kIndexTypes, false}},
                          .attrs = {{"output_type", kInt64}},
                          .infer = InferArgMax,
                          .kernel = ArgMaxKernel,
                          .doc = "The position of the largest element along an axis, the first of "
                                 "equal ones; NaN is never the largest. An empty axis is an error.",
                          .examples = {{"ArgMax(Constant({{1, 5}, {7, 4}}), 1)", "[1 0]"}}}));
Tensor ArgMax(const Operand& x, int64_t axis, DType output_type) {
  const Tensor inputs[] = {x.tensor(), Operand(axis).tensor()};
  return Dispatch1(ops::ArgMaxOp(), Attrs{{"output_type", output_type}}, inputs, x.location());
}

DUET_OP(Concat,
        Opaque("Concat",
               {.inputs = {{.name = "values", .type_attr = "T", .number_attr = "N"},
                           {.name = "axis", .type_attr = "Tidx", .host = true}},
                .outputs = {{.name = "output", .type_attr = "T"}},
                .type_attrs = {{"T", kAllTypes}, {"Tidx", kIndexTypes}},
                .infer = InferConcat,
                .kernel = ConcatKernel,
                .grad = ConcatGrad,
                .doc = "The tensors one after another along an axis; their other sizes are equal.",
                .examples = {{"Concat({Constant({1, 2}), Constant({3})}, 0)", "[1 2 3]"}},
                .wire = "ConcatV2"}));
Tensor Concat(const Operands& values, int64_t axis) {
  const OpDef& op = ops::ConcatOp();
  if (values.get().empty()) {
    ThrowError(Invalid("found no tensors, expected one or more"), op.public_name,
               values.location());
  }
  DType dtype = kInvalid;
  for (const Operand& v : values.get()) {
    if (!v.is_number() && dtype == kInvalid) dtype = v.dtype();
  }
  std::vector<Tensor> inputs;
  for (const Operand& v : values.get()) inputs.push_back(AsOperand(v, dtype, op));
  inputs.push_back(Operand(axis).tensor());
  return Dispatch1(op, NoAttrs(), inputs, values.location());
}

DUET_OP(Gather,
        Opaque("Gather",
               {.inputs = {{.name = "params", .type_attr = "Tparams"},
                           {.name = "indices", .type_attr = "Tindices"},
                           {.name = "axis", .type_attr = "Taxis", .host = true}},
                .outputs = {{.name = "output", .type_attr = "Tparams"}},
                .type_attrs = {{"Tparams", kAllTypes},
                               {"Tindices", kIndexTypes},
                               {"Taxis", kIndexTypes}},
                .attrs = {{"batch_dims", int64_t{0}}},
                .infer = InferGather,
                .kernel = GatherKernel,
                .grad = GatherGrad,
                .check = CheckGather,
                .checked_inputs = {1},
                .doc = "The slices of params along an axis at the given positions. A "
                       "position out of [0, size) is an error.",
                .examples = {{"Gather(Constant({10, 20, 30}), Constant({2, 0}))", "[30 10]"}},
                .wire = "GatherV2"}));
Tensor Gather(const Operand& params, const Operand& indices, int64_t axis) {
  static const auto* attrs = new Attrs{{"batch_dims", int64_t{0}}};
  const Tensor inputs[] = {params.tensor(), indices.tensor(), Operand(axis).tensor()};
  return Dispatch1(ops::GatherOp(), *attrs, inputs, params.location());
}

DUET_OP(
    GatherGrad,
    Opaque("GatherGrad",
           {.inputs = {{.name = "grad", .type_attr = "T"},
                       {.name = "indices", .type_attr = "Tindices"},
                       {.name = "axis", .type_attr = "Taxis", .host = true},
                       {.name = "like", .type_attr = "T"}},
            .outputs = {{.name = "output", .type_attr = "T"}},
            .type_attrs = {{"T", kNumericTypes}, {"Tindices", kIndexTypes}, {"Taxis", kIndexTypes}},
            .attrs = {{"batch_dims", int64_t{0}}},
            .infer = InferGatherGrad,
            .kernel = GatherGradKernel,
            .grad =
                [](GradContext& c) {
                  const Tensor inputs[] = {c.grad(), c.input(1), c.input(2)};
                  c.Set(0, Dispatch1(ops::GatherOp(), c.attrs(), inputs, {}));
                },
            .check =
                [](const Attrs&, absl::Span<const Tensor> in) {
                  return CheckIndices(in[1], in[3].shape().dim(AxisFrom(in[2], in[3].rank())));
                },
            .checked_inputs = {1},
            .doc = "Zeros of like's shape, to which each slice of grad is added at its "
                   "position: the gradient of Gather.",
            .wire = "DuetGatherGrad"}));

DUET_OP(OneHot,
        Opaque("OneHot",
               {.inputs = {{.name = "indices", .type_attr = "TI"},
                           {.name = "depth", .type = kInt32, .host = true},
                           {.name = "on_value", .type_attr = "T"},
                           {.name = "off_value", .type_attr = "T"}},
                .outputs = {{.name = "output", .type_attr = "T"}},
                .type_attrs = {{"TI", DTypeSet(kUInt8, kInt32, kInt64)}, {"T", kAllTypes}},
                .attrs = {{"axis", int64_t{-1}}},
                .infer = InferOneHot,
                .kernel = OneHotKernel,
                .doc = "A new dimension of size depth (last, or at axis): on_value at "
                       "each index, off_value elsewhere and for an index out of [0, depth).",
                .examples = {
                    {"OneHot(Constant({1, 0, 5}), 2, 1, 0)", "[[0 1]\n [1 0]\n [0 0]]"}}}));
Tensor OneHot(const Operand& indices, int64_t depth, const Operand& on_value,
              const Operand& off_value, int64_t axis) {
  const OpDef& op = ops::OneHotOp();
  const DType dtype = CommonDType(on_value, off_value);
  const Tensor inputs[] = {indices.tensor(),
                           Operand(depth, std::source_location()).As(kInt32, op.public_name),
                           AsOperand(on_value, dtype, op), AsOperand(off_value, dtype, op)};
  return Dispatch1(op, Attrs{{"axis", axis}}, inputs, indices.location());
}

}  // namespace duet
