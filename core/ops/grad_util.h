// What gradients share: everything here is made of public ops, so it runs, is recorded and can be
// differentiated like any other code, and works on recorded tensors whose sizes are not all known.
#ifndef DUET_CORE_OPS_GRAD_UTIL_H_
#define DUET_CORE_OPS_GRAD_UTIL_H_

#include <initializer_list>
#include <optional>
#include <vector>

#include "core/tensor.h"

namespace duet {

// `g`, which has the broadcast shape of `x` and `others`, summed over the dimensions that x was
// broadcast along: the result has x's shape. Where sizes do not tell while recording, the sum is
// decided when the graph runs.
Tensor SumToOperand(const Tensor& g, const Tensor& x, std::initializer_list<const Tensor*> others);

// `g` under x's shape; it has as many elements.
Tensor ReshapeLike(const Tensor& g, const Tensor& x);

// `g` broadcast to x's shape. x's dtype is g's.
Tensor BroadcastLike(const Tensor& g, const Tensor& x);

// The elements of a small integer tensor if they are known (always for a value).
std::optional<std::vector<int64_t>> KnownInts(const Tensor& t);

// The sizes of a tensor: a constant if they are all known, else the op that finds them.
Tensor SizesOf(const Tensor& x);

}  // namespace duet

#endif  // DUET_CORE_OPS_GRAD_UTIL_H_
