// Plan: an optimised graph for one set of feeds, fetches and targets, and what is known of it
// before any shape is.
#ifndef DUET_RUNTIME_PLAN_H_
#define DUET_RUNTIME_PLAN_H_

#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "core/variable_state.h"
#include "graph/graph.h"
#include "runtime/session.h"

namespace duet::runtime {

// What the plans of one session or traced function share. Thread safe.
class RunContext {
 public:
  explicit RunContext(SessionOptions options) : options_(std::move(options)) {}
  const SessionOptions& options() const { return options_; }

  // The variable called `name` that this context owns; made, without a value, when first asked for.
  // InvalidArgument if it was made with another dtype or shape.
  absl::StatusOr<std::shared_ptr<VariableState>> FindVariable(const std::string& name, DType dtype,
                                                              const Shape& shape);

  SessionStats stats() const;
  template <class F>
  void UpdateStats(F&& update) {
    const std::lock_guard lock(mutex_);
    update(stats_);
  }

 private:
  const SessionOptions options_;
  mutable std::mutex mutex_;
  SessionStats stats_;
  absl::flat_hash_map<std::string, std::shared_ptr<VariableState>> variables_;
};

// What to run, as positions in a graph.
struct RunRequest {
  std::vector<NodeOutput> feeds, fetches;
  std::vector<int32_t> targets;
};

class Plan {
 public:
  // Optimises `graph` for `request`. InvalidArgument if a feed is no placeholder or a placeholder
  // that is needed is not fed; errors name the user's lines.
  static absl::StatusOr<std::shared_ptr<const Plan>> Make(std::shared_ptr<RunContext> context,
                                                          const Graph& graph,
                                                          const RunRequest& request);

  RunContext& context() const { return *context_; }
  const Graph& graph() const { return graph_; }
  const std::vector<NodeOutput>& feeds() const { return request_.feeds; }
  const std::vector<NodeOutput>& fetches() const { return request_.fetches; }
  const std::vector<int32_t>& targets() const { return request_.targets; }

  // Outputs are numbered through all nodes.
  int num_outputs() const { return first_output_.back(); }
  int id(NodeOutput o) const { return first_output_[o.node] + o.index; }
  // True for nodes that the fetches and targets depend on.
  bool live(int node) const { return live_[node]; }
  // True for outputs whose value must be known before shapes can be: they reach a host input (axes,
  // sizes).
  bool value_needed(int output_id) const { return value_needed_[output_id]; }
  // For feed i: true if instances differ by its value, not by its shape alone.
  bool feed_by_value(int i) const { return feed_by_value_[i]; }
  // The variable that a resource op works on; null for other ops.
  const std::shared_ptr<VariableState>& variable(int node) const { return variables_[node]; }

  // Checks a fed value: dtype, and sizes against the known ones of the placeholder.
  absl::Status CheckFeed(int i, const Tensor& value) const;

 private:
  Plan() = default;
  absl::Status FindLive();
  absl::Status FindVariables();
  absl::Status FindNeededValues();

  std::shared_ptr<RunContext> context_;
  Graph graph_;
  RunRequest request_;
  std::vector<int32_t> first_output_;
  std::vector<bool> live_, value_needed_, feed_by_value_;
  std::vector<std::shared_ptr<VariableState>> variables_;
};

// Which argument of the op's signature is input i: all elements of a list are the list's.
const ArgDef& ArgOfInput(const Node& node, int i);

}  // namespace duet::runtime

#endif  // DUET_RUNTIME_PLAN_H_
