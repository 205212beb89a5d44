// Ops that only gradients make, for what sizes do not tell while recording.
#include <cstring>

#include "core/execute.h"
#include "core/ops/families.h"
#include "core/ops/grad_util.h"
#include "core/ops/infer_util.h"
#include "core/ops/ops.h"

namespace duet {
namespace {

// ---- SumToShape(x, like)
// ------------------------------------------------------------------------------

absl::Status InferSumToShape(InferContext& c) {
  const Shape &x = c.shape(0), &like = c.shape(1);
  const int skip = x.rank() - like.rank();
  bool fits = skip >= 0;
  for (int d = 0; fits && d < like.rank(); ++d) {
    const int64_t from = x.dim(skip + d), to = like.dim(d);
    fits = from == to || to == 1 || from < 0 || to < 0;
  }
  if (!fits) {
    return Invalid("shape ", x.ToString(), " is not a broadcast of ", like.ToString());
  }
  c.AddOutput(c.dtype(0), like);
  return absl::OkStatus();
}

// The same sum, axis by axis in the same order, as Sum takes where the sizes are known.
absl::Status SumToShapeKernel(KernelContext& c) {
  const Tensor& x = c.inputs[0];
  Tensor& out = c.outputs[0];
  const int skip = x.rank() - out.rank();
  std::vector<int64_t> axes;
  for (int d = 0; d < x.rank(); ++d) {
    if (d < skip || (out.shape().dim(d - skip) == 1 && x.shape().dim(d) != 1)) axes.push_back(d);
  }
  Tensor sum = x;
  if (!axes.empty()) {
    Shape shape = x.shape();
    for (int64_t a : axes) shape.set_dim(static_cast<int>(a), 1);
    static const auto* keep = new Attrs{{"keep_dims", true}};
    const Tensor given[] = {x, Ints(axes).AsTensor()};
    const absl::Span<const Tensor> inputs(given);
    const ValueSpec spec{x.dtype(), shape};
    sum = Tensor();
    const absl::Span<Tensor> result(&sum, 1);
    if (c.run_op != nullptr) {
      DUET_RETURN_IF_ERROR(c.run_op(ops::SumOp(), *keep, absl::MakeConstSpan(inputs),
                                    absl::MakeConstSpan(&spec, 1), result));
    } else {
      DUET_RETURN_IF_ERROR(
          ExecuteOp({ops::SumOp(), *keep, inputs, {}}, {&spec, 1}, result, c.num_threads));
    }
  }
  if (out.num_elements() > 0) {
    std::memcpy(out.mutable_raw_data(), sum.raw_data(), out.byte_size());
  }
  return absl::OkStatus();
}

// ---- SliceGrad(g, begin, like)
// ------------------------------------------------------------------------

absl::Status InferSliceGrad(InferContext& c) {
  const Shape &g = c.shape(0), &like = c.shape(2);
  DUET_RETURN_IF_ERROR(CheckVector(c, 1, "begin"));
  const int64_t length = c.shape(1).dim(0);
  if (g.rank() != like.rank() || (length >= 0 && length != like.rank())) {
    return Invalid("found a gradient of shape ", g.ToString(), " and ", length,
                   " positions, expected ", like.rank(), " dimensions as in ", like.ToString());
  }
  const std::vector<int64_t>* begin = c.HostInts(1);
  for (int d = 0; d < like.rank(); ++d) {
    const int64_t from = begin == nullptr ? 0 : (*begin)[static_cast<size_t>(d)];
    const int64_t total = like.dim(d), size = g.dim(d);
    const bool fits = from >= 0 && (total < 0 || (from <= total && size <= total - from));
    if (!fits) {
      return Invalid("a block of shape ", g.ToString(), " does not fit ", like.ToString(),
                     " from position ", from, " of dimension ", d);
    }
  }
  c.AddOutput(c.dtype(0), like);
  return absl::OkStatus();
}

absl::Status SliceGradKernel(KernelContext& c) {
  const Tensor& g = c.inputs[0];
  Tensor& out = c.outputs[0];
  if (out.num_elements() == 0) return absl::OkStatus();
  std::memset(out.mutable_raw_data(), 0, out.byte_size());
  if (g.num_elements() == 0) return absl::OkStatus();
  const std::vector<int64_t> begin = c.inputs[1].AsInt64Vector();
  const Dims strides = ContiguousStrides(out.shape());
  const size_t size = SizeOf(g.dtype());
  const int rank = g.rank();
  const int64_t row = rank == 0 ? 1 : g.shape().dim(rank - 1);
  int64_t offset = 0;
  for (int d = 0; d < rank; ++d)
    offset += begin[static_cast<size_t>(d)] * strides[static_cast<size_t>(d)];
  Dims index(static_cast<size_t>(rank), 0);
  const char* from = static_cast<const char*>(g.raw_data());
  char* to = static_cast<char*>(out.mutable_raw_data());
  for (int64_t done = 0, n = g.num_elements(); done < n; done += row) {
    std::memcpy(to + static_cast<size_t>(offset) * size, from + static_cast<size_t>(done) * size,
                static_cast<size_t>(row) * size);
    for (int d = rank - 2; d >= 0; --d) {
      const auto i = static_cast<size_t>(d);
      offset += strides[i];
      if (++index[i] < g.shape().dim(d)) break;
      offset -= strides[i] * g.shape().dim(d);
      index[i] = 0;
    }
  }
  return absl::OkStatus();
}

}  // namespace

DUET_OP(SumToShape,
        Opaque("SumToShape",
               {.inputs = {{.name = "x", .type_attr = "T"}, {.name = "like", .type_attr = "T"}},
                .outputs = {{.name = "output", .type_attr = "T"}},
                .type_attrs = {{"T", kNumericTypes}},
                .infer = InferSumToShape,
                .kernel = SumToShapeKernel,
                .grad = [](GradContext& c) { c.Set(0, BroadcastLike(c.grad(), c.input(0))); },
                .doc = "x summed over the dimensions that a tensor of "
                       "like's shape would be broadcast along.",
                .tolerance_ulp = 16,
                .test_low = 0.5,
                .wire = "DuetSumToShape"}));

DUET_OP(SliceGrad,
        Opaque("SliceGrad", {.inputs = {{.name = "grad", .type_attr = "T"},
                                        {.name = "begin", .type_attr = "Index", .host = true},
                                        {.name = "like", .type_attr = "T"}},
                             .outputs = {{.name = "output", .type_attr = "T"}},
                             .type_attrs = {{"T", kNumericTypes}, {"Index", kIndexTypes}},
                             .infer = InferSliceGrad,
                             .kernel = SliceGradKernel,
                             .grad =
                                 [](GradContext& c) {
                                   const Tensor sizes = ShapeOf(c.input(0), c.input(1).dtype());
                                   c.Set(0, Slice(c.grad(), c.input(1), sizes));
                                 },
                             .doc = "Zeros of like's shape with grad as the block that starts at "
                                    "begin: the gradient of Slice.",
                             .wire = "DuetSliceGrad"}));

}  // namespace duet
