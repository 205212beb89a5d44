// Ops whose result is their input seen another way.
#include <algorithm>

#include "core/ops/families.h"
#include "core/ops/grad_util.h"
#include "core/ops/infer_util.h"
#include "core/ops/ops.h"

namespace duet {
namespace {

void PassGrad(GradContext& c) { c.Set(0, c.grad()); }
void ReshapeGrad(GradContext& c) { c.Set(0, ReshapeLike(c.grad(), c.input(0))); }

// ---- Reshape
// ----------------------------------------------------------------------------------------

absl::Status InferReshape(InferContext& c) {
  const Shape& input = c.shape(0);
  DUET_RETURN_IF_ERROR(CheckVector(c, 1, "shape"));
  const std::vector<int64_t>* sizes = c.HostInts(1);
  if (sizes == nullptr) {
    DUET_ASSIGN_OR_RETURN(const int rank, HostLength(c, 1, "shape"));
    c.AddOutput(c.dtype(0), UnknownShape(rank));
    return absl::OkStatus();
  }
  Shape shape, checked;
  int open = -1;
  for (int64_t size : *sizes) {
    if (size == -1) {
      if (open >= 0) {
        return Invalid("found shape ", Shape(absl::MakeConstSpan(*sizes)).ToString(),
                       " with more than one -1; give all sizes but one");
      }
      open = shape.rank();
    }
    shape.AddDim(size);
    checked.AddDim(size == -1 ? 1 : size);
  }
  DUET_RETURN_IF_ERROR(checked.Validate());
  const int64_t product = checked.num_elements();
  const int64_t n = input.num_elements();
  if (n >= 0) {
    const bool fits = open < 0 ? product == n : product != 0 && n % product == 0;
    if (!fits) {
      if (open >= 0 && product == 0) {
        return Invalid("the size for -1 in shape ", shape.ToString(),
                       " is not determined: the other sizes hold no element; give all sizes");
      }
      return Invalid("a tensor of shape ", input.ToString(), " has ", n,
                     " elements, which do not fit shape ", shape.ToString());
    }
    if (open >= 0) shape.set_dim(open, n / product);
  }
  c.AddOutput(c.dtype(0), std::move(shape));
  return absl::OkStatus();
}

// ---- ExpandDims and Squeeze
// ---------------------------------------------------------------------------

absl::Status InferExpandDims(InferContext& c) {
  const int rank = c.shape(0).rank();
  if (c.shape(1).num_elements() != 1) {
    return Invalid("dim must be one number, found shape ", c.shape(1).ToString());
  }
  const std::vector<int64_t>* axis = c.HostInts(1);
  if (axis == nullptr) {
    c.AddOutput(c.dtype(0), UnknownShape(rank + 1));
    return absl::OkStatus();
  }
  DUET_ASSIGN_OR_RETURN(const int at, NormalizeAxis((*axis)[0], rank + 1, "axis"));
  Shape shape;
  for (int d = 0; d <= rank; ++d) {
    if (d == at) shape.AddDim(1);
    if (d < rank) shape.AddDim(c.shape(0).dim(d));
  }
  c.AddOutput(c.dtype(0), std::move(shape));
  return absl::OkStatus();
}

void ExpandDimsGrad(GradContext& c) {
  const auto axis = KnownInts(c.input(1));
  c.Set(0, axis.has_value() ? Squeeze(c.grad(), *axis) : ReshapeLike(c.grad(), c.input(0)));
}

absl::Status InferSqueeze(InferContext& c) {
  const Shape& input = c.shape(0);
  const auto& given = c.attrs().Get<std::vector<int64_t>>("squeeze_dims");
  std::vector<bool> drop(static_cast<size_t>(input.rank()), false);
  for (int64_t a : given) {
    DUET_ASSIGN_OR_RETURN(const int axis, NormalizeAxis(a, input.rank(), "axis"));
    if (input.dim(axis) > 1 || input.dim(axis) == 0) {
      return Invalid("dimension ", axis, " of shape ", input.ToString(), " has size ",
                     input.dim(axis), ", expected 1");
    }
    drop[static_cast<size_t>(axis)] = true;
  }
  Shape shape;
  for (int d = 0; d < input.rank(); ++d) {
    if (given.empty() && input.dim(d) < 0) {
      return Invalid("the rank of the result is not known: dimension ", d, " of shape ",
                     input.ToString(), " may be 1 or not; name the axes to drop");
    }
    const bool dropped = given.empty() ? input.dim(d) == 1 : drop[static_cast<size_t>(d)];
    if (!dropped) shape.AddDim(input.dim(d));
  }
  c.AddOutput(c.dtype(0), std::move(shape));
  return absl::OkStatus();
}

void SqueezeGrad(GradContext& c) {
  const Shape& input = c.input(0).shape();
  if (input.IsFullyDefined()) {
    c.Set(0, Reshape(c.grad(), input));
    return;
  }
  std::vector<int64_t> axes = c.attrs().Get<std::vector<int64_t>>("squeeze_dims");
  for (int64_t& a : axes) {
    if (a < 0) a += input.rank();
  }
  std::sort(axes.begin(), axes.end());
  axes.erase(std::unique(axes.begin(), axes.end()), axes.end());
  Tensor g = c.grad();
  for (int64_t a : axes) g = ExpandDims(g, a);
  c.Set(0, g);
}

// ---- Transpose
// ----------------------------------------------------------------------------------------

absl::StatusOr<std::vector<int>> Permutation(InferContext& c) {
  const int rank = c.shape(0).rank();
  std::vector<int> perm;
  for (int64_t p : *c.HostInts(1)) {
    DUET_ASSIGN_OR_RETURN(const int axis, NormalizeAxis(p, rank, "perm"));
    if (std::find(perm.begin(), perm.end(), axis) != perm.end()) {
      return Invalid("perm names dimension ", axis, " twice");
    }
    perm.push_back(axis);
  }
  return perm;
}

absl::Status InferTranspose(InferContext& c) {
  const int rank = c.shape(0).rank();
  DUET_RETURN_IF_ERROR(CheckVector(c, 1, "perm"));
  const int64_t length = c.shape(1).dim(0);
  if (length >= 0 && length != rank) {
    return Invalid("perm has ", length, " elements, expected one for each dimension of shape ",
                   c.shape(0).ToString());
  }
  if (c.HostInts(1) == nullptr) {
    c.AddOutput(c.dtype(0), UnknownShape(rank));
    return absl::OkStatus();
  }
  DUET_ASSIGN_OR_RETURN(const std::vector<int> perm, Permutation(c));
  Shape shape;
  for (int p : perm) shape.AddDim(c.shape(0).dim(p));
  c.AddOutput(c.dtype(0), std::move(shape));
  return absl::OkStatus();
}

absl::Status TransposeView(InferContext& c, ViewMap* map) {
  DUET_ASSIGN_OR_RETURN(const std::vector<int> perm, Permutation(c));
  const Dims strides = ContiguousStrides(c.shape(0));
  for (int p : perm) map->strides.push_back(strides[static_cast<size_t>(p)]);
  return absl::OkStatus();
}

void TransposeGrad(GradContext& c) {
  const auto perm = KnownInts(c.input(1));
  const int rank = c.input(0).rank();
  if (!perm.has_value()) {
    // Where in perm each dimension stands.
    c.Set(0, Transpose(c.grad(), ArgMax(Cast(OneHot(c.input(1), rank), kInt32), 0)));
    return;
  }
  std::vector<int64_t> inverse(perm->size());
  for (size_t i = 0; i < perm->size(); ++i) {
    const int64_t p = (*perm)[i];
    inverse[static_cast<size_t>(p < 0 ? p + rank : p)] = static_cast<int64_t>(i);
  }
  c.Set(0, Transpose(c.grad(), inverse));
}

// ---- BroadcastTo
// --------------------------------------------------------------------------------------

absl::Status InferBroadcastTo(InferContext& c) {
  const Shape& input = c.shape(0);
  DUET_ASSIGN_OR_RETURN(Shape shape, HostShape(c, 1, "shape"));
  const int skip = shape.rank() - input.rank();
  bool fits = skip >= 0;
  for (int d = 0; fits && d < input.rank(); ++d) {
    const int64_t from = input.dim(d), to = shape.dim(skip + d);
    fits = from == to || from == 1 || from < 0 || to < 0;
  }
  if (!fits) {
    return Invalid("shape ", input.ToString(), " does not broadcast to ", shape.ToString(),
                   ": sizes must be equal or 1, counted from the right");
  }
  c.AddOutput(c.dtype(0), std::move(shape));
  return absl::OkStatus();
}

absl::Status BroadcastView(InferContext& c, ViewMap* map) {
  map->strides = loop::BroadcastStrides(c.shape(0), Shape(absl::MakeConstSpan(*c.HostInts(1))));
  return absl::OkStatus();
}

// ---- Slice
// --------------------------------------------------------------------------------------------

absl::Status InferSlice(InferContext& c) {
  const Shape& input = c.shape(0);
  for (int i : {1, 2}) {
    const char* name = i == 1 ? "begin" : "size";
    DUET_RETURN_IF_ERROR(CheckVector(c, i, name));
    const int64_t length = c.shape(i).dim(0);
    if (length >= 0 && length != input.rank()) {
      return Invalid(name, " has ", length, " elements, expected one for each dimension of shape ",
                     input.ToString());
    }
  }
  const std::vector<int64_t>* begin = c.HostInts(1);
  const std::vector<int64_t>* size = c.HostInts(2);
  Shape shape;
  for (int d = 0; d < input.rank(); ++d) {
    const auto i = static_cast<size_t>(d);
    const int64_t total = input.dim(d);
    const int64_t from = begin == nullptr ? 0 : (*begin)[i];
    const int64_t want = size == nullptr ? -1 : (*size)[i];
    const bool in_range = from >= 0 && want >= -1 &&
                          (total < 0 || (from <= total && (want < 0 || want <= total - from)));
    if (!in_range) {
      return Invalid("dimension ", d, " of shape ", input.ToString(),
                     " has no part that begins at ", from, " with size ", want);
    }
    const bool rest_known = want == -1 && size != nullptr && begin != nullptr && total >= 0;
    shape.AddDim(rest_known ? total - from : want);
  }
  c.AddOutput(c.dtype(0), std::move(shape));
  return absl::OkStatus();
}

absl::Status SliceView(InferContext& c, ViewMap* map) {
  map->strides = ContiguousStrides(c.shape(0));
  const std::vector<int64_t>& begin = *c.HostInts(1);
  for (size_t d = 0; d < begin.size(); ++d) map->offset += begin[d] * map->strides[d];
  return absl::OkStatus();
}

Tensor CallView(const OpDef& op, const Operand& x, Tensor host) {
  const Tensor inputs[] = {x.tensor(), std::move(host)};
  return Dispatch1(op, NoAttrs(), inputs, x.location());
}

}  // namespace

DUET_OP(Identity, View("Identity", {.inputs = {{.name = "input", .type_attr = "T"}},
                                    .outputs = {{.name = "output", .type_attr = "T"}},
                                    .type_attrs = {{"T", kAllTypes}},
                                    .infer = InferLikeInput,
                                    .grad = PassGrad,
                                    .forwards_input = true,
                                    .doc = "The input itself.",
                                    .examples = {{"Identity(Constant({1, 2}))", "[1 2]"}}}));
Tensor Identity(const Operand& x) { return CallUnary(ops::IdentityOp(), x); }

DUET_OP(StopGradient,
        View("StopGradient", {.inputs = {{.name = "input", .type_attr = "T"}},
                              .outputs = {{.name = "output", .type_attr = "T"}},
                              .type_attrs = {{"T", kAllTypes}},
                              .infer = InferLikeInput,
                              .forwards_input = true,
                              .doc = "The input itself; no gradient flows through.",
                              .examples = {{"StopGradient(Constant({1, 2}))", "[1 2]"}}}));
Tensor StopGradient(const Operand& x) { return CallUnary(ops::StopGradientOp(), x); }

DUET_OP(Reshape,
        View("Reshape", {.inputs = {{.name = "tensor", .type_attr = "T"},
                                    {.name = "shape", .type_attr = "Tshape", .host = true}},
                         .outputs = {{.name = "output", .type_attr = "T"}},
                         .type_attrs = {{"T", kAllTypes}, {"Tshape", kIndexTypes}},
                         .infer = InferReshape,
                         .grad = ReshapeGrad,
                         .doc = "The same elements, row-major, under another shape with as "
                                "many; one size may be -1 and follows from the others.",
                         .examples = {{"Reshape(Range(4), {2, -1})", "[[0 1]\n [2 3]]"}}}));
Tensor Reshape(const Operand& x, const Ints& shape) {
  return CallView(ops::ReshapeOp(), x, shape.AsTensor());
}

DUET_OP(ExpandDims,
        View("ExpandDims",
             {.inputs = {{.name = "input", .type_attr = "T"},
                         {.name = "dim", .type_attr = "Tdim", .host = true}},
              .outputs = {{.name = "output", .type_attr = "T"}},
              .type_attrs = {{"T", kAllTypes}, {"Tdim", kIndexTypes}},
              .infer = InferExpandDims,
              .grad = ExpandDimsGrad,
              .doc = "A new dimension of size 1 that is dimension `axis` of the result.",
              .examples = {{"ExpandDims(Constant({1, 2}), -1)", "[[1]\n [2]]"}}}));
Tensor ExpandDims(const Operand& x, int64_t axis) {
  return CallView(ops::ExpandDimsOp(), x, Operand(axis).tensor());
}

DUET_OP(Squeeze,
        View("Squeeze", {.inputs = {{.name = "input", .type_attr = "T"}},
                         .outputs = {{.name = "output", .type_attr = "T"}},
                         .type_attrs = {{"T", kAllTypes}},
                         .attrs = {{"squeeze_dims", std::vector<int64_t>()}},
                         .infer = InferSqueeze,
                         .grad = SqueezeGrad,
                         .doc = "Without the given dimensions, which have size 1; by default "
                                "without all of size 1.",
                         .examples = {{"Squeeze(Constant({{1}, {2}}), {1})", "[1 2]"}}}));
Tensor Squeeze(const Operand& x, const std::vector<int64_t>& axes) {
  const Tensor value = x.tensor();
  return Dispatch1(ops::SqueezeOp(), Attrs{{"squeeze_dims", axes}}, {&value, 1}, x.location());
}

DUET_OP(Transpose,
        View("Transpose",
             {.inputs = {{.name = "x", .type_attr = "T"},
                         {.name = "perm", .type_attr = "Tperm", .host = true}},
              .outputs = {{.name = "y", .type_attr = "T"}},
              .type_attrs = {{"T", kAllTypes}, {"Tperm", kIndexTypes}},
              .infer = InferTranspose,
              .view = TransposeView,
              .grad = TransposeGrad,
              .doc = "Dimension i of the result is dimension perm[i] of the input.",
              .examples = {{"Transpose(Constant({{1, 2}, {3, 4}}), {1, 0})", "[[1 3]\n [2 4]]"}}}));
Tensor Transpose(const Operand& x, const Ints& perm) {
  if (perm.is_tensor() || !perm.values().empty()) {
    return CallView(ops::TransposeOp(), x, perm.AsTensor());
  }
  const Tensor value = x.tensor();
  std::vector<int64_t> reversed;
  for (int64_t d = value.rank(); d-- > 0;) reversed.push_back(d);
  return CallView(ops::TransposeOp(), x, Ints(reversed).AsTensor());
}

DUET_OP(BroadcastTo,
        View("BroadcastTo",
             {.inputs = {{.name = "input", .type_attr = "T"},
                         {.name = "shape", .type_attr = "Tidx", .host = true}},
              .outputs = {{.name = "output", .type_attr = "T"}},
              .type_attrs = {{"T", kAllTypes}, {"Tidx", kIndexTypes}},
              .infer = InferBroadcastTo,
              .view = BroadcastView,
              .grad =
                  [](GradContext& c) {
                    c.Set(0, SumToOperand(c.grad(), c.input(0), {&c.output()}));
                  },
              .doc = "The input repeated along dimensions where it has size 1 or "
                     "none, to the given shape.",
              .examples = {{"BroadcastTo(Constant({1, 2}), {2, 2})", "[[1 2]\n [1 2]]"}}}));
Tensor BroadcastTo(const Operand& x, const Ints& shape) {
  return CallView(ops::BroadcastToOp(), x, shape.AsTensor());
}

DUET_OP(Slice,
        View("Slice", {.inputs = {{.name = "input", .type_attr = "T"},
                                  {.name = "begin", .type_attr = "Index", .host = true},
                                  {.name = "size", .type_attr = "Index", .host = true}},
                       .outputs = {{.name = "output", .type_attr = "T"}},
                       .type_attrs = {{"T", kAllTypes}, {"Index", kIndexTypes}},
                       .infer = InferSlice,
                       .view = SliceView,
                       .grad =
                           [](GradContext& c) {
                             const Tensor inputs[] = {c.grad(), c.input(1), c.input(0)};
                             c.Set(0, Dispatch1(ops::SliceGradOp(), NoAttrs(), inputs, {}));
                           },
                       .doc = "The block that starts at begin and has size; a size of -1 goes "
                              "to the end.",
                       .examples = {{"Slice(Range(6), {1}, {3})", "[1 2 3]"}}}));
Tensor Slice(const Operand& x, const Ints& begin, const Ints& size) {
  Tensor from = begin.AsTensor(), count = size.AsTensor();
  // The two have one dtype; a list takes the other's.
  if (from.dtype() != count.dtype() && (!begin.is_tensor() || !size.is_tensor())) {
    if (from.dtype() == kInt32) from = Cast(from, kInt64);
    if (count.dtype() == kInt32) count = Cast(count, kInt64);
  }
  const Tensor inputs[] = {x.tensor(), from, count};
  return Dispatch1(ops::SliceOp(), NoAttrs(), inputs, x.location());
}

}  // namespace duet
