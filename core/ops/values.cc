#include "core/ops/values.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>

#include "core/ops/infer_util.h"

namespace duet {
namespace {

// Whether `value` is a value of T; a real is rounded to a floating T.
template <class T>
std::optional<T> Exactly(int64_t value) {
  if constexpr (std::is_floating_point_v<T>) {
    const T rounded = static_cast<T>(value);
    const bool exact =
        std::fabs(static_cast<double>(rounded)) < 0x1p63 && static_cast<int64_t>(rounded) == value;
    return exact ? std::optional<T>(rounded) : std::nullopt;
  } else {
    const bool fits = value >= static_cast<int64_t>(std::numeric_limits<T>::min()) &&
                      value <= static_cast<int64_t>(std::numeric_limits<T>::max());
    return fits ? std::optional<T>(static_cast<T>(value)) : std::nullopt;
  }
}
template <class T>
std::optional<T> Exactly(double value) {
  if constexpr (std::is_floating_point_v<T>) {
    const T rounded = static_cast<T>(value);
    if (std::isinf(rounded) && !std::isinf(value)) return std::nullopt;
    return rounded;
  } else {
    if (!(std::fabs(value) < 0x1p63) || std::trunc(value) != value) return std::nullopt;
    return Exactly<T>(static_cast<int64_t>(value));
  }
}

}  // namespace

Tensor Ints::AsTensor() const {
  if (is_tensor_) return tensor_;
  const auto fits = [](int64_t v) { return v >= INT32_MIN && v <= INT32_MAX; };
  const bool narrow = std::all_of(values_.begin(), values_.end(), fits);
  Tensor t =
      Tensor::Allocate(narrow ? kInt32 : kInt64, Shape({static_cast<int64_t>(values_.size())}));
  for (size_t i = 0; i < values_.size(); ++i) {
    if (narrow) {
      static_cast<int32_t*>(t.mutable_raw_data())[i] = static_cast<int32_t>(values_[i]);
    } else {
      static_cast<int64_t*>(t.mutable_raw_data())[i] = values_[i];
    }
  }
  return t;
}

Tensor Axes::AsTensor(int rank) const {
  if (!all_) return axes_.AsTensor();
  Tensor t = Tensor::Allocate(kInt32, Shape({rank}));
  for (int d = 0; d < rank; ++d) static_cast<int32_t*>(t.mutable_raw_data())[d] = d;
  return t;
}

// The numbers of a literal in order, and the sizes of its braces.
struct Literal::Flat {
  Dims dims;
  bool complete = false;  // a number was reached, or empty braces: dims is final
  std::vector<const Literal*> numbers;
};

absl::Status Literal::Flatten(int depth, Flat* out) const {
  const auto rank = static_cast<int>(out->dims.size());
  if (kind_ != kList) {
    if (out->complete && depth != rank) {
      return Invalid("the braces are ragged: a number at depth ", depth, ", others at depth ",
                     rank);
    }
    out->complete = true;
    out->numbers.push_back(this);
    return absl::OkStatus();
  }
  const auto size = static_cast<int64_t>(items_.size());
  if (depth < rank) {
    if (out->dims[static_cast<size_t>(depth)] != size) {
      return Invalid("the braces are ragged: ", out->dims[static_cast<size_t>(depth)], " and ",
                     size, " items at depth ", depth + 1);
    }
  } else if (out->complete) {
    return Invalid("the braces are ragged: a list at depth ", depth, ", numbers beside it");
  } else {
    out->dims.push_back(size);
    if (size == 0) out->complete = true;
  }
  for (const Literal& item : items_) DUET_RETURN_IF_ERROR(item.Flatten(depth + 1, out));
  return absl::OkStatus();
}

absl::StatusOr<Tensor> Literal::ToTensor(DType dtype) const {
  Flat flat;
  DUET_RETURN_IF_ERROR(Flatten(0, &flat));
  bool any[kList] = {};
  bool wide = false;
  for (const Literal* n : flat.numbers) {
    any[n->kind_] = true;
    wide |= n->kind_ == kWide || n->integer_ < INT32_MIN || n->integer_ > INT32_MAX;
  }
  if (any[kBoolean] && (any[kByte] || any[kInteger] || any[kWide] || any[kReal])) {
    return Invalid("found bool and numbers in one literal, expected one kind");
  }
  if (dtype == kInvalid) {
    if (any[kBoolean]) {
      dtype = kBool;
    } else if (any[kReal] || flat.numbers.empty()) {
      dtype = kFloat32;
    } else if (any[kByte] && !any[kInteger] && !any[kWide]) {
      dtype = kUInt8;
    } else {
      dtype = wide ? kInt64 : kInt32;
    }
  }
  const Shape shape{absl::MakeConstSpan(flat.dims)};
  DUET_RETURN_IF_ERROR(shape.Validate());
  Tensor t = Tensor::Allocate(dtype, shape);
  absl::Status status;
  const bool known = VisitDType(dtype, [&](auto zero) {
    using T = decltype(zero);
    auto* out = static_cast<T*>(t.mutable_raw_data());
    for (const Literal* n : flat.numbers) {
      if constexpr (std::is_same_v<T, bool>) {
        if (n->kind_ != kBoolean) {
          status = Invalid("found a number, expected true or false for dtype bool");
        }
        *out++ = n->integer_ != 0;
      } else {
        const std::optional<T> value = n->overflows_          ? std::nullopt
                                       : n->kind_ == kReal    ? Exactly<T>(n->real_)
                                       : n->kind_ == kBoolean ? std::nullopt
                                                              : Exactly<T>(n->integer_);
        if (!value.has_value()) {
          const std::string number = n->overflows_       ? Str(static_cast<uint64_t>(n->integer_))
                                     : n->kind_ == kReal ? Str(n->real_)
                                     : n->kind_ == kBoolean
                                         ? std::string(n->integer_ != 0 ? "true" : "false")
                                         : Str(n->integer_);
          status = Invalid(Name(dtype), " cannot hold ", number);
        }
        *out++ = value.value_or(T{});
      }
    }
  });
  if (!known) return Invalid("a constant cannot have dtype ", Name(dtype));
  if (!status.ok()) return status;
  return t;
}

}  // namespace duet
