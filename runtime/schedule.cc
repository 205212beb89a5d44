#include "runtime/schedule.h"

#include <algorithm>
#include <functional>
#include <queue>

#include "absl/container/flat_hash_map.h"

namespace duet::runtime {
namespace {

std::vector<Unit> Order(const Plan& plan, const std::vector<bool>& runs, bool grouped) {
  const Graph& graph = plan.graph();
  std::vector<Unit> units;
  std::vector<int32_t> unit_of(static_cast<size_t>(graph.size()), -1);
  absl::flat_hash_map<int32_t, int32_t> unit_of_group;
  for (int32_t i = 0; i < graph.size(); ++i) {
    if (!runs[i]) continue;
    const int32_t group = graph.node(i).group;
    int32_t unit = static_cast<int32_t>(units.size());
    if (grouped && group >= 0) unit = unit_of_group.try_emplace(group, unit).first->second;
    if (unit == static_cast<int32_t>(units.size())) units.emplace_back();
    units[unit].push_back(i);
    unit_of[i] = unit;
  }
  std::vector<std::vector<int32_t>> followers(units.size());
  std::vector<int32_t> waits_for(units.size(), 0);
  for (int32_t u = 0; u < static_cast<int32_t>(units.size()); ++u) {
    std::vector<int32_t> before;
    for (int32_t i : units[u]) {
      const Node& node = graph.node(i);
      for (const NodeOutput& in : node.inputs) before.push_back(unit_of[in.node]);
      for (int32_t c : node.control_inputs) before.push_back(unit_of[c]);
    }
    std::sort(before.begin(), before.end());
    before.erase(std::unique(before.begin(), before.end()), before.end());
    for (int32_t b : before) {
      if (b < 0 || b == u) continue;
      followers[b].push_back(u);
      ++waits_for[u];
    }
  }
  // A unit is due when its last node was called.
  using Due = std::pair<int32_t, int32_t>;
  std::priority_queue<Due, std::vector<Due>, std::greater<>> ready;
  for (int32_t u = 0; u < static_cast<int32_t>(units.size()); ++u) {
    if (waits_for[u] == 0) ready.emplace(units[u].back(), u);
  }
  std::vector<Unit> ordered;
  while (!ready.empty()) {
    const int32_t u = ready.top().second;
    ready.pop();
    for (int32_t f : followers[u]) {
      if (--waits_for[f] == 0) ready.emplace(units[f].back(), f);
    }
    ordered.push_back(std::move(units[u]));
  }
  if (ordered.size() != units.size()) return {};
  return ordered;
}

}  // namespace

std::vector<Unit> Schedule(const Plan& plan, const std::vector<bool>& runs) {
  std::vector<Unit> units = Order(plan, runs, /*grouped=*/true);
  if (units.empty()) units = Order(plan, runs, /*grouped=*/false);
  return units;
}

}  // namespace duet::runtime
