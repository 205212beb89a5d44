// Session: runs a recorded graph.
#ifndef DUET_RUNTIME_SESSION_H_
#define DUET_RUNTIME_SESSION_H_

#include <cstdint>
#include <memory>
#include <source_location>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "core/error.h"
#include "core/tensor.h"
#include "graph/graph.h"

namespace duet {

struct SessionOptions {
  int num_threads = 0;                       // 0: as many as the machine has cores
  std::vector<std::string> disabled_passes;  // names of `duet opt --list-passes`
  int64_t memory_limit =
      0;                   // bytes one Run may use for intermediate values and results; 0: no limit
  bool fast_math = false;  // may contract and reassociate: faster, other bits
};

// How much each pass changed (one entry a pass, for the most recently planned feeds and fetches).
struct PassStats {
  std::string name;
  int nodes_before = 0, nodes_after = 0;
  bool changed = false, disabled = false;
  double seconds = 0;
};

struct SessionStats {
  int64_t kernels_compiled = 0;  // compiled for this session
  int64_t cache_hits = 0;        // found prebuilt, in memory or on disk
  double compile_seconds = 0;    // compiling kernels
  double plan_seconds = 0;       // passes, lowering and planning without compiling
  int64_t plans = 0;             // (feeds, fetches) pairs planned
  int64_t instances = 0;         // plans made for new shapes
  int64_t planned_bytes = 0;     // of the most recent instance: memory for intermediate values
  int64_t liveness_bytes = 0;    // its lower bound: the most bytes alive at one time
  int64_t peak_bytes = 0;        // most bytes a Run has used
  int64_t kernels_in_plan = 0;   // launches of the most recent instance
  std::vector<PassStats> passes;
};

// A tensor of a graph, by symbol or by name ("x", "x:0").
class TensorRef {
 public:
  TensorRef(const Tensor& t) : tensor_(t) {}               // NOLINT: implicit on purpose
  TensorRef(const char* name) : name_(name) {}             // NOLINT
  TensorRef(std::string name) : name_(std::move(name)) {}  // NOLINT
  TensorRef(std::string_view name) : name_(name) {}        // NOLINT
  const Tensor& tensor() const { return tensor_; }
  const std::string& name() const { return name_; }

 private:
  Tensor tensor_;
  std::string name_;
};

// Optimises, plans and runs a graph as it is when first run with given feeds and fetches.
// Concurrent Run calls on one session are safe. A failed Run leaves the session usable.
class Session {
 public:
  explicit Session(const Graph& graph, SessionOptions options = {});
  ~Session();
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  using Feeds = std::vector<std::pair<TensorRef, Tensor>>;
  // The values of `fetches`, with the given values for `feeds`; `targets` name nodes to run for
  // their effect. Errors carry the location of the user's call that recorded the failing node, or,
  // where feeds, fetches and targets name no such node, of the call of Run (none, if Location()).
  absl::StatusOr<std::vector<Tensor>> Run(const Feeds& feeds, const std::vector<TensorRef>& fetches,
                                          const std::vector<std::string>& targets = {},
                                          Location location = std::source_location::current());
  SessionStats stats() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace duet

#endif  // DUET_RUNTIME_SESSION_H_
