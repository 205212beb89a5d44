// Tensor: a value handle. Copying one copies a pointer; the elements never change.
#ifndef DUET_CORE_TENSOR_H_
#define DUET_CORE_TENSOR_H_

#include <atomic>
#include <cstdint>
#include <memory>
#include <ostream>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "absl/types/span.h"
#include "core/allocator.h"
#include "core/dtype.h"
#include "core/error.h"
#include "core/shape.h"

namespace duet {

class Tensor;

// What a recorder puts behind the tensors it hands out. Reference counted, because a symbolic
// tensor may outlive the scope it was recorded in.
class SymbolSource {
 public:
  virtual ~SymbolSource() = default;
  // "name:output" of a node's output.
  virtual std::string TensorName(int32_t node, int32_t output) const = 0;
  // The value of a node's output if it is known while recording (a constant, the shape of a tensor
  // with known sizes, ...); null if not. The pointer lives as long as the source.
  virtual const Tensor* StaticValue(int32_t node, int32_t output) const = 0;
  // Where the user made the call that the node records.
  virtual Location SourceLocation(int32_t node) const = 0;
};

// What a kResource tensor points to: a variable's state (see eager/variable.h).
class Resource {
 public:
  virtual ~Resource() = default;
};

// A multi-dimensional array, or, while recording, the symbol of one ("the second output of node
// 7").
//
// Tensors are immutable values and safe to read from several threads. A default-constructed Tensor
// is undefined. Elements are row-major and contiguous.
class Tensor {
 public:
  Tensor() = default;
  Tensor(const Tensor& o) : rep_(o.rep_) {
    if (rep_) rep_->refs.fetch_add(1, std::memory_order_relaxed);
  }
  Tensor(Tensor&& o) noexcept : rep_(std::exchange(o.rep_, nullptr)) {}
  Tensor& operator=(Tensor o) noexcept {
    std::swap(rep_, o.rep_);
    return *this;
  }
  ~Tensor() {
    if (rep_) Unref();
  }
  void swap(Tensor& o) noexcept { std::swap(rep_, o.rep_); }

  bool defined() const { return rep_ != nullptr; }
  DType dtype() const { return rep_ ? rep_->dtype : kInvalid; }
  // The sizes; unknown ones (-1) only in a recorded tensor.
  const Shape& shape() const { return rep_ ? rep_->shape : kNoShape; }
  int rank() const { return shape().rank(); }
  int64_t num_elements() const { return shape().num_elements(); }
  // True for a tensor that was recorded and has no elements yet.
  bool is_symbolic() const { return rep_ && rep_->symbol; }
  // "Identity:0" for a recorded tensor, "" for a value.
  std::string name() const;

  // The elements, row-major. Error if undefined, recorded, or of another type than T.
  template <class T>
  std::span<const T> data(std::source_location loc = std::source_location::current()) const {
    CheckReadable(kDTypeOf<T>, loc);
    return {static_cast<const T*>(rep_->data), static_cast<size_t>(rep_->shape.num_elements())};
  }
  // The one element of a tensor with one element. Error otherwise.
  template <class T>
  T Item(std::source_location loc = std::source_location::current()) const {
    CheckReadable(kDTypeOf<T>, loc);
    CheckOneElement(loc);
    return *static_cast<const T*>(rep_->data);
  }
  template <class T>
  std::vector<T> ToVector(std::source_location loc = std::source_location::current()) const {
    auto s = data<T>(loc);
    return std::vector<T>(s.begin(), s.end());
  }

  // A 0-d tensor as a condition: true if its element is not zero. Error for other ranks, and while
  // recording, where the value does not exist yet: use Select.
  bool ToBool(std::source_location loc = std::source_location::current()) const {
    return ToBoolAt(Location(loc));
  }
  // The same. A conversion cannot see its caller's line: an error names the line of the call that
  // recorded the tensor, and none for a value.
  explicit operator bool() const { return ToBoolAt(Location()); }

  // "[[2 3]\n [4 5]]", as NumPy prints; long dimensions are shortened with "...".
  std::string ValueString() const;
  // "Tensor([[2 3]\n [4 5]], shape=(2, 2), dtype=int32)"; a recorded one is
  // "Tensor(\"Add:0\", shape=(2, ?), dtype=float32)".
  std::string ToString() const;
  friend std::ostream& operator<<(std::ostream& os, const Tensor& t) { return os << t.ToString(); }

  // ---- For Duet's own rooms -------------------------------------------------------------------

  // A tensor with undefined contents. Shape must be valid and fully defined.
  static Tensor Allocate(DType dtype, const Shape& shape);
  // A tensor over `storage` (whose reference it takes) starting at byte `offset`.
  static Tensor FromStorage(DType dtype, const Shape& shape, Storage* storage, size_t offset);
  // The same elements under another shape with as many elements.
  Tensor Alias(const Shape& shape) const;
  // A symbol.
  static Tensor Symbolic(DType dtype, const Shape& shape, std::shared_ptr<SymbolSource> source,
                         int32_t node, int32_t output);
  static Tensor FromResource(DType dtype, const Shape& shape, std::shared_ptr<Resource> resource);

  const void* raw_data() const { return rep_->data; }
  // Only for the code that has just allocated the tensor.
  void* mutable_raw_data() { return rep_->data; }
  size_t byte_size() const { return SizeOf(dtype()) * static_cast<size_t>(num_elements()); }
  // True if no other handle shares the elements, so that an update may reuse them.
  bool OwnsElementsAlone() const;
  // Identity of the value: equal for copies of one handle, different for different results.
  const void* id() const { return rep_; }
  const std::shared_ptr<SymbolSource>& symbol_source() const { return *rep_->symbol; }
  int32_t symbol_node() const { return rep_->node; }
  int32_t symbol_output() const { return rep_->output; }
  // Null unless dtype() is kResource (a symbol of a resource has one only if the recorder knows
  // it).
  const std::shared_ptr<Resource>& resource() const;
  // Small host values: the elements as int64 (kInt32, kInt64 only).
  std::vector<int64_t> AsInt64Vector() const;

 private:
  static constexpr size_t kInlineBytes = 64;
  struct Rep {
    std::atomic<int32_t> refs{1};
    DType dtype = kInvalid;
    int32_t node = -1, output = 0;
    Shape shape;
    void* data = nullptr;
    Storage* storage = nullptr;  // null: the elements are in `small`, or there are none
    std::unique_ptr<std::shared_ptr<SymbolSource>> symbol;
    std::unique_ptr<std::shared_ptr<Resource>> resource;
    Rep* next_free = nullptr;
    alignas(16) unsigned char small[kInlineBytes];
  };
  friend class RepPool;
  explicit Tensor(Rep* rep) : rep_(rep) {}
  static Rep* NewRep();
  void Unref() {
    if (rep_->refs.load(std::memory_order_acquire) == 1 ||
        rep_->refs.fetch_sub(1, std::memory_order_acq_rel) == 1) {
      Release(rep_);
    }
  }
  static void Release(Rep* rep);
  bool ToBoolAt(Location loc) const;
  void CheckReadable(DType as, Location loc) const;
  void CheckOneElement(Location loc) const;

  static const Shape kNoShape;

  Rep* rep_ = nullptr;
};

// A dtype and a shape in which -1 is an unknown size: what a function or placeholder accepts.
struct TensorSpec {
  TensorSpec(DType dtype, Shape dims, std::string name = "")
      : dtype(dtype), shape(std::move(dims)), name(std::move(name)) {}
  DType dtype;
  Shape shape;
  std::string name;
  std::string ToString() const;  // "float32[?,64]"
};

// "float32[2,3]".
std::string DescribeType(DType dtype, const Shape& shape);

}  // namespace duet

#endif  // DUET_CORE_TENSOR_H_
