// The pass `cse`: merges nodes that compute the same value.
#ifndef DUET_COMPILER_CSE_H_
#define DUET_COMPILER_CSE_H_

#include "absl/status/statusor.h"
#include "compiler/pass.h"

namespace duet::compiler {

// Two nodes are one if they have the same op, attributes (by the equality that Attrs derives;
// constants by their bytes), inputs, control inputs and device; the inputs of commutative ops may
// be swapped. The first one stays. Stateful and random nodes, variables, placeholders and fed nodes
// are never merged.
absl::StatusOr<PassInput> Cse(const PassInput& input, const PassOptions& options);

}  // namespace duet::compiler

#endif  // DUET_COMPILER_CSE_H_
