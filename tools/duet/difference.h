// How far two tensors are apart.
#ifndef DUET_TOOLS_DUET_DIFFERENCE_H_
#define DUET_TOOLS_DUET_DIFFERENCE_H_

#include <cstdint>

#include "core/tensor.h"

namespace duet::tool {

struct Difference {
  // The largest distance of two elements: the number of values of the type between them and one
  // more; of integers their difference. kFarthest where one is NaN and the other is not.
  uint64_t max_ulp = 0;
  int64_t position = -1;  // of the first element that differs in its bits, row-major; -1: none
  bool same_bits() const { return position < 0; }
};
inline constexpr uint64_t kFarthest = UINT64_MAX;

// Of two values of one dtype and shape. -0 and 0 are 0 ULP apart, and so are two NaNs.
Difference DifferenceOf(const Tensor& a, const Tensor& b);

}  // namespace duet::tool

#endif  // DUET_TOOLS_DUET_DIFFERENCE_H_
