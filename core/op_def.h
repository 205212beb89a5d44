// OpDef: all that the system knows about an op. Written in one place per op, by a family
// constructor (core/ops/families.h); every other room asks the traits here and never spells an op's
// name.
#ifndef DUET_CORE_OP_DEF_H_
#define DUET_CORE_OP_DEF_H_

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/container/inlined_vector.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "core/attrs.h"
#include "core/device.h"
#include "core/loop/program.h"
#include "core/tensor.h"

namespace duet {

struct OpDef;

// ---- Signature ----------------------------------------------------------------------------------

// An input or output. Its dtype is fixed (`type`) or given by a type attribute (`type_attr`).
struct ArgDef {
  std::string name;
  std::string type_attr;  // "T", "" if `type` is set
  DType type = kInvalid;  // when type_attr is empty
  bool host = false;      // a small integer tensor whose value decides shapes (axes, sizes, ...)
  std::string number_attr = "";  // "N": a list of N tensors of this type
  int type_index = -1;           // place of type_attr in OpDef::type_attrs; set by the registry
};

// A type attribute and the types it may have. `from_input`: it is the dtype of the inputs that name
// it. Otherwise it must be an attribute of the call (kDType), such as Cast's DstT.
struct TypeAttrDef {
  std::string name;
  DTypeSet allowed;
  bool from_input = true;
};

// A plain attribute with its default; a `required` one has none (default_value gives the kind).
struct AttrDef {
  std::string name;
  AttrValue default_value;
  bool required = false;
};

// ---- Shape and dtype rule -----------------------------------------------------------------------

struct ValueSpec {
  DType dtype = kInvalid;
  Shape shape;
};

// An input as inference sees it: with the value when it is known (always when eager and in an
// executor; while recording for constants and what follows from known shapes).
struct InputInfo {
  DType dtype;
  const Shape* shape;
  const Tensor* value;  // null if not known
};

class InferContext {
 public:
  InferContext(const OpDef& op, const Attrs& attrs, absl::Span<const InputInfo> inputs)
      : op_(op), attrs_(attrs), inputs_(inputs) {}
  const OpDef& op() const { return op_; }
  const Attrs& attrs() const { return attrs_; }
  int num_inputs() const { return static_cast<int>(inputs_.size()); }
  const InputInfo& input(int i) const { return inputs_[i]; }
  const Shape& shape(int i) const { return *inputs_[i].shape; }
  DType dtype(int i) const { return inputs_[i].dtype; }
  // The elements of a host input as int64, or null if they are not known yet.
  const std::vector<int64_t>* HostInts(int i);
  void AddOutput(DType dtype, Shape shape) { outputs.push_back({dtype, std::move(shape)}); }

  absl::InlinedVector<ValueSpec, 2> outputs;

 private:
  const OpDef& op_;
  const Attrs& attrs_;
  absl::Span<const InputInfo> inputs_;
  absl::InlinedVector<std::pair<int, std::vector<int64_t>>, 2> host_;
};

// The op's own part of validation: dtypes and attributes are checked before (by Infer below).
// Handles unknown sizes (-1).
using InferFn = absl::Status (*)(InferContext& context);

// ---- Meaning ------------------------------------------------------------------------------------

// An elementwise op: appends the op's value to a body, given the values of its inputs.
using ElementwiseFn = loop::Builder::Value (*)(loop::Builder& b, const Attrs& attrs,
                                               absl::Span<const loop::Builder::Value> inputs,
                                               DType output);

// A view: element x of the output is element offset + sum(strides[d] * x[d]) of the input. Strides
// are in elements. `reshape` views keep the row-major order (offset 0, any new shape).
struct ViewMap {
  bool reshape = false;
  int64_t offset = 0;
  loop::Strides strides;
};
// From concrete shapes and host values.
using ViewFn = absl::Status (*)(InferContext& context, ViewMap* map);

// A composite: calls other ops under the current interpreter.
using CompositeFn = void (*)(const Attrs& attrs, absl::Span<const Tensor> inputs,
                             absl::Span<Tensor> outputs);

// What a library op's kernel is given. Outputs are allocated; validation has passed.
struct KernelContext {
  const OpDef& op;
  const Attrs& attrs;
  absl::Span<const Tensor> inputs;
  absl::Span<Tensor> outputs;
  Device& device;
  int num_threads = 0;
  // Runs another op as a part of this one, the way this one is run; null: ExecuteOp
  // (core/execute.h).
  absl::Status (*run_op)(const OpDef& op, const Attrs& attrs, absl::Span<const Tensor> inputs,
                         absl::Span<const ValueSpec> specs, absl::Span<Tensor> outputs) = nullptr;
};
using KernelFunction = absl::Status (*)(KernelContext& context);

enum class Family : uint8_t {
  kElementwise,  // broadcasts its inputs
  kReduction,    // inputs (x, axes), attribute keep_dims
  kView,         // input 0 seen through a ViewMap
  kContraction,  // matrix product; accepts an elementwise epilogue
  kComposite,
  kOpaque,    // a kernel of its own
  kConstant,  // no inputs, attribute "value"
  kPlaceholder,
};

// What a resource op does to its variable (input 0).
enum class ResourceUse : uint8_t { kNone, kHandle, kRead, kAssign, kAssignAdd, kAssignSub };

// ---- Gradient -----------------------------------------------------------------------------------

// Called with what the forward call saw; calls public ops under the current interpreter.
class GradContext {
 public:
  GradContext(const Attrs& attrs, absl::Span<const Tensor> inputs, absl::Span<const Tensor> outputs,
              absl::Span<const Tensor> output_grads, absl::Span<Tensor> input_grads,
              uint64_t needed = ~uint64_t{0})
      : attrs_(attrs),
        inputs_(inputs),
        outputs_(outputs),
        output_grads_(output_grads),
        input_grads_(input_grads),
        needed_(needed) {}
  const Attrs& attrs() const { return attrs_; }
  int num_inputs() const { return static_cast<int>(inputs_.size()); }
  const Tensor& input(int i) const { return inputs_[i]; }
  const Tensor& output(int i = 0) const { return outputs_[i]; }
  // The gradient of output i; undefined if nothing depends on it (never for a single output).
  const Tensor& grad(int i = 0) const { return output_grads_[i]; }
  // False if nobody asks for the gradient of input i, which then need not be computed.
  bool needed(int i) const { return i >= 64 || (needed_ >> i & 1) != 0; }
  // Leaves an input without one (an integer, an index) undefined.
  void Set(int input, Tensor grad) { input_grads_[input] = std::move(grad); }

 private:
  const Attrs& attrs_;
  absl::Span<const Tensor> inputs_, outputs_, output_grads_;
  absl::Span<Tensor> input_grads_;
  uint64_t needed_;  // a bit for each of the first 64 inputs
};
using GradFn = void (*)(GradContext& context);

// ---- The definition -----------------------------------------------------------------------------

struct OpExample {
  std::string code;    // C++, as a user writes it: "Add(Constant({1, 2}), 10)"
  std::string result;  // ValueString() of its value: "[11 12]"
};

struct OpDef {
  std::string name;         // wire name: "AddV2"
  std::string public_name;  // the function: "Add"
  std::vector<ArgDef> inputs, outputs;
  std::vector<TypeAttrDef> type_attrs;
  std::vector<AttrDef> attrs;

  Family family = Family::kOpaque;
  InferFn infer = nullptr;
  // The meaning, by family; exactly one is set (two for a composite with its own kernel: none do).
  ElementwiseFn elementwise = nullptr;
  loop::Reduce reduce = loop::Reduce::kSum;
  // kReduction: the sum is divided by the number of elements (Mean).
  bool reduce_mean = false;
  ViewFn view = nullptr;
  CompositeFn composite = nullptr;
  KernelFunction kernel = nullptr;

  // Null: not differentiable, or (for a composite) follows from the body.
  GradFn grad = nullptr;
  bool differentiable = true;

  // Traits.
  bool stateful = false;     // never merged, folded or dropped for equality; order is kept
  bool side_effect = false;  // runs in a function even if nothing fetches it
  bool random = false;
  bool commutative = false;
  bool forwards_input = false;  // output 0 is input 0 unchanged (identity)
  bool shape_only = false;      // the kernel looks at its inputs' shapes, never at their elements
  ResourceUse resource = ResourceUse::kNone;
  // Data checks that depend on elements (integer division by zero, index out of range); run on
  // concrete inputs before the kernel, in every mode. `checked_inputs` are materialised by the
  // fuser.
  absl::Status (*check)(const Attrs& attrs, absl::Span<const Tensor> inputs) = nullptr;
  std::vector<int> checked_inputs;

  std::string doc;
  std::vector<OpExample> examples;
  // Largest distance from the reference interpreter in ULP of the result (floating types).
  double tolerance_ulp = 0;
  // For conformance tests: the range of values inputs are drawn from.
  double test_low = -3, test_high = 3;

  // Set by the registry.
  int id = -1;
  int list_input = -1;          // the input that is a list, or -1
  bool has_call_types = false;  // some type attribute is an attribute of the call

  bool is_multi_output() const { return outputs.size() > 1; }
};

// ---- Registry -----------------------------------------------------------------------------------

// Adds a definition (at start-up, from core/ops) and returns its place in the registry, which never
// moves.
const OpDef& RegisterOp(OpDef def);
// By wire name; null if there is none.
const OpDef* FindOp(std::string_view wire_name);
// All, by wire name.
std::vector<const OpDef*> AllOps();
// The op that reads, assigns, ... variables; InternalError if none is registered.
const OpDef& ResourceOp(ResourceUse use);
// Names close to `name`, for error messages: "did you mean ...".
std::vector<std::string> SimilarOps(std::string_view name);

// The one validation: number of inputs, dtypes, attributes (unknown ones are refused; defaults must
// have been filled by FillDefaults), shapes and host values. Called by dispatch, importer, executor
// and folder.
absl::Status Infer(InferContext& context);
// Adds the defaults of attributes that `attrs` lacks; InvalidArgument for a missing required one,
// an unknown one or one of another kind.
absl::Status FillDefaults(const OpDef& op, Attrs* attrs);

}  // namespace duet

#endif  // DUET_CORE_OP_DEF_H_
