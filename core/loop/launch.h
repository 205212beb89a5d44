// From shapes to a launch: collapses the dimensions of an iteration space, chooses rows and inner,
// and classifies strides.
#ifndef DUET_CORE_LOOP_LAUNCH_H_
#define DUET_CORE_LOOP_LAUNCH_H_

#include <cstdint>
#include <vector>

#include "absl/container/inlined_vector.h"
#include "absl/types/span.h"
#include "core/loop/program.h"
#include "core/shape.h"

namespace duet::loop {

// How an operand or output is laid over the iteration space: one stride per dimension, in elements;
// 0 where it is broadcast.
using Strides = absl::InlinedVector<int64_t, 4>;

// The strides of a contiguous tensor of `shape` broadcast (NumPy rules) over `space`. Where the
// sizes are equal the stride is the contiguous one, even for size 1, so that the classes below do
// not change with the batch size.
Strides BroadcastStrides(const Shape& shape, const Shape& space);

// Sizes and byte strides of one execution of a kernel, all dimensions given.
struct Launch {
  absl::InlinedVector<int64_t, 4> outer;  // sizes of the dimensions outside rows x inner
  int64_t rows = 1, inner = 1;
  struct Layout {
    absl::InlinedVector<int64_t, 4> outer;  // byte strides
    int64_t row = 0, inner = 0;
  };
  absl::InlinedVector<Layout, 4> layouts;  // operands, then outputs
  int64_t points() const;                  // rows * inner * all outer
};

// The space of a body and where its reduced dimensions are.
struct Space {
  Shape shape;           // all dimensions, kept and reduced
  int reduce_begin = 0;  // the reduced dimensions are [reduce_begin, reduce_end); equal when none.
  int reduce_end = 0;    // axis kInner needs reduce_end == rank; kRows needs reduce_end <= rank
};

// Plans a launch of `body` over `space`. `operands` and `outputs` hold the strides of each over all
// of space.shape (an output of level kReduced has stride 0 along the reduced dimensions). Fills
// `program` with the body and the stride classes and `launch` with sizes. FailedPrecondition if the
// reduced dimensions do not collapse into one for every operand (the caller materialises the
// operand first).
absl::Status PlanLaunch(const Body& body, const Space& space, absl::Span<const Strides> operands,
                        absl::Span<const Strides> outputs, Program* program, Launch* launch);
// The same without a copy of the body, for callers that look kernels up by stride classes.
using StrideClasses = absl::InlinedVector<Stride, 4>;
absl::Status PlanLaunch(const Body& body, const Space& space, absl::Span<const Strides> operands,
                        absl::Span<const Strides> outputs, StrideClasses* inner, Launch* launch);

// Makes a launch without outer dimensions that goes over rows * inner points in one run into one
// that goes over them row by row. False, and no change, if it does neither.
bool OpenRows(int64_t rows, int64_t inner, Launch* launch);

// Runs `fn` over the part [begin, end) of the launch's work units. Units are independent and their
// results do not depend on how they are split: rows of all outer positions for kInner and for kNone
// bodies with more than one row; blocks of 16 inner positions for the rest. `pointers` are the
// start of each operand and output (byte offsets applied).
int64_t NumUnits(Axis axis, const Launch& launch);
void RunUnits(KernelFn fn, Axis axis, const Launch& launch, absl::Span<void* const> pointers,
              int64_t begin, int64_t end);

}  // namespace duet::loop

#endif  // DUET_CORE_LOOP_LAUNCH_H_
