#include "runtime/instance.h"

#include <algorithm>
#include <chrono>
#include <cstring>

#include "core/strings.h"
#include "runtime/concrete.h"
#include "runtime/memory_plan.h"
#include "runtime/step_builder.h"

namespace duet::runtime {
namespace {

// More than any machine holds; sums of a few of these do not overflow.
constexpr int64_t kMaxBytes = int64_t{1} << 60;

int64_t BytesOf(const ValueSpec& spec) {
  return static_cast<int64_t>(SizeOf(spec.dtype)) * spec.shape.num_elements();
}

// Asks the provider for the kernels of all loops at once.
absl::Status FindKernels(const StepBuilder& builder, bool fast_math, Instance* instance) {
  // Equal programs often follow each other; the provider is asked once for those.
  constexpr size_t kLookBack = 8;
  std::vector<const loop::Program*> programs;
  const auto add = [&](const loop::Program& program) {
    const size_t from = programs.size() > kLookBack ? programs.size() - kLookBack : 0;
    for (size_t i = from; i < programs.size(); ++i) {
      if (*programs[i] == program) return i;
    }
    programs.push_back(&program);
    return programs.size() - 1;
  };
  std::vector<std::pair<LoopStep*, size_t>> wanted;
  for (size_t i = 0; i < builder.programs.size(); ++i) {
    LoopStep& loop = instance->loops[i];
    if (loop.fn == nullptr) wanted.emplace_back(&loop, add(builder.programs[i]));
  }
  if (programs.empty()) return absl::OkStatus();
  DUET_ASSIGN_OR_RETURN(std::vector<loop::KernelFn> kernels,
                        CpuDevice().kernels().GetAll(programs, fast_math));
  for (const auto& [loop, program] : wanted) loop->fn = kernels[program];
  return absl::OkStatus();
}

// Where the values without memory of their own go. Values that may share with an operand do.
class Placement {
 public:
  explicit Placement(const StepBuilder& builder) : builder_(builder) {
    buffer_of_.assign(builder.values.size(), -1);
    for (size_t v = 0; v < builder.values.size(); ++v) {
      const Value& value = builder.values[v];
      const bool own = value.root == static_cast<int32_t>(v) && value.kind == Value::Kind::kArena;
      if (!own || value.last < 0) continue;
      buffer_of_[v] = static_cast<int32_t>(buffers_.size());
      buffers_.push_back({BytesOf(value.spec), value.first, value.last});
    }
    merged_.resize(buffers_.size(), false);
    for (const StepBuilder::InPlace& p : builder.in_place) Share(p);
  }

  absl::Status Plan() {
    int64_t total = 0;
    for (const Buffer& b : buffers_) {
      if (b.bytes > kMaxBytes || total > kMaxBytes) {
        return absl::ResourceExhaustedError("its values are larger than any memory");
      }
      total += b.bytes;
    }
    std::vector<Buffer> kept;
    std::vector<int32_t> place(buffers_.size(), -1);
    for (size_t i = 0; i < buffers_.size(); ++i) {
      if (merged_[static_cast<int32_t>(i)]) continue;
      place[i] = static_cast<int32_t>(kept.size());
      kept.push_back(buffers_[i]);
    }
    plan_ = PlanMemory(kept);
    for (int32_t& b : buffer_of_) {
      if (b >= 0) b = place[static_cast<size_t>(b)];
    }
    return absl::OkStatus();
  }
  const MemoryPlan& plan() const { return plan_; }
  int64_t Offset(int32_t root) const {
    return plan_.offsets[static_cast<size_t>(buffer_of_[static_cast<size_t>(root)])];
  }

 private:
  void Share(const StepBuilder::InPlace& p) {
    const int32_t operand = builder_.values[p.operand].root;
    const int32_t output = builder_.values[p.output].root;
    const int32_t a = buffer_of_[operand], b = buffer_of_[output];
    if (a < 0 || b < 0 || a == b) return;
    Buffer& from = buffers_[a];
    Buffer& to = buffers_[b];
    // The operand's memory must be free after the step, and the output not have any yet.
    if (from.last != p.step || to.first != p.step || from.bytes != to.bytes) return;
    if (builder_.values[operand].last != p.step) return;
    from.last = to.last;
    merged_[b] = true;
    buffer_of_[output] = a;
  }

  const StepBuilder& builder_;
  std::vector<int32_t> buffer_of_;  // by root value
  std::vector<Buffer> buffers_;
  std::vector<bool> merged_;
  MemoryPlan plan_;
};

// Turns references to values into slots that frames fill.
void Resolve(const StepBuilder& builder, const Placement& placement, Instance* instance) {
  instance->pointers.assign(builder.pointer_slots.size(), nullptr);
  for (size_t s = 0; s < builder.pointer_slots.size(); ++s) {
    const auto [id, offset] = builder.pointer_slots[s];
    if (id < 0) continue;  // set by an update
    const auto slot = static_cast<Slot>(s);
    const Value& value = builder.values[id];
    switch (value.kind) {
      case Value::Kind::kConstant:
        instance->pointers[s] =
            static_cast<char*>(const_cast<void*>(value.constant.raw_data())) + offset;
        break;
      case Value::Kind::kDynamic:
        instance->dynamic[value.dynamic].pointers.push_back({slot, offset});
        break;
      default:
        InternalCheck(value.kind == Value::Kind::kArena, "a pointer leads to no value");
        instance->arena_pointers.push_back({slot, placement.Offset(id) + offset});
    }
  }
  instance->tensors.resize(builder.tensor_slots.size());
  for (size_t s = 0; s < builder.tensor_slots.size(); ++s) {
    const StepBuilder::TensorUse& use = builder.tensor_slots[s];
    const auto slot = static_cast<Slot>(s);
    if (use.shape_alone) {
      instance->tensors[s] = ShapeAlone(use.spec);
      continue;
    }
    const Value& value = builder.values[use.value];
    const bool same_shape = value.spec.shape == use.spec.shape;
    switch (value.kind) {
      case Value::Kind::kConstant:
        instance->tensors[s] = same_shape ? value.constant : value.constant.Alias(use.spec.shape);
        break;
      case Value::Kind::kDynamic:
        instance->dynamic[value.dynamic].tensors.push_back({slot, use.spec.shape, same_shape});
        instance->dynamic[value.dynamic].shared |= !same_shape;
        break;
      default:
        instance->arena_tensors.push_back({slot, placement.Offset(use.value), use.spec});
    }
  }
}

void AddFetches(const StepBuilder& builder, const Plan& plan, Instance* instance) {
  for (const NodeOutput& o : plan.fetches()) {
    const Value& value = builder.values[plan.id(o)];
    const Value& root = builder.Root(plan.id(o));
    FetchSource source;
    source.shape = value.spec.shape;
    source.same_shape = value.spec.shape == root.spec.shape;
    if (root.kind == Value::Kind::kConstant) {
      source.constant = source.same_shape ? root.constant : root.constant.Alias(source.shape);
    } else {
      InternalCheck(root.kind == Value::Kind::kDynamic, "a result is planned away");
      source.dynamic = root.dynamic;
    }
    instance->fetches.push_back(std::move(source));
  }
}

// What shares memory with a variable and is done when an update of it comes.
void AddReleases(const StepBuilder& builder, Instance* instance) {
  std::vector<int32_t> last_use(instance->dynamic.size(), -1);
  for (const Value& v : builder.values) {
    if (v.dynamic >= 0) last_use[v.dynamic] = v.last;
  }
  absl::flat_hash_map<const VariableState*, std::vector<int32_t>> sharing;
  for (size_t s = 0; s < instance->steps.size(); ++s) {
    const Step& step = instance->steps[s];
    const auto now = static_cast<int32_t>(s);
    if (step.kind == StepKind::kRead || step.kind == StepKind::kAssign) {
      const VariableStep& v = instance->variables[step.index];
      if (v.value >= 0) sharing[v.variable].push_back(v.value);
    } else if (step.kind == StepKind::kUpdate) {
      for (UpdateStep::Target& t : instance->updates[step.index].targets) {
        std::vector<int32_t>& values = sharing[t.variable];
        for (int32_t value : values) {
          if (last_use[value] < now) t.release.push_back(value);
        }
        // A read that is used later keeps its memory.
        if (t.read >= 0 && last_use[t.read] > now) t.read = -1;
        if (t.value >= 0) values.push_back(t.value);
      }
    }
  }
}

}  // namespace

bool Instance::Matches(absl::Span<const Tensor> feeds) const {
  for (size_t i = 0; i < feeds.size(); ++i) {
    if (!(feeds[i].shape() == feed_shapes[i])) return false;
    const Tensor& value = feed_values[i];
    if (value.defined() && value.id() != feeds[i].id() &&
        std::memcmp(value.raw_data(), feeds[i].raw_data(), value.byte_size()) != 0) {
      return false;
    }
  }
  return true;
}

absl::StatusOr<std::shared_ptr<const Instance>> MakeInstance(std::shared_ptr<const Plan> plan,
                                                             absl::Span<const Tensor> feeds) {
  const auto start = std::chrono::steady_clock::now();
  const SessionOptions& options = plan->context().options();
  Concrete concrete;
  DUET_RETURN_IF_ERROR(Concretize(*plan, feeds, &concrete));
  auto instance = std::make_shared<Instance>();
  instance->plan = plan;
  instance->num_threads = options.num_threads;
  for (size_t i = 0; i < feeds.size(); ++i) {
    instance->feed_shapes.push_back(feeds[i].shape());
    instance->feed_values.push_back(plan->feed_by_value(static_cast<int>(i)) ? feeds[i] : Tensor());
  }
  StepBuilder builder(*plan, concrete, instance.get());
  DUET_RETURN_IF_ERROR(builder.Build());
  Placement placement(builder);
  DUET_RETURN_IF_ERROR(placement.Plan());
  instance->arena_bytes = placement.plan().bytes;
  instance->liveness_bytes = placement.plan().lower_bound;
  for (const DynamicValue& d : instance->dynamic) {
    if (!d.allocated) continue;
    const int64_t bytes = BytesOf(d.spec);
    if (bytes > kMaxBytes || instance->result_bytes > kMaxBytes) {
      return absl::ResourceExhaustedError("the results are larger than any memory");
    }
    instance->result_bytes += bytes;
  }
  const int64_t needed = instance->arena_bytes + instance->result_bytes;
  if (options.memory_limit > 0 && needed > options.memory_limit) {
    return absl::ResourceExhaustedError(Str(
        "this run needs ", needed, " bytes (", instance->arena_bytes, " for intermediate values, ",
        instance->result_bytes, " for results) and the session's memory_limit is ",
        options.memory_limit, "; raise SessionOptions::memory_limit or feed smaller values"));
  }
  const KernelProvider::Stats before = CpuDevice().kernels().stats();
  DUET_RETURN_IF_ERROR(FindKernels(builder, options.fast_math, instance.get()));
  const KernelProvider::Stats after = CpuDevice().kernels().stats();
  Resolve(builder, placement, instance.get());
  AddFetches(builder, *plan, instance.get());
  AddReleases(builder, instance.get());
  const double seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  const double compiling = after.compile_seconds - before.compile_seconds;
  plan->context().UpdateStats([&](SessionStats& stats) {
    ++stats.instances;
    stats.kernels_compiled += after.compiled - before.compiled;
    stats.cache_hits += after.prebuilt_hits - before.prebuilt_hits + after.disk_hits -
                        before.disk_hits + after.memory_hits - before.memory_hits;
    stats.compile_seconds += compiling;
    stats.plan_seconds += std::max(0.0, seconds - compiling);
    stats.planned_bytes = instance->arena_bytes;
    stats.liveness_bytes = instance->liveness_bytes;
    stats.peak_bytes = std::max(stats.peak_bytes, needed);
    stats.kernels_in_plan = instance->kernels;
  });
  return std::shared_ptr<const Instance>(std::move(instance));
}

}  // namespace duet::runtime
