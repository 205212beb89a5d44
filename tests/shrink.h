// Makes a failing program small.
#ifndef DUET_TESTS_SHRINK_H_
#define DUET_TESTS_SHRINK_H_

#include "absl/functional/function_ref.h"
#include "tests/random_programs.h"

namespace duet::testing {

// The smallest program found, from `program`, that `fails` still accepts: fetches are dropped,
// nodes that nothing needs removed, nodes replaced by placeholders that are fed their value or by
// one of their inputs, sizes made smaller. `fails` is called at most `max_tries` times; it must
// accept `program` itself.
Program Shrink(Program program, absl::FunctionRef<bool(const Program&)> fails,
               int max_tries = 3000);

}  // namespace duet::testing

#endif  // DUET_TESTS_SHRINK_H_
