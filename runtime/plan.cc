#include "runtime/plan.h"

#include <chrono>
#include <utility>

#include "compiler/pass.h"
#include "core/strings.h"

namespace duet::runtime {
namespace {

// Marks what `roots` depend on, by data and control, without going past the feeds.
std::vector<bool> Reach(const Graph& graph, const RunRequest& request) {
  std::vector<bool> reached(static_cast<size_t>(graph.size()), false);
  std::vector<int32_t> open;
  const auto visit = [&](int32_t node) {
    if (reached[node]) return;
    reached[node] = true;
    open.push_back(node);
  };
  for (const NodeOutput& o : request.feeds) reached[o.node] = true;
  for (const NodeOutput& o : request.fetches) visit(o.node);
  for (int32_t t : request.targets) visit(t);
  while (!open.empty()) {
    const Node& node = graph.node(open.back());
    open.pop_back();
    for (const NodeOutput& in : node.inputs) visit(in.node);
    for (int32_t c : node.control_inputs) visit(c);
  }
  return reached;
}

absl::Status CheckRequest(const Graph& graph, const RunRequest& request) {
  absl::flat_hash_map<int32_t, int> fed;
  for (const NodeOutput& o : request.feeds) {
    const Node& node = graph.node(o.node);
    if (node.op->family != Family::kPlaceholder) {
      return Annotate(absl::InvalidArgumentError(
                          Str("\"", graph.OutputName(o),
                              "\" is fed but is no placeholder; only placeholders take values")),
                      node.op->public_name, node.location);
    }
    if (node.outputs[o.index].dtype == kResource) {
      return Annotate(absl::InvalidArgumentError(Str("\"", graph.OutputName(o),
                                                     "\" is the handle of a variable, which cannot "
                                                     "be fed")),
                      node.op->public_name, node.location);
    }
    if (++fed[o.node] > 1) {
      return Annotate(
          absl::InvalidArgumentError(Str("\"", node.name, "\" is fed twice; give it one value")),
          node.op->public_name, node.location);
    }
  }
  for (const NodeOutput& o : request.fetches) {
    if (graph.spec(o).dtype != kResource) continue;
    const Node& node = graph.node(o.node);
    return Annotate(absl::InvalidArgumentError(Str("\"", graph.OutputName(o),
                                                   "\" is the handle of a variable, which has no "
                                                   "elements; fetch a read of the variable")),
                    node.op->public_name, node.location);
  }
  const std::vector<bool> reached = Reach(graph, request);
  for (int i = 0; i < graph.size(); ++i) {
    const Node& node = graph.node(i);
    if (!reached[i] || node.op->family != Family::kPlaceholder || fed.contains(i)) continue;
    return Annotate(
        absl::InvalidArgumentError(Str("the placeholder \"", node.name, "\" (",
                                       DescribeType(node.outputs[0].dtype, node.outputs[0].shape),
                                       ") was not fed, and what is fetched depends on it; add {\"",
                                       node.name, "\", value} to the feeds")),
        node.op->public_name, node.location);
  }
  return absl::OkStatus();
}

double Seconds(std::chrono::steady_clock::time_point since) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - since).count();
}

}  // namespace

absl::StatusOr<std::shared_ptr<VariableState>> RunContext::FindVariable(const std::string& name,
                                                                        DType dtype,
                                                                        const Shape& shape) {
  const std::lock_guard lock(mutex_);
  std::shared_ptr<VariableState>& variable = variables_[name];
  if (variable == nullptr) {
    variable = std::make_shared<VariableState>(name, dtype, shape);
  } else if (variable->dtype() != dtype || !(variable->shape() == shape)) {
    return absl::InvalidArgumentError(
        Str("two variables called \"", name, "\" differ in type: ", DescribeType(dtype, shape),
            " and ", DescribeType(variable->dtype(), variable->shape())));
  }
  return variable;
}

SessionStats RunContext::stats() const {
  const std::lock_guard lock(mutex_);
  return stats_;
}

const ArgDef& ArgOfInput(const Node& node, int i) {
  const std::vector<ArgDef>& args = node.op->inputs;
  const int extra = static_cast<int>(node.inputs.size()) - static_cast<int>(args.size());
  int at = 0;
  for (const ArgDef& arg : args) {
    // At most one argument of an op is a list.
    at += arg.number_attr.empty() ? 1 : 1 + extra;
    if (i < at) return arg;
  }
  throw InternalError("an input that the op does not have");
}

absl::StatusOr<std::shared_ptr<const Plan>> Plan::Make(std::shared_ptr<RunContext> context,
                                                       const Graph& graph,
                                                       const RunRequest& request) {
  const auto start = std::chrono::steady_clock::now();
  DUET_RETURN_IF_ERROR(CheckRequest(graph, request));
  const SessionOptions& options = context->options();
  if (options.num_threads < 0 || options.memory_limit < 0) {
    return absl::InvalidArgumentError(Str("SessionOptions has num_threads ", options.num_threads,
                                          " and memory_limit ", options.memory_limit,
                                          "; neither may be negative, 0 is the default"));
  }
  compiler::PassOptions pass_options;
  pass_options.fast_math = options.fast_math;
  std::vector<compiler::PassReport> reports;
  DUET_ASSIGN_OR_RETURN(
      compiler::PassInput optimised,
      compiler::RunPipeline({graph, request.feeds, request.fetches, request.targets}, pass_options,
                            options.disabled_passes, &reports));
  std::shared_ptr<Plan> plan(new Plan());
  plan->context_ = context;
  plan->graph_ = std::move(optimised.graph);
  plan->request_ = {std::move(optimised.feeds), std::move(optimised.fetches),
                    std::move(optimised.targets)};
  DUET_RETURN_IF_ERROR(plan->FindLive());
  DUET_RETURN_IF_ERROR(plan->FindVariables());
  DUET_RETURN_IF_ERROR(plan->FindNeededValues());
  const double seconds = Seconds(start);
  context->UpdateStats([&](SessionStats& stats) {
    ++stats.plans;
    stats.plan_seconds += seconds;
    stats.passes.clear();
    for (const compiler::PassReport& r : reports) {
      stats.passes.push_back(
          {r.name, r.nodes_before, r.nodes_after, r.changed, r.disabled, r.seconds});
    }
  });
  return std::shared_ptr<const Plan>(std::move(plan));
}

absl::Status Plan::FindLive() {
  live_ = Reach(graph_, request_);
  first_output_.assign(1, 0);
  for (int i = 0; i < graph_.size(); ++i) {
    first_output_.push_back(first_output_.back() +
                            static_cast<int32_t>(graph_.node(i).outputs.size()));
  }
  return absl::OkStatus();
}

absl::Status Plan::FindVariables() {
  variables_.resize(static_cast<size_t>(graph_.size()));
  for (int i = 0; i < graph_.size(); ++i) {
    const Node& node = graph_.node(i);
    if (!live_[i] || node.op->resource == ResourceUse::kNone) continue;
    // The handle may have passed through identities.
    const Node* handle = &node;
    while (handle->op->resource != ResourceUse::kHandle) {
      const bool passes = handle == &node || handle->op->forwards_input;
      if (!passes || handle->inputs.empty()) {
        return Annotate(
            absl::UnimplementedError(Str("the variable comes from \"", handle->name,
                                         "\"; only handles of named variables can be used here")),
            node.op->public_name, node.location);
      }
      handle = &graph_.node(handle->inputs[0].node);
    }
    variables_[i] = std::dynamic_pointer_cast<VariableState>(handle->resource);
    if (variables_[i] != nullptr) continue;
    const std::string& shared = handle->attrs.Get<std::string>("shared_name");
    const std::string& name = shared.empty() ? handle->name : shared;
    auto variable = context_->FindVariable(name, handle->attrs.Get<DType>("dtype"),
                                           handle->attrs.Get<Shape>("shape"));
    if (!variable.ok()) {
      return Annotate(variable.status(), node.op->public_name, handle->location);
    }
    variables_[i] = *std::move(variable);
  }
  return absl::OkStatus();
}

absl::Status Plan::FindNeededValues() {
  value_needed_.assign(static_cast<size_t>(num_outputs()), false);
  feed_by_value_.assign(request_.feeds.size(), false);
  for (int i = graph_.size() - 1; i >= 0; --i) {
    const Node& node = graph_.node(i);
    if (!live_[i]) continue;
    bool needed = false;
    for (int o = 0; o < static_cast<int>(node.outputs.size()); ++o) {
      needed = needed || value_needed_[first_output_[i] + o];
    }
    const OpDef& op = *node.op;
    if (needed && op.family == Family::kPlaceholder) {
      for (size_t f = 0; f < request_.feeds.size(); ++f) {
        if (request_.feeds[f].node == i) feed_by_value_[f] = true;
      }
      continue;
    }
    if (needed && (op.random || op.stateful || op.resource != ResourceUse::kNone)) {
      return Annotate(
          absl::UnimplementedError(
              "its value decides a shape, but is only known while the graph runs (it comes from a "
              "variable or a random op); compute sizes and axes from constants, shapes or fed "
              "values"),
          op.public_name, node.location);
    }
    for (int k = 0; k < static_cast<int>(node.inputs.size()); ++k) {
      if ((needed && !op.shape_only) || ArgOfInput(node, k).host) {
        value_needed_[id(node.inputs[k])] = true;
      }
    }
  }
  return absl::OkStatus();
}

absl::Status Plan::CheckFeed(int i, const Tensor& value) const {
  const NodeOutput feed = request_.feeds[i];
  const ValueSpec& spec = graph_.spec(feed);
  const char* problem = nullptr;
  if (!value.defined()) {
    problem = "was fed an undefined tensor";
  } else if (value.is_symbolic()) {
    problem = "was fed a recorded tensor, which has no value yet";
  } else if (value.dtype() != spec.dtype || !spec.shape.IsCompatibleWith(value.shape())) {
    problem = "was fed a value of another type";
  } else {
    return absl::OkStatus();
  }
  const Node& node = graph_.node(feed.node);
  return Annotate(absl::InvalidArgumentError(
                      Str("the placeholder \"", node.name, "\" ", problem, ": expected ",
                          DescribeType(spec.dtype, spec.shape),
                          value.defined() ? ", found " + DescribeType(value.dtype(), value.shape())
                                          : std::string())),
                  node.op->public_name, node.location);
}

}  // namespace duet::runtime
