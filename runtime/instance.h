// Instance: a plan for concrete shapes, as a flat list of steps over preplanned memory. Running it
// (executor.h) looks nothing up: no maps, locks or strings per node.
#ifndef DUET_RUNTIME_INSTANCE_H_
#define DUET_RUNTIME_INSTANCE_H_

#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

#include "absl/container/inlined_vector.h"
#include "absl/status/statusor.h"
#include "core/device.h"
#include "core/op_def.h"
#include "core/tensor.h"
#include "runtime/plan.h"

namespace duet::runtime {

// A place in a frame's table of pointers or tensors.
using Slot = int32_t;

enum class StepKind : uint8_t {
  kLoop,
  kProduct,
  kKernel,
  kExecute,
  kCheck,
  kRead,
  kAssign,
  kUpdate
};

struct Step {
  StepKind kind;
  int32_t index;  // into the instance's list of this kind
  int32_t node;   // for errors
};

// A kernel over a launch; its pointers are `count` slots from `first` on: operands, then outputs.
struct LoopStep {
  loop::KernelFn fn = nullptr;
  loop::Axis axis = loop::Axis::kNone;
  bool direct = false;  // one call on this thread does it all
  bool flat = false;    // some rows can be run as a single long one
  Slot first = 0;
  int32_t count = 0;
  loop::Launch launch;
  std::vector<int64_t> row_strides, inner_strides;  // of the launch's layouts
};

// A matrix product of the slots first, first + 1 into first + 2, and the loops that run on each of
// its panels of rows, in turn: launches over its rows, without outer dimensions or reductions, of
// at most kMaxPanelPointers operands and outputs.
inline constexpr int kMaxPanelPointers = 64;
struct ProductStep {
  GemmArgs args;
  Slot first = 0;
  absl::InlinedVector<int32_t, 2> epilogues;  // LoopSteps
  // If the product has no memory of its own: the loops' slots that lead to it, panel by panel.
  std::vector<Slot> panel_slots;
};

// An op's kernel (kKernel), the op as eager runs it (kExecute) or its data check (kCheck) on the
// tensors from `first` on: inputs, then outputs.
struct CallStep {
  const Node* node = nullptr;
  Slot first = 0;
  int32_t inputs = 0, outputs = 0;
  std::vector<ValueSpec> specs;
};

// kRead: dynamic value `value` becomes the variable's. kAssign: the variable becomes that value.
struct VariableStep {
  VariableState* variable = nullptr;
  int32_t value = -1;
  Slot tensor = -1;  // kAssign of what is no dynamic value: where its tensor is
};

// kUpdate: variables become what is computed from their values: in place, if nobody else holds
// them.
struct UpdateStep {
  struct Target {
    VariableState* variable = nullptr;
    int32_t node = -1;  // for errors
    // An update by a delta: the slots where the variable's value is and where the new one goes.
    Slot old = -1, result = -1;
    // An assignment: the dynamic value that the variable becomes, and the read of it that the loop
    // has at hand (a dynamic value). It is overwritten if it still is what the variable holds.
    int32_t value = -1, read = -1;
    // Other dynamic values that share memory with the variable and are done: let go, so that the
    // update can be in place.
    std::vector<int32_t> release;
  };
  std::vector<Target> targets;     // in the order of their assignments
  std::vector<std::mutex*> locks;  // the targets' update mutexes, in the order of locking
  // What computes the new values: a product with its epilogues, or a loop.
  int32_t product = -1, loop = -1;
  std::vector<int32_t> nodes;  // that are computed, for a listing: each stands for its group
};

// A value whose tensor differs from run to run: fed, read from a variable, or made for the caller
// (results and assigned values, which outlive the run).
struct DynamicValue {
  ValueSpec spec;
  bool allocated = false;  // a fresh tensor at the start of each run
  // Its tensor is also seen under another shape before it is computed, so it needs storage that
  // tensors can share, however small it is.
  bool shared = false;
  struct PointerUse {
    Slot slot;
    int64_t offset;
  };
  std::vector<PointerUse> pointers;
  struct TensorUse {
    Slot slot;
    Shape shape;
    bool same_shape;
  };
  std::vector<TensorUse> tensors;
};

// A result: a dynamic value or a constant, under a shape.
struct FetchSource {
  int32_t dynamic = -1;
  Tensor constant;
  Shape shape;
  bool same_shape = true;
};

struct Instance {
  std::shared_ptr<const Plan> plan;
  // What it was made for, by feed. Values only of feeds that decide shapes.
  std::vector<Shape> feed_shapes;
  std::vector<Tensor> feed_values;

  std::vector<Step> steps;
  std::vector<LoopStep> loops;
  std::vector<ProductStep> products;
  std::vector<CallStep> calls;
  std::vector<VariableStep> variables;
  std::vector<UpdateStep> updates;

  // Feed i is dynamic value i.
  std::vector<DynamicValue> dynamic;
  std::vector<FetchSource> fetches;

  // What a new frame is filled with. Pointers into constants are final; others are set per frame or
  // run.
  std::vector<void*> pointers;
  struct ArenaPointer {
    Slot slot;
    int64_t offset;
  };
  std::vector<ArenaPointer> arena_pointers;
  std::vector<Tensor> tensors;
  struct ArenaTensor {
    Slot slot;
    int64_t offset;
    ValueSpec spec;
  };
  std::vector<ArenaTensor> arena_tensors;
  // Constants that pointers point to.
  std::vector<Tensor> owned_constants;

  int64_t arena_bytes = 0;
  int64_t liveness_bytes = 0;
  int64_t result_bytes = 0;  // of the tensors allocated in each run
  int num_threads = 0;
  int kernels = 0;  // launches: loops and products

  bool Matches(absl::Span<const Tensor> feeds) const;
};

// Plans `plan` for the shapes of `feeds` (checked by Plan::CheckFeed): concrete shapes, kernels
// (asked for all at once), memory, steps. ResourceExhausted if it would need more than the
// session's memory limit.
absl::StatusOr<std::shared_ptr<const Instance>> MakeInstance(std::shared_ptr<const Plan> plan,
                                                             absl::Span<const Tensor> feeds);

}  // namespace duet::runtime

#endif  // DUET_RUNTIME_INSTANCE_H_
