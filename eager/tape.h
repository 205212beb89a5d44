// GradientTape: reverse-mode automatic differentiation over the calls made while it lives.
#ifndef DUET_EAGER_TAPE_H_
#define DUET_EAGER_TAPE_H_

#include <initializer_list>
#include <memory>
#include <vector>

#include "core/dispatch.h"
#include "core/tensor.h"
#include "eager/variable.h"

namespace duet {

// What a gradient is taken with respect to: a watched tensor or a variable.
class GradientSource {
 public:
  GradientSource(const Tensor& t) : tensor_(t) {}             // NOLINT: implicit on purpose
  GradientSource(const Variable& v) : tensor_(v.handle()) {}  // NOLINT
  const Tensor& tensor() const { return tensor_; }

 private:
  Tensor tensor_;
};

// Records while it lives, on its thread, eager and recorded calls alike. Tapes nest: an inner
// tape's gradient is computed by calls that an outer tape hears, which gives higher orders.
class GradientTape {
 public:
  enum Mode { kOnce, kPersistent };
  // kOnce: one Gradient call, which frees what was recorded. kPersistent: any number of calls.
  explicit GradientTape(Mode mode = kOnce);
  ~GradientTape();
  GradientTape(const GradientTape&) = delete;
  GradientTape& operator=(const GradientTape&) = delete;

  // Makes results computed from `t` from now on differentiable with respect to it. Variables need
  // no Watch. Error if its dtype is not floating.
  void Watch(const Tensor& t, std::source_location loc = std::source_location::current());
  void Watch(const Variable& v, std::source_location loc = std::source_location::current());

  // d sum(target) / d source, with source's shape; undefined if target does not depend on source.
  Tensor Gradient(const Tensor& target, const GradientSource& source,
                  std::source_location loc = std::source_location::current());
  std::vector<Tensor> Gradient(const Tensor& target, const std::vector<GradientSource>& sources,
                               std::source_location loc = std::source_location::current());
  std::vector<Tensor> Gradient(const Tensor& target, std::initializer_list<GradientSource> sources,
                               std::source_location loc = std::source_location::current()) {
    return Gradient(target, std::vector<GradientSource>(sources), loc);
  }
  // Stops and resumes recording.
  void StopRecording();
  void Reset();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace duet

#endif  // DUET_EAGER_TAPE_H_
