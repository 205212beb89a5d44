// The order in which the nodes of a plan run.
#ifndef DUET_RUNTIME_SCHEDULE_H_
#define DUET_RUNTIME_SCHEDULE_H_

#include <cstdint>
#include <vector>

#include "runtime/plan.h"

namespace duet::runtime {

// The nodes that run as one: a fusion group, or one node by itself. Ascending.
using Unit = std::vector<int32_t>;

// The units of the nodes that `runs` marks (by node), such that each comes after what it depends on
// by data or control; otherwise in the order of the graph. Groups that depend on each other in a
// circle are taken apart.
std::vector<Unit> Schedule(const Plan& plan, const std::vector<bool>& runs);

}  // namespace duet::runtime

#endif  // DUET_RUNTIME_SCHEDULE_H_
