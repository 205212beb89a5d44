#include "tools/duet/difference.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <type_traits>

namespace duet::tool {
namespace {

// Finite values and infinities in the order of the reals, -0 and 0 alike.
template <class T>
int64_t Rank(T x) {
  using Bits = std::conditional_t<sizeof(T) == 4, int32_t, int64_t>;
  const Bits bits = std::bit_cast<Bits>(x);
  return bits >= 0 ? int64_t{bits} : -int64_t{bits & std::numeric_limits<Bits>::max()};
}

template <class T>
uint64_t Distance(T a, T b) {
  int64_t x, y;
  if constexpr (std::is_floating_point_v<T>) {
    if (std::isnan(a) || std::isnan(b)) return std::isnan(a) && std::isnan(b) ? 0 : kFarthest;
    x = Rank(a);
    y = Rank(b);
  } else {
    x = static_cast<int64_t>(a);
    y = static_cast<int64_t>(b);
  }
  return x > y ? static_cast<uint64_t>(x) - static_cast<uint64_t>(y)
               : static_cast<uint64_t>(y) - static_cast<uint64_t>(x);
}

}  // namespace

Difference DifferenceOf(const Tensor& a, const Tensor& b) {
  InternalCheck(a.dtype() == b.dtype() && a.shape() == b.shape(),
                "tensors of different types are compared");
  Difference difference;
  VisitDType(a.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const auto x = a.data<T>(), y = b.data<T>();
    for (size_t i = 0; i < x.size(); ++i) {
      if (std::memcmp(&x[i], &y[i], sizeof(T)) == 0) continue;
      if (difference.position < 0) difference.position = static_cast<int64_t>(i);
      difference.max_ulp = std::max(difference.max_ulp, Distance(x[i], y[i]));
    }
  });
  return difference;
}

}  // namespace duet::tool
