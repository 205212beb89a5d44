// What tests of core/ops share: ops run without a compiler or a device, and error texts.
#ifndef DUET_CORE_OPS_OPS_TESTING_H_
#define DUET_CORE_OPS_OPS_TESTING_H_

#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "core/device.h"
#include "core/dispatch.h"
#include "core/op_def.h"

namespace duet {

// Runs opaque ops and constants by their kernels; for other ops only infers, and gives zeros.
class KernelInterpreter : public Interpreter {
 public:
  void Run(const OpCall& call, absl::Span<const ValueSpec> specs,
           absl::Span<Tensor> outputs) override {
    if (call.op.check != nullptr) {
      const absl::Status s = call.op.check(call.attrs, call.inputs);
      if (!s.ok()) ThrowError(s, call.op.public_name, call.location);
    }
    called.push_back(call.op.name);
    for (size_t i = 0; i < specs.size(); ++i) {
      outputs[i] = Tensor::Allocate(specs[i].dtype, specs[i].shape);
      std::memset(outputs[i].mutable_raw_data(), 0, outputs[i].byte_size());
    }
    if (call.op.family != Family::kOpaque) return;
    KernelContext context{call.op, call.attrs, call.inputs, outputs, device, 1};
    const absl::Status s = call.op.kernel(context);
    if (!s.ok()) ThrowError(s, call.op.public_name, call.location);
  }
  bool recording() const override { return false; }

  std::vector<std::string> called;

 private:
  struct NoDevice : Device {
    std::string name() const override { return "none"; }
    KernelProvider& kernels() override { throw InternalError("no kernels in this test"); }
    void RunLoop(loop::KernelFn, loop::Axis, const loop::Launch&, absl::Span<void* const>,
                 int) override {
      throw InternalError("no loops in this test");
    }
    void Gemm(const GemmArgs&, int) override { throw InternalError("no products in this test"); }
  };
  NoDevice device;
};

// The message of the Error that `f` throws, without its "file:line: ".
template <class F>
std::string ErrorText(F&& f) {
  try {
    f();
  } catch (const Error& e) {
    const std::string text = e.what();
    const size_t colon = text.find(": ");
    return colon == std::string::npos ? text : text.substr(colon + 2);
  }
  return "no error";
}

// An input of shape inference: its dtype and shape, and its value if it is known.
struct TestInput {
  TestInput(DType d, Shape s) : dtype(d), shape(std::move(s)) {}
  TestInput(const Tensor& t) : dtype(t.dtype()), shape(t.shape()), value(t) {}  // NOLINT
  DType dtype;
  Shape shape;
  Tensor value;
};

// What the op's shape rule says: "float32[2,?]", or the error's message.
inline std::string InferText(const OpDef& op, Attrs attrs, const std::vector<TestInput>& inputs) {
  if (absl::Status s = FillDefaults(op, &attrs); !s.ok()) return std::string(s.message());
  std::vector<InputInfo> infos;
  for (const TestInput& in : inputs) {
    infos.push_back({in.dtype, &in.shape, in.value.defined() ? &in.value : nullptr});
  }
  InferContext context(op, attrs, infos);
  if (absl::Status s = Infer(context); !s.ok()) return std::string(s.message());
  std::string text;
  for (const ValueSpec& out : context.outputs) {
    if (!text.empty()) text += ' ';
    text += DescribeType(out.dtype, out.shape);
  }
  return text;
}

}  // namespace duet

#endif  // DUET_CORE_OPS_OPS_TESTING_H_
