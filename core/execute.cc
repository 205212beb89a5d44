#include "core/execute.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <string>
#include <utility>

#include <mutex>
#include "absl/container/flat_hash_map.h"
#include "core/strings.h"

namespace duet {
namespace {

using loop::Axis;
using loop::Body;
using loop::KernelFn;
using loop::Launch;
using loop::Program;
using loop::Stride;

// What a single-op kernel is looked up by: the op, the dtypes, the stride classes and the axis, in
// 64 bits.
class KernelKey {
 public:
  explicit KernelKey(int op) : bits_(static_cast<uint64_t>(op) + 1) {}
  void Add(DType d) { bits_ = bits_ << 5 | static_cast<uint64_t>(d); }
  void Add(Stride s) { bits_ = bits_ << 2 | static_cast<uint64_t>(s); }
  void Add(Axis a) { bits_ = bits_ << 2 | static_cast<uint64_t>(a); }
  uint64_t bits() const { return bits_; }

 private:
  uint64_t bits_;
};
constexpr int kMaxKeyedInputs = 4;

// Kernels of single ops. A small direct-mapped table of the thread answers nearly every call
// without a lock; the process's map answers the rest.
class KernelTable {
 public:
  // Returns the kernel for `key`; on a miss asks `make` for its program.
  template <class MakeProgram>
  static absl::StatusOr<KernelFn> Get(Device& device, KernelKey key, MakeProgram&& make) {
    Entry& entry = entries_[key.bits() * 0x9E3779B97F4A7C15u >> (64 - kBits)];
    if (entry.key == key.bits()) return entry.fn;
    KernelFn fn = nullptr;
    {
      const std::lock_guard lock(mutex_);
      auto it = map().find(key.bits());
      if (it != map().end()) fn = it->second;
    }
    if (fn == nullptr) {
      DUET_ASSIGN_OR_RETURN(fn, device.kernels().Get(make()));
      const std::lock_guard lock(mutex_);
      map().emplace(key.bits(), fn);
    }
    entry = {key.bits(), fn};
    return fn;
  }

 private:
  static constexpr int kBits = 8;
  struct Entry {
    uint64_t key;
    KernelFn fn;
  };
  static absl::flat_hash_map<uint64_t, KernelFn>& map() {
    static auto* m = new absl::flat_hash_map<uint64_t, KernelFn>();
    return *m;
  }
  static thread_local constinit std::array<Entry, 1 << kBits> entries_;
  static std::mutex mutex_;
};
thread_local constinit std::array<KernelTable::Entry, 1 << KernelTable::kBits>
    KernelTable::entries_ = {};
std::mutex KernelTable::mutex_;

// Makes sure that outputs[i] is a tensor to write into.
void Prepare(absl::Span<const ValueSpec> specs, absl::Span<Tensor> outputs) {
  for (size_t i = 0; i < specs.size(); ++i) {
    if (!outputs[i].defined()) outputs[i] = Tensor::Allocate(specs[i].dtype, specs[i].shape);
  }
}

absl::Status ExecuteElementwise(const OpCall& call, const ValueSpec& spec, Tensor* output,
                                int num_threads) {
  if (!output->defined()) *output = Tensor::Allocate(spec.dtype, spec.shape);
  const int64_t n = output->num_elements();
  if (n == 0) return absl::OkStatus();
  const auto num_inputs = call.inputs.size();
  // Attributes that are not types may change the meaning; none of today's elementwise ops has more
  // than its output's dtype.
  const bool keyed = num_inputs <= kMaxKeyedInputs;
  std::array<Stride, kMaxKeyedInputs> classes;
  std::array<void*, kMaxKeyedInputs + 1> pointers;
  bool linear = keyed;
  for (size_t i = 0; linear && i < num_inputs; ++i) {
    const Tensor& in = call.inputs[i];
    pointers[i] = const_cast<void*>(in.raw_data());
    if (in.shape() == spec.shape) {
      classes[i] = Stride::kUnit;
    } else if (in.num_elements() == 1) {
      classes[i] = Stride::kZero;
    } else {
      linear = false;
    }
  }
  Device& device = CpuDevice();
  const auto body = [&] {
    absl::InlinedVector<DType, 4> dtypes;
    for (const Tensor& t : call.inputs) dtypes.push_back(t.dtype());
    return ElementwiseBody(call.op, call.attrs, dtypes, spec.dtype);
  };
  const auto key_for = [&](absl::Span<const Stride> inner) {
    KernelKey key(call.op.id);
    for (size_t i = 0; i < num_inputs; ++i) {
      key.Add(call.inputs[i].dtype());
      key.Add(inner[i]);
    }
    key.Add(spec.dtype);
    return key;
  };
  if (linear) {
    pointers[num_inputs] = output->mutable_raw_data();
    auto fn = KernelTable::Get(device, key_for({classes.data(), num_inputs}), [&] {
      return Program{body(), {classes.begin(), classes.begin() + static_cast<int>(num_inputs)}};
    });
    if (!fn.ok()) return fn.status();
    if (n < kInlinePoints) {
      static constexpr std::array<int64_t, kMaxKeyedInputs + 1> kZeros = {};
      const loop::KernelArgs args{1, n, 0, pointers.data(), kZeros.data(), kZeros.data()};
      (*fn)(&args);
      return absl::OkStatus();
    }
    Launch launch;
    launch.inner = n;
    for (size_t i = 0; i < num_inputs; ++i) {
      const auto size = static_cast<int64_t>(SizeOf(call.inputs[i].dtype()));
      launch.layouts.push_back({{}, 0, classes[i] == Stride::kUnit ? size : 0});
    }
    launch.layouts.push_back({{}, 0, static_cast<int64_t>(SizeOf(spec.dtype))});
    device.RunLoop(*fn, Axis::kNone, launch, {pointers.data(), num_inputs + 1}, num_threads);
    return absl::OkStatus();
  }
  absl::InlinedVector<loop::Strides, 4> operands;
  absl::InlinedVector<void*, 5> all;
  for (const Tensor& t : call.inputs) {
    operands.push_back(loop::BroadcastStrides(t.shape(), spec.shape));
    all.push_back(const_cast<void*>(t.raw_data()));
  }
  all.push_back(output->mutable_raw_data());
  const loop::Strides out = ContiguousStrides(spec.shape);
  Program program;
  Launch launch;
  DUET_RETURN_IF_ERROR(
      loop::PlanLaunch(body(), {spec.shape, 0, 0}, operands, {&out, 1}, &program, &launch));
  absl::StatusOr<KernelFn> fn =
      keyed ? KernelTable::Get(device, key_for(program.inner), [&] { return program; })
            : device.kernels().Get(program);
  if (!fn.ok()) return fn.status();
  device.RunLoop(*fn, Axis::kNone, launch, absl::MakeSpan(all), num_threads);
  return absl::OkStatus();
}

// The axes of a reduction: normalised, sorted, without repetitions.
std::vector<int64_t> ReductionAxes(const Tensor& axes, int rank) {
  std::vector<int64_t> out = axes.AsInt64Vector();
  for (int64_t& a : out) {
    if (a < 0) a += rank;
  }
  std::sort(out.begin(), out.end());
  out.erase(std::unique(out.begin(), out.end()), out.end());
  return out;
}

absl::Status ExecuteReduction(const OpCall& call, const ValueSpec& spec, Tensor* output,
                              int num_threads) {
  const Tensor& input = call.inputs[0];
  const DType dtype = input.dtype();
  const std::vector<int64_t> axes = ReductionAxes(call.inputs[1], input.rank());
  const std::vector<ReduceStep> steps = PlanReduction(input.shape(), axes);
  if (steps.empty()) {
    if (!output->defined()) {
      *output = input.Alias(spec.shape);
    } else {
      std::memmove(output->mutable_raw_data(), input.raw_data(), input.byte_size());
    }
    return absl::OkStatus();
  }
  Tensor count;
  if (call.op.reduce_mean) {
    int64_t n = 1;
    for (int64_t a : axes) n *= input.shape().dim(static_cast<int>(a));
    count = Tensor::Allocate(dtype, Shape());
    const loop::Scalar scalar = loop::Scalar::OfInt(dtype, n);
    std::memcpy(count.mutable_raw_data(), &scalar.bits, SizeOf(dtype));
  }
  Device& device = CpuDevice();
  Tensor current = input;
  for (size_t s = 0; s < steps.size(); ++s) {
    const loop::Space& space = steps[s].space;
    const bool last = s + 1 == steps.size();
    const bool mean = call.op.reduce_mean && last;
    const Axis axis = space.reduce_end == space.shape.rank() ? Axis::kInner : Axis::kRows;
    Shape kept = space.shape;
    for (int d = space.reduce_begin; d < space.reduce_end; ++d) kept.set_dim(d, 1);
    Tensor result;
    if (last) {
      if (!output->defined()) *output = Tensor::Allocate(dtype, spec.shape);
      result = *output;
    } else {
      result = Tensor::Allocate(dtype, kept);
    }
    const Body body = ReductionBody(call.op.reduce, dtype, axis, mean);
    loop::Strides out = ContiguousStrides(kept);
    for (int d = space.reduce_begin; d < space.reduce_end; ++d) out[d] = 0;
    absl::InlinedVector<loop::Strides, 2> operands = {ContiguousStrides(space.shape)};
    absl::InlinedVector<void*, 3> pointers = {const_cast<void*>(current.raw_data())};
    if (mean) {
      operands.push_back(loop::Strides(static_cast<size_t>(space.shape.rank()), 0));
      pointers.push_back(count.mutable_raw_data());
    }
    pointers.push_back(result.mutable_raw_data());
    Program program;
    Launch launch;
    DUET_RETURN_IF_ERROR(loop::PlanLaunch(body, space, operands, {&out, 1}, &program, &launch));
    KernelKey key(call.op.id);
    key.Add(dtype);
    key.Add(axis);
    key.Add(mean ? Stride::kUnit : Stride::kZero);
    key.Add(program.inner[0]);
    DUET_ASSIGN_OR_RETURN(KernelFn fn, KernelTable::Get(device, key, [&] { return program; }));
    device.RunLoop(fn, axis, launch, absl::MakeSpan(pointers), num_threads);
    current = result;
  }
  return absl::OkStatus();
}

absl::Status ExecuteView(const OpCall& call, const ValueSpec& spec, Tensor* output,
                         int num_threads) {
  absl::InlinedVector<InputInfo, 4> infos;
  for (const Tensor& t : call.inputs) infos.push_back({t.dtype(), &t.shape(), &t});
  InferContext context(call.op, call.attrs, infos);
  ViewMap map;
  DUET_RETURN_IF_ERROR(call.op.view(context, &map));
  const Tensor& input = call.inputs[0];
  if (map.reshape) {
    if (!output->defined()) {
      *output = input.Alias(spec.shape);  // a value of its own, which a tape tells from the input
    } else if (output->raw_data() != input.raw_data()) {
      std::memmove(output->mutable_raw_data(), input.raw_data(), input.byte_size());
    }
    return absl::OkStatus();
  }
  if (!output->defined()) *output = Tensor::Allocate(spec.dtype, spec.shape);
  if (output->num_elements() == 0) return absl::OkStatus();
  Body body;
  body.operands = {spec.dtype};
  loop::Builder builder(&body);
  body.outputs = {{builder.Load(0)}};
  const loop::Strides out = ContiguousStrides(spec.shape);
  Program program;
  Launch launch;
  DUET_RETURN_IF_ERROR(
      loop::PlanLaunch(body, {spec.shape, 0, 0}, {&map.strides, 1}, {&out, 1}, &program, &launch));
  KernelKey key(-1);  // all views share their kernels
  key.Add(spec.dtype);
  key.Add(program.inner[0]);
  Device& device = CpuDevice();
  DUET_ASSIGN_OR_RETURN(KernelFn fn, KernelTable::Get(device, key, [&] { return program; }));
  auto* base = static_cast<char*>(const_cast<void*>(input.raw_data()));
  void* const pointers[] = {base + map.offset * static_cast<int64_t>(SizeOf(spec.dtype)),
                            output->mutable_raw_data()};
  device.RunLoop(fn, Axis::kNone, launch, pointers, num_threads);
  return absl::OkStatus();
}

}  // namespace

std::vector<ReduceStep> PlanReduction(const Shape& input, absl::Span<const int64_t> axes) {
  std::vector<ReduceStep> steps;
  Shape shape = input;
  std::vector<bool> reduced(static_cast<size_t>(input.rank()), false);
  for (int64_t a : axes) reduced[static_cast<size_t>(a)] = true;
  for (int end = input.rank(); end > 0;) {
    if (!reduced[static_cast<size_t>(end - 1)]) {
      --end;
      continue;
    }
    int begin = end - 1;
    while (begin > 0 && reduced[static_cast<size_t>(begin - 1)]) --begin;
    // The sizes before, inside and after the group, merged; which of them exist depends on the
    // positions of the axes alone, not on sizes.
    ReduceStep step;
    int64_t before = 1, inside = 1, after = 1;
    for (int d = 0; d < begin; ++d) before *= shape.dim(d);
    for (int d = begin; d < end; ++d) inside *= shape.dim(d);
    for (int d = end; d < shape.rank(); ++d) after *= shape.dim(d);
    step.space.shape = Shape({before, inside});
    step.space.reduce_begin = 1;
    step.space.reduce_end = 2;
    if (end < input.rank()) step.space.shape.AddDim(after);
    steps.push_back(std::move(step));
    for (int d = begin; d < end; ++d) shape.set_dim(d, 1);
    end = begin;
  }
  if (!steps.empty()) steps.back().mean = true;
  return steps;
}

loop::Body ElementwiseBody(const OpDef& op, const Attrs& attrs, absl::Span<const DType> inputs,
                           DType output) {
  Body body;
  body.operands.assign(inputs.begin(), inputs.end());
  loop::Builder builder(&body);
  absl::InlinedVector<loop::Builder::Value, 4> values;
  for (size_t i = 0; i < inputs.size(); ++i) {
    values.push_back(builder.Load(static_cast<int>(i)));
  }
  body.outputs = {{op.elementwise(builder, attrs, values, output)}};
  return body;
}

loop::Body ReductionBody(loop::Reduce reduce, DType dtype, Axis axis, bool mean) {
  Body body;
  body.axis = axis;
  body.operands = {dtype};
  body.varies = {true};
  loop::Builder builder(&body);
  loop::Builder::Value value = builder.Reduction(reduce, builder.Load(0));
  if (mean) {
    body.operands.push_back(dtype);
    body.varies.push_back(false);
    value = builder.Binary(loop::Code::kDiv, value, builder.Load(1));
  }
  body.outputs = {{value}};
  return body;
}

absl::Status ExecuteOp(const OpCall& call, absl::Span<const ValueSpec> specs,
                       absl::Span<Tensor> outputs, int num_threads) {
  const OpDef& op = call.op;
  if (op.check != nullptr) DUET_RETURN_IF_ERROR(op.check(call.attrs, call.inputs));
  switch (op.family) {
    case Family::kElementwise:
      return ExecuteElementwise(call, specs[0], &outputs[0], num_threads);
    case Family::kReduction:
      return ExecuteReduction(call, specs[0], &outputs[0], num_threads);
    case Family::kView:
      return ExecuteView(call, specs[0], &outputs[0], num_threads);
    case Family::kContraction:
    case Family::kOpaque: {
      if (op.resource == ResourceUse::kNone) Prepare(specs, outputs);
      KernelContext context{op, call.attrs, call.inputs, outputs, CpuDevice(), num_threads};
      return op.kernel(context);
    }
    case Family::kComposite: {
      const ListenerPause pause;
      const InterpreterScope eager(nullptr);
      const LocationScope location(call.location);
      Outputs results(outputs.size());
      op.composite(call.attrs, call.inputs, absl::MakeSpan(results));
      for (size_t i = 0; i < results.size(); ++i) {
        if (outputs[i].defined()) {
          std::memcpy(outputs[i].mutable_raw_data(), results[i].raw_data(), results[i].byte_size());
        } else {
          outputs[i] = std::move(results[i]);
        }
      }
      return absl::OkStatus();
    }
    case Family::kConstant:
      outputs[0] = call.attrs.Get<Tensor>("value");
      return absl::OkStatus();
    case Family::kPlaceholder:
      return absl::FailedPreconditionError("a placeholder has a value only while a graph runs");
  }
  throw InternalError("an op of an unknown family");
}

}  // namespace duet
