// Values that are known while a graph is built: what shape rules look at for axes, sizes and
// paddings.
#ifndef DUET_GRAPH_STATIC_VALUE_H_
#define DUET_GRAPH_STATIC_VALUE_H_

#include "absl/container/inlined_vector.h"
#include "absl/types/span.h"
#include "core/op_def.h"

namespace duet::graph_internal {

// The most elements an input or output of a call may have to be computed while building.
inline constexpr int64_t kMaxStaticElements = 64;

// The outputs of a call whose inputs have `specs` (and `values` where known, else null), if they
// follow without running the graph: integer arithmetic on small known values, and ops that look at
// nothing but shapes, where those are fully known. Empty if they do not. Constants are not handled
// here.
absl::InlinedVector<Tensor, 1> ComputeStaticValues(const OpDef& op, const Attrs& attrs,
                                                   absl::Span<const InputInfo> inputs,
                                                   absl::Span<const ValueSpec> outputs);

}  // namespace duet::graph_internal

#endif  // DUET_GRAPH_STATIC_VALUE_H_
