// The pass `simplify`: rewrites by identities that keep every bit.
#ifndef DUET_COMPILER_SIMPLIFY_H_
#define DUET_COMPILER_SIMPLIFY_H_

#include <vector>

#include "absl/status/statusor.h"
#include "compiler/pass.h"

namespace duet::compiler {

// Applies the rules of the table in simplify.cc to each node, its inputs first, until none matches.
// A rule is there only if both sides are the same bits for all inputs, NaN, infinities and signed
// zeros included, and have the same dtype and shape; that is why x + 0 -> x is a rule for integers
// alone, and x * 0 -> 0 is none. Nodes with control inputs, fed nodes and nodes with effects stay
// as they are.
absl::StatusOr<PassInput> Simplify(const PassInput& input, const PassOptions& options);

// The identities of the table, for documentation: "x * 1 = x".
std::vector<const char*> SimplifyRules();

}  // namespace duet::compiler

#endif  // DUET_COMPILER_SIMPLIFY_H_
