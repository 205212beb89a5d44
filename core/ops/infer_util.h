// Pieces of shape rules: host values, axes, and messages that say what was found.
#ifndef DUET_CORE_OPS_INFER_UTIL_H_
#define DUET_CORE_OPS_INFER_UTIL_H_

#include <cstdint>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "core/error.h"
#include "core/op_def.h"
#include "core/strings.h"

namespace duet {

template <class... T>
absl::Status Invalid(const T&... parts) {
  return absl::InvalidArgumentError(Str(parts...));
}

// Throws an error of a public function, at the user's call.
[[noreturn]] void Refuse(const absl::Status& status, std::string_view op, Location location);

// InvalidArgument unless input `i` (called `name` in the message) has rank 0 / rank 1.
absl::Status CheckScalar(const InferContext& c, int i, std::string_view name);
absl::Status CheckVector(const InferContext& c, int i, std::string_view name);

// `axis` counted from the front, for a tensor of rank `rank`; InvalidArgument if out of [-rank,
// rank).
absl::StatusOr<int> NormalizeAxis(int64_t axis, int rank, std::string_view name);

// The axes in host input `i` (rank 0 or 1), counted from the front, sorted; InvalidArgument if one
// is out of range or there twice. The values must be known.
absl::StatusOr<std::vector<int>> HostAxes(InferContext& c, int i, int rank);

// The shape of a result whose sizes are the elements of host input `i`: checked, or if its value is
// not known yet as many unknown sizes as it has elements.
absl::StatusOr<Shape> HostShape(InferContext& c, int i, std::string_view name);

// How many elements host input `i` (rank 0 or 1) has; InvalidArgument if that is not known.
absl::StatusOr<int> HostLength(const InferContext& c, int i, std::string_view name);

// `rank` unknown sizes.
Shape UnknownShape(int rank);

// a * b for sizes; -1 (unknown) if one of them is unknown. The caller has validated the shapes.
int64_t SizeProduct(int64_t a, int64_t b);

}  // namespace duet

#endif  // DUET_CORE_OPS_INFER_UTIL_H_
