// Reductions over axes.
#include <algorithm>

#include "core/ops/families.h"
#include "core/ops/grad_util.h"
#include "core/ops/infer_util.h"
#include "core/ops/ops.h"

namespace duet {

absl::Status InferReduction(InferContext& c) {
  const Shape& input = c.shape(0);
  const bool keep_dims = c.attrs().Get<bool>("keep_dims");
  if (c.shape(1).rank() > 1) {
    return Invalid("reduction_indices must have rank 0 or 1, found shape ", c.shape(1).ToString());
  }
  if (c.HostInts(1) == nullptr) {
    int rank = input.rank();
    if (!keep_dims) {
      DUET_ASSIGN_OR_RETURN(const int count, HostLength(c, 1, "reduction_indices"));
      if (count > rank) {
        return Invalid("found ", count, " axes for a tensor of rank ", rank);
      }
      rank -= count;
    }
    c.AddOutput(c.dtype(0), UnknownShape(rank));
    return absl::OkStatus();
  }
  DUET_ASSIGN_OR_RETURN(const std::vector<int> axes, HostAxes(c, 1, input.rank()));
  Shape shape;
  for (int d = 0; d < input.rank(); ++d) {
    const bool reduced = std::binary_search(axes.begin(), axes.end(), d);
    if (!reduced) {
      shape.AddDim(input.dim(d));
    } else if (keep_dims) {
      shape.AddDim(1);
    }
  }
  c.AddOutput(c.dtype(0), std::move(shape));
  return absl::OkStatus();
}

namespace {

const Attrs& KeepDims(bool keep) {
  static const auto* yes = new Attrs{{"keep_dims", true}};
  static const auto* no = new Attrs{{"keep_dims", false}};
  return keep ? *yes : *no;
}

Tensor Reduce(const OpDef& op, const Operand& x, const Axes& axes, bool keep_dims) {
  const Tensor value = x.tensor();
  const Tensor inputs[] = {value, axes.AsTensor(value.rank())};
  return Dispatch1(op, KeepDims(keep_dims), inputs, x.location());
}

// The axes of a recorded or executed reduction, from the front, sorted.
std::vector<int64_t> AxesOf(GradContext& c) {
  std::optional<std::vector<int64_t>> axes = KnownInts(c.input(1));
  if (!axes.has_value()) {
    Refuse(Invalid("the gradient of a reduction needs axes that are known while recording"),
           "Gradient", {});
  }
  for (int64_t& a : *axes) {
    if (a < 0) a += c.input(0).rank();
  }
  std::sort(axes->begin(), axes->end());
  return *axes;
}

// A result of the reduction (or its gradient) with the reduced dimensions put back, with size 1.
Tensor Kept(GradContext& c, Tensor t) {
  if (c.attrs().Get<bool>("keep_dims")) return t;
  const std::vector<int64_t> axes = AxesOf(c);
  if (t.shape().IsFullyDefined()) {
    Shape shape = c.input(0).shape();
    for (int64_t a : axes) shape.set_dim(static_cast<int>(a), 1);
    if (shape.IsFullyDefined()) return Reshape(t, shape);
  }
  for (int64_t a : axes) t = ExpandDims(t, a);
  return t;
}

void SumGrad(GradContext& c) { c.Set(0, BroadcastLike(Kept(c, c.grad()), c.input(0))); }

void MeanGrad(GradContext& c) {
  const Tensor& x = c.input(0);
  Tensor count;
  int64_t known = 1;
  const std::vector<int64_t> axes = AxesOf(c);
  for (int64_t a : axes) known = SizeProduct(known, x.shape().dim(static_cast<int>(a)));
  if (known >= 0) {
    count = Constant(std::vector<int64_t>{known}, Shape());
  } else {
    count = Prod(Gather(ShapeOf(x, kInt64), Ints(axes).AsTensor()));
  }
  c.Set(0, BroadcastLike(Kept(c, c.grad()) / Cast(count, x.dtype()), x));
}

// Ties share the gradient, as in TensorFlow.
void ExtremeGrad(GradContext& c) {
  const Tensor& x = c.input(0);
  const Tensor ties = Cast(Equal(x, Kept(c, c.output())), x.dtype());
  const Tensor count =
      Kept(c, Reduce(ops::SumOp(), ties, AxesOf(c), c.attrs().Get<bool>("keep_dims")));
  c.Set(0, ties / count * Kept(c, c.grad()));
}

// The product of the other elements: the product over the element, or where an element is 0 the
// product of those that are not, if it is the only 0. Second derivatives are exact where no
// element is 0.
void ProdGrad(GradContext& c) {
  const Tensor& x = c.input(0);
  const bool keep = c.attrs().Get<bool>("keep_dims");
  const std::vector<int64_t> axes = AxesOf(c);
  const Tensor is_zero = Equal(x, 0);
  const Tensor safe = Select(is_zero, 1, x);
  const Tensor zeros = Kept(c, Sum(Cast(is_zero, x.dtype()), axes, keep));
  const Tensor product = Kept(c, Prod(safe, axes, keep));
  const Tensor others = Select(is_zero, Select(Equal(zeros, 1), product, 0),
                               Select(Equal(zeros, 0), product / safe, 0));
  c.Set(0, others * Kept(c, c.grad()));
}

}  // namespace

#define DUET_REDUCE_OP(fn, ...)                                   \
  DUET_OP(fn, Reduction(#fn, __VA_ARGS__));                       \
  Tensor fn(const Operand& x, const Axes& axes, bool keep_dims) { \
    return Reduce(ops::fn##Op(), x, axes, keep_dims);             \
  }

DUET_REDUCE_OP(Sum, {.grad = SumGrad,
                     .doc = "The sum over axes. Integers wrap; of no elements it is 0.",
                     .examples = {{"Sum(Constant({{1, 2}, {3, 4}}))", "10"},
                                  {"Sum(Constant({{1, 2}, {3, 4}}), {0})", "[4 6]"},
                                  {"Sum(Constant({{1, 2}, {3, 4}}), {1}, true)", "[[3]\n [7]]"}},
                     .tolerance_ulp = 16,
                     .test_low = 0.5});

DUET_REDUCE_OP(Mean, {.types = kFloatingTypes,
                      .mean = true,
                      .grad = MeanGrad,
                      .doc = "The mean over axes; of no elements it is NaN.",
                      .examples = {{"Mean(Constant({{1., 2.}, {3., 4.}}), {0})", "[2. 3.]"}},
                      .tolerance_ulp = 16,
                      .test_low = 0.5});

DUET_REDUCE_OP(Max,
               {.reduce = loop::Reduce::kMax,
                .grad = ExtremeGrad,
                .doc = "The largest element over axes; NaN if one is NaN. Of no elements it is "
                       "-inf, for integers the lowest. Ties share the gradient.",
                .examples = {{"Max(Constant({{1, 5}, {3, 4}}), {1})", "[5 4]"}}});

DUET_REDUCE_OP(Min,
               {.reduce = loop::Reduce::kMin,
                .grad = ExtremeGrad,
                .doc = "The smallest element over axes; NaN if one is NaN. Of no elements it is "
                       "inf, for integers the largest. Ties share the gradient.",
                .examples = {{"Min(Constant({{1, 5}, {3, 4}}), {1})", "[1 3]"}}});

DUET_REDUCE_OP(Prod, {.reduce = loop::Reduce::kProd,
                      .grad = ProdGrad,
                      .doc = "The product over axes. Integers wrap; of no elements it is 1.",
                      .examples = {{"Prod(Constant({{1, 2}, {3, 4}}), {1})", "[ 2 12]"}},
                      .tolerance_ulp = 32,
                      .test_low = 0.5,
                      .test_high = 1.5});

}  // namespace duet
