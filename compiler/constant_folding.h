// The pass `constant_folding`: computes now what depends on constants alone.
#ifndef DUET_COMPILER_CONSTANT_FOLDING_H_
#define DUET_COMPILER_CONSTANT_FOLDING_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "compiler/pass.h"

namespace duet::compiler {

// Runs nodes whose inputs are all constants, through the kernels that would run them later, so that
// the bits are the same, and the shapes of tensors whose sizes are known. Not folded, and why:
//   - stateful and random nodes and variables: each run has its own value; fed nodes: a feed has
//   any value;
//   - results over PassOptions::max_folded_bytes, or over 1 KiB and larger than all inputs
//   together: a
//     constant that is spelled out takes memory and space in files that a Fill or a BroadcastTo
//     does not;
//   - nodes that fail: the error belongs to the run that reaches them.
absl::StatusOr<PassInput> ConstantFolding(const PassInput& input, const PassOptions& options);

// The same; adds to `refusals` one line for each node that has only constant inputs and was not
// folded, with the reason: "BroadcastTo: 4000000 bytes from 8 bytes of constants". Null is allowed.
absl::StatusOr<PassInput> ConstantFoldingWithReasons(const PassInput& input,
                                                     const PassOptions& options,
                                                     std::vector<std::string>* refusals);

}  // namespace duet::compiler

#endif  // DUET_COMPILER_CONSTANT_FOLDING_H_
