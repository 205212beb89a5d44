// The pass `prune`: drops what no fetch and no target needs.
#ifndef DUET_COMPILER_PRUNE_H_
#define DUET_COMPILER_PRUNE_H_

#include "absl/status/statusor.h"
#include "compiler/pass.h"

namespace duet::compiler {

// Keeps the feeds, the fetches, the targets and what they need through inputs and control inputs.
// What a feed would be computed from is not needed (CutFeeds).
absl::StatusOr<PassInput> Prune(const PassInput& input, const PassOptions& options);

// Makes each fed node that has one output a placeholder of its name and type, so that no pass looks
// through it. Done before the first pass, also when prune is off: a feed may have any value.
absl::StatusOr<PassInput> CutFeeds(const PassInput& input);

}  // namespace duet::compiler

#endif  // DUET_COMPILER_PRUNE_H_
