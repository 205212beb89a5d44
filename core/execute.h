// Runs one op call on a device: what eager does for every call, and what the constant folder and
// the executor do for a node that was not fused. One implementation, so one set of bits.
#ifndef DUET_CORE_EXECUTE_H_
#define DUET_CORE_EXECUTE_H_

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "core/dispatch.h"
#include "core/loop/launch.h"

namespace duet {

// One step of a reduction op over concrete shapes: groups of adjacent axes are reduced one after
// another, the last group first; each is a body over a space.
struct ReduceStep {
  loop::Space space;  // shape of this step's input (axes merged), and its reduced range
  bool mean = false;  // the last step of a Mean divides by `count`
};
// The steps for reducing `input` over `axes` (normalised, sorted, unique). No axes: no steps (a
// copy).
std::vector<ReduceStep> PlanReduction(const Shape& input, absl::Span<const int64_t> axes);

// A loop body for an elementwise op with the given input dtypes: loads, the op's value, one output.
loop::Body ElementwiseBody(const OpDef& op, const Attrs& attrs, absl::Span<const DType> inputs,
                           DType output);
// A body that reduces operand 0 along `axis`; with `mean`, operand 1 is a scalar of the count that
// the result is divided by.
loop::Body ReductionBody(loop::Reduce reduce, DType dtype, loop::Axis axis, bool mean);

// Runs `op` on concrete inputs into `outputs`: allocates those that are undefined; a defined one
// has the right dtype and shape and is written in place (views that alias replace it). `specs` come
// from Infer. Elementwise outputs may share memory with an input of the same shape and dtype.
absl::Status ExecuteOp(const OpCall& call, absl::Span<const ValueSpec> specs,
                       absl::Span<Tensor> outputs, int num_threads = 0);

}  // namespace duet

#endif  // DUET_CORE_EXECUTE_H_
