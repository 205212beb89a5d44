#include "eager/tape.h"

#include <deque>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "core/ops/ops.h"
#include "core/strings.h"

namespace duet {
namespace {

// One call that the tape heard. Holding the tensors keeps their identities unique.
struct Record {
  const OpDef* op;
  const Attrs* attrs;
  absl::InlinedVector<Tensor, 2> inputs;
  absl::InlinedVector<Tensor, 1> outputs;
  Location location;
};

using Ids = absl::flat_hash_set<const void*>;

}  // namespace

struct GradientTape::State final : public Listener {
  explicit State(Mode m) : mode(m) {
    previous = std::exchange(CurrentDispatchState().listener, this);
  }
  ~State() override { Unlink(); }

  void OnCall(const OpCall& call, absl::Span<const Tensor> outputs) override {
    if (recording) Hear(call, outputs);
    if (previous != nullptr) previous->OnCall(call, outputs);
  }

  void Hear(const OpCall& call, absl::Span<const Tensor> outputs) {
    bool tracked = false;
    for (const Tensor& t : call.inputs) {
      if (t.dtype() == kResource) {
        if (call.op.resource == ResourceUse::kRead && IsFloating(outputs[0].dtype())) {
          ids.insert(t.id());
          watched.push_back(t);
          tracked = true;
        }
      } else if (ids.contains(t.id())) {
        tracked = true;
      }
    }
    if (!tracked || !call.op.differentiable) return;
    Record& r = records.emplace_back();
    r.op = &call.op;
    r.attrs = &call.attrs == &NoAttrs() ? &call.attrs : &attrs.emplace_back(call.attrs);
    r.inputs.assign(call.inputs.begin(), call.inputs.end());
    r.outputs.assign(outputs.begin(), outputs.end());
    r.location = call.location;
    for (const Tensor& t : outputs) {
      if (IsFloating(t.dtype())) ids.insert(t.id());
    }
  }

  // Takes the tape off the thread's chain; tapes need not end in the order they began.
  void Unlink() {
    Listener** at = &CurrentDispatchState().listener;
    while (*at != nullptr && *at != this) at = &(*at)->previous;
    if (*at == this) *at = previous;
  }

  void Clear() {
    records.clear();
    attrs.clear();
    watched.clear();
    ids.clear();
  }

  std::vector<Tensor> Backward(absl::Span<const Tensor> targets, absl::Span<const Tensor> seeds,
                               absl::Span<const Tensor> sources);

  const Mode mode;
  bool recording = true;
  bool used = false;
  Ids ids;  // what is watched, and the results that depend on it
  std::vector<Tensor> watched;
  std::deque<Record> records;
  std::deque<Attrs> attrs;
};

namespace {

void Accumulate(Tensor* sum, Tensor grad) {
  *sum = sum->defined() ? Add(*sum, grad) : std::move(grad);
}

}  // namespace

std::vector<Tensor> GradientTape::State::Backward(absl::Span<const Tensor> targets,
                                                  absl::Span<const Tensor> seeds,
                                                  absl::Span<const Tensor> sources) {
  // Only what depends on a source gets a gradient.
  Ids reached;
  for (const Tensor& s : sources) reached.insert(s.id());
  std::vector<bool> on_path(records.size(), false);
  for (size_t i = 0; i < records.size(); ++i) {
    for (const Tensor& t : records[i].inputs) {
      if (reached.contains(t.id())) on_path[i] = true;
    }
    if (!on_path[i]) continue;
    for (const Tensor& t : records[i].outputs) reached.insert(t.id());
  }
  absl::flat_hash_map<const void*, Tensor> grads;
  for (size_t i = 0; i < targets.size(); ++i) {
    if (seeds[i].defined() && reached.contains(targets[i].id())) {
      Accumulate(&grads[targets[i].id()], seeds[i]);
    }
  }
  for (size_t i = records.size(); i-- > 0;) {
    if (!on_path[i]) continue;
    const Record& r = records[i];
    absl::InlinedVector<Tensor, 2> output_grads(r.outputs.size());
    bool any = false;
    for (size_t k = 0; k < r.outputs.size(); ++k) {
      auto it = grads.find(r.outputs[k].id());
      if (it == grads.end()) continue;
      output_grads[k] = it->second;
      any = true;
    }
    if (!any) continue;
    const LocationScope location(r.location);
    absl::InlinedVector<Tensor, 4> input_grads(r.inputs.size());
    if (r.op->grad != nullptr) {
      uint64_t needed = 0;
      for (size_t k = 0; k < r.inputs.size() && k < 64; ++k) {
        if (reached.contains(r.inputs[k].id())) needed |= uint64_t{1} << k;
      }
      GradContext context(*r.attrs, r.inputs, r.outputs, output_grads, absl::MakeSpan(input_grads),
                          needed);
      r.op->grad(context);
    } else if (r.op->composite != nullptr) {
      // The gradient of a composite is that of its body, heard by a tape of its own.
      State body(kPersistent);
      absl::InlinedVector<Tensor, 4> floating;
      for (const Tensor& t : r.inputs) {
        if (IsFloating(t.dtype())) body.ids.insert(t.id());
      }
      absl::InlinedVector<Tensor, 2> results(r.outputs.size());
      r.op->composite(*r.attrs, r.inputs, absl::MakeSpan(results));
      body.recording = false;
      const auto found = body.Backward(results, output_grads, r.inputs);
      for (size_t k = 0; k < found.size(); ++k) input_grads[k] = found[k];
    } else {
      ThrowError(absl::UnimplementedError("has no gradient; use StopGradient if none is wanted"),
                 r.op->public_name, r.location);
    }
    // A tensor that is an input twice has its gradients summed.
    for (size_t k = 0; k < r.inputs.size(); ++k) {
      if (!input_grads[k].defined() || !reached.contains(r.inputs[k].id())) continue;
      bool repeated = false;
      for (size_t j = 0; j < k; ++j) {
        // The body of a composite has summed them already.
        repeated |= r.op->grad == nullptr && r.inputs[j].id() == r.inputs[k].id();
      }
      if (!repeated) Accumulate(&grads[r.inputs[k].id()], std::move(input_grads[k]));
    }
  }
  std::vector<Tensor> out;
  for (const Tensor& s : sources) {
    auto it = grads.find(s.id());
    out.push_back(it == grads.end() ? Tensor() : it->second);
  }
  return out;
}

GradientTape::GradientTape(Mode mode) : state_(std::make_unique<State>(mode)) {}
GradientTape::~GradientTape() = default;

void GradientTape::Watch(const Tensor& t, std::source_location loc) {
  if (!t.defined()) {
    ThrowError(absl::InvalidArgumentError("the watched tensor is undefined; give it a value first"),
               "GradientTape::Watch", loc);
  }
  if (!IsFloating(t.dtype())) {
    ThrowError(absl::InvalidArgumentError(Str("a watched tensor must be float32 or float64, found ",
                                              Name(t.dtype()), "; Cast it first")),
               "GradientTape::Watch", loc);
  }
  state_->ids.insert(t.id());
  state_->watched.push_back(t);
}

void GradientTape::Watch(const Variable& v, std::source_location loc) {
  if (!IsFloating(v.dtype())) {
    ThrowError(absl::InvalidArgumentError(
                   Str("a watched variable must be float32 or float64, found ", Name(v.dtype()))),
               "GradientTape::Watch", loc);
  }
  state_->ids.insert(v.handle().id());
  state_->watched.push_back(v.handle());
}

std::vector<Tensor> GradientTape::Gradient(const Tensor& target,
                                           const std::vector<GradientSource>& sources,
                                           std::source_location loc) {
  if (state_->used && state_->mode == kOnce) {
    ThrowError(absl::FailedPreconditionError(
                   "a plain tape gives one gradient and was asked for a second; make it "
                   "GradientTape tape(GradientTape::kPersistent), or ask for all sources at once"),
               "GradientTape::Gradient", loc);
  }
  if (!target.defined() || !IsFloating(target.dtype())) {
    ThrowError(absl::InvalidArgumentError(
                   Str("the target must be a float32 or float64 tensor, found ",
                       target.defined() ? Name(target.dtype()) : "an undefined tensor")),
               "GradientTape::Gradient", loc);
  }
  for (size_t i = 0; i < sources.size(); ++i) {
    if (sources[i].tensor().defined()) continue;
    ThrowError(absl::InvalidArgumentError(
                   Str("source ", i, " is an undefined tensor; give what the target depends on")),
               "GradientTape::Gradient", loc);
  }
  state_->used = true;
  // The tape does not hear its own backward calls; outer tapes do.
  const bool was_recording = std::exchange(state_->recording, false);
  std::vector<Tensor> tensors;
  for (const GradientSource& s : sources) tensors.push_back(s.tensor());
  std::vector<Tensor> grads;
  try {
    const LocationScope location{Location(loc)};
    const Tensor seed = OnesLike(target);
    grads = state_->Backward({&target, 1}, {&seed, 1}, tensors);
  } catch (...) {
    state_->recording = was_recording;
    throw;
  }
  if (state_->mode == kOnce) {
    state_->Clear();
  } else {
    state_->recording = was_recording;
  }
  return grads;
}

Tensor GradientTape::Gradient(const Tensor& target, const GradientSource& source,
                              std::source_location loc) {
  return Gradient(target, std::vector<GradientSource>{source}, loc)[0];
}

void GradientTape::StopRecording() { state_->recording = false; }
void GradientTape::Reset() {
  state_->Clear();
  state_->used = false;
  state_->recording = true;
}

}  // namespace duet
