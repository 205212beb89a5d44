// Variable: a named tensor that can be assigned.
#ifndef DUET_EAGER_VARIABLE_H_
#define DUET_EAGER_VARIABLE_H_

#include <memory>
#include <ostream>
#include <string>
#include <string_view>

#include "core/dispatch.h"
#include "core/tensor.h"
#include "core/variable_state.h"

namespace duet {

// A handle; copies share the value, whose storage lives exactly as long as the last handle. Usable
// wherever a tensor is: that reads it. Gradient tapes watch variables by themselves. Inside a
// Function or GraphScope reads and assignments are recorded, in their order.
class Variable {
 public:
  // A variable that starts as `value`, which fixes its dtype and shape.
  explicit Variable(const Operand& value, std::string_view name = "Variable");

  DType dtype() const { return state_->dtype(); }
  const Shape& shape() const { return state_->shape(); }
  const std::string& name() const { return state_->name(); }

  // The value now; later assignments do not change the tensor that was read.
  Tensor Read(std::source_location loc = std::source_location::current()) const {
    return ReadAt(loc);
  }
  operator Tensor() const { return ReadAt(Location()); }  // NOLINT: on purpose

  friend std::ostream& operator<<(std::ostream& os, const Variable& v) {
    return os << v.ReadAt(Location());
  }

  // Replace, increase or decrease the value. Error if dtype or shape differ from the variable's.
  void Assign(const Operand& value);
  void AssignAdd(const Operand& delta);
  void AssignSub(const Operand& delta);

  // The tensor of dtype resource that stands for the variable in op calls.
  const Tensor& handle() const { return handle_; }
  const std::shared_ptr<VariableState>& state() const { return state_; }

 private:
  Tensor ReadAt(Location location) const;

  std::shared_ptr<VariableState> state_;
  Tensor handle_;
};

}  // namespace duet

#endif  // DUET_EAGER_VARIABLE_H_
