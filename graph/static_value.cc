#include "graph/static_value.h"

#include "core/allocator.h"
#include "core/error.h"
#include "graph/reference_execute.h"

namespace duet::graph_internal {
namespace {

bool IsSmall(DType dtype, const Shape& shape) {
  return (IsInteger(dtype) || dtype == kBool) && shape.IsFullyDefined() &&
         shape.num_elements() <= kMaxStaticElements;
}

// A tensor of a shape without elements, for kernels that look at nothing else.
Tensor ShapeAlone(DType dtype, const Shape& shape) {
  return Tensor::FromStorage(dtype, shape,
                             Storage::Wrap(
                                 nullptr, 0, [](void*) {}, nullptr),
                             0);
}

}  // namespace

absl::InlinedVector<Tensor, 1> ComputeStaticValues(const OpDef& op, const Attrs& attrs,
                                                   absl::Span<const InputInfo> inputs,
                                                   absl::Span<const ValueSpec> outputs) {
  const bool has_meaning = op.elementwise != nullptr || op.view != nullptr ||
                           op.kernel != nullptr || op.family == Family::kReduction;
  if (inputs.empty() || outputs.empty() || op.stateful || op.random || op.side_effect ||
      op.resource != ResourceUse::kNone || !has_meaning) {
    return {};
  }
  for (const ValueSpec& out : outputs) {
    if (!IsSmall(out.dtype, out.shape)) return {};
  }
  absl::InlinedVector<Tensor, 4> values;
  for (const InputInfo& in : inputs) {
    if (op.shape_only) {
      if (!in.shape->IsFullyDefined() || in.dtype == kResource) return {};
      values.push_back(ShapeAlone(in.dtype, *in.shape));
    } else {
      if (in.value == nullptr || !IsSmall(in.dtype, *in.shape)) return {};
      values.push_back(*in.value);
    }
  }
  absl::InlinedVector<Tensor, 1> results(outputs.size());
  try {
    if (!ReferenceExecute(op, attrs, values, outputs, absl::MakeSpan(results)).ok()) return {};
  } catch (const Error&) {
    // The call fails when it runs; while building, its value is just not known.
    return {};
  }
  return results;
}

}  // namespace duet::graph_internal
