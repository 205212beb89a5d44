// The slow, obvious execution of one op call: plain loops, sums in a wider type, the interpreter of
// loop programs. Independent of the compiler and of the devices, so that tests compare with it.
#ifndef DUET_GRAPH_REFERENCE_EXECUTE_H_
#define DUET_GRAPH_REFERENCE_EXECUTE_H_

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "core/dispatch.h"

namespace duet {

// Runs `op` on concrete inputs (kResource inputs hold their VariableState) and fills `outputs`.
// `specs` are what Infer gave for these inputs. Composites call their parts through the same code.
absl::Status ReferenceExecute(const OpDef& op, const Attrs& attrs, absl::Span<const Tensor> inputs,
                              absl::Span<const ValueSpec> specs, absl::Span<Tensor> outputs);

// An interpreter that runs calls this way.
class ReferenceInterpreter : public Interpreter {
 public:
  void Run(const OpCall& call, absl::Span<const ValueSpec> specs,
           absl::Span<Tensor> outputs) override;
  bool recording() const override { return false; }
};

}  // namespace duet

#endif  // DUET_GRAPH_REFERENCE_EXECUTE_H_
