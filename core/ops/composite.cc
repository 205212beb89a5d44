// Functions of other ops.
#include "core/ops/families.h"
#include "core/ops/infer_util.h"
#include "core/ops/ops.h"

namespace duet {
namespace {

absl::Status InferSoftmax(InferContext& c) {
  if (c.shape(0).rank() < 1) {
    return Invalid("found a scalar, expected a tensor whose last dimension is the classes");
  }
  return InferLikeInput(c);
}

Tensor SumLast(const Tensor& x) { return Sum(x, {-1}, /*keep_dims=*/true); }
// x less the largest of each row, so that exp cannot overflow.
Tensor Shifted(const Tensor& x) { return x - Max(x, {-1}, /*keep_dims=*/true); }

// How a gradient of softmax's result y passes to its argument.
Tensor ThroughSoftmax(const Tensor& y, const Tensor& g) { return (g - SumLast(g * y)) * y; }

// 0, 1, ..., as many as `logits` has columns.
Tensor ClassNumbers(const Tensor& logits, DType dtype) {
  const int64_t n = logits.shape().dim(1);
  if (n < 0) {
    const Tensor columns = Gather(ShapeOf(logits, dtype), 1);
    return Range(ZerosLike(columns), columns, OnesLike(columns));
  }
  Tensor t = Tensor::Allocate(dtype, Shape({n}));
  for (int64_t i = 0; i < n; ++i) {
    if (dtype == kInt32) {
      static_cast<int32_t*>(t.mutable_raw_data())[i] = static_cast<int32_t>(i);
    } else {
      static_cast<int64_t*>(t.mutable_raw_data())[i] = i;
    }
  }
  return t;
}

// ---- Cross entropy
// ----------------------------------------------------------------------------------

absl::Status CheckLabelShapes(const Shape& logits, const Shape& labels) {
  if (logits.rank() != 2) {
    return Invalid("found logits of shape ", logits.ToString(),
                   ", expected [rows, classes]; use Reshape");
  }
  if (labels.rank() != 1 || !Shape({logits.dim(0)}).IsCompatibleWith(labels)) {
    return Invalid("found labels of shape ", labels.ToString(), " beside logits of shape ",
                   logits.ToString(), ", expected one label a row: [", logits.dim(0), "]");
  }
  return absl::OkStatus();
}

absl::Status InferCrossEntropy(InferContext& c) {
  DUET_RETURN_IF_ERROR(CheckLabelShapes(c.shape(0), c.shape(1)));
  int64_t rows = c.shape(0).dim(0);
  if (rows < 0) rows = c.shape(1).dim(0);
  c.AddOutput(c.dtype(0), Shape({rows}));
  c.AddOutput(c.dtype(0), Shape({rows, c.shape(0).dim(1)}));
  return absl::OkStatus();
}

void CrossEntropyBody(const Attrs&, absl::Span<const Tensor> inputs, absl::Span<Tensor> outputs) {
  const Tensor& logits = inputs[0];
  const Tensor labels = Dispatch1(ops::CheckedLabelsOp(), NoAttrs(), {inputs[1], logits}, {});
  const Tensor chosen = Equal(ExpandDims(labels, -1), ClassNumbers(logits, labels.dtype()));
  const Tensor shifted = Shifted(logits);
  const Tensor exp = Exp(shifted);
  const Tensor total = SumLast(exp);
  // All but one number of a row are 0, so the sum is exact; infinite logits of other classes count
  // for nothing.
  outputs[0] = Sum(Select(chosen, Log(total) - shifted, 0), {-1});
  outputs[1] = exp / total - Cast(chosen, logits.dtype());
}

// Output 1 is the gradient of output 0; it is differentiated when second derivatives are taken.
void CrossEntropyGrad(GradContext& c) {
  Tensor sum;
  if (c.grad(0).defined()) sum = ExpandDims(c.grad(0), -1) * c.output(1);
  if (c.grad(1).defined()) {
    const Tensor second = ThroughSoftmax(Softmax(c.input(0)), c.grad(1));
    sum = sum.defined() ? sum + second : second;
  }
  c.Set(0, sum);
}

absl::Status InferCheckedLabels(InferContext& c) {
  DUET_RETURN_IF_ERROR(CheckLabelShapes(c.shape(1), c.shape(0)));
  const int64_t labels = c.shape(0).dim(0);
  c.AddOutput(c.dtype(0), Shape({labels < 0 ? c.shape(1).dim(0) : labels}));
  return absl::OkStatus();
}

absl::Status CheckLabels(const Attrs&, absl::Span<const Tensor> inputs) {
  const int64_t classes = inputs[1].shape().dim(1);
  absl::Status status;
  VisitDType(inputs[0].dtype(), [&](auto zero) {
    using T = decltype(zero);
    if constexpr (std::is_same_v<T, int32_t> || std::is_same_v<T, int64_t>) {
      const T* labels = static_cast<const T*>(inputs[0].raw_data());
      const int64_t n = inputs[0].num_elements();
      for (int64_t i = 0; i < n && status.ok(); ++i) {
        if (labels[i] < 0 || labels[i] >= classes) {
          status = Invalid("labels[", i, "] is ", static_cast<int64_t>(labels[i]),
                           ", expected a class in [0, ", classes, ")");
        }
      }
    }
  });
  return status;
}

OpDef CheckedLabelsDef() {
  OpDef op =
      View("SparseSoftmaxCrossEntropyWithLogits",
           {.inputs = {{.name = "labels", .type_attr = "Tlabels"},
                       {.name = "features", .type_attr = "T"}},
            .outputs = {{.name = "output", .type_attr = "Tlabels"}},
            .type_attrs = {{"Tlabels", kIndexTypes}, {"T", kFloatingTypes}},
            .infer = InferCheckedLabels,
            .doc = "The labels, after checking that each is one of the classes that features "
                   "has as columns.",
            .wire = "DuetCheckedLabels"});
  op.check = CheckLabels;
  op.checked_inputs = {0};
  return op;
}

}  // namespace

DUET_OP(Softmax,
        Composite("Softmax",
                  {.inputs = {{.name = "logits", .type_attr = "T"}},
                   .outputs = {{.name = "softmax", .type_attr = "T"}},
                   .type_attrs = {{"T", kFloatingTypes}},
                   .infer = InferSoftmax,
                   .body =
                       [](const Attrs&, absl::Span<const Tensor> in, absl::Span<Tensor> out) {
                         const Tensor exp = Exp(Shifted(in[0]));
                         out[0] = exp / SumLast(exp);
                       },
                   .grad = [](GradContext& c) { c.Set(0, ThroughSoftmax(c.output(), c.grad())); },
                   .doc = "exp(x) / sum(exp(x)) along the last dimension.",
                   .examples = {{"Softmax(Constant({{0., 0.}, {7., 7.}}))",
                                 "[[0.5 0.5]\n [0.5 0.5]]"}},
                   .tolerance_ulp = 16}));
Tensor Softmax(const Operand& logits) { return CallUnary(ops::SoftmaxOp(), logits); }

DUET_OP(LogSoftmax,
        Composite("LogSoftmax",
                  {.inputs = {{.name = "logits", .type_attr = "T"}},
                   .outputs = {{.name = "logsoftmax", .type_attr = "T"}},
                   .type_attrs = {{"T", kFloatingTypes}},
                   .infer = InferSoftmax,
                   .body =
                       [](const Attrs&, absl::Span<const Tensor> in, absl::Span<Tensor> out) {
                         const Tensor shifted = Shifted(in[0]);
                         out[0] = shifted - Log(SumLast(Exp(shifted)));
                       },
                   .grad =
                       [](GradContext& c) {
                         c.Set(0, c.grad() - SumLast(c.grad()) * Exp(c.output()));
                       },
                   .doc = "The logarithm of Softmax, computed without its underflow.",
                   .examples = {{"LogSoftmax(Constant({{0., 1000.}}))", "[[-1000.     0.]]"}},
                   .tolerance_ulp = 64}));
Tensor LogSoftmax(const Operand& logits) { return CallUnary(ops::LogSoftmaxOp(), logits); }

DUET_OP(CheckedLabels, CheckedLabelsDef());

DUET_OP(SparseSoftmaxCrossEntropyWithLogits,
        Composite("SparseSoftmaxCrossEntropyWithLogits",
                  {.inputs = {{.name = "features", .type_attr = "T"},
                              {.name = "labels", .type_attr = "Tlabels"}},
                   .outputs = {{.name = "loss", .type_attr = "T"},
                               {.name = "backprop", .type_attr = "T"}},
                   .type_attrs = {{"T", kFloatingTypes}, {"Tlabels", kIndexTypes}},
                   .infer = InferCrossEntropy,
                   .body = CrossEntropyBody,
                   .grad = CrossEntropyGrad,
                   .doc = "For each row of features ([rows, classes]) the loss "
                          "-log(softmax(row)[label]); its gradient is the second output. A label "
                          "out of [0, classes) is an error.",
                   .examples = {{"SparseSoftmaxCrossEntropyWithLogits(Constant({{0., 1000.}}), "
                                 "Constant({0}))",
                                 "[1000.]"}},
                   .tolerance_ulp = 64}));
Tensor SparseSoftmaxCrossEntropyWithLogits(const Operand& logits, const Operand& labels) {
  const Tensor inputs[] = {logits.tensor(), labels.tensor()};
  return Dispatch(ops::SparseSoftmaxCrossEntropyWithLogitsOp(), NoAttrs(), inputs,
                  logits.location())[0];
}

}  // namespace duet
