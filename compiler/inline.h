// The pass `inline`: replaces composite ops by the ops they are made of.
#ifndef DUET_COMPILER_INLINE_H_
#define DUET_COMPILER_INLINE_H_

#include "absl/status/statusor.h"
#include "compiler/pass.h"

namespace duet::compiler {

// Records the body of each composite node and puts its nodes in the node's place, again and again
// until no composite is left. The nodes of a body are named below the composite ("Softmax/Exp"),
// and have its source location, device and control inputs. A fed composite stays, and so does one
// whose body knows less of its results' shapes than the op's shape rule.
absl::StatusOr<PassInput> Inline(const PassInput& input, const PassOptions& options);

}  // namespace duet::compiler

#endif  // DUET_COMPILER_INLINE_H_
