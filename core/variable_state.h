// The state behind a variable: what the handles, the resource tensors and the executor share.
#ifndef DUET_CORE_VARIABLE_STATE_H_
#define DUET_CORE_VARIABLE_STATE_H_

#include <string>
#include <utility>

#include <mutex>
#include "core/tensor.h"

namespace duet {

// A named, mutable tensor of fixed dtype and shape. Reads are snapshots. Thread safe.
class VariableState : public Resource {
 public:
  // An uninitialised variable (of a loaded graph) has an undefined value.
  VariableState(std::string name, DType dtype, Shape shape)
      : name_(std::move(name)), dtype_(dtype), shape_(std::move(shape)) {}
  const std::string& name() const { return name_; }
  DType dtype() const { return dtype_; }
  const Shape& shape() const { return shape_; }
  // Undefined if nothing was assigned yet.
  Tensor Read() const {
    const std::lock_guard lock(mutex_);
    return value_;
  }
  // The value must have the variable's dtype and shape (checked by the op's shape rule).
  void Assign(Tensor value) {
    const std::lock_guard lock(mutex_);
    value_.swap(value);
  }
  // Takes the value out for an update in place (the variable is undefined until Assign), so that a
  // value nobody else holds can be overwritten. Only between Take and Assign of one thread under
  // update_mutex().
  Tensor Take() {
    const std::lock_guard lock(mutex_);
    return std::exchange(value_, Tensor());
  }
  // Held over read-modify-write by those who update.
  std::mutex& update_mutex() { return update_mutex_; }

 private:
  const std::string name_;
  const DType dtype_;
  const Shape shape_;
  mutable std::mutex mutex_;
  std::mutex update_mutex_;
  Tensor value_;
};

}  // namespace duet

#endif  // DUET_CORE_VARIABLE_STATE_H_
