// The one call path. Every op call, from the user, a layer, a gradient or a pass, goes through
// Dispatch: infer (user errors end here), then the current interpreter runs or records it, then
// tapes listen.
#ifndef DUET_CORE_DISPATCH_H_
#define DUET_CORE_DISPATCH_H_

#include <concepts>
#include <cstring>
#include <new>
#include <type_traits>
#include <utility>

#include "absl/container/inlined_vector.h"
#include "absl/types/span.h"
#include "core/attrs.h"
#include "core/op_def.h"
#include "core/tensor.h"

namespace duet {

using Outputs = absl::InlinedVector<Tensor, 2>;

// One op call after inference.
struct OpCall {
  const OpDef& op;
  const Attrs& attrs;
  absl::Span<const Tensor> inputs;
  Location location;
};

// Decides what a call does. Eager runs it (eager/eager.h), a recorder adds a node
// (graph/recorder.h).
class Interpreter {
 public:
  virtual ~Interpreter() = default;
  // Fills `outputs` (specs.size() of them). Throws Error for a failure that is the user's.
  virtual void Run(const OpCall& call, absl::Span<const ValueSpec> specs,
                   absl::Span<Tensor> outputs) = 0;
  // True while recording: constants become nodes, values are not there to branch on.
  virtual bool recording() const = 0;
};

// Hears every call after it ran (the gradient tape).
class Listener {
 public:
  virtual ~Listener() = default;
  virtual void OnCall(const OpCall& call, absl::Span<const Tensor> outputs) = 0;
  Listener* previous = nullptr;  // the next outer one
};

// The thread's state of the call path.
struct DispatchState {
  Interpreter* interpreter = nullptr;  // null: the default (eager) one
  Listener* listener = nullptr;        // innermost
  Location location;  // overrides the location of calls made inside composites and gradients
};
DispatchState& CurrentDispatchState();
void SetDefaultInterpreter(Interpreter* interpreter);  // by eager/, at start-up
bool IsRecording();

// Makes `interpreter` the thread's current one while it lives.
class InterpreterScope {
 public:
  explicit InterpreterScope(Interpreter* interpreter) : saved_(CurrentDispatchState().interpreter) {
    CurrentDispatchState().interpreter = interpreter;
  }
  ~InterpreterScope() { CurrentDispatchState().interpreter = saved_; }
  InterpreterScope(const InterpreterScope&) = delete;
  InterpreterScope& operator=(const InterpreterScope&) = delete;

 private:
  Interpreter* saved_;
};
// Tapes do not hear calls while it lives.
class ListenerPause {
 public:
  ListenerPause() : saved_(std::exchange(CurrentDispatchState().listener, nullptr)) {}
  ~ListenerPause() { CurrentDispatchState().listener = saved_; }
  ListenerPause(const ListenerPause&) = delete;
  ListenerPause& operator=(const ListenerPause&) = delete;

 private:
  Listener* saved_;
};
// Calls made while it lives are reported at `location` (the user's call that led to them).
class LocationScope {
 public:
  explicit LocationScope(Location location)
      : saved_(std::exchange(CurrentDispatchState().location, location)) {}
  ~LocationScope() { CurrentDispatchState().location = saved_; }
  LocationScope(const LocationScope&) = delete;
  LocationScope& operator=(const LocationScope&) = delete;

 private:
  Location saved_;
};

// Calls `op`. `attrs` must be complete (defaults filled in). Throws Error.
Outputs Dispatch(const OpDef& op, const Attrs& attrs, absl::Span<const Tensor> inputs,
                 Location location);
// The same for an op with one output.
Tensor Dispatch1(const OpDef& op, const Attrs& attrs, absl::Span<const Tensor> inputs,
                 Location location);

// Tensors that a call reads without owning them: no reference is taken, so a call of a public op
// counts none. The tensors given must live as long as this.
template <int n>
class BorrowedInputs {
 public:
  template <class... T>
  requires(sizeof...(T) == n) explicit BorrowedInputs(const T&... tensors) {
    static_assert(sizeof(Tensor) == sizeof(void*));
    const Tensor* all[] = {&tensors...};
    for (int i = 0; i < n; ++i) {
      std::memcpy(static_cast<void*>(&storage_[i]), static_cast<const void*>(all[i]),
                  sizeof(Tensor));
    }
  }
  operator absl::Span<const Tensor>() const {  // NOLINT: it is one
    return {std::launder(reinterpret_cast<const Tensor*>(storage_)), n};
  }

 private:
  struct alignas(Tensor) Slot {
    unsigned char bytes[sizeof(Tensor)];
  };
  Slot storage_[n];
};

// The shared, empty attributes.
const Attrs& NoAttrs();

// An operand of a public op: a tensor, anything that converts to one (a Variable), or a C++ number.
// Captures where the user wrote it. A number takes the dtype of the tensor it stands beside if that
// can hold it exactly (floats are rounded), else the call is refused.
class Operand {
 public:
  Operand(const Tensor& t, std::source_location loc = std::source_location::current())  // NOLINT
      : tensor_(&t), location_(loc) {}
  template <class T>
  requires(std::is_arithmetic_v<T>)
      Operand(T value, std::source_location loc = std::source_location::current())  // NOLINT
      : location_(loc), is_number_(true), is_integer_(std::is_integral_v<T>) {
    if constexpr (std::is_same_v<T, bool>) {
      is_bool_ = true;
      integer_ = value;
    } else if constexpr (std::is_integral_v<T>) {
      is_unsigned64_ = std::is_unsigned_v<T> && static_cast<uint64_t>(value) > INT64_MAX;
      integer_ = static_cast<int64_t>(value);
    } else {
      is_single_ = std::is_same_v<T, float>;
      real_ = static_cast<double>(value);
    }
  }
  template <class T>
  requires(!std::is_arithmetic_v<T> && !std::is_same_v<std::remove_cvref_t<T>, Tensor> &&
           !std::is_same_v<std::remove_cvref_t<T>, Operand> &&
           std::convertible_to<const T&, Tensor>)
      Operand(const T& v, std::source_location loc = std::source_location::current())  // NOLINT
      : location_(loc) {
    const Location outer = CurrentDispatchState().location;
    const LocationScope scope(outer.known() ? outer : location_);
    own_ = static_cast<Tensor>(v);
    tensor_ = &own_;
  }

  Operand(const Operand& o)
      : tensor_(o.tensor_ == &o.own_ ? &own_ : o.tensor_),
        own_(o.own_),
        location_(o.location_),
        is_number_(o.is_number_),
        is_integer_(o.is_integer_),
        is_bool_(o.is_bool_),
        is_single_(o.is_single_),
        is_unsigned64_(o.is_unsigned64_),
        integer_(o.integer_),
        real_(o.real_) {}
  Operand& operator=(const Operand&) = delete;

  bool is_number() const { return is_number_; }
  // The dtype: a number alone is int32 (int64 if it needs it), float32 or bool.
  DType dtype() const;
  Location location() const { return location_; }
  // The tensor; a number becomes a constant of `dtype`. Throws Error(InvalidArgument) if it does
  // not fit.
  Tensor As(DType dtype, std::string_view op) const;
  Tensor tensor() const { return is_number_ ? As(dtype(), "Constant") : *tensor_; }
  // The tensor itself; only where it is not a number. Lives as long as the call.
  const Tensor& tensor_ref() const { return *tensor_; }

 private:
  const Tensor* tensor_ = nullptr;  // the caller's, or own_; null for a number
  Tensor own_;                      // what a Variable or the like converted to
  Location location_;
  bool is_number_ = false, is_integer_ = false, is_bool_ = false, is_single_ = false,
       is_unsigned64_ = false;
  int64_t integer_ = 0;
  double real_ = 0;
};

}  // namespace duet

#endif  // DUET_CORE_DISPATCH_H_
