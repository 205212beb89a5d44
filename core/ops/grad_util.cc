#include "core/ops/grad_util.h"

#include "core/ops/defs.h"
#include "core/ops/ops.h"

namespace duet {
namespace {

// What the dimensions of x's shape, aligned to the right of g's, tell about summing.
enum class Decision { kNothing, kSum, kUnknown };

Decision Decide(const Shape& g, const Shape& x, std::initializer_list<const Tensor*> others,
                std::vector<int64_t>* axes) {
  const int skip = g.rank() - x.rank();
  bool unknown = false;
  for (int d = 0; d < skip; ++d) axes->push_back(d);
  for (int d = 0; d < x.rank(); ++d) {
    const int64_t size = x.dim(d), result = g.dim(skip + d);
    if (size == 1) {
      if (result != 1) axes->push_back(skip + d);
      continue;
    }
    if (size >= 0) continue;
    // A size that is not known yet is that of the result unless another operand may widen it.
    for (const Tensor* other : others) {
      const int at = other->rank() - (x.rank() - d);
      if (at >= 0 && other->shape().dim(at) != 1) unknown = true;
    }
  }
  if (unknown) return Decision::kUnknown;
  return axes->empty() ? Decision::kNothing : Decision::kSum;
}

}  // namespace

Tensor SumToOperand(const Tensor& g, const Tensor& x, std::initializer_list<const Tensor*> others) {
  if (g.shape() == x.shape() && g.shape().IsFullyDefined()) return g;
  std::vector<int64_t> axes;
  switch (Decide(g.shape(), x.shape(), others, &axes)) {
    case Decision::kNothing:
      return g;
    case Decision::kSum: {
      const int skip = g.rank() - x.rank();
      if (skip == 0) return Sum(g, axes, /*keep_dims=*/true);
      const Tensor sum = Sum(g, axes);
      return static_cast<int>(axes.size()) == skip ? sum : ReshapeLike(sum, x);
    }
    case Decision::kUnknown:
      break;
  }
  const Tensor inputs[] = {g, x};
  return Dispatch1(ops::SumToShapeOp(), NoAttrs(), inputs, {});
}

Tensor SizesOf(const Tensor& x) {
  if (x.shape().IsFullyDefined()) return Ints(x.shape()).AsTensor();
  return ShapeOf(x);
}

Tensor ReshapeLike(const Tensor& g, const Tensor& x) {
  if (g.shape() == x.shape() && g.shape().IsFullyDefined()) return g;
  // One unknown size follows from the number of elements, unless another size is 0.
  int unknown = 0;
  bool empty = false;
  for (int64_t d : x.shape().dims()) {
    unknown += d < 0;
    empty |= d == 0;
  }
  if (unknown == 0 || (unknown == 1 && !empty)) return Reshape(g, x.shape());
  return Reshape(g, ShapeOf(x));
}

Tensor BroadcastLike(const Tensor& g, const Tensor& x) {
  if (g.shape() == x.shape() && g.shape().IsFullyDefined()) return g;
  if (x.shape().IsFullyDefined()) return BroadcastTo(g, x.shape());
  // Multiplying with 1 changes no bit and keeps the sizes that are known.
  return g * OnesLike(x);
}

std::optional<std::vector<int64_t>> KnownInts(const Tensor& t) {
  const Tensor* value = &t;
  if (t.is_symbolic()) {
    value = t.symbol_source()->StaticValue(t.symbol_node(), t.symbol_output());
  }
  if (value == nullptr) return std::nullopt;
  return value->AsInt64Vector();
}

}  // namespace duet
