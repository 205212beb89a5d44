#include "core/tensor.h"

#include <cstring>
#include <limits>

#include <mutex>
#include "core/strings.h"

namespace duet {
namespace {

constexpr int kMaxRepsPerThread = 64;

}  // namespace

// Recycles the small blocks behind tensors, thread by thread.
class RepPool {
 public:
  using Rep = Tensor::Rep;
  struct Cache {
    Rep* head;
    int count;
    bool closed;
  };
  struct Guard {
    ~Guard() {
      cache_.closed = true;
      while (cache_.head != nullptr) delete std::exchange(cache_.head, cache_.head->next_free);
    }
  };

  static Rep* Get() {
    Rep* rep = cache_.head;
    if (rep == nullptr) return new Rep();
    cache_.head = rep->next_free;
    --cache_.count;
    rep->refs.store(1, std::memory_order_relaxed);
    return rep;
  }
  static void Put(Rep* rep) {
    if (rep->storage != nullptr) std::exchange(rep->storage, nullptr)->Unref();
    if (rep->symbol) rep->symbol.reset();
    if (rep->resource) rep->resource.reset();
    if (cache_.closed || cache_.count >= kMaxRepsPerThread) {
      delete rep;
      return;
    }
    static thread_local Guard guard;
    (void)guard;
    rep->next_free = cache_.head;
    cache_.head = rep;
    ++cache_.count;
  }

 private:
  static thread_local constinit Cache cache_;
};
thread_local constinit RepPool::Cache RepPool::cache_ = {};

Tensor::Rep* Tensor::NewRep() { return RepPool::Get(); }
void Tensor::Release(Rep* rep) { RepPool::Put(rep); }

constinit const Shape Tensor::kNoShape;

std::string Tensor::name() const {
  if (!is_symbolic()) return "";
  return (*rep_->symbol)->TensorName(rep_->node, rep_->output);
}

Tensor Tensor::Allocate(DType dtype, const Shape& shape) {
  Rep* rep = NewRep();
  rep->dtype = dtype;
  rep->shape = shape;
  const size_t bytes = SizeOf(dtype) * static_cast<size_t>(shape.num_elements());
  if (bytes <= kInlineBytes) {
    rep->data = rep->small;
  } else {
    Tensor owner(rep);  // gives the rep back if the allocation throws
    rep->storage = Storage::Allocate(bytes);
    rep->data = rep->storage->data();
    return owner;
  }
  return Tensor(rep);
}

Tensor Tensor::FromStorage(DType dtype, const Shape& shape, Storage* storage, size_t offset) {
  Rep* rep = NewRep();
  rep->dtype = dtype;
  rep->shape = shape;
  rep->storage = storage;
  rep->data = static_cast<char*>(storage->data()) + offset;
  return Tensor(rep);
}

Tensor Tensor::Alias(const Shape& shape) const {
  if (rep_->storage == nullptr) {
    Tensor copy = Allocate(rep_->dtype, shape);
    std::memcpy(copy.rep_->data, rep_->data, byte_size());
    return copy;
  }
  rep_->storage->Ref();
  const auto offset =
      static_cast<const char*>(rep_->data) - static_cast<const char*>(rep_->storage->data());
  return FromStorage(rep_->dtype, shape, rep_->storage, static_cast<size_t>(offset));
}

Tensor Tensor::Symbolic(DType dtype, const Shape& shape, std::shared_ptr<SymbolSource> source,
                        int32_t node, int32_t output) {
  Rep* rep = NewRep();
  rep->dtype = dtype;
  rep->shape = shape;
  rep->data = nullptr;
  rep->node = node;
  rep->output = output;
  rep->symbol = std::make_unique<std::shared_ptr<SymbolSource>>(std::move(source));
  return Tensor(rep);
}

Tensor Tensor::FromResource(DType dtype, const Shape& shape, std::shared_ptr<Resource> resource) {
  Rep* rep = NewRep();
  rep->dtype = dtype;
  rep->shape = shape;
  rep->data = nullptr;
  rep->resource = std::make_unique<std::shared_ptr<Resource>>(std::move(resource));
  return Tensor(rep);
}

bool Tensor::OwnsElementsAlone() const {
  if (rep_ == nullptr || rep_->refs.load(std::memory_order_acquire) != 1) return false;
  return rep_->storage == nullptr || rep_->storage->unique();
}

const std::shared_ptr<Resource>& Tensor::resource() const {
  static const auto* none = new std::shared_ptr<Resource>();
  return rep_ && rep_->resource ? *rep_->resource : *none;
}

std::vector<int64_t> Tensor::AsInt64Vector() const {
  const auto n = static_cast<size_t>(num_elements());
  std::vector<int64_t> out(n);
  for (size_t i = 0; i < n; ++i) {
    out[i] = dtype() == kInt32 ? static_cast<const int32_t*>(raw_data())[i]
                               : static_cast<const int64_t*>(raw_data())[i];
  }
  return out;
}

void Tensor::CheckReadable(DType as, Location loc) const {
  if (!defined()) {
    ThrowError(absl::FailedPreconditionError(
                   "this tensor is undefined: it was default-constructed, or is the gradient of a "
                   "source that the target does not depend on"),
               "Tensor", loc);
  }
  if (is_symbolic()) {
    ThrowError(absl::FailedPreconditionError(
                   Str(name(),
                       " is being recorded and has no value yet; run the graph to get one, or "
                       "read values outside of the Function or GraphScope")),
               "Tensor", loc);
  }
  if (dtype() == kResource) {
    ThrowError(absl::InvalidArgumentError("a variable's handle has no elements; call Read()"),
               "Tensor", loc);
  }
  if (as != dtype()) {
    ThrowError(absl::InvalidArgumentError(Str("the elements are ", Name(dtype()), ", read as ",
                                              Name(as), "; use the same type, or Cast first")),
               "Tensor", loc);
  }
}

void Tensor::CheckOneElement(Location loc) const {
  if (num_elements() != 1) {
    ThrowError(absl::InvalidArgumentError(Str("Item needs one element, found shape ",
                                              shape().ToString(), "; use data() or ToVector()")),
               "Tensor", loc);
  }
}

bool Tensor::ToBoolAt(Location loc) const {
  if (is_symbolic()) {
    if (!loc.known()) loc = symbol_source()->SourceLocation(symbol_node());
    ThrowError(absl::FailedPreconditionError(Str(
                   "if, while and ! on ", name(),
                   ", which is being recorded and has no value yet: C++ would take one branch for "
                   "all runs; use Select(condition, a, b), or move the branch out of the Function "
                   "or GraphScope")),
               "Tensor", loc);
  }
  if (!defined()) CheckReadable(kBool, loc);
  if (rank() != 0) {
    ThrowError(absl::InvalidArgumentError(Str("a condition needs a tensor of shape [], found ",
                                              shape().ToString(),
                                              "; reduce it first, for instance with Max")),
               "Tensor", loc);
  }
  bool value = false;
  VisitDType(dtype(), [&](auto t) {
    using T = decltype(t);
    value = *static_cast<const T*>(raw_data()) != T{};
  });
  return value;
}

std::string DescribeType(DType dtype, const Shape& shape) {
  return Str(Name(dtype), shape.ToString());
}

std::string TensorSpec::ToString() const { return DescribeType(dtype, shape); }

}  // namespace duet
