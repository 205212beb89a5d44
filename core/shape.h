// The dimensions of a tensor.
#ifndef DUET_CORE_SHAPE_H_
#define DUET_CORE_SHAPE_H_

#include <cstdint>
#include <initializer_list>
#include <string>

#include "absl/container/inlined_vector.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"

namespace duet {

inline constexpr int kMaxRank = 254;
using Dims = absl::InlinedVector<int64_t, 4>;

// The sizes of a tensor's dimensions, outermost first. A size of -1 is unknown (graphs only).
//
// Constructing a Shape does not check it: sizes that come from a user or a file go through
// Validate(), after which num_elements() and byte counts cannot overflow.
class Shape {
 public:
  Shape() = default;
  Shape(std::initializer_list<int64_t> dims) : dims_(dims) {}
  explicit Shape(absl::Span<const int64_t> dims) : dims_(dims.begin(), dims.end()) {}

  int rank() const { return static_cast<int>(dims_.size()); }
  int64_t dim(int i) const { return dims_[i]; }
  void set_dim(int i, int64_t size) { dims_[i] = size; }
  void AddDim(int64_t size) { dims_.push_back(size); }
  absl::Span<const int64_t> dims() const { return dims_; }

  // True when no size is unknown.
  bool IsFullyDefined() const {
    for (int64_t d : dims_) {
      if (d < 0) return false;
    }
    return true;
  }
  // The product of the sizes (1 for rank 0), or -1 if a size is unknown.
  int64_t num_elements() const {
    int64_t n = 1;
    for (int64_t d : dims_) {
      if (d < 0) return -1;
      n *= d;
    }
    return n;
  }
  // InvalidArgument if the rank is over kMaxRank, a size is below -1 (below 0 unless
  // `allow_unknown`), or the product of the non-zero sizes times 8 bytes does not fit an int64.
  absl::Status Validate(bool allow_unknown = false) const;

  // True if each size equals the other's or one of the two is unknown.
  bool IsCompatibleWith(const Shape& other) const;

  std::string ToString() const;  // "[2,3]", "[?,3]", "[]"

  friend bool operator==(const Shape& a, const Shape& b) { return a.dims_ == b.dims_; }
  template <class H>
  friend H AbslHashValue(H h, const Shape& s) {
    return H::combine(std::move(h), s.dims_);
  }

 private:
  Dims dims_;
};

// The NumPy broadcast of two shapes. An unknown size beside a size other than 1 gives that size;
// beside 1 or unknown it stays unknown. InvalidArgument if sizes differ and neither is 1.
absl::StatusOr<Shape> BroadcastShapes(const Shape& a, const Shape& b);

// Row-major strides in elements.
Dims ContiguousStrides(const Shape& shape);

}  // namespace duet

#endif  // DUET_CORE_SHAPE_H_
