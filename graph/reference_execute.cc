#include "graph/reference_execute.h"

#include <cmath>
#include <cstring>
#include <limits>
#include <mutex>
#include <type_traits>
#include <vector>

#include "core/execute.h"
#include "core/loop/launch.h"
#include "core/loop/program.h"
#include "core/strings.h"
#include "core/variable_state.h"

namespace duet {
namespace {

// What kernels of library ops get for a device: products by the definition, nothing else.
class ReferenceDevice : public Device {
 public:
  std::string name() const override { return "/device:REFERENCE:0"; }
  KernelProvider& kernels() override {
    throw InternalError("the reference evaluator has no compiled kernels");
  }
  void RunLoop(loop::KernelFn, loop::Axis, const loop::Launch&, absl::Span<void* const>,
               int) override {
    throw InternalError("the reference evaluator runs no compiled kernels");
  }
  void Gemm(const GemmArgs& args, int) override {
    VisitDType(args.dtype, [&](auto zero) { Multiply<decltype(zero)>(args); });
  }

 private:
  template <class T>
  static void Multiply(const GemmArgs& g) {
    using Sum = std::conditional_t<std::is_floating_point_v<T>, double, uint64_t>;
    const T* a = static_cast<const T*>(g.a);
    const T* b = static_cast<const T*>(g.b);
    T* c = static_cast<T*>(g.c);
    for (int64_t i = 0; i < g.m; ++i) {
      for (int64_t j = 0; j < g.n; ++j) {
        Sum sum = 0;
        for (int64_t k = 0; k < g.k; ++k) {
          sum += static_cast<Sum>(a[g.transpose_a ? k * g.m + i : i * g.k + k]) *
                 static_cast<Sum>(b[g.transpose_b ? j * g.k + k : k * g.n + j]);
        }
        c[i * g.n + j] = static_cast<T>(sum);
      }
    }
  }
};

ReferenceDevice& TheDevice() {
  static auto* device = new ReferenceDevice();
  return *device;
}

// Calls f(linear position, offset) for every element of `shape`, where offset is the sum of
// index * stride.
template <class F>
void ForEach(const Shape& shape, absl::Span<const int64_t> strides, F&& f) {
  const int64_t n = shape.num_elements();
  Dims index(static_cast<size_t>(shape.rank()), 0);
  int64_t offset = 0;
  for (int64_t i = 0; i < n; ++i) {
    f(i, offset);
    for (int d = shape.rank() - 1; d >= 0; --d) {
      offset += strides[static_cast<size_t>(d)];
      if (++index[static_cast<size_t>(d)] < shape.dim(d)) break;
      offset -= strides[static_cast<size_t>(d)] * shape.dim(d);
      index[static_cast<size_t>(d)] = 0;
    }
  }
}

// A contiguous copy of shape `shape` whose element x is element offset + strides . x of `from`.
Tensor Gathered(const Tensor& from, const Shape& shape, int64_t start,
                absl::Span<const int64_t> strides) {
  Tensor to = Tensor::Allocate(from.dtype(), shape);
  const size_t size = SizeOf(from.dtype());
  const char* in = static_cast<const char*>(from.raw_data());
  char* out = static_cast<char*>(to.mutable_raw_data());
  ForEach(shape, strides, [&](int64_t i, int64_t offset) {
    std::memcpy(out + static_cast<size_t>(i) * size,
                in + static_cast<size_t>(start + offset) * size, size);
  });
  return to;
}

Tensor Broadcast(const Tensor& t, const Shape& shape) {
  const loop::Strides strides = loop::BroadcastStrides(t.shape(), shape);
  return Gathered(t, shape, 0, strides);
}

void Elementwise(const OpDef& op, const Attrs& attrs, absl::Span<const Tensor> inputs,
                 const ValueSpec& spec, Tensor* output) {
  std::vector<Tensor> operands;
  std::vector<DType> dtypes;
  for (const Tensor& t : inputs) {
    operands.push_back(Broadcast(t, spec.shape));
    dtypes.push_back(t.dtype());
  }
  *output = Tensor::Allocate(spec.dtype, spec.shape);
  const loop::Program program{ElementwiseBody(op, attrs, dtypes, spec.dtype),
                              std::vector<loop::Stride>(inputs.size(), loop::Stride::kUnit)};
  std::vector<void*> pointers;
  for (Tensor& t : operands) pointers.push_back(t.mutable_raw_data());
  pointers.push_back(output->mutable_raw_data());
  std::vector<int64_t> inner_strides;
  for (DType d : dtypes) inner_strides.push_back(static_cast<int64_t>(SizeOf(d)));
  inner_strides.push_back(static_cast<int64_t>(SizeOf(spec.dtype)));
  const std::vector<int64_t> row_strides(pointers.size(), 0);
  loop::Interpret(program, {.rows = 1,
                            .inner = spec.shape.num_elements(),
                            .index_base = 0,
                            .pointers = pointers.data(),
                            .row_strides = row_strides.data(),
                            .inner_strides = inner_strides.data()});
}

template <class T>
T Smallest() {
  if constexpr (std::is_floating_point_v<T>) return -std::numeric_limits<T>::infinity();
  return std::numeric_limits<T>::lowest();
}
template <class T>
T Largest() {
  if constexpr (std::is_floating_point_v<T>) return std::numeric_limits<T>::infinity();
  return std::numeric_limits<T>::max();
}

// Reduces `n` elements at `first`, `stride` positions apart given by `offsets`.
template <class T>
T ReduceElements(loop::Reduce reduce, bool mean, const T* data, const std::vector<int64_t>& offsets,
                 int64_t start) {
  // Integers wrap: their sums and products are taken modulo 2^64 and then narrowed.
  using Wide = std::conditional_t<std::is_floating_point_v<T>, long double, uint64_t>;
  Wide sum = reduce == loop::Reduce::kProd ? 1 : 0;
  T best = reduce == loop::Reduce::kMax ? Smallest<T>() : Largest<T>();
  for (int64_t offset : offsets) {
    const T v = data[start + offset];
    switch (reduce) {
      case loop::Reduce::kSum:
        sum += static_cast<Wide>(v);
        break;
      case loop::Reduce::kProd:
        sum *= static_cast<Wide>(v);
        break;
      case loop::Reduce::kMax:
        if (v > best || v != v) best = v;
        if (best != best) return best;
        break;
      case loop::Reduce::kMin:
        if (v < best || v != v) best = v;
        if (best != best) return best;
        break;
    }
  }
  if (reduce == loop::Reduce::kMax || reduce == loop::Reduce::kMin) return best;
  if (!mean) return static_cast<T>(sum);
  if constexpr (std::is_floating_point_v<T>) {
    return static_cast<T>(sum / static_cast<long double>(offsets.size()));
  } else {
    // Division truncates, as the op's does; of no elements the mean is 0.
    if (offsets.empty()) return T{0};
    return static_cast<T>(static_cast<int64_t>(static_cast<T>(sum)) /
                          static_cast<int64_t>(offsets.size()));
  }
}

void Reduction(const OpDef& op, absl::Span<const Tensor> inputs, const ValueSpec& spec,
               Tensor* output) {
  const Tensor& x = inputs[0];
  const int rank = x.rank();
  std::vector<bool> reduced(static_cast<size_t>(rank), false);
  for (int64_t axis : inputs[1].AsInt64Vector()) {
    reduced[static_cast<size_t>(axis < 0 ? axis + rank : axis)] = true;
  }
  const Dims strides = ContiguousStrides(x.shape());
  Shape kept_shape, reduced_shape;
  Dims kept_strides, reduced_strides;
  for (int d = 0; d < rank; ++d) {
    const auto i = static_cast<size_t>(d);
    (reduced[i] ? reduced_shape : kept_shape).AddDim(x.shape().dim(d));
    (reduced[i] ? reduced_strides : kept_strides).push_back(strides[i]);
  }
  std::vector<int64_t> offsets;
  ForEach(reduced_shape, reduced_strides, [&](int64_t, int64_t o) { offsets.push_back(o); });
  *output = Tensor::Allocate(spec.dtype, spec.shape);
  VisitDType(spec.dtype, [&](auto zero) {
    using T = decltype(zero);
    if constexpr (!std::is_same_v<T, bool>) {
      const T* in = static_cast<const T*>(x.raw_data());
      T* out = static_cast<T*>(output->mutable_raw_data());
      ForEach(kept_shape, kept_strides, [&](int64_t i, int64_t start) {
        out[i] = ReduceElements<T>(op.reduce, op.reduce_mean, in, offsets, start);
      });
    }
  });
}

absl::Status View(const OpDef& op, const Attrs& attrs, absl::Span<const Tensor> inputs,
                  const ValueSpec& spec, Tensor* output) {
  absl::InlinedVector<InputInfo, 4> infos;
  for (const Tensor& t : inputs) infos.push_back({t.dtype(), &t.shape(), &t});
  InferContext context(op, attrs, infos);
  context.AddOutput(spec.dtype, spec.shape);
  ViewMap map;
  DUET_RETURN_IF_ERROR(op.view(context, &map));
  if (map.reshape) {
    *output = Gathered(inputs[0], spec.shape, 0, ContiguousStrides(spec.shape));
  } else {
    *output = Gathered(inputs[0], spec.shape, map.offset, map.strides);
  }
  return absl::OkStatus();
}

absl::Status Kernel(const OpDef& op, const Attrs& attrs, absl::Span<const Tensor> inputs,
                    absl::Span<const ValueSpec> specs, absl::Span<Tensor> outputs) {
  if (op.kernel == nullptr) {
    return absl::UnimplementedError("has no kernel that the reference evaluator can run");
  }
  for (size_t i = 0; i < specs.size(); ++i) {
    outputs[i] = Tensor::Allocate(specs[i].dtype, specs[i].shape);
  }
  KernelContext context{
      op, attrs, inputs, outputs, TheDevice(), /*num_threads=*/1, ReferenceExecute};
  return op.kernel(context);
}

// Reads and assignments of a variable. Sums go through the arithmetic of the dtype.
absl::Status Variables(const OpDef& op, absl::Span<const Tensor> inputs,
                       absl::Span<Tensor> outputs) {
  auto* state = dynamic_cast<VariableState*>(inputs[0].resource().get());
  if (state == nullptr) return absl::FailedPreconditionError("input 0 is not a variable's handle");
  std::lock_guard<std::mutex> lock(state->update_mutex());
  const Tensor now = state->Read();
  if (op.resource != ResourceUse::kAssign && !now.defined()) {
    return absl::FailedPreconditionError(
        Str("variable \"", state->name(), "\" has no value yet; assign one first"));
  }
  if (op.resource == ResourceUse::kRead) {
    outputs[0] = now;
    return absl::OkStatus();
  }
  if (op.resource == ResourceUse::kAssign) {
    state->Assign(inputs[1]);
    return absl::OkStatus();
  }
  Tensor next = Tensor::Allocate(now.dtype(), now.shape());
  VisitDType(now.dtype(), [&](auto zero) {
    using T = decltype(zero);
    using Wrap = std::conditional_t<std::is_floating_point_v<T>, T, uint64_t>;
    const T* a = static_cast<const T*>(now.raw_data());
    const T* b = static_cast<const T*>(inputs[1].raw_data());
    T* c = static_cast<T*>(next.mutable_raw_data());
    for (int64_t i = 0; i < now.num_elements(); ++i) {
      const Wrap x = static_cast<Wrap>(a[i]), y = static_cast<Wrap>(b[i]);
      c[i] = static_cast<T>(op.resource == ResourceUse::kAssignAdd ? x + y : x - y);
    }
  });
  state->Assign(next);
  return absl::OkStatus();
}

absl::Status Composite(const OpDef& op, const Attrs& attrs, absl::Span<const Tensor> inputs,
                       absl::Span<Tensor> outputs) {
  static auto* interpreter = new ReferenceInterpreter();
  InterpreterScope scope(interpreter);
  ListenerPause pause;
  try {
    op.composite(attrs, inputs, outputs);
  } catch (const Error& e) {
    return e.status();
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status ReferenceExecute(const OpDef& op, const Attrs& attrs, absl::Span<const Tensor> inputs,
                              absl::Span<const ValueSpec> specs, absl::Span<Tensor> outputs) {
  if (op.check != nullptr) DUET_RETURN_IF_ERROR(op.check(attrs, inputs));
  switch (op.resource) {
    case ResourceUse::kRead:
    case ResourceUse::kAssign:
    case ResourceUse::kAssignAdd:
    case ResourceUse::kAssignSub:
      return Variables(op, inputs, outputs);
    case ResourceUse::kHandle:
      return absl::FailedPreconditionError("a variable's handle outside of a graph");
    case ResourceUse::kNone:
      break;
  }
  switch (op.family) {
    case Family::kElementwise:
      Elementwise(op, attrs, inputs, specs[0], &outputs[0]);
      return absl::OkStatus();
    case Family::kReduction:
      Reduction(op, inputs, specs[0], &outputs[0]);
      return absl::OkStatus();
    case Family::kView:
      return View(op, attrs, inputs, specs[0], &outputs[0]);
    case Family::kComposite:
      return Composite(op, attrs, inputs, outputs);
    case Family::kConstant:
      outputs[0] = attrs.Get<Tensor>("value");
      return absl::OkStatus();
    case Family::kPlaceholder:
      return absl::InvalidArgumentError("was not fed a value");
    case Family::kContraction:
    case Family::kOpaque:
      return Kernel(op, attrs, inputs, specs, outputs);
  }
  throw InternalError("an op of no family");
}

void ReferenceInterpreter::Run(const OpCall& call, absl::Span<const ValueSpec> specs,
                               absl::Span<Tensor> outputs) {
  const absl::Status s = ReferenceExecute(call.op, call.attrs, call.inputs, specs, outputs);
  if (!s.ok()) ThrowError(s, call.op.public_name, call.location);
}

}  // namespace duet
