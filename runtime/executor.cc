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

  void PointTo(int32_t index, void* data) {
    for (const auto& [slot, offset] : instance_.dynamic[index].pointers) {
      pointers_[slot] = static_cast<char*>(data) + offset;
    }
  }

  void SetDynamic(int32_t index, Tensor value) {
    const DynamicValue& d = instance_.dynamic[index];
    PointTo(index, const_cast<void*>(value.raw_data()));
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
        int32_t node = step->node;
        absl::Status status = RunOther(*step, &node);
        if (!status.ok()) [[unlikely]]
          return AtNode(status, node);
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
    device_.RunLoop(loop.fn, loop.axis, loop.launch, Pointers(loop), instance_.num_threads);
  }
  absl::Span<void* const> Pointers(const LoopStep& loop) const {
    return {pointers_ + loop.first, static_cast<size_t>(loop.count)};
  }

  // On failure `node` is the one that failed.
  absl::Status RunOther(const Step& step, int32_t* node) {
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
        return Update(instance_.updates[step.index], node);
    }
    return absl::OkStatus();
  }

  void RunProduct(const ProductStep& product) {
    GemmArgs args = product.args;
    args.a = pointers_[product.first];
    args.b = pointers_[product.first + 1];
    args.c = pointers_[product.first + 2];
    if (product.epilogues.empty()) {
      device_.Gemm(args, instance_.num_threads);
      return;
    }
    device_.GemmWithEpilogue(
        args,
        [&](int64_t begin, int64_t end, void* panel) {
          for (int32_t epilogue : product.epilogues) {
            RunOnPanel(product, instance_.loops[epilogue], begin, end, panel);
          }
        },
        instance_.num_threads);
  }

  // Rows [begin, end) of an epilogue. Several threads are at different rows at once. Allocates
  // nothing, and so does not throw.
  void RunOnPanel(const ProductStep& product, const LoopStep& loop, int64_t begin, int64_t end,
                  void* panel) const {
    void* pointers[kMaxPanelPointers];
    for (int32_t k = 0; k < loop.count; ++k) {
      pointers[k] = Moved(pointers_[loop.first + k], begin * loop.row_strides[k]);
    }
    for (Slot slot : product.panel_slots) {
      const Slot k = slot - loop.first;
      if (k >= 0 && k < loop.count) pointers[k] = panel;
    }
    const int64_t rows = end - begin, inner = loop.launch.inner;
    const loop::KernelArgs args{
        loop.flat ? 1 : rows,    loop.flat ? rows * inner : inner, 0, pointers,
        loop.row_strides.data(), loop.inner_strides.data()};
    loop.fn(&args);
  }

  // In integers, because what has no elements may be null.
  static void* Moved(void* pointer, int64_t bytes) {
    return reinterpret_cast<void*>(reinterpret_cast<intptr_t>(pointer) + bytes);
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
    if (!value.defined()) return Uninitialised(*v.variable);
    InternalCheck(value.shape() == instance_.dynamic[v.value].spec.shape,
                  "a variable changed its shape");
    SetDynamic(v.value, std::move(value));
    return absl::OkStatus();
  }

  absl::Status Update(const UpdateStep& update, int32_t* node) {
    absl::InlinedVector<std::unique_lock<std::mutex>, 2> locks;
    for (std::mutex* mutex : update.locks) locks.emplace_back(*mutex);
    absl::InlinedVector<Tensor, 2> before(update.targets.size()), after(update.targets.size());
    const auto put_back = [&] {
      for (size_t i = 0; i < before.size(); ++i) {
        if (before[i].defined()) update.targets[i].variable->Assign(std::move(before[i]));
      }
    };
    try {
      for (size_t i = 0; i < update.targets.size(); ++i) {
        const UpdateStep::Target& t = update.targets[i];
        before[i] = t.variable->Take();
        if (!before[i].defined()) {
          put_back();
          *node = t.node;
          return Uninitialised(*t.variable);
        }
        for (int32_t done : t.release) Release(done);
        // Its pointers stay valid: they lead to the memory that `before` holds. Another target may
        // have let go the same read.
        if (t.read >= 0 && dynamic_[t.read].defined() &&
            dynamic_[t.read].raw_data() == before[i].raw_data()) {
          Release(t.read);
        }
        after[i] = before[i].OwnsElementsAlone()
                       ? before[i]
                       : Tensor::Allocate(before[i].dtype(), before[i].shape());
        void* const result = after[i].mutable_raw_data();
        if (t.value >= 0) {
          PointTo(t.value, result);
        } else {
          pointers_[t.old] = const_cast<void*>(before[i].raw_data());
          pointers_[t.result] = result;
        }
      }
      if (update.product >= 0) {
        RunProduct(instance_.products[update.product]);
      } else {
        RunLoop(instance_.loops[update.loop]);
      }
    } catch (...) {
      put_back();
      throw;
    }
    for (size_t i = 0; i < update.targets.size(); ++i) {
      update.targets[i].variable->Assign(after[i]);
    }
    for (size_t i = 0; i < update.targets.size(); ++i) {
      const int32_t value = update.targets[i].value;
      if (value >= 0) SetDynamic(value, std::move(after[i]));
    }
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
    std::vector<int32_t> nodes;
    if (step.kind == StepKind::kUpdate) {
      for (int32_t node : instance.updates[step.index].nodes) {
        const std::vector<int32_t> more = nodes_of(node);
        nodes.insert(nodes.end(), more.begin(), more.end());
      }
    } else {
      nodes = nodes_of(step.node);
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
