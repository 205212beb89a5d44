#include "core/dispatch.h"

#include <array>
#include <atomic>
#include <cmath>
#include <limits>
#include <vector>

#include "core/strings.h"

namespace duet {
namespace {

constinit thread_local DispatchState state;
std::atomic<Interpreter*> default_interpreter{nullptr};

// Whether `v` survives a conversion to T: integers exactly, reals rounded to the type.
template <class T>
bool IntegerFits(int64_t v) {
  if constexpr (std::is_floating_point_v<T>) {
    constexpr int64_t kExact = int64_t{1} << std::numeric_limits<T>::digits;
    return (v >= -kExact && v <= kExact) ||
           static_cast<double>(static_cast<T>(v)) == static_cast<double>(v);
  } else {
    return v >= static_cast<int64_t>(std::numeric_limits<T>::min()) &&
           v <= static_cast<int64_t>(std::numeric_limits<T>::max());
  }
}

}  // namespace

DispatchState& CurrentDispatchState() { return state; }
void SetDefaultInterpreter(Interpreter* interpreter) { default_interpreter = interpreter; }
bool IsRecording() { return state.interpreter != nullptr && state.interpreter->recording(); }

const Attrs& NoAttrs() {
  static const auto* none = new Attrs();
  return *none;
}

namespace {

// The one call path; `outputs` has one place per output of the op.
void Call(const OpDef& op, const Attrs& attrs, absl::Span<const Tensor> inputs, Location location,
          absl::Span<Tensor> outputs) {
  if (state.location.known()) location = state.location;
  std::array<InputInfo, 4> few;
  std::vector<InputInfo> many;
  if (inputs.size() > few.size()) many.resize(inputs.size());
  InputInfo* const infos = many.empty() ? few.data() : many.data();
  for (size_t i = 0; i < inputs.size(); ++i) {
    const Tensor& t = inputs[i];
    if (!t.defined()) {
      ThrowError(absl::InvalidArgumentError(Str("input ", i,
                                                " is undefined: it was default-constructed, or is "
                                                "the gradient of a source that the target does "
                                                "not depend on")),
                 op.public_name, location);
    }
    const Tensor* value = &t;
    if (t.is_symbolic()) {
      value = t.symbol_source()->StaticValue(t.symbol_node(), t.symbol_output());
    } else if (t.dtype() == kResource) {
      value = nullptr;
    }
    infos[i] = {t.dtype(), &t.shape(), value};
  }
  InferContext context(op, attrs, {infos, inputs.size()});
  if (absl::Status s = Infer(context); !s.ok()) ThrowError(s, op.public_name, location);
  Interpreter* interpreter = state.interpreter;
  if (interpreter == nullptr) {
    interpreter = default_interpreter.load(std::memory_order_relaxed);
    InternalCheck(interpreter != nullptr, "no interpreter is installed");
  }
  const OpCall call{op, attrs, inputs, location};
  interpreter->Run(call, context.outputs, outputs);
  if (state.listener != nullptr) state.listener->OnCall(call, outputs);
}

}  // namespace

Outputs Dispatch(const OpDef& op, const Attrs& attrs, absl::Span<const Tensor> inputs,
                 Location location) {
  Outputs outputs(op.outputs.size());
  Call(op, attrs, inputs, location, absl::MakeSpan(outputs));
  return outputs;
}

Tensor Dispatch1(const OpDef& op, const Attrs& attrs, absl::Span<const Tensor> inputs,
                 Location location) {
  Tensor output;
  Call(op, attrs, inputs, location, absl::MakeSpan(&output, 1));
  return output;
}

DType Operand::dtype() const {
  if (!is_number_) return tensor_->dtype();
  if (is_bool_) return kBool;
  if (is_integer_) return is_unsigned64_ || !IntegerFits<int32_t>(integer_) ? kInt64 : kInt32;
  return kFloat32;
}

Tensor Operand::As(DType dtype, std::string_view op) const {
  if (!is_number_) return *tensor_;
  Tensor t = Tensor::Allocate(dtype, Shape());
  bool fits = false;
  VisitDType(dtype, [&](auto zero) {
    using T = decltype(zero);
    auto* out = static_cast<T*>(t.mutable_raw_data());
    if constexpr (std::is_same_v<T, bool>) {
      fits = is_bool_;
      *out = integer_ != 0;
    } else if (is_bool_) {
      fits = false;
    } else if (is_integer_) {
      fits = !is_unsigned64_ && IntegerFits<T>(integer_);
      if (fits) *out = static_cast<T>(integer_);
    } else if constexpr (std::is_floating_point_v<T>) {
      *out = static_cast<T>(real_);
      fits = !std::isinf(*out) || std::isinf(real_);
    } else {
      fits = std::trunc(real_) == real_ && std::abs(real_) < 9.0e15 &&
             IntegerFits<T>(static_cast<int64_t>(real_));
      if (fits) *out = static_cast<T>(real_);
    }
  });
  if (!fits) {
    const std::string number =
        is_bool_      ? std::string(integer_ != 0 ? "true" : "false")
        : is_integer_ ? (is_unsigned64_ ? Str(static_cast<uint64_t>(integer_)) : Str(integer_))
                      : Str(real_);
    ThrowError(
        absl::InvalidArgumentError(Str(
            "the number ", number, " stands beside a ", Name(dtype), " tensor, and ", Name(dtype),
            " cannot hold it; Cast the tensor, or write the number as a Constant of its own "
            "dtype")),
        op, location_);
  }
  return t;
}

}  // namespace duet
