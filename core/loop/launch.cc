#include "core/loop/launch.h"

#include <algorithm>

#include "core/strings.h"

namespace duet::loop {
namespace {

// A dimension of the collapsed space: adjacent dimensions that every operand and output walks with
// one stride. Strides are in elements, operands first.
struct Dim {
  int64_t size = 1;
  absl::InlinedVector<int64_t, 8> strides;
};
using DimList = absl::InlinedVector<Dim, 4>;

bool UsesIndex(const Body& body) {
  return std::any_of(body.instrs.begin(), body.instrs.end(),
                     [](const Instr& i) { return i.code == Code::kIndexInner; });
}

class Planner {
 public:
  Planner(const Body& body, const Space& space, absl::Span<const Strides> operands,
          absl::Span<const Strides> outputs)
      : body_(body), space_(space), operands_(operands), outputs_(outputs) {}

  absl::Status Plan(StrideClasses* inner, Launch* launch);

 private:
  size_t count() const { return operands_.size() + outputs_.size(); }
  int64_t stride(size_t k, int d) const {
    return k < operands_.size() ? operands_[k][d] : outputs_[k - operands_.size()][d];
  }
  int64_t element_size(size_t k) const {
    return static_cast<int64_t>(SizeOf(
        k < operands_.size() ? body_.operands[k]
                             : body_.instrs[body_.outputs[k - operands_.size()].value].dtype));
  }

  absl::Status CheckArguments() const;
  // Collapses the dimensions [begin, end). Sizes of 1 are dropped; with `keep_one` a dimension
  // stays even if all are 1, the outermost: it is the one that a batch size is likely to be.
  DimList Collapse(int begin, int end, bool keep_one) const;
  void Split();
  absl::Status CheckReduced();
  absl::Status Finish(StrideClasses* inner, Launch* launch);

  const Body& body_;
  const Space& space_;
  absl::Span<const Strides> operands_, outputs_;
  DimList outer_, reduced_;
  Dim rows_, inner_;
};

absl::Status Planner::CheckArguments() const {
  const int rank = space_.shape.rank();
  if (operands_.size() != body_.operands.size() || outputs_.size() != body_.outputs.size()) {
    return absl::InvalidArgumentError(Str("a body with ", body_.operands.size(), " operands and ",
                                          body_.outputs.size(), " outputs was given strides for ",
                                          operands_.size(), " and ", outputs_.size()));
  }
  for (size_t k = 0; k < count(); ++k) {
    const Strides& s = k < operands_.size() ? operands_[k] : outputs_[k - operands_.size()];
    if (static_cast<int>(s.size()) != rank) {
      return absl::InvalidArgumentError(
          Str("strides of ", s.size(), " dimensions for a space of rank ", rank));
    }
  }
  if (body_.axis == Axis::kNone) return absl::OkStatus();
  if (space_.reduce_begin < 0 || space_.reduce_begin > space_.reduce_end ||
      space_.reduce_end > rank || (body_.axis == Axis::kInner && space_.reduce_end != rank)) {
    return absl::InvalidArgumentError(Str("the dimensions from ", space_.reduce_begin, " to ",
                                          space_.reduce_end, " of a space of rank ", rank,
                                          " cannot be reduced by this body"));
  }
  return absl::OkStatus();
}

DimList Planner::Collapse(int begin, int end, bool keep_one) const {
  DimList dims;
  const size_t n = count();
  for (int d = begin; d < end; ++d) {
    const int64_t size = space_.shape.dim(d);
    // Keep_one's dimension is replaced by the first one that is not of size 1.
    const bool placeholder = dims.size() == 1 && dims[0].size == 1;
    if (size == 1 && !(keep_one && dims.empty())) continue;
    bool merges = !dims.empty() && !placeholder;
    if (merges) {
      const Dim& last = dims.back();
      for (size_t k = 0; k < n && merges; ++k) {
        merges = last.strides[k] == stride(k, d) * std::max<int64_t>(size, 1);
      }
    }
    if (!merges && !placeholder) dims.emplace_back();
    Dim& dim = dims.back();
    dim.size = merges ? dim.size * size : size;
    dim.strides.resize(n);
    for (size_t k = 0; k < n; ++k) dim.strides[k] = stride(k, d);
  }
  return dims;
}

// Distributes the dimensions over outer, rows and inner.
void Planner::Split() {
  const int rank = space_.shape.rank();
  rows_.strides.assign(count(), 0);
  inner_.strides.assign(count(), 1);
  // The position along inner counts in the last dimension alone.
  const bool index = UsesIndex(body_) && rank > 0;
  switch (body_.axis) {
    case Axis::kNone: {
      if (index) {
        outer_ = Collapse(0, rank - 1, false);
        inner_ = Collapse(rank - 1, rank, true)[0];
      } else {
        outer_ = Collapse(0, rank, true);
        if (!outer_.empty()) {
          inner_ = std::move(outer_.back());
          outer_.pop_back();
        }
      }
      break;
    }
    case Axis::kInner:
      outer_ = Collapse(0, space_.reduce_begin, false);
      reduced_ = Collapse(space_.reduce_begin, rank, true);
      if (!reduced_.empty()) inner_ = reduced_.back();
      break;
    case Axis::kRows: {
      outer_ = Collapse(0, space_.reduce_begin, false);
      reduced_ = Collapse(space_.reduce_begin, space_.reduce_end, true);
      if (!reduced_.empty()) rows_ = reduced_.back();
      const int end = space_.reduce_end;
      const int split = index && end < rank ? rank - 1 : end;
      for (Dim& d : Collapse(end, split, false)) outer_.push_back(std::move(d));
      DimList after = Collapse(split, rank, true);
      for (size_t i = 0; i + 1 < after.size(); ++i) outer_.push_back(std::move(after[i]));
      if (!after.empty()) inner_ = std::move(after.back());
      return;
    }
  }
  if (!outer_.empty()) {
    rows_ = std::move(outer_.back());
    outer_.pop_back();
  }
}

// The reduced loop is one dimension, and what does not vary along it has stride 0.
absl::Status Planner::CheckReduced() {
  if (body_.axis == Axis::kNone) return absl::OkStatus();
  if (reduced_.size() > 1) {
    return absl::FailedPreconditionError(
        Str("the reduced dimensions of ", space_.shape.ToString(), " do not collapse into one"));
  }
  Dim& loop = body_.axis == Axis::kInner ? inner_ : rows_;
  const std::vector<bool> reduced_level = ReducedLevel(body_);
  for (size_t k = 0; k < count(); ++k) {
    const bool varies = k < operands_.size()
                            ? k < body_.varies.size() && body_.varies[k]
                            : !reduced_level[body_.outputs[k - operands_.size()].value];
    if (varies) continue;
    // An output is stored once per row (or column) even where the loop is empty, and one with a
    // stride has no element there.
    const bool empty_output = loop.size == 0 && k >= operands_.size();
    if ((loop.size > 1 || empty_output) && loop.strides[k] != 0) {
      return absl::FailedPreconditionError(
          Str(k < operands_.size() ? "operand " : "output ",
              k < operands_.size() ? k : k - operands_.size(),
              " of a reduction does not vary along the reduced dimensions but has the stride ",
              loop.strides[k], " there"));
    }
    loop.strides[k] = 0;
  }
  return absl::OkStatus();
}

absl::Status Planner::Finish(StrideClasses* inner, Launch* launch) {
  launch->rows = rows_.size;
  launch->inner = inner_.size;
  launch->outer.clear();
  for (const Dim& d : outer_) launch->outer.push_back(d.size);
  launch->layouts.resize(count());
  inner->resize(operands_.size());
  for (size_t k = 0; k < count(); ++k) {
    const int64_t stride = inner_.strides[k];
    if (k < operands_.size()) {
      (*inner)[k] = stride == 0 ? Stride::kZero : stride == 1 ? Stride::kUnit : Stride::kAny;
    } else if (inner_.size > 1 && stride != 1 && !(body_.axis == Axis::kInner && stride == 0)) {
      return absl::FailedPreconditionError(
          Str("output ", k - operands_.size(), " has the stride ", stride,
              " along the innermost dimension; outputs are contiguous there"));
    }
    const int64_t bytes = element_size(k);
    Launch::Layout& layout = launch->layouts[k];
    layout.row = rows_.strides[k] * bytes;
    layout.inner = stride * bytes;
    layout.outer.clear();
    for (const Dim& d : outer_) layout.outer.push_back(d.strides[k] * bytes);
  }
  return absl::OkStatus();
}

absl::Status Planner::Plan(StrideClasses* inner, Launch* launch) {
  if (absl::Status s = CheckArguments(); !s.ok()) return s;
  Split();
  if (absl::Status s = CheckReduced(); !s.ok()) return s;
  return Finish(inner, launch);
}

// True if a unit of work is a row, false if it is a block of kLanes inner positions.
bool UnitsAreRows(Axis axis, const Launch& launch) {
  return axis == Axis::kInner || (axis == Axis::kNone && launch.rows > 1);
}

int64_t UnitsPerOuter(Axis axis, const Launch& launch) {
  return UnitsAreRows(axis, launch) ? launch.rows : (launch.inner + kLanes - 1) / kLanes;
}

int64_t Product(absl::Span<const int64_t> sizes) {
  int64_t n = 1;
  for (int64_t s : sizes) n *= s;
  return n;
}

// Up to this many operands and outputs the arguments of a kernel are put together on the stack.
constexpr size_t kFewPointers = 16;

// Runs a part of the units of a launch with outer dimensions, or a part of one without.
void RunPart(KernelFn fn, Axis axis, const Launch& launch, absl::Span<void* const> pointers,
             KernelArgs args, int64_t begin, int64_t end) {
  const size_t n = launch.layouts.size();
  const bool by_rows = UnitsAreRows(axis, launch);
  const int64_t per_outer = UnitsPerOuter(axis, launch);
  absl::InlinedVector<void*, kFewPointers> advanced(n);
  args.pointers = advanced.data();
  absl::InlinedVector<int64_t, 4> position(launch.outer.size());
  int64_t rest = begin / per_outer;
  for (size_t d = launch.outer.size(); d-- > 0;) {
    position[d] = rest % launch.outer[d];
    rest /= launch.outer[d];
  }
  int64_t first = begin % per_outer;
  while (begin < end) {
    const int64_t units = std::min(per_outer - first, end - begin);
    for (size_t k = 0; k < n; ++k) {
      const Launch::Layout& layout = launch.layouts[k];
      int64_t offset = first * (by_rows ? layout.row : layout.inner * kLanes);
      for (size_t d = 0; d < position.size(); ++d) offset += position[d] * layout.outer[d];
      // In integers, because an operand without elements may be null.
      advanced[k] = reinterpret_cast<void*>(reinterpret_cast<uintptr_t>(pointers[k]) + offset);
    }
    if (by_rows) {
      args.rows = units;
    } else {
      args.index_base = first * kLanes;
      args.inner = std::min(units * kLanes, launch.inner - args.index_base);
    }
    fn(&args);
    begin += units;
    first = 0;
    for (size_t d = position.size(); d-- > 0;) {
      if (++position[d] < launch.outer[d]) break;
      position[d] = 0;
    }
  }
}

}  // namespace

Strides BroadcastStrides(const Shape& shape, const Shape& space) {
  Strides strides(space.rank(), 0);
  const int skip = space.rank() - shape.rank();
  int64_t stride = 1;
  for (int d = shape.rank() - 1; d >= 0; --d) {
    if (shape.dim(d) == space.dim(skip + d)) strides[skip + d] = stride;
    stride *= std::max<int64_t>(shape.dim(d), 1);
  }
  return strides;
}

int64_t Launch::points() const { return rows * inner * Product(outer); }

absl::Status PlanLaunch(const Body& body, const Space& space, absl::Span<const Strides> operands,
                        absl::Span<const Strides> outputs, StrideClasses* inner, Launch* launch) {
  return Planner(body, space, operands, outputs).Plan(inner, launch);
}

absl::Status PlanLaunch(const Body& body, const Space& space, absl::Span<const Strides> operands,
                        absl::Span<const Strides> outputs, Program* program, Launch* launch) {
  StrideClasses classes;
  absl::Status status = PlanLaunch(body, space, operands, outputs, &classes, launch);
  if (!status.ok()) return status;
  program->body = body;
  program->inner.assign(classes.begin(), classes.end());
  return absl::OkStatus();
}

int64_t NumUnits(Axis axis, const Launch& launch) {
  return UnitsPerOuter(axis, launch) * Product(launch.outer);
}

bool OpenRows(int64_t rows, int64_t inner, Launch* launch) {
  if (!launch->outer.empty()) return false;
  if (launch->rows == rows && launch->inner == inner) return true;
  if (launch->rows != 1 || launch->inner != rows * inner) return false;
  launch->rows = rows;
  launch->inner = inner;
  for (Launch::Layout& layout : launch->layouts) layout.row = layout.inner * inner;
  return true;
}

void RunUnits(KernelFn fn, Axis axis, const Launch& launch, absl::Span<void* const> pointers,
              int64_t begin, int64_t end) {
  if (begin >= end) return;
  const size_t n = launch.layouts.size();
  int64_t few[2 * kFewPointers];
  std::vector<int64_t> many;
  int64_t* strides = few;
  if (n > kFewPointers) {
    many.resize(2 * n);
    strides = many.data();
  }
  for (size_t k = 0; k < n; ++k) {
    strides[k] = launch.layouts[k].row;
    strides[n + k] = launch.layouts[k].inner;
  }
  KernelArgs args{.rows = launch.rows,
                  .inner = launch.inner,
                  .index_base = 0,
                  .pointers = pointers.data(),
                  .row_strides = strides,
                  .inner_strides = strides + n};
  if (launch.outer.empty() && begin == 0 && end == UnitsPerOuter(axis, launch)) {
    fn(&args);
  } else {
    RunPart(fn, axis, launch, pointers, args, begin, end);
  }
}

}  // namespace duet::loop
