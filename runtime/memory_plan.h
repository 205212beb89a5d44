// Static memory planning: where in one arena each intermediate value of a plan lives.
#ifndef DUET_RUNTIME_MEMORY_PLAN_H_
#define DUET_RUNTIME_MEMORY_PLAN_H_

#include <cstdint>
#include <vector>

#include "absl/types/span.h"

namespace duet::runtime {

inline constexpr int64_t kBufferAlignment = 64;

// A block of memory that is needed from step `first` to step `last`, both included.
struct Buffer {
  int64_t bytes = 0;
  int32_t first = 0;
  int32_t last = 0;
};

struct MemoryPlan {
  std::vector<int64_t> offsets;  // one a buffer, multiples of kBufferAlignment
  int64_t bytes = 0;             // of the arena
  // The most bytes (sizes rounded up to the alignment) alive at one step: no plan needs less.
  int64_t lower_bound = 0;
};

// Two buffers that are alive at the same step never overlap. O(n^2) for up to a few thousand
// buffers (each into the smallest gap that holds it, in several orders of which the best is kept),
// O(n log n) above.
MemoryPlan PlanMemory(absl::Span<const Buffer> buffers);

}  // namespace duet::runtime

#endif  // DUET_RUNTIME_MEMORY_PLAN_H_
