// Lowering: from a fusion group and concrete shapes to one loop program (or a matrix product with a
// loop program as epilogue).
#ifndef DUET_COMPILER_LOWER_H_
#define DUET_COMPILER_LOWER_H_

#include <functional>
#include <vector>

#include "absl/status/statusor.h"
#include "core/loop/launch.h"
#include "core/loop/program.h"
#include "graph/graph.h"

namespace duet::compiler {

// Where a kernel's operand comes from: an output of a node outside the group (or a constant), read
// from byte `offset` on. With source.node == -1 it is the one scalar `value` instead: the count a
// mean divides by, which is an operand so that another size needs no other kernel.
struct LoweredOperand {
  NodeOutput source;
  int64_t offset = 0;
  loop::Scalar value;
};

// One kernel launch: operands first, then outputs, as Launch::layouts has them.
struct LoweredLoop {
  loop::Program program;
  loop::Launch launch;
  std::vector<LoweredOperand> operands;
  std::vector<NodeOutput> outputs;  // the group's values that others use
  // operand i may share its memory with output in_place[i] (same size and layout, each element read
  // before it is written, no other access), or -1.
  std::vector<int> in_place;
};

struct LoweredGroup {
  // Set when the group begins with a matrix product: that node. Its operands are the product's
  // inputs; the loop then runs on panels of rows of the product, and reads it as an operand whose
  // source is the product (which nothing outside of the group uses). Its launch has no outer
  // dimensions, rows = m and inner = n.
  int32_t contraction = -1;
  LoweredLoop loop;
};

// Lowers the nodes of one group (positions in `graph`, ascending). `spec(o)` gives the concrete
// spec of an output; `value(o)` its value if it is a host value known now, else null.
// `used_outside(o)` is true if a node outside of the group or a fetch uses it. FailedPrecondition
// if the concrete shapes do not fit one kernel (the caller then runs the nodes one by one).
struct LowerContext {
  const Graph& graph;
  std::function<const ValueSpec&(NodeOutput)> spec;
  std::function<const Tensor*(NodeOutput)> value;
  std::function<bool(NodeOutput)> used_outside;
};
absl::StatusOr<LoweredGroup> LowerGroup(const std::vector<int32_t>& nodes,
                                        const LowerContext& context);

}  // namespace duet::compiler

#endif  // DUET_COMPILER_LOWER_H_
