#include "compiler/fusion.h"

#include <algorithm>
#include <functional>
#include <queue>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "compiler/group.h"
#include "compiler/prune.h"
#include "compiler/rewrite.h"

namespace duet::compiler {
namespace {

// A kernel's arguments and code must stay small enough for registers and for a quick compilation.
constexpr size_t kMaxNodes = 64;
constexpr size_t kMaxOperands = 24;
// Each further reduction of a reduction reads the row again and computes what it needs again.
constexpr int kMaxReductionDepth = 4;
// Stands for every unknown size: larger than 1, and unlikely to equal a known one.
constexpr int64_t kUnknownSize = 8191;

class Fuser {
 public:
  explicit Fuser(const PassInput& input);
  absl::StatusOr<PassInput> Run();

 private:
  using Group = std::vector<int32_t>;  // ascending positions

  void FindUsers();
  void FindHostValues();
  bool Contains(const Group& group, int32_t node) const {
    return std::binary_search(group.begin(), group.end(), node);
  }
  // True if the nodes are one kernel. `own_views` are used by no one else, or are copied.
  bool Fits(const Group& group, const absl::flat_hash_set<int32_t>& own_views);
  bool HasCycle(const Group& group, int32_t frontier);
  void TryMerge(int32_t a, int32_t b, int32_t frontier);
  void DropUseless();
  void AbsorbViews(int32_t id);
  absl::StatusOr<PassInput> Emit();

  const PassInput& input_;
  const Graph& graph_;
  std::vector<std::vector<ValueSpec>> specs_;  // with unknown sizes replaced
  std::vector<std::vector<int32_t>> users_;    // data, control, and the next stateful node
  std::vector<bool> candidate_, fetched_, fed_;
  std::vector<int32_t> group_of_;  // node -> index into groups_
  std::vector<Group> groups_;
  std::vector<absl::flat_hash_set<int32_t>> absorbed_;  // per group: views of which it has a copy
};

Fuser::Fuser(const PassInput& input) : input_(input), graph_(input.graph) {
  const auto n = static_cast<size_t>(graph_.size());
  specs_.resize(n);
  candidate_.resize(n);
  fetched_.resize(n);
  fed_.resize(n);
  for (const NodeOutput& o : input.feeds) fed_[static_cast<size_t>(o.node)] = true;
  for (const NodeOutput& o : input.fetches) fetched_[static_cast<size_t>(o.node)] = true;
  for (size_t i = 0; i < n; ++i) {
    const Node& node = graph_.node(static_cast<int>(i));
    candidate_[i] = IsFusable(node) && !fed_[i];
    specs_[i] = node.outputs;
    for (ValueSpec& spec : specs_[i]) {
      for (int d = 0; d < spec.shape.rank(); ++d) {
        if (spec.shape.dim(d) < 0) spec.shape.set_dim(d, kUnknownSize);
      }
    }
    group_of_.push_back(static_cast<int32_t>(i));
    groups_.push_back({static_cast<int32_t>(i)});
  }
  FindUsers();
  FindHostValues();
}

void Fuser::FindUsers() {
  users_.resize(specs_.size());
  int32_t last_stateful = -1;
  for (int32_t i = 0; i < graph_.size(); ++i) {
    const Node& node = graph_.node(i);
    for (const NodeOutput& in : node.inputs) users_[static_cast<size_t>(in.node)].push_back(i);
    for (int32_t c : node.control_inputs) users_[static_cast<size_t>(c)].push_back(i);
    if (!KeepsOrder(node)) continue;
    if (last_stateful >= 0) users_[static_cast<size_t>(last_stateful)].push_back(i);
    last_stateful = i;
  }
  for (auto& users : users_) {
    std::sort(users.begin(), users.end());
    users.erase(std::unique(users.begin(), users.end()), users.end());
  }
}

// Values that decide shapes are wanted on the host before any kernel is planned, so the small
// integer arithmetic behind them stays as single nodes.
void Fuser::FindHostValues() {
  std::vector<bool> host(specs_.size());
  for (int32_t i = graph_.size(); i-- > 0;) {
    const Node& node = graph_.node(i);
    const bool propagate = host[static_cast<size_t>(i)] && !node.op->shape_only;
    for (size_t k = 0; k < node.inputs.size(); ++k) {
      const NodeOutput in = node.inputs[k];
      if (IsHostInput(node, static_cast<int>(k)) ||
          (propagate && IsInteger(graph_.spec(in).dtype))) {
        host[static_cast<size_t>(in.node)] = true;
      }
    }
    if (host[static_cast<size_t>(i)]) candidate_[static_cast<size_t>(i)] = false;
  }
}

bool Fuser::Fits(const Group& group, const absl::flat_hash_set<int32_t>& own_views) {
  if (group.size() > kMaxNodes) return false;
  const LowerContext context{
      graph_,
      [&](NodeOutput o) -> const ValueSpec& {
        return specs_[static_cast<size_t>(o.node)][static_cast<size_t>(o.index)];
      },
      [&](NodeOutput o) -> const Tensor* {
        return fed_[static_cast<size_t>(o.node)] ? nullptr : graph_.StaticValue(o);
      },
      [&](NodeOutput o) {
        if (own_views.contains(o.node)) return false;
        const auto node = static_cast<size_t>(o.node);
        return fetched_[node] || std::any_of(users_[node].begin(), users_[node].end(),
                                             [&](int32_t user) { return !Contains(group, user); });
      }};
  const absl::StatusOr<GroupModel> model = GroupModel::Build(group, context, /*optimistic=*/true);
  if (!model.ok()) return false;
  absl::flat_hash_set<NodeOutput> operands;
  absl::flat_hash_map<int32_t, int> depth;  // reductions before a member
  for (const Member& m : model->members()) {
    // A view that others use too is theirs; the kernel gets a copy of it at the end.
    if (m.kind == Member::Kind::kAccess && context.used_outside({m.node, 0})) return false;
    int deepest = 0;
    for (const NodeOutput& in : graph_.node(m.node).inputs) {
      const auto it = depth.find(in.node);
      if (it == depth.end()) {
        operands.insert(in);
      } else {
        deepest = std::max(deepest, it->second);
      }
    }
    depth[m.node] = deepest + (m.kind == Member::Kind::kReduce ? 1 : 0);
    if (depth[m.node] > kMaxReductionDepth) return false;
  }
  return operands.size() <= kMaxOperands;
}

// True if a path leaves the group and comes back. Nodes after `frontier` are in no group yet, so
// that no path through them comes back.
bool Fuser::HasCycle(const Group& group, int32_t frontier) {
  absl::flat_hash_set<int32_t> seen;  // groups
  std::vector<int32_t> stack;
  const auto push_users = [&](int32_t node) {
    for (int32_t user : users_[static_cast<size_t>(node)]) {
      if (user <= frontier && !Contains(group, user) &&
          seen.insert(group_of_[static_cast<size_t>(user)]).second) {
        stack.push_back(group_of_[static_cast<size_t>(user)]);
      }
    }
  };
  for (int32_t node : group) push_users(node);
  while (!stack.empty()) {
    const int32_t id = stack.back();
    stack.pop_back();
    for (int32_t node : groups_[static_cast<size_t>(id)]) {
      for (int32_t user : users_[static_cast<size_t>(node)]) {
        if (Contains(group, user)) return true;
      }
      push_users(node);
    }
  }
  return false;
}

void Fuser::TryMerge(int32_t a, int32_t b, int32_t frontier) {
  if (!candidate_[static_cast<size_t>(a)] || !candidate_[static_cast<size_t>(b)]) return;
  const int32_t into = group_of_[static_cast<size_t>(a)], from = group_of_[static_cast<size_t>(b)];
  if (into == from) return;
  Group &x = groups_[static_cast<size_t>(into)], &y = groups_[static_cast<size_t>(from)];
  Group merged;
  std::merge(x.begin(), x.end(), y.begin(), y.end(), std::back_inserter(merged));
  if (!Fits(merged, {}) || HasCycle(merged, frontier)) return;
  for (int32_t node : y) group_of_[static_cast<size_t>(node)] = into;
  x = std::move(merged);
  y.clear();
}

// A kernel of one node is what the executor makes anyway, and views alone need none.
void Fuser::DropUseless() {
  for (Group& group : groups_) {
    const auto computes = [&](int32_t n) { return graph_.node(n).op->family != Family::kView; };
    if (std::none_of(group.begin(), group.end(), computes)) group.clear();
  }
}

// Lets the group read through views outside of it, the nearest first.
void Fuser::AbsorbViews(int32_t id) {
  Group& group = groups_[static_cast<size_t>(id)];
  absl::flat_hash_set<int32_t>& own = absorbed_[static_cast<size_t>(id)];
  for (size_t i = group.size(); i-- > 0;) {
    for (const NodeOutput& in : graph_.node(group[i]).inputs) {
      const auto view = static_cast<size_t>(in.node);
      if (!candidate_[view] || graph_.node(in.node).op->family != Family::kView ||
          groups_[static_cast<size_t>(group_of_[view])].size() > 1 || Contains(group, in.node)) {
        continue;
      }
      Group wider = group;
      wider.insert(std::lower_bound(wider.begin(), wider.end(), in.node), in.node);
      own.insert(in.node);
      if (Fits(wider, own)) {
        group = std::move(wider);
        i = group.size();  // the new member's inputs too
        break;
      }
      own.erase(in.node);
    }
  }
}

absl::StatusOr<PassInput> Fuser::Run() {
  // The second round sees groups that were complete only after a later node had joined.
  for (int round = 0; round < 2; ++round) {
    for (int32_t n = 0; n < graph_.size(); ++n) {
      const int32_t frontier = round == 0 ? n : graph_.size();
      for (const NodeOutput& in : graph_.node(n).inputs) TryMerge(n, in.node, frontier);
    }
  }
  DropUseless();
  absorbed_.resize(groups_.size());
  for (size_t id = 0; id < groups_.size(); ++id) {
    if (!groups_[id].empty()) AbsorbViews(static_cast<int32_t>(id));
  }
  return Emit();
}

// Writes the graph in an order in which groups stand together.
absl::StatusOr<PassInput> Fuser::Emit() {
  const auto n = static_cast<size_t>(graph_.size());
  // A unit is a group or a single node; it is known by its last node, which is never an absorbed
  // view.
  std::vector<int32_t> unit_of(n);
  std::vector<std::vector<int32_t>> members(n);
  std::vector<const absl::flat_hash_set<int32_t>*> copies(n, nullptr);
  for (size_t i = 0; i < n; ++i) unit_of[i] = static_cast<int32_t>(i);
  bool any = false;
  for (size_t id = 0; id < groups_.size(); ++id) {
    const Group& group = groups_[id];
    if (group.size() < 2) continue;
    any = true;
    const int32_t unit = group.back();
    members[static_cast<size_t>(unit)] = group;
    copies[static_cast<size_t>(unit)] = &absorbed_[id];
    for (int32_t m : group) {
      if (!absorbed_[id].contains(m)) unit_of[static_cast<size_t>(m)] = unit;
    }
  }
  if (!any) return input_;
  std::vector<absl::flat_hash_set<int32_t>> after(n);  // unit -> units that wait for it
  std::vector<int> waiting(n, 0);
  const auto wait = [&](int32_t unit, int32_t for_node) {
    const int32_t other = unit_of[static_cast<size_t>(for_node)];
    if (other != unit && after[static_cast<size_t>(other)].insert(unit).second) {
      ++waiting[static_cast<size_t>(unit)];
    }
  };
  int32_t last_stateful = -1;
  for (int32_t i = 0; i < graph_.size(); ++i) {
    const auto unit = static_cast<size_t>(unit_of[static_cast<size_t>(i)]);
    const bool grouped = !members[unit].empty();
    if (KeepsOrder(graph_.node(i))) {
      if (last_stateful >= 0) wait(static_cast<int32_t>(unit), last_stateful);
      last_stateful = i;
    }
    const auto wait_inputs = [&](int32_t node) {
      for (const NodeOutput& in : graph_.node(node).inputs) {
        if (grouped && copies[unit]->contains(in.node)) continue;
        wait(static_cast<int32_t>(unit), in.node);
      }
      for (int32_t c : graph_.node(node).control_inputs) wait(static_cast<int32_t>(unit), c);
    };
    wait_inputs(i);
    if (grouped && static_cast<size_t>(i) == unit) {
      for (int32_t view : *copies[unit]) wait_inputs(view);
    }
  }
  std::priority_queue<int32_t, std::vector<int32_t>, std::greater<>> ready;
  for (size_t i = 0; i < n; ++i) {
    if (unit_of[i] == static_cast<int32_t>(i) && waiting[i] == 0) {
      ready.push(static_cast<int32_t>(i));
    }
  }
  Rewriter out(input_);
  int32_t next_group = 0;
  while (!ready.empty()) {
    const auto unit = static_cast<size_t>(ready.top());
    ready.pop();
    if (members[unit].empty()) {
      DUET_RETURN_IF_ERROR(out.Copy(static_cast<int32_t>(unit), -1));
    } else {
      absl::flat_hash_map<int32_t, int32_t> local;  // absorbed view -> the group's copy
      for (int32_t m : members[unit]) {
        if (copies[unit]->contains(m)) {
          DUET_ASSIGN_OR_RETURN(local[m], out.Duplicate(m, next_group, local));
        } else {
          DUET_RETURN_IF_ERROR(out.Copy(m, next_group, local));
        }
      }
      ++next_group;
    }
    for (int32_t other : after[unit]) {
      if (--waiting[static_cast<size_t>(other)] == 0) ready.push(other);
    }
  }
  DUET_ASSIGN_OR_RETURN(PassInput result, std::move(out).Finish());
  // Views of which every user has its own copy are left over.
  return Prune(result, {});
}

}  // namespace

absl::StatusOr<PassInput> Fusion(const PassInput& input, const PassOptions& /*options*/) {
  return Fuser(input).Run();
}

}  // namespace duet::compiler
