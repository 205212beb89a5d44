// Arguments of public ops that are not tensors alone: literals for Constant, lists of integers that
// decide shapes, axes, and lists of operands.
#ifndef DUET_CORE_OPS_VALUES_H_
#define DUET_CORE_OPS_VALUES_H_

#include <concepts>
#include <cstdint>
#include <initializer_list>
#include <source_location>
#include <type_traits>
#include <utility>
#include <vector>

#include "absl/types/span.h"
#include "core/dispatch.h"
#include "core/tensor.h"

namespace duet {

// Integers that decide a shape (sizes, axes, positions): a list, or a tensor of rank 1 that has
// them when the op runs.
class Ints {
 public:
  Ints() = default;
  Ints(std::initializer_list<int64_t> values) : values_(values) {}  // NOLINT: implicit
  Ints(const std::vector<int64_t>& values) : values_(values.begin(), values.end()) {}  // NOLINT
  Ints(const std::vector<int>& values) : values_(values.begin(), values.end()) {}      // NOLINT
  Ints(const Shape& shape) : values_(shape.dims().begin(), shape.dims().end()) {}      // NOLINT
  Ints(const Tensor& tensor) : tensor_(tensor), is_tensor_(true) {}                    // NOLINT

  bool is_tensor() const { return is_tensor_; }
  absl::Span<const int64_t> values() const { return values_; }
  // An int32 vector, or int64 if a value needs it.
  Tensor AsTensor() const;

 private:
  Dims values_;
  Tensor tensor_;
  bool is_tensor_ = false;
};

// The axes an op works along; negative ones count from the end. By default all.
class Axes {
 public:
  Axes() : all_(true) {}
  Axes(std::initializer_list<int64_t> axes) : axes_(axes) {}  // NOLINT: implicit
  Axes(const std::vector<int64_t>& axes) : axes_(axes) {}     // NOLINT
  Axes(const Tensor& axes) : axes_(axes) {}                   // NOLINT
  template <std::integral T>
  requires(!std::same_as<T, bool>) Axes(T axis)  // NOLINT
      : axes_({static_cast<int64_t>(axis)}) {}

  // An int32 vector; `rank` is that of the tensor the op works on.
  Tensor AsTensor(int rank) const;

 private:
  Ints axes_;
  bool all_ = false;
};

// A list of operands: {a, b, 1} or a std::vector<Tensor>.
class Operands {
 public:
  Operands(std::initializer_list<Operand> operands,
           std::source_location loc = std::source_location::current())
      : operands_(operands), location_(loc) {}
  Operands(const std::vector<Tensor>& tensors,  // NOLINT: implicit
           std::source_location loc = std::source_location::current())
      : location_(loc) {
    for (const Tensor& t : tensors) operands_.emplace_back(t, loc);
  }
  absl::Span<const Operand> get() const { return operands_; }
  Location location() const { return location_; }

 private:
  std::vector<Operand> operands_;
  Location location_;
};

// A number, or nested braces of numbers: 1.5, {1, 2}, {{1, 2}, {3, 4}}.
class Literal {
 public:
  template <class T>
  requires(std::is_arithmetic_v<T>) Literal(T value) : kind_(KindOf<T>()) {  // NOLINT: implicit
    if constexpr (std::is_floating_point_v<T>) {
      real_ = static_cast<double>(value);
    } else {
      overflows_ =
          std::is_unsigned_v<T> && sizeof(T) == 8 && static_cast<uint64_t>(value) > INT64_MAX;
      integer_ = static_cast<int64_t>(value);
    }
  }
  Literal(std::initializer_list<Literal> items) : kind_(kList), items_(items) {}  // NOLINT

  // The tensor: of `dtype`, or if that is kInvalid of the dtype that the numbers have: bool; uint8
  // if all are uint8_t; int32, or int64 if one is of a 64-bit type or needs it; float32 if one is
  // real. InvalidArgument if the braces are ragged or a number does not fit.
  absl::StatusOr<Tensor> ToTensor(DType dtype) const;

 private:
  enum Kind : uint8_t { kBoolean, kByte, kInteger, kWide, kReal, kList };
  template <class T>
  static constexpr Kind KindOf() {
    if (std::is_same_v<T, bool>) return kBoolean;
    if (std::is_floating_point_v<T>) return kReal;
    if (std::is_same_v<T, uint8_t>) return kByte;
    return sizeof(T) == 8 ? kWide : kInteger;
  }
  struct Flat;
  absl::Status Flatten(int depth, Flat* out) const;

  Kind kind_;
  bool overflows_ = false;
  int64_t integer_ = 0;
  double real_ = 0;
  std::vector<Literal> items_;
};

}  // namespace duet

#endif  // DUET_CORE_OPS_VALUES_H_
