// How elements are read through views: strides over a shape, composed view by view.
#ifndef DUET_COMPILER_ACCESS_H_
#define DUET_COMPILER_ACCESS_H_

#include <cstdint>

#include "absl/status/statusor.h"
#include "core/loop/launch.h"
#include "core/op_def.h"
#include "graph/graph.h"

namespace duet::compiler {

// Elements of an output of a node, seen through views: element x of a shape is element
// offset + sum(strides[d] * x[d]) of the source, which is contiguous.
struct Access {
  NodeOutput source;
  int64_t offset = 0;  // in elements
  loop::Strides strides;
  bool known = true;  // false: through a view whose sizes are not known yet (fusion only)
};

// `access`, which is over `in_shape`, seen through a view with result shape `out_shape`.
// FailedPrecondition if the result has no strides (a reshape of a transposed tensor, say).
absl::StatusOr<Access> Through(const Access& access, const Shape& in_shape, const ViewMap& view,
                               const Shape& out_shape);

// True if the two walk a tensor of `shape` in the same order; the stride of a dimension of size 1
// does not matter.
bool SameWalk(const loop::Strides& a, const loop::Strides& b, const Shape& shape);

// Row-major strides.
loop::Strides RowMajor(const Shape& shape);

}  // namespace duet::compiler

#endif  // DUET_COMPILER_ACCESS_H_
