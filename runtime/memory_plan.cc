#include "runtime/memory_plan.h"

#include <algorithm>
#include <limits>
#include <map>
#include <numeric>

namespace duet::runtime {
namespace {

// Above this many buffers the quadratic search would take longer than the plan saves.
constexpr size_t kMaxSearched = 4096;

int64_t Rounded(int64_t bytes) {
  return (bytes + kBufferAlignment - 1) / kBufferAlignment * kBufferAlignment;
}

int64_t LowerBound(absl::Span<const Buffer> buffers) {
  // Changes of the number of live bytes at each step, starts before ends.
  std::vector<std::pair<int32_t, int64_t>> changes;
  for (const Buffer& b : buffers) {
    changes.emplace_back(b.first, Rounded(b.bytes));
    changes.emplace_back(b.last + 1, -Rounded(b.bytes));
  }
  std::sort(changes.begin(), changes.end());
  int64_t live = 0, most = 0;
  for (size_t i = 0; i < changes.size();) {
    const int32_t step = changes[i].first;
    for (; i < changes.size() && changes[i].first == step; ++i) live += changes[i].second;
    most = std::max(most, live);
  }
  return most;
}

// The most important buffers first; each goes into the smallest gap between the buffers placed
// before that live at the same time.
template <class Importance>
void PlaceBy(Importance importance, absl::Span<const Buffer> buffers, MemoryPlan* plan) {
  std::vector<size_t> order(buffers.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) {
    return importance(buffers[a]) > importance(buffers[b]);
  });
  std::vector<size_t> placed;  // by offset
  for (size_t i : order) {
    const Buffer& buffer = buffers[i];
    const int64_t bytes = Rounded(buffer.bytes);
    if (bytes == 0) continue;
    int64_t end = 0, best = -1, best_gap = std::numeric_limits<int64_t>::max();
    for (size_t j : placed) {
      const Buffer& other = buffers[j];
      if (other.first > buffer.last || other.last < buffer.first) continue;
      const int64_t gap = plan->offsets[j] - end;
      if (gap >= bytes && gap < best_gap) {
        best = end;
        best_gap = gap;
      }
      end = std::max(end, plan->offsets[j] + Rounded(other.bytes));
    }
    plan->offsets[i] = best >= 0 ? best : end;
    plan->bytes = std::max(plan->bytes, plan->offsets[i] + bytes);
    placed.insert(
        std::upper_bound(placed.begin(), placed.end(), i,
                         [&](size_t a, size_t b) { return plan->offsets[a] < plan->offsets[b]; }),
        i);
  }
}

// In the order of the steps, from a list of free blocks.
void PlaceByStep(absl::Span<const Buffer> buffers, MemoryPlan* plan) {
  std::vector<size_t> starts(buffers.size());
  std::iota(starts.begin(), starts.end(), 0);
  std::vector<size_t> ends = starts;
  std::stable_sort(starts.begin(), starts.end(),
                   [&](size_t a, size_t b) { return buffers[a].first < buffers[b].first; });
  std::stable_sort(ends.begin(), ends.end(),
                   [&](size_t a, size_t b) { return buffers[a].last < buffers[b].last; });
  std::map<int64_t, int64_t> free;                // offset -> bytes
  std::multimap<int64_t, int64_t> free_by_bytes;  // bytes -> offset
  const auto remove = [&](std::map<int64_t, int64_t>::iterator it) {
    auto [begin, end] = free_by_bytes.equal_range(it->second);
    while (begin->second != it->first) ++begin;
    free_by_bytes.erase(begin);
    return free.erase(it);
  };
  const auto add = [&](int64_t offset, int64_t bytes) {
    auto next = free.lower_bound(offset);
    if (next != free.end() && offset + bytes == next->first) {
      bytes += next->second;
      next = remove(next);
    }
    if (next != free.begin()) {
      auto before = std::prev(next);
      if (before->first + before->second == offset) {
        offset = before->first;
        bytes += before->second;
        remove(before);
      }
    }
    free.emplace(offset, bytes);
    free_by_bytes.emplace(bytes, offset);
  };
  size_t ended = 0;
  for (size_t i : starts) {
    for (; ended < ends.size() && buffers[ends[ended]].last < buffers[i].first; ++ended) {
      const int64_t bytes = Rounded(buffers[ends[ended]].bytes);
      if (bytes > 0) add(plan->offsets[ends[ended]], bytes);
    }
    const int64_t bytes = Rounded(buffers[i].bytes);
    if (bytes == 0) continue;
    auto fit = free_by_bytes.lower_bound(bytes);
    if (fit != free_by_bytes.end()) {
      const int64_t offset = fit->second, have = fit->first;
      remove(free.find(offset));
      plan->offsets[i] = offset;
      if (have > bytes) add(offset + bytes, have - bytes);
      continue;
    }
    // Grows the arena, from a free block at its end if there is one.
    int64_t offset = plan->bytes;
    if (!free.empty()) {
      auto last = std::prev(free.end());
      if (last->first + last->second == plan->bytes) {
        offset = last->first;
        remove(last);
      }
    }
    plan->offsets[i] = offset;
    plan->bytes = offset + bytes;
  }
}

}  // namespace

MemoryPlan PlanMemory(absl::Span<const Buffer> buffers) {
  MemoryPlan plan;
  plan.offsets.assign(buffers.size(), 0);
  plan.lower_bound = LowerBound(buffers);
  if (buffers.size() > kMaxSearched) {
    PlaceByStep(buffers, &plan);
    return plan;
  }
  // No one order is best: by bytes suits values of many sizes, by lifetime a network whose
  // activations wait for their gradients, by step a chain. The best of them stays.
  bool found = false;
  const auto attempt = [&](auto importance) {
    if (found && plan.bytes == plan.lower_bound) return;
    MemoryPlan other;
    other.offsets.assign(buffers.size(), 0);
    other.lower_bound = plan.lower_bound;
    PlaceBy(importance, buffers, &other);
    if (!found || other.bytes < plan.bytes) plan = std::move(other);
    found = true;
  };
  const auto lifetime = [](const Buffer& b) { return int64_t{b.last} - b.first + 1; };
  attempt([](const Buffer& b) { return b.bytes; });
  attempt(lifetime);
  attempt([&](const Buffer& b) {
    return static_cast<double>(b.bytes) * static_cast<double>(lifetime(b));
  });
  attempt([](const Buffer& b) { return -b.first; });
  attempt([](const Buffer& b) { return b.last; });
  return plan;
}

}  // namespace duet::runtime
