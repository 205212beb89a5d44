// Products that sum over a shared dimension.
#include <cstring>

#include "core/ops/families.h"
#include "core/ops/infer_util.h"
#include "core/ops/ops.h"

namespace duet {
namespace {

const Attrs& MatMulAttrs(bool transpose_a, bool transpose_b) {
  static const auto* table = [] {
    auto* t = new std::vector<Attrs>();
    for (int i = 0; i < 4; ++i) {
      t->push_back(Attrs{{"transpose_a", (i & 2) != 0},
                         {"transpose_b", (i & 1) != 0},
                         {"grad_a", false},
                         {"grad_b", false}});
    }
    return t;
  }();
  return (*table)[(transpose_a ? 2u : 0u) + (transpose_b ? 1u : 0u)];
}

bool Fits(int64_t x, int64_t y) { return x == y || x < 0 || y < 0; }

absl::Status InferMatMul(InferContext& c) {
  const Shape &a = c.shape(0), &b = c.shape(1);
  if (a.rank() != 2 || b.rank() != 2) {
    return Invalid("found shapes ", a.ToString(), " and ", b.ToString(),
                   ", expected two matrices (rank 2); use Reshape or ExpandDims");
  }
  const bool ta = c.attrs().Get<bool>("transpose_a"), tb = c.attrs().Get<bool>("transpose_b");
  const int64_t inner_a = a.dim(ta ? 0 : 1), inner_b = b.dim(tb ? 1 : 0);
  if (!Fits(inner_a, inner_b)) {
    std::string found = Str("found shapes ", a.ToString(), ta ? " (transposed)" : "", " and ",
                            b.ToString(), tb ? " (transposed)" : "", ", whose inner sizes ",
                            inner_a, " and ", inner_b, " differ");
    const int64_t other_a = a.dim(ta ? 1 : 0), other_b = b.dim(tb ? 0 : 1);
    if (Fits(inner_a, other_b)) {
      AppendTo(&found, "; they fit with transpose_b=", tb ? "false" : "true");
    } else if (Fits(other_a, inner_b)) {
      AppendTo(&found, "; they fit with transpose_a=", ta ? "false" : "true");
    } else if (Fits(other_a, other_b)) {
      AppendTo(&found, "; they fit with transpose_a=", ta ? "false" : "true",
               ", transpose_b=", tb ? "false" : "true");
    }
    return absl::InvalidArgumentError(found);
  }
  c.AddOutput(c.dtype(0), Shape({a.dim(ta ? 1 : 0), b.dim(tb ? 0 : 1)}));
  return absl::OkStatus();
}

absl::Status MatMulKernel(KernelContext& c) {
  const Shape &a = c.inputs[0].shape(), &b = c.inputs[1].shape();
  GemmArgs args;
  args.dtype = c.inputs[0].dtype();
  args.transpose_a = c.attrs.Get<bool>("transpose_a");
  args.transpose_b = c.attrs.Get<bool>("transpose_b");
  args.m = a.dim(args.transpose_a ? 1 : 0);
  args.k = a.dim(args.transpose_a ? 0 : 1);
  args.n = b.dim(args.transpose_b ? 0 : 1);
  args.a = c.inputs[0].raw_data();
  args.b = c.inputs[1].raw_data();
  args.c = c.outputs[0].mutable_raw_data();
  if (args.m == 0 || args.n == 0) return absl::OkStatus();
  if (args.k == 0) {
    std::memset(args.c, 0, c.outputs[0].byte_size());
    return absl::OkStatus();
  }
  c.device.Gemm(args, c.num_threads);
  return absl::OkStatus();
}

void MatMulGrad(GradContext& c) {
  const Tensor &a = c.input(0), &b = c.input(1), &g = c.grad();
  const bool ta = c.attrs().Get<bool>("transpose_a"), tb = c.attrs().Get<bool>("transpose_b");
  if (!ta) {
    if (c.needed(0)) c.Set(0, MatMul(g, b, false, !tb));
    if (c.needed(1)) c.Set(1, tb ? MatMul(g, a, true, false) : MatMul(a, g, true, false));
  } else {
    if (c.needed(0)) c.Set(0, MatMul(b, g, tb, true));
    if (c.needed(1)) c.Set(1, tb ? MatMul(g, a, true, true) : MatMul(a, g, false, false));
  }
}

OpDef MatMulDef() {
  OpDef op;
  op.name = op.public_name = "MatMul";
  op.inputs = {{.name = "a", .type_attr = "T"}, {.name = "b", .type_attr = "T"}};
  op.outputs = {{.name = "product", .type_attr = "T"}};
  op.type_attrs = {{"T", kSignedTypes}};
  // grad_a and grad_b mark products that TensorFlow made for gradients; they change nothing.
  op.attrs = {{"transpose_a", false}, {"transpose_b", false}, {"grad_a", false}, {"grad_b", false}};
  op.family = Family::kContraction;
  op.infer = InferMatMul;
  op.kernel = MatMulKernel;
  op.grad = MatMulGrad;
  op.doc = "The product of the matrices a and b, each transposed first if its flag says so.";
  op.examples = {{"MatMul(Constant({{1, 2}, {3, 4}}), Constant({{5}, {6}}))", "[[17]\n [39]]"},
                 {"MatMul(Constant({{1, 2}}), Constant({{3, 4}}), false, true)", "[[11]]"}};
  op.tolerance_ulp = 32;
  op.test_low = 0.5;
  return op;
}

}  // namespace

DUET_OP(MatMul, MatMulDef());
Tensor MatMul(const Operand& a, const Operand& b, bool transpose_a, bool transpose_b) {
  return CallBinary(ops::MatMulOp(), MatMulAttrs(transpose_a, transpose_b), a, b);
}

}  // namespace duet
