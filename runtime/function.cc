#include "runtime/function.h"

#include <algorithm>
#include <atomic>
#include <list>
#include <mutex>
#include <thread>

#include "absl/cleanup/cleanup.h"
#include "core/ops/defs.h"
#include "core/strings.h"
#include "graph/recorder.h"
#include "runtime/executor.h"
#include "runtime/plan.h"

namespace duet::function_internal {
namespace {

using runtime::Executor;
using runtime::Plan;
using runtime::RunContext;
using runtime::RunRequest;

// Calls of Functions that run their callables inside one another are recorded call by call, so a
// chain of them that never ends would end the stack. Far deeper than any program, far within the
// smallest usual stack.
constexpr int kMaxInlineDepth = 200;
thread_local int inline_depth = 0;

class InlineDepth {
 public:
  explicit InlineDepth(Location location) {
    if (inline_depth >= kMaxInlineDepth) {
      ThrowError(absl::FailedPreconditionError(
                     Str("Functions call each other more than ", kMaxInlineDepth,
                         " deep, as if without end; end the recursion by a shape or a number that "
                         "C++ knows, or write it as a loop")),
                 "Function", location);
    }
    ++inline_depth;
  }
  ~InlineDepth() { --inline_depth; }
  InlineDepth(const InlineDepth&) = delete;
  InlineDepth& operator=(const InlineDepth&) = delete;
};

// What one call of the callable recorded.
struct Recording {
  Graph graph;
  RunRequest request;
};

Recording Record(const Traced::Body& body, const std::vector<TensorSpec>& specs,
                 Location location) {
  Recorder recorder{Graph()};
  std::vector<Tensor> arguments;
  for (const TensorSpec& spec : specs) {
    arguments.push_back(recorder.AddPlaceholder(spec, location));
  }
  std::vector<Tensor> results;
  {
    const InterpreterScope scope(&recorder);
    results = body(arguments);
  }
  Recording out;
  GraphBuilder builder(recorder.graph());
  for (const Tensor& t : arguments) {
    out.request.feeds.push_back(recorder.Capture(t, "Function", location));
  }
  for (size_t i = 0; i < results.size(); ++i) {
    if (!results[i].defined()) {
      ThrowError(absl::InvalidArgumentError(
                     Str("result ", i,
                         " of the callable is undefined: it was default-constructed, or "
                         "is the gradient of a source that the target does not depend on")),
                 "Function", location);
    }
    const NodeOutput value = recorder.Capture(results[i], "Function", location);
    auto node = builder.Add({.op = &ops::IdentityOp(),
                             .name = Str("result", i),
                             .inputs = {value},
                             .location = location});
    if (!node.ok()) ThrowError(node.status(), "Function", location);
    out.request.fetches.push_back({*node, 0});
  }
  out.request.targets = recorder.side_effects();
  out.graph = builder.graph();
  return out;
}

struct ArgumentType {
  DType dtype;
  Shape shape;
};

// One recorded signature.
struct Trace {
  std::vector<ArgumentType> signature;
  std::shared_ptr<RunContext> context;
  std::unique_ptr<Executor> executor;
  std::string reason;
  Location location;
  int nodes = 0;

  bool Matches(absl::Span<const Tensor> inputs) const {
    for (size_t i = 0; i < inputs.size(); ++i) {
      if (inputs[i].dtype() != signature[i].dtype) return false;
      if (!(inputs[i].shape() == signature[i].shape)) return false;
    }
    return true;
  }
};

// What made a call need a recording of its own, against the signature that was used before.
std::string Reason(absl::Span<const Tensor> inputs, const Trace* before) {
  if (before == nullptr) return "first call";
  std::string text;
  for (size_t i = 0; i < inputs.size(); ++i) {
    const ArgumentType& old = before->signature[i];
    if (inputs[i].dtype() == old.dtype && inputs[i].shape() == old.shape) continue;
    AppendTo(&text, text.empty() ? "" : ", ", "arg", i, " changed from ",
             DescribeType(old.dtype, old.shape), " to ",
             DescribeType(inputs[i].dtype(), inputs[i].shape()));
  }
  return text;
}

std::string At(Location location) {
  return location.known() ? " at " + location.ToString() : std::string();
}

void ExplainTrace(const Trace& trace, size_t number, std::string* out) {
  const SessionStats stats = trace.context->stats();
  AppendTo(out, "trace ", number, At(trace.location), ": ", trace.reason, "\n  signature: (");
  for (size_t i = 0; i < trace.signature.size(); ++i) {
    AppendTo(out, i > 0 ? ", " : "",
             DescribeType(trace.signature[i].dtype, trace.signature[i].shape));
  }
  AppendTo(out, ")\n  recorded ", trace.nodes, " nodes\n");
  for (const PassStats& pass : stats.passes) {
    AppendTo(out, "  pass ", pass.name, ": ");
    if (pass.disabled) {
      AppendTo(out, "disabled\n");
    } else if (pass.changed) {
      AppendTo(out, pass.nodes_before, " -> ", pass.nodes_after, " nodes\n");
    } else {
      AppendTo(out, "no change\n");
    }
  }
  AppendTo(out, "  kernels in the plan: ", stats.kernels_in_plan,
           "; compiled: ", stats.kernels_compiled, ", found in caches: ", stats.cache_hits, "\n");
  for (const std::string& kernel : trace.executor->DescribeKernels()) {
    AppendTo(out, "    ", kernel, "\n");
  }
}

}  // namespace

struct Traced::State {
  Body body;
  int arity;
  SessionOptions options;
  Location where;

  std::mutex record_mutex;  // the callable is called by one thread at a time; taken before mutex
  std::atomic<std::thread::id> recorder{};  // the thread that holds record_mutex
  mutable std::mutex mutex;
  std::list<std::shared_ptr<Trace>> recent;     // most recently used first
  std::vector<std::shared_ptr<Trace>> history;  // in the order they were recorded

  std::shared_ptr<Trace> Find(absl::Span<const Tensor> inputs) {
    const std::lock_guard lock(mutex);
    for (auto it = recent.begin(); it != recent.end(); ++it) {
      if (!(*it)->Matches(inputs)) continue;
      if (it != recent.begin()) recent.splice(recent.begin(), recent, it);
      return recent.front();
    }
    return nullptr;
  }

  // Records the callable; an error where the callable itself asks for that.
  Recording RecordAlone(const std::vector<TensorSpec>& specs, Location location) {
    recorder.store(std::this_thread::get_id(), std::memory_order_relaxed);
    const absl::Cleanup done = [this] { recorder.store({}, std::memory_order_relaxed); };
    return Record(body, specs, location);
  }
  void RefuseInsideItself(Location location) const {
    if (recorder.load(std::memory_order_relaxed) != std::this_thread::get_id()) return;
    ThrowError(absl::FailedPreconditionError(
                   "the callable is being recorded and asks for its own graph; call the Function "
                   "instead, which records it inline"),
               "Function::Concrete", location);
  }

  std::shared_ptr<Trace> FindOrRecord(absl::Span<const Tensor> inputs, Location location) {
    if (std::shared_ptr<Trace> trace = Find(inputs)) return trace;
    const std::lock_guard recording(record_mutex);
    if (std::shared_ptr<Trace> trace = Find(inputs)) return trace;
    auto trace = std::make_shared<Trace>();
    std::vector<TensorSpec> specs;
    for (size_t i = 0; i < inputs.size(); ++i) {
      trace->signature.push_back({inputs[i].dtype(), inputs[i].shape()});
      specs.emplace_back(inputs[i].dtype(), inputs[i].shape(), Str("arg", i));
    }
    Recording recorded = RecordAlone(specs, location);
    trace->context = std::make_shared<RunContext>(options);
    trace->location = location;
    trace->nodes = recorded.graph.size();
    auto plan = Plan::Make(trace->context, recorded.graph, recorded.request);
    if (!plan.ok()) ThrowError(plan.status(), "Function", location);
    trace->executor = std::make_unique<Executor>(*std::move(plan));
    const std::lock_guard lock(mutex);
    trace->reason = Reason(inputs, recent.empty() ? nullptr : recent.front().get());
    history.push_back(trace);
    recent.push_front(trace);
    return trace;
  }
};

Traced::Traced(Body body, int arity, SessionOptions options, Location where)
    : state_(new State{std::move(body), arity, std::move(options), where, {}, {}, {}, {}, {}}) {}
Traced::~Traced() = default;

std::vector<Tensor> Traced::Call(absl::Span<const Tensor> inputs, Location location) {
  const DispatchState& dispatch = CurrentDispatchState();
  // Recorded inline; and a tape hears the calls one by one, so that gradients flow through.
  if (IsRecording() || dispatch.listener != nullptr) {
    const InlineDepth depth(location);
    return state_->body(inputs);
  }
  if (dispatch.location.known()) location = dispatch.location;
  for (size_t i = 0; i < inputs.size(); ++i) {
    const char* problem = !inputs[i].defined()      ? "is undefined"
                          : inputs[i].is_symbolic() ? "is a recorded tensor, which has no value"
                          : inputs[i].dtype() == kResource ? "is the handle of a variable"
                                                           : nullptr;
    if (problem == nullptr) continue;
    ThrowError(absl::InvalidArgumentError(Str("argument ", i, " ", problem,
                                              "; call a Function with tensors that have "
                                              "values")),
               "Function", location);
  }
  const std::shared_ptr<Trace> trace = state_->FindOrRecord(inputs, location);
  absl::StatusOr<std::vector<Tensor>> results = trace->executor->Run(inputs);
  if (!results.ok()) ThrowError(results.status(), "Function", location);
  return *std::move(results);
}

Graph Traced::Concrete(const std::vector<TensorSpec>& specs, Location location) {
  if (static_cast<int>(specs.size()) != state_->arity) {
    ThrowError(absl::InvalidArgumentError(Str("the callable takes ", state_->arity,
                                              " tensors, found ", specs.size(), " specs")),
               "Function::Concrete", location);
  }
  std::vector<TensorSpec> named = specs;
  for (size_t i = 0; i < named.size(); ++i) {
    if (named[i].name.empty()) named[i].name = Str("arg", i);
  }
  state_->RefuseInsideItself(location);
  const std::lock_guard recording(state_->record_mutex);
  const ListenerPause pause;
  return state_->RecordAlone(named, location).graph;
}

int64_t Traced::trace_count() const {
  const std::lock_guard lock(state_->mutex);
  return static_cast<int64_t>(state_->history.size());
}

std::string Traced::Explain() const {
  const std::lock_guard lock(state_->mutex);
  std::string out =
      Str("Function", state_->where.known() ? " made" : "", At(state_->where), ": ",
          state_->history.size(), state_->history.size() == 1 ? " trace\n" : " traces\n");
  for (size_t i = 0; i < state_->history.size(); ++i) {
    ExplainTrace(*state_->history[i], i + 1, &out);
  }
  return out;
}

SessionStats Traced::stats() const {
  const std::lock_guard lock(state_->mutex);
  SessionStats sum;
  for (const auto& trace : state_->history) {
    SessionStats s = trace->context->stats();
    // Counts add up; the rest is the most recent plan's.
    s.kernels_compiled += sum.kernels_compiled;
    s.cache_hits += sum.cache_hits;
    s.compile_seconds += sum.compile_seconds;
    s.plan_seconds += sum.plan_seconds;
    s.plans += sum.plans;
    s.instances += sum.instances;
    s.peak_bytes = std::max(s.peak_bytes, sum.peak_bytes);
    sum = std::move(s);
  }
  return sum;
}

}  // namespace duet::function_internal
