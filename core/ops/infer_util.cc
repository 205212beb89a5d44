#include "core/ops/infer_util.h"

#include <algorithm>

#include "core/dispatch.h"

namespace duet {

void Refuse(const absl::Status& status, std::string_view op, Location location) {
  const Location outer = CurrentDispatchState().location;
  ThrowError(status, op, outer.known() ? outer : location);
}

absl::Status CheckScalar(const InferContext& c, int i, std::string_view name) {
  if (c.shape(i).rank() == 0) return absl::OkStatus();
  return Invalid(name, " must be a scalar, found shape ", c.shape(i).ToString());
}

absl::Status CheckVector(const InferContext& c, int i, std::string_view name) {
  if (c.shape(i).rank() == 1) return absl::OkStatus();
  return Invalid(name, " must have rank 1, found shape ", c.shape(i).ToString());
}

absl::StatusOr<int> NormalizeAxis(int64_t axis, int rank, std::string_view name) {
  if (axis < -rank || axis >= rank) {
    return Invalid(name, " is ", axis, ", expected a value in [", -rank, ", ", rank,
                   ") for a tensor of rank ", rank);
  }
  return static_cast<int>(axis < 0 ? axis + rank : axis);
}

absl::StatusOr<std::vector<int>> HostAxes(InferContext& c, int i, int rank) {
  std::vector<int> axes;
  for (int64_t a : *c.HostInts(i)) {
    DUET_ASSIGN_OR_RETURN(const int axis, NormalizeAxis(a, rank, "axis"));
    if (std::find(axes.begin(), axes.end(), axis) != axes.end()) {
      return Invalid("axis ", axis, " is given twice");
    }
    axes.push_back(axis);
  }
  std::sort(axes.begin(), axes.end());
  return axes;
}

absl::StatusOr<Shape> HostShape(InferContext& c, int i, std::string_view name) {
  DUET_RETURN_IF_ERROR(CheckVector(c, i, name));
  const std::vector<int64_t>* sizes = c.HostInts(i);
  if (sizes == nullptr) {
    DUET_ASSIGN_OR_RETURN(const int rank, HostLength(c, i, name));
    return UnknownShape(rank);
  }
  Shape shape{absl::MakeConstSpan(*sizes)};
  DUET_RETURN_IF_ERROR(shape.Validate());
  return shape;
}

absl::StatusOr<int> HostLength(const InferContext& c, int i, std::string_view name) {
  const int64_t length = c.shape(i).num_elements();
  if (length < 0) {
    return Invalid("the rank of the result is not known: ", name, " has shape ",
                   c.shape(i).ToString(), " and no value while recording; give it a known length");
  }
  if (length > kMaxRank) {
    return Invalid(name, " has ", length, " elements, over the largest rank, ", kMaxRank);
  }
  return static_cast<int>(length);
}

Shape UnknownShape(int rank) {
  Shape shape;
  for (int d = 0; d < rank; ++d) shape.AddDim(-1);
  return shape;
}

int64_t SizeProduct(int64_t a, int64_t b) {
  if (a < 0 || b < 0) return -1;
  int64_t product = 0;
  return __builtin_mul_overflow(a, b, &product) ? -1 : product;
}

}  // namespace duet
