#include "core/shape.h"

#include <algorithm>
#include <limits>

#include "absl/strings/str_join.h"
#include "core/strings.h"

namespace duet {

void Shape::Assign(absl::Span<const int64_t> dims) {
  // Copied first: `dims` may be this shape's own.
  int64_t* heap = dims.size() > kInline ? new int64_t[dims.size()] : nullptr;
  std::copy(dims.begin(), dims.end(), heap == nullptr ? inline_ : heap);
  delete[] std::exchange(heap_, heap);
  rank_ = static_cast<int>(dims.size());
}

void Shape::AddDim(int64_t size) {
  if (rank_ < kInline) {
    inline_[rank_++] = size;
    return;
  }
  Dims longer(dims().begin(), dims().end());
  longer.push_back(size);
  Assign(longer);
}

absl::Status Shape::Validate(bool allow_unknown) const {
  // Nearly every shape is small.
  bool small = rank_ <= kInline;
  for (int i = 0; small && i < rank_; ++i) small = inline_[i] >= 0 && inline_[i] < (1 << 14);
  if (small) return absl::OkStatus();
  if (rank() > kMaxRank) {
    return absl::InvalidArgumentError(
        Str("a shape of rank ", rank(), " is over the largest rank, ", kMaxRank));
  }
  int64_t product = 8;
  for (int64_t d : dims()) {
    if (d < (allow_unknown ? -1 : 0)) {
      return absl::InvalidArgumentError(
          Str("shape [", absl::StrJoin(dims(), ","), "] has the negative size ", d));
    }
    if (d > 0 && __builtin_mul_overflow(product, d, &product)) {
      return absl::InvalidArgumentError(
          Str("shape ", ToString(), " has more elements than memory can address"));
    }
  }
  return absl::OkStatus();
}

bool Shape::IsCompatibleWith(const Shape& other) const {
  if (rank() != other.rank()) return false;
  for (int i = 0; i < rank(); ++i) {
    if (dim(i) >= 0 && other.dim(i) >= 0 && dim(i) != other.dim(i)) return false;
  }
  return true;
}

std::string Shape::ToString() const {
  return Str("[",
             absl::StrJoin(dims(), ",",
                           [](std::string* out, int64_t d) {
                             if (d == -1) {
                               out->push_back('?');
                             } else {
                               AppendTo(out, d);
                             }
                           }),
             "]");
}

absl::StatusOr<Shape> BroadcastShapes(const Shape& a, const Shape& b) {
  const Shape& longer = a.rank() >= b.rank() ? a : b;
  const Shape& shorter = a.rank() >= b.rank() ? b : a;
  Shape out = longer;
  const int skip = longer.rank() - shorter.rank();
  for (int i = 0; i < shorter.rank(); ++i) {
    const int64_t x = longer.dim(skip + i), y = shorter.dim(i);
    if (x == y || y == 1) continue;
    if (x == 1) {
      out.set_dim(skip + i, y);
    } else if (x < 0) {
      out.set_dim(skip + i, y);
    } else if (y >= 0) {
      return absl::InvalidArgumentError(
          Str("shapes ", a.ToString(), " and ", b.ToString(),
              " do not broadcast: sizes must be equal or 1, counted from the right"));
    }
  }
  return out;
}

Dims ContiguousStrides(const Shape& shape) {
  Dims strides(shape.rank());
  int64_t stride = 1;
  for (int i = shape.rank() - 1; i >= 0; --i) {
    strides[i] = stride;
    stride *= std::max<int64_t>(shape.dim(i), 1);
  }
  return strides;
}

}  // namespace duet
