#include "compiler/access.h"

#include <algorithm>
#include <utility>

#include "absl/status/status.h"

namespace duet::compiler {
namespace {

absl::Status NoStrides() {
  return absl::FailedPreconditionError("a view of a view that no strides describe");
}

// Strides over `out_shape` that visit the elements of (`in_shape`, `strides`) in row-major order:
// runs of dimensions that multiply to the same size are matched, and inside a run the input must be
// walked with one stride.
absl::StatusOr<loop::Strides> Reshaped(const loop::Strides& strides, const Shape& in_shape,
                                       const Shape& out_shape) {
  loop::Strides result(static_cast<size_t>(out_shape.rank()), 0);
  if (in_shape.num_elements() == 0) return RowMajor(out_shape);
  int i = in_shape.rank(), o = out_shape.rank();
  while (i > 0 || o > 0) {
    // One run, from the innermost side.
    int64_t in_size = 1, out_size = 1;
    const int i_end = i, o_end = o;
    do {
      if (in_size <= out_size && i > 0) {
        in_size *= in_shape.dim(--i);
      } else if (o > 0) {
        out_size *= out_shape.dim(--o);
      } else if (i > 0) {
        in_size *= in_shape.dim(--i);
      } else {
        break;
      }
    } while (in_size != out_size);
    int64_t stride = -1;  // of the run's innermost dimension that is not of size 1
    int64_t next = 0;
    for (int d = i_end; d-- > i;) {
      const int64_t size = in_shape.dim(d);
      if (size == 1) continue;
      const int64_t found = strides[static_cast<size_t>(d)];
      if (stride < 0) {
        stride = found;
      } else if (found != next) {
        return NoStrides();
      }
      next = found * size;
    }
    if (stride < 0) {
      stride = i_end > i ? strides[static_cast<size_t>(i_end - 1)] : 0;
    }
    for (int d = o_end; d-- > o;) {
      result[static_cast<size_t>(d)] = stride;
      stride *= out_shape.dim(d);
    }
  }
  return result;
}

}  // namespace

loop::Strides RowMajor(const Shape& shape) {
  const Dims dims = ContiguousStrides(shape);
  return loop::Strides(dims.begin(), dims.end());
}

bool SameWalk(const loop::Strides& a, const loop::Strides& b, const Shape& shape) {
  if (a.size() != b.size()) return false;
  for (int d = 0; d < shape.rank(); ++d) {
    if (shape.dim(d) > 1 && a[static_cast<size_t>(d)] != b[static_cast<size_t>(d)]) return false;
  }
  return true;
}

absl::StatusOr<Access> Through(const Access& access, const Shape& in_shape, const ViewMap& view,
                               const Shape& out_shape) {
  Access result{access.source, access.offset, {}, true};
  const loop::Strides in_strides = RowMajor(in_shape);
  if (SameWalk(access.strides, in_strides, in_shape)) {
    result.offset += view.reshape ? 0 : view.offset;
    result.strides = view.reshape ? RowMajor(out_shape) : view.strides;
    return result;
  }
  if (view.reshape) {
    DUET_ASSIGN_OR_RETURN(result.strides, Reshaped(access.strides, in_shape, out_shape));
    return result;
  }
  // Each dimension of the view must walk along one dimension of `in_shape` without leaving it: its
  // stride there, times the step, is the stride of the composition.
  result.strides.assign(static_cast<size_t>(out_shape.rank()), 0);
  if (out_shape.num_elements() == 0) return result;
  loop::Strides last(in_strides.size(), 0);  // the largest position reached in each dimension
  int64_t rest = view.offset;
  for (int j = 0; j < in_shape.rank(); ++j) {
    const auto k = static_cast<size_t>(j);
    last[k] = rest / in_strides[k];
    rest %= in_strides[k];
    result.offset += last[k] * access.strides[k];
  }
  for (int d = 0; d < out_shape.rank(); ++d) {
    const int64_t step = view.strides[static_cast<size_t>(d)];
    if (step == 0 || out_shape.dim(d) == 1) continue;
    if (step < 0) return NoStrides();
    int j = 0;
    while (j < in_shape.rank() &&
           (in_shape.dim(j) == 1 || in_strides[static_cast<size_t>(j)] > step)) {
      ++j;
    }
    if (j == in_shape.rank()) return NoStrides();
    const auto k = static_cast<size_t>(j);
    if (step % in_strides[k] != 0) return NoStrides();
    const int64_t steps = step / in_strides[k];
    last[k] += steps * (out_shape.dim(d) - 1);
    if (last[k] >= in_shape.dim(j)) return NoStrides();
    result.strides[static_cast<size_t>(d)] = steps * access.strides[k];
  }
  return result;
}

}  // namespace duet::compiler
