#include "runtime/executor.h"

#include <algorithm>
#include <new>
#include <utility>

#include "absl/strings/str_join.h"
#include "core/allocator.h"
#include "core/execute.h"
#include "core/strings.h"

namespace duet::runtime {
namespace {

constexpr size_t kMaxInstances = 64;

// A tensor whose aliases see what is written to it later; small tensors made by Tensor::Allocate
// hold their elements themselves, and an alias of one is a copy.
Tensor AllocateShared(const ValueSpec& spec) {
  const size_t bytes = SizeOf(spec.dtype) * static_cast<size_t>(spec.shape.num_elements());
  return Tensor::FromStorage(spec.dtype, spec.shape, Storage::Allocate(std::max<size_t>(bytes, 1)),
                             0);
}

}  // namespace

Frame::Frame(const Instance& instance)
    : pointers_(instance.pointers), tensors_(instance.tensors), dynamic_(instance.dynamic.size()) {
  if (instance.arena_pointers.empty() && instance.arena_tensors.empty()) return;
  arena_ = Storage::Allocate(static_cast<size_t>(std::max<int64_t>(instance.arena_bytes, 1)));
  char* base = static_cast<char*>(arena_->data());
  for (const auto& [slot, offset] : instance.arena_pointers) pointers_[slot] = base + offset;
  for (const Instance::ArenaTensor& t : instance.arena_tensors) {
    arena_->Ref();
    tensors_[t.slot] =
        Tensor::FromStorage(t.spec.dtype, t.spec.shape, arena_, static_cast<size_t>(t.offset));
  }
}

Frame::~Frame() {
  if (arena_ != nullptr) arena_->Unref();
}

// One run over a frame.
class FrameRun {
 public:
  FrameRun(const Instance& instance, Frame* frame)
      : instance_(instance),
        pointers_(frame->pointers_.data()),
        tensors_(frame->tensors_.data()),
        dynamic_(frame->dynamic_.data()),
        device_(CpuDevice()) {}
  // Handles of the caller's and the variables' tensors do not outlive the run.
  ~FrameRun() {
    for (size_t i = 0; i < instance_.dynamic.size(); ++i) Release(static_cast<int32_t>(i));
  }

  void SetDynamic(int32_t index, Tensor value) {
    const DynamicValue& d = instance_.dynamic[index];
    char* data = static_cast<char*>(const_cast<void*>(value.raw_data()));
    for (const auto& [slot, offset] : d.pointers) pointers_[slot] = data + offset;
    for (const DynamicValue::TensorUse& use : d.tensors) {
      tensors_[use.slot] = use.same_shape ? value : value.Alias(use.shape);
    }
    dynamic_[index] = std::move(value);
  }

  void Prepare(absl::Span<const Tensor> feeds) {
    for (size_t i = 0; i < feeds.size(); ++i) SetDynamic(static_cast<int32_t>(i), feeds[i]);
    for (size_t i = feeds.size(); i < instance_.dynamic.size(); ++i) {
      const DynamicValue& d = instance_.dynamic[i];
      if (!d.allocated) continue;
      SetDynamic(static_cast<int32_t>(i),
                 d.shared ? AllocateShared(d.spec) : Tensor::Allocate(d.spec.dtype, d.spec.shape));
    }
  }

  absl::Status RunSteps() {
    const Step* step = instance_.steps.data();
    const Step* const end = step + instance_.steps.size();
    try {
      for (; step != end; ++step) {
        if (step->kind == StepKind::kLoop) {
          RunLoop(instance_.loops[step->index]);
          continue;
        }
        absl::Status status = RunOther(*step);
        if (!status.ok()) [[unlikely]]
          return AtNode(status, step->node);
      }
    } catch (const Error& e) {
      return AtNode(e.status(), step->node);
    }
    return absl::OkStatus();
  }

  void Collect(std::vector<Tensor>* results) {
    results->reserve(instance_.fetches.size());
    for (const FetchSource& f : instance_.fetches) {
      if (f.dynamic < 0) {
        results->push_back(f.constant);
      } else if (f.same_shape) {
        results->push_back(dynamic_[f.dynamic]);
      } else {
        results->push_back(dynamic_[f.dynamic].Alias(f.shape));
      }
    }
  }

 private:
  void Release(int32_t index) {
    for (const DynamicValue::TensorUse& use : instance_.dynamic[index].tensors) {
      tensors_[use.slot] = Tensor();
    }
    dynamic_[index] = Tensor();
  }

  absl::Status AtNode(const absl::Status& status, int32_t i) const {
    const Node& node = instance_.plan->graph().node(i);
    return Annotate(status, node.op->public_name, node.location);
  }

  void RunLoop(const LoopStep& loop) {
    if (loop.direct) {
      const loop::KernelArgs args{
          loop.launch.rows,       loop.launch.inner,       0,
          pointers_ + loop.first, loop.row_strides.data(), loop.inner_strides.data()};
      loop.fn(&args);
      return;
    }
    device_.RunLoop(loop.fn, loop.axis, loop.launch, {pointers_ + loop.first, Count(loop)},
                    instance_.num_threads);
  }
  static size_t Count(const LoopStep& loop) { return static_cast<size_t>(loop.count); }

  absl::Status RunOther(const Step& step) {
    switch (step.kind) {
      case StepKind::kLoop:
        break;
      case StepKind::kProduct:
        RunProduct(instance_.products[step.index]);
        break;
      case StepKind::kKernel:
      case StepKind::kExecute:
        return RunCall(instance_.calls[step.index], step.kind);
      case StepKind::kCheck: {
        const CallStep& call = instance_.calls[step.index];
        return call.node->op->check(call.node->attrs,
                                    {tensors_ + call.first, static_cast<size_t>(call.inputs)});
      }
      case StepKind::kRead:
        return Read(instance_.variables[step.index]);
      case StepKind::kAssign: {
        const VariableStep& v = instance_.variables[step.index];
        const std::lock_guard lock(v.variable->update_mutex());
        v.variable->Assign(v.value >= 0 ? dynamic_[v.value] : tensors_[v.tensor]);
        break;
      }
      case StepKind::kUpdate:
        return Update(instance_.variables[step.index]);
    }
    return absl::OkStatus();
  }

  void RunProduct(const ProductStep& product) {
    GemmArgs args = product.args;
    args.a = pointers_[product.first];
    args.b = pointers_[product.first + 1];
    args.c = pointers_[product.first + 2];
    if (product.epilogue < 0) {
      device_.Gemm(args, instance_.num_threads);
      return;
    }
    const LoopStep& loop = instance_.loops[product.epilogue];
    const loop::Launch& launch = loop.launch;
    const absl::Span<void* const> pointers(pointers_ + loop.first, Count(loop));
    const int64_t units = loop::NumUnits(loop.axis, launch);
    // Units are rows except when there is only one.
    const bool by_rows = launch.outer.empty() && launch.rows == args.m && units == args.m;
    if (!by_rows) {
      device_.Gemm(args, instance_.num_threads);
      device_.RunLoop(loop.fn, loop.axis, launch, pointers, instance_.num_threads);
      return;
    }
    device_.GemmWithEpilogue(
        args,
        [&](int64_t begin, int64_t end) {
          loop::RunUnits(loop.fn, loop.axis, launch, pointers, begin, end);
        },
        instance_.num_threads);
  }

  absl::Status RunCall(const CallStep& call, StepKind kind) {
    const Node& node = *call.node;
    const absl::Span<const Tensor> inputs(tensors_ + call.first, static_cast<size_t>(call.inputs));
    const absl::Span<Tensor> outputs(tensors_ + call.first + call.inputs,
                                     static_cast<size_t>(call.outputs));
    if (kind == StepKind::kExecute) {
      const OpCall op_call{*node.op, node.attrs, inputs, node.location};
      return ExecuteOp(op_call, call.specs, outputs, instance_.num_threads);
    }
    KernelContext context{*node.op, node.attrs, inputs, outputs, device_, instance_.num_threads};
    return node.op->kernel(context);
  }

  static absl::Status Uninitialised(const VariableState& variable) {
    return absl::FailedPreconditionError(Str("the variable \"", variable.name(),
                                             "\" has no value yet; assign it before it is read"));
  }

  absl::Status Read(const VariableStep& v) {
    Tensor value = v.variable->Read();
    if (!value.defined()) [[unlikely]] {
      // Perhaps another thread has taken it out for an update in place.
      const std::lock_guard lock(v.variable->update_mutex());
      value = v.variable->Read();
      if (!value.defined()) return Uninitialised(*v.variable);
    }
    InternalCheck(value.shape() == instance_.dynamic[v.value].spec.shape,
                  "a variable changed its shape");
    SetDynamic(v.value, std::move(value));
    return absl::OkStatus();
  }

  absl::Status Update(const VariableStep& v) {
    for (int32_t read : v.release) Release(read);
    const std::lock_guard lock(v.variable->update_mutex());
    Tensor value = v.variable->Take();
    if (!value.defined()) return Uninitialised(*v.variable);
    Tensor result;
    if (!value.OwnsElementsAlone()) {
      try {
        result = Tensor::Allocate(value.dtype(), value.shape());
      } catch (...) {
        v.variable->Assign(std::move(value));
        throw;
      }
    }
    void** pointers = pointers_ + v.loop.first;
    pointers[0] = const_cast<void*>(value.raw_data());
    pointers[v.loop.count - 1] =
        result.defined() ? result.mutable_raw_data() : value.mutable_raw_data();
    RunLoop(v.loop);
    v.variable->Assign(result.defined() ? std::move(result) : std::move(value));
    return absl::OkStatus();
  }

  const Instance& instance_;
  void** const pointers_;
  Tensor* const tensors_;
  Tensor* const dynamic_;
  Device& device_;
};

std::unique_ptr<Frame> Runnable::Take() {
  if (Frame* frame = spare_.exchange(nullptr, std::memory_order_acquire)) {
    return std::unique_ptr<Frame>(frame);
  }
  {
    const std::lock_guard lock(mutex_);
    if (!more_.empty()) {
      std::unique_ptr<Frame> frame = std::move(more_.back());
      more_.pop_back();
      return frame;
    }
  }
  return std::make_unique<Frame>(*instance_);
}

void Runnable::Return(std::unique_ptr<Frame> frame) {
  Frame* none = nullptr;
  if (spare_.compare_exchange_strong(none, frame.get(), std::memory_order_release,
                                     std::memory_order_relaxed)) {
    frame.release();  // owned by spare_ now
    return;
  }
  const std::lock_guard lock(mutex_);
  more_.push_back(std::move(frame));
}

absl::Status Runnable::Run(absl::Span<const Tensor> feeds, std::vector<Tensor>* results) {
  std::unique_ptr<Frame> frame = Take();
  absl::Status status;
  {
    FrameRun run(*instance_, frame.get());
    run.Prepare(feeds);
    status = run.RunSteps();
    if (status.ok()) run.Collect(results);
  }
  Return(std::move(frame));
  return status;
}

absl::StatusOr<std::shared_ptr<Runnable>> Executor::Find(absl::Span<const Tensor> feeds) {
  for (size_t i = 0; i < feeds.size(); ++i) {
    DUET_RETURN_IF_ERROR(plan_->CheckFeed(static_cast<int>(i), feeds[i]));
  }
  {
    const std::lock_guard lock(mutex_);
    for (auto it = instances_.begin(); it != instances_.end(); ++it) {
      if (!(*it)->instance().Matches(feeds)) continue;
      if (it != instances_.begin()) instances_.splice(instances_.begin(), instances_, it);
      return instances_.front();
    }
  }
  // Two threads may make the same instance at once; one more is harmless, waiting would not be.
  DUET_ASSIGN_OR_RETURN(std::shared_ptr<const Instance> instance, MakeInstance(plan_, feeds));
  auto runnable = std::make_shared<Runnable>(std::move(instance));
  const std::lock_guard lock(mutex_);
  instances_.push_front(runnable);
  if (instances_.size() > kMaxInstances) instances_.pop_back();
  return runnable;
}

absl::StatusOr<std::vector<Tensor>> Executor::Run(absl::Span<const Tensor> feeds) {
  try {
    DUET_ASSIGN_OR_RETURN(std::shared_ptr<Runnable> runnable, Find(feeds));
    std::vector<Tensor> results;
    DUET_RETURN_IF_ERROR(runnable->Run(feeds, &results));
    return results;
  } catch (const Error& e) {
    return e.status();
  } catch (const InternalError& e) {
    return absl::InternalError(e.what());
  } catch (const std::bad_alloc&) {
    return absl::ResourceExhaustedError("out of memory");
  }
}

std::vector<std::string> Executor::DescribeKernels() {
  std::shared_ptr<Runnable> latest;
  {
    const std::lock_guard lock(mutex_);
    if (instances_.empty()) return {};
    latest = instances_.front();
  }
  const Graph& graph = plan_->graph();
  absl::flat_hash_map<int32_t, std::vector<int32_t>> groups;
  for (int32_t i = 0; i < graph.size(); ++i) {
    if (graph.node(i).group >= 0) groups[graph.node(i).group].push_back(i);
  }
  std::vector<std::string> kernels;
  const auto nodes_of = [&](int32_t node) {
    const int32_t group = graph.node(node).group;
    return group >= 0 ? groups[group] : std::vector<int32_t>{node};
  };
  const Instance& instance = latest->instance();
  for (const Step& step : instance.steps) {
    const bool kernel = step.kind == StepKind::kLoop || step.kind == StepKind::kProduct ||
                        step.kind == StepKind::kUpdate;
    if (!kernel || step.node < 0) continue;
    std::vector<int32_t> nodes = nodes_of(step.node);
    if (step.kind == StepKind::kUpdate && instance.variables[step.index].computes_delta) {
      const std::vector<int32_t> delta = nodes_of(graph.node(step.node).inputs[1].node);
      nodes.insert(nodes.begin(), delta.begin(), delta.end());
    }
    std::string names;
    std::vector<std::string> lines;
    for (const int32_t node : nodes) {
      AppendTo(&names, names.empty() ? "" : ", ", graph.node(node).name);
      std::string line = graph.node(node).location.ToString();
      if (line.empty() || std::find(lines.begin(), lines.end(), line) != lines.end()) continue;
      lines.push_back(std::move(line));
    }
    if (!lines.empty()) AppendTo(&names, " (", absl::StrJoin(lines, ", "), ")");
    kernels.push_back(std::move(names));
  }
  return kernels;
}

}  // namespace duet::runtime
