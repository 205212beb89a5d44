#include "runtime/session.h"

#include <algorithm>
#include <map>
#include <mutex>

#include "absl/container/inlined_vector.h"
#include "core/strings.h"
#include "runtime/executor.h"
#include "runtime/plan.h"

namespace duet {
namespace {

using runtime::Executor;
using runtime::Plan;
using runtime::RunContext;
using runtime::RunRequest;

// A call's feeds, fetches and targets as the caller wrote them, so that the next such call is
// recognised without looking names up. Its tensors stay alive with it, so that equal identities
// mean equal symbols.
struct CallForm {
  std::vector<TensorRef> feeds, fetches;
  std::vector<std::string> targets;
  std::shared_ptr<Executor> executor;

  static bool Same(const TensorRef& a, const TensorRef& b) {
    return a.tensor().id() == b.tensor().id() && a.name() == b.name();
  }
  bool Matches(const Session::Feeds& f, const std::vector<TensorRef>& g,
               const std::vector<std::string>& t) const {
    if (f.size() != feeds.size() || g.size() != fetches.size() || t != targets) return false;
    for (size_t i = 0; i < f.size(); ++i) {
      if (!Same(f[i].first, feeds[i])) return false;
    }
    return std::equal(g.begin(), g.end(), fetches.begin(), Same);
  }
};
constexpr size_t kMaxForms = 16;

absl::StatusOr<NodeOutput> Resolve(const Graph& graph, const TensorRef& ref) {
  if (ref.tensor().defined()) return OutputOf(graph, ref.tensor());
  if (ref.name().empty()) {
    return absl::InvalidArgumentError(
        "a feed or fetch is an undefined tensor; give a tensor recorded in the graph or its name");
  }
  return graph.FindOutput(ref.name());
}

// A request as a key: positions, with the borders between the three lists.
std::vector<int64_t> KeyOf(const RunRequest& request) {
  std::vector<int64_t> key;
  for (const auto* list : {&request.feeds, &request.fetches}) {
    key.push_back(static_cast<int64_t>(list->size()));
    for (const NodeOutput& o : *list) key.push_back(int64_t{o.node} << 32 | o.index);
  }
  key.insert(key.end(), request.targets.begin(), request.targets.end());
  return key;
}

}  // namespace

struct Session::State {
  State(const Graph& g, SessionOptions options)
      : graph(g), context(std::make_shared<RunContext>(std::move(options))) {}

  absl::StatusOr<std::shared_ptr<Executor>> Find(const Feeds& feeds,
                                                 const std::vector<TensorRef>& fetches,
                                                 const std::vector<std::string>& targets) {
    {
      const std::lock_guard lock(mutex);
      for (size_t i = 0; i < forms.size(); ++i) {
        if (!forms[i].Matches(feeds, fetches, targets)) continue;
        if (i > 0) std::swap(forms[0], forms[i]);
        return forms[0].executor;
      }
    }
    RunRequest request;
    for (const auto& [ref, value] : feeds) {
      DUET_ASSIGN_OR_RETURN(const NodeOutput o, Resolve(graph, ref));
      request.feeds.push_back(o);
    }
    for (const TensorRef& ref : fetches) {
      DUET_ASSIGN_OR_RETURN(const NodeOutput o, Resolve(graph, ref));
      request.fetches.push_back(o);
    }
    for (const std::string& name : targets) {
      const int node = graph.Find(name);
      if (node < 0) return graph.FindOutput(name).status();
      request.targets.push_back(node);
    }
    CallForm form;
    for (const auto& [ref, value] : feeds) form.feeds.push_back(ref);
    form.fetches = fetches;
    form.targets = targets;
    const std::vector<int64_t> key = KeyOf(request);
    // Planned once, even if several threads ask at the same time.
    const std::lock_guard planning(plan_mutex);
    std::shared_ptr<Executor>& executor = executors[key];
    if (executor == nullptr) {
      auto plan = Plan::Make(context, graph, request);
      if (!plan.ok()) {
        executors.erase(key);
        return plan.status();
      }
      executor = std::make_shared<Executor>(*std::move(plan));
    }
    form.executor = executor;
    const std::lock_guard lock(mutex);
    forms.insert(forms.begin(), std::move(form));
    if (forms.size() > kMaxForms) forms.pop_back();
    return forms[0].executor;
  }

  const Graph graph;
  const std::shared_ptr<RunContext> context;
  std::mutex mutex;
  std::vector<CallForm> forms;  // most recent first
  std::mutex plan_mutex;        // taken before mutex
  std::map<std::vector<int64_t>, std::shared_ptr<Executor>> executors;
};

Session::Session(const Graph& graph, SessionOptions options)
    : state_(std::make_unique<State>(graph, std::move(options))) {}
Session::~Session() = default;

absl::StatusOr<std::vector<Tensor>> Session::Run(const Feeds& feeds,
                                                 const std::vector<TensorRef>& fetches,
                                                 const std::vector<std::string>& targets,
                                                 Location location) {
  try {
    const auto executor = state_->Find(feeds, fetches, targets);
    if (!executor.ok()) {
      if (!location.known()) return executor.status();
      return Annotate(executor.status(), "Session::Run", location);
    }
    absl::InlinedVector<Tensor, 8> values;
    for (const auto& [ref, value] : feeds) values.push_back(value);
    return (*executor)->Run(values);
  } catch (const Error& e) {
    return e.status();
  } catch (const InternalError& e) {
    return absl::InternalError(e.what());
  }
}

SessionStats Session::stats() const { return state_->context->stats(); }

}  // namespace duet
