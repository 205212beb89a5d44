// Function: records a C++ callable on its first call with a signature, then runs the optimised
// plan.
#ifndef DUET_RUNTIME_FUNCTION_H_
#define DUET_RUNTIME_FUNCTION_H_

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <source_location>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "core/dispatch.h"
#include "core/tensor.h"
#include "graph/graph.h"
#include "runtime/session.h"

namespace duet {
namespace function_internal {

// The type-erased part of a Function.
class Traced {
 public:
  using Body = std::function<std::vector<Tensor>(absl::Span<const Tensor>)>;
  Traced(Body body, int arity, SessionOptions options, Location where);
  ~Traced();
  std::vector<Tensor> Call(absl::Span<const Tensor> inputs, Location location);
  Graph Concrete(const std::vector<TensorSpec>& specs, Location location);
  int64_t trace_count() const;
  std::string Explain() const;
  SessionStats stats() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

template <class T>
inline constexpr bool kIsTensorLike = std::is_convertible_v<const T&, Tensor>;

// How many tensors a callable takes: the smallest n for which it can be called with n tensors.
template <class F, int n = 0>
constexpr int Arity() {
  if constexpr (n > 16) {
    return -1;
  } else {
    constexpr bool callable = []<size_t... i>(std::index_sequence<i...>) {
      return std::is_invocable_v<F&, decltype((void)i, std::declval<const Tensor&>())...>;
    }
    (std::make_index_sequence<n>{});
    if constexpr (callable) {
      return n;
    } else {
      return Arity<F, n + 1>();
    }
  }
}

template <size_t>
using OperandAt = Operand;

// Gives Function a call operator of exactly the callable's arity, whose parameters convert at the
// caller's line.
template <class Derived, class Indices>
class Callable;
template <class Derived, size_t... i>
class Callable<Derived, std::index_sequence<i...>> {
 public:
  auto operator()(const OperandAt<i>&... args,
                  std::source_location loc = std::source_location::current()) const {
    const std::array<Tensor, sizeof...(i)> inputs = {args.tensor()...};
    return static_cast<const Derived*>(this)->CallWith(inputs, Location(loc));
  }
};

}  // namespace function_internal

// f(x, y) records the callable on the first call of a signature (the dtypes and shapes of the
// arguments), optimises the graph, and runs its plan; later calls with the signature run the plan
// at once. Inside, calls are symbols: host control flow on their values is an error that says so.
// Variables are captured by handle and updated by the plan; a GradientTape inside is recorded with
// the rest. A Function called while another one (or a GraphScope) records is recorded inline. When
// tapes are open around a call, the callable runs op by op, so that the gradient flows through the
// call; a tape inside the callable is recorded.
//
// A result is a Tensor or std::vector<Tensor>, as the callable returns (void for none).
template <class F>
class Function
    : public function_internal::Callable<Function<F>,
                                         std::make_index_sequence<function_internal::Arity<F>()>> {
  static constexpr int kArity = function_internal::Arity<F>();
  static_assert(kArity >= 0, "a Function's callable takes up to 16 tensors");

 public:
  explicit Function(F f, SessionOptions options = {},
                    std::source_location loc = std::source_location::current())
      : traced_(std::make_shared<function_internal::Traced>(
            [f = std::move(f)](absl::Span<const Tensor> in) mutable {
              return Collect(f, in, std::make_index_sequence<kArity>{});
            },
            kArity, std::move(options), Location(loc))) {}

  // The graph for a signature; placeholders are named as the specs, or "arg0", "arg1", ...; results
  // are the identities "result0", ... -1 in a spec is a size that may differ from run to run.
  Graph Concrete(const std::vector<TensorSpec>& specs,
                 std::source_location loc = std::source_location::current()) const {
    return traced_->Concrete(specs, Location(loc));
  }
  // How often the callable was recorded.
  int64_t trace_count() const { return traced_->trace_count(); }
  // Why it was traced each time, what each pass changed, which kernels were compiled, with source
  // lines.
  std::string Explain() const { return traced_->Explain(); }
  SessionStats stats() const { return traced_->stats(); }

 private:
  template <class, class>
  friend class function_internal::Callable;
  auto CallWith(absl::Span<const Tensor> inputs, Location location) const {
    using Result = decltype(Invoke(std::declval<F&>(), inputs, std::make_index_sequence<kArity>{}));
    std::vector<Tensor> results = traced_->Call(inputs, location);
    if constexpr (std::is_void_v<Result>) {
      return;
    } else if constexpr (function_internal::kIsTensorLike<Result>) {
      return Tensor(std::move(results[0]));
    } else {
      return results;
    }
  }
  template <size_t... i>
  static decltype(auto) Invoke(F& f, [[maybe_unused]] absl::Span<const Tensor> in,
                               std::index_sequence<i...>) {
    return f(in[i]...);
  }
  template <size_t... i>
  static std::vector<Tensor> Collect(F& f, [[maybe_unused]] absl::Span<const Tensor> in,
                                     std::index_sequence<i...> s) {
    using Result = decltype(Invoke(f, in, s));
    if constexpr (std::is_void_v<Result>) {
      f(in[i]...);
      return {};
    } else if constexpr (function_internal::kIsTensorLike<Result>) {
      return {static_cast<Tensor>(f(in[i]...))};
    } else {
      return f(in[i]...);
    }
  }
  std::shared_ptr<function_internal::Traced> traced_;
};

}  // namespace duet

#endif  // DUET_RUNTIME_FUNCTION_H_
