// The dimensions of a tensor.
#ifndef DUET_CORE_SHAPE_H_
#define DUET_CORE_SHAPE_H_

#include <cstdint>
#include <cstring>
#include <initializer_list>
#include <string>
#include <utility>

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
  Shape(std::initializer_list<int64_t> dims)
      : Shape(absl::Span<const int64_t>(dims.begin(), dims.size())) {}
  explicit Shape(absl::Span<const int64_t> dims) { Assign(dims); }
  Shape(const Shape& o) : rank_(o.rank_) {
    if (o.heap_ == nullptr) {
      std::memcpy(inline_, o.inline_, sizeof(inline_));
    } else {
      Assign(o.dims());
    }
  }
  Shape(Shape&& o) noexcept : rank_(o.rank_), heap_(std::exchange(o.heap_, nullptr)) {
    std::memcpy(inline_, o.inline_, sizeof(inline_));
    if (heap_ != nullptr) o.rank_ = 0;
  }
  Shape& operator=(const Shape& o) {
    if (heap_ == nullptr && o.heap_ == nullptr) {
      rank_ = o.rank_;
      std::memcpy(inline_, o.inline_, sizeof(inline_));
    } else if (this != &o) {
      Assign(o.dims());
    }
    return *this;
  }
  Shape& operator=(Shape&& o) noexcept {
    std::swap(rank_, o.rank_);
    std::swap(heap_, o.heap_);
    std::swap(inline_, o.inline_);
    return *this;
  }
  ~Shape() { delete[] heap_; }

  int rank() const { return rank_; }
  int64_t dim(int i) const { return data()[i]; }
  void set_dim(int i, int64_t size) { data()[i] = size; }
  void AddDim(int64_t size);
  absl::Span<const int64_t> dims() const { return {data(), static_cast<size_t>(rank_)}; }

  // True when no size is unknown.
  bool IsFullyDefined() const {
    for (int64_t d : dims()) {
      if (d < 0) return false;
    }
    return true;
  }
  // The product of the sizes (1 for rank 0), or -1 if a size is unknown.
  int64_t num_elements() const {
    int64_t n = 1;
    for (int64_t d : dims()) {
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

  friend bool operator==(const Shape& a, const Shape& b) {
    if (a.rank_ != b.rank_) return false;
    const int64_t *x = a.data(), *y = b.data();
    for (int i = 0; i < a.rank_; ++i) {
      if (x[i] != y[i]) return false;
    }
    return true;
  }
  template <class H>
  friend H AbslHashValue(H h, const Shape& s) {
    return H::combine(std::move(h), s.dims());
  }

 private:
  // Sizes of up to this many dimensions live in the shape itself: shapes are copied for every call
  // of an op, and these few words are copied without a look at the rank.
  static constexpr int kInline = 4;
  const int64_t* data() const { return heap_ == nullptr ? inline_ : heap_; }
  int64_t* data() { return heap_ == nullptr ? inline_ : heap_; }
  void Assign(absl::Span<const int64_t> dims);

  int rank_ = 0;
  int64_t* heap_ = nullptr;  // of exactly rank_ elements when rank_ > kInline
  int64_t inline_[kInline] = {};
};

// The NumPy broadcast of two shapes. An unknown size beside a size other than 1 gives that size;
// beside 1 or unknown it stays unknown. InvalidArgument if sizes differ and neither is 1.
absl::StatusOr<Shape> BroadcastShapes(const Shape& a, const Shape& b);

// Row-major strides in elements.
Dims ContiguousStrides(const Shape& shape);

}  // namespace duet

#endif  // DUET_CORE_SHAPE_H_
