// Concrete: the shapes of all values of a plan, and the small values that shapes depend on, for
// given feeds.
#ifndef DUET_RUNTIME_CONCRETE_H_
#define DUET_RUNTIME_CONCRETE_H_

#include <vector>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "core/op_def.h"
#include "runtime/plan.h"

namespace duet::runtime {

struct Concrete {
  // By output id; of live nodes alone.
  std::vector<ValueSpec> specs;
  // By output id: constants, fed values that decide shapes, and what was computed from those;
  // undefined where the value comes when the plan runs.
  std::vector<Tensor> values;
};

// Runs every shape rule again with concrete shapes, and the ops that compute axes and sizes. Feeds
// have passed Plan::CheckFeed.
absl::Status Concretize(const Plan& plan, absl::Span<const Tensor> feeds, Concrete* concrete);

// A tensor of a shape without elements, for code that looks at nothing else.
Tensor ShapeAlone(const ValueSpec& spec);

}  // namespace duet::runtime

#endif  // DUET_RUNTIME_CONCRETE_H_
