#include "eager/eager.h"

#include "core/execute.h"
#include "core/strings.h"

namespace duet {
namespace {

class EagerInterpreter final : public Interpreter {
 public:
  void Run(const OpCall& call, absl::Span<const ValueSpec> specs,
           absl::Span<Tensor> outputs) override {
    for (const Tensor& t : call.inputs) {
      if (t.is_symbolic()) ThrowSymbolic(call, t);
    }
    try {
      absl::Status status = ExecuteOp(call, specs, outputs);
      if (!status.ok()) ThrowError(status, call.op.public_name, call.location);
    } catch (const Error& e) {
      // A failed allocation does not know the user's line yet.
      if (HasLocation(e.status())) throw;
      ThrowError(e.status(), call.op.public_name, call.location);
    }
  }
  bool recording() const override { return false; }

 private:
  [[noreturn]] static void ThrowSymbolic(const OpCall& call, const Tensor& t) {
    ThrowError(absl::FailedPreconditionError(
                   Str(t.name(),
                       " is a recorded tensor, used where nothing is being recorded; make "
                       "the call inside its GraphScope or Function, or run the graph "
                       "and use the value")),
               call.op.public_name, call.location);
  }
};

}  // namespace

void InstallEagerInterpreter() {
  static auto* interpreter = new EagerInterpreter();
  SetDefaultInterpreter(interpreter);
}

}  // namespace duet
