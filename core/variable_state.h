// The state behind a variable: what the handles, the resource tensors and the executor share.
#ifndef DUET_CORE_VARIABLE_STATE_H_
#define DUET_CORE_VARIABLE_STATE_H_

#include <condition_variable>
#include <mutex>
#include <string>
#include <utility>

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
  // Undefined if nothing was assigned yet. Waits while an update in place has the value.
  Tensor Read() const {
    std::unique_lock lock(mutex_);
    if (taken_) {
      ++waiting_;
      given_back_.wait(lock, [&] { return !taken_; });
      --waiting_;
    }
    return value_;
  }
  // The value must have the variable's dtype and shape (checked by the op's shape rule).
  void Assign(Tensor value) {
    const std::lock_guard lock(mutex_);
    value_.swap(value);
    taken_ = false;
    if (waiting_ > 0) given_back_.notify_all();
  }
  // The value, for an update that ends with Assign, both under update_mutex(). The variable lets go
  // of it, so that a value nobody else holds can be overwritten; except when a read waits, which an
  // update after the other could keep out forever.
  Tensor Take() {
    const std::lock_guard lock(mutex_);
    if (waiting_ > 0) return value_;
    taken_ = value_.defined();
    return std::exchange(value_, Tensor());
  }
  // Held over read-modify-write by those who update.
  std::mutex& update_mutex() { return update_mutex_; }

 private:
  const std::string name_;
  const DType dtype_;
  const Shape shape_;
  mutable std::mutex mutex_;
  mutable std::condition_variable given_back_;
  mutable int waiting_ = 0;  // reads
  bool taken_ = false;
  std::mutex update_mutex_;
  Tensor value_;
};

}  // namespace duet

#endif  // DUET_CORE_VARIABLE_STATE_H_
