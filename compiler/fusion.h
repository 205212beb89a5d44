// The pass `fusion`: decides which nodes become one kernel.
#ifndef DUET_COMPILER_FUSION_H_
#define DUET_COMPILER_FUSION_H_

#include "absl/status/statusor.h"
#include "compiler/pass.h"

namespace duet::compiler {

// Sets Node::group and orders the graph so that the nodes of a group stand together, after all that
// they use and before all that uses them. No value changes: a group lowers (lower.h) to a kernel
// with the bits of its nodes run one by one.
//
// A group has one iteration space. It may hold elementwise nodes of that shape, views of what it
// reads, reductions over the same dimensions and what is computed from them, or one matrix product
// with elementwise nodes of the product's shape. It grows from each node to the producers of its
// inputs and stops at
//   - a node that is stateful, random, fed, or has no loop expression: its time and place are not
//   free;
//   - another space: another shape, another set of reduced dimensions, a value used under two index
//   maps
//     (a reduction broadcast along another dimension, a computed value that is transposed);
//   - a reduction in more than one step, or one along which an operand does not walk with one
//   stride:
//     the order of its sum would not be that of the op alone;
//   - a value inside a reduction over rows that others need: such a kernel makes one pass and keeps
//   only
//     the reductions;
//   - an input that is checked before the op runs (integer divisors, indices) or decides sizes: it
//   must
//     exist before the kernel starts;
//   - a path that leaves the group and returns: no order of kernels would do;
//   - a product that others need, or the size limits.
// Nothing is computed in two kernels, except that a view is free and so is given to each kernel
// that reads through it. Sizes that are not known yet are taken to be equal; lowering sees the real
// ones.
absl::StatusOr<PassInput> Fusion(const PassInput& input, const PassOptions& options);

}  // namespace duet::compiler

#endif  // DUET_COMPILER_FUSION_H_
