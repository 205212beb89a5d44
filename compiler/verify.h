// The pass `verify`, and the check that runs after every pass that changed something.
#ifndef DUET_COMPILER_VERIFY_H_
#define DUET_COMPILER_VERIFY_H_

#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "compiler/pass.h"

namespace duet::compiler {

// Checks that nodes use only earlier ones and outputs that exist, that names are unique, that every
// node's op accepts its inputs and attributes and gives the recorded types (the op's own rule is
// run again: there is no second description), that the nodes of a group stand together, and that
// feeds, fetches and targets exist. Internal error naming the node.
absl::Status VerifyGraph(const PassInput& input);

// Checks that `after` has the fetches of `before` (in number, dtypes and compatible shapes), and as
// many feeds.
absl::Status VerifyEnds(const PassInput& before, const PassInput& after);

// As a pass: returns the input, or VerifyGraph's error.
absl::StatusOr<PassInput> Verify(const PassInput& input, const PassOptions& options);

}  // namespace duet::compiler

#endif  // DUET_COMPILER_VERIFY_H_
