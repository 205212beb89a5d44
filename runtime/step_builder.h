// StepBuilder: from scheduled units to steps that refer to values; where values live comes after
// (instance.cc).
#ifndef DUET_RUNTIME_STEP_BUILDER_H_
#define DUET_RUNTIME_STEP_BUILDER_H_

#include <cstdint>
#include <limits>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "compiler/lower.h"
#include "runtime/concrete.h"
#include "runtime/instance.h"
#include "runtime/schedule.h"

namespace duet::runtime {

// A value while an instance is made: an output of a node (by output id), or a temporary. A kPanel
// value is a matrix product that exists only panel by panel, within its step.
struct Value {
  enum class Kind : uint8_t { kNone, kConstant, kDynamic, kArena, kPanel };
  Kind kind = Kind::kNone;
  int32_t root = -1;  // the value whose memory it shares; itself if it has its own
  ValueSpec spec;
  Tensor constant;
  int32_t dynamic = -1;
  // The steps that define and last use it; on roots.
  int32_t first = std::numeric_limits<int32_t>::max(), last = -1;
};

class StepBuilder {
 public:
  StepBuilder(const Plan& plan, const Concrete& concrete, Instance* instance);

  // Emits the steps of all units, and adds the programs that kernels are needed for.
  absl::Status Build();

  // What instance.cc places and resolves.
  std::vector<Value> values;
  struct SlotUse {
    int32_t value;
    int64_t offset;
  };
  std::vector<SlotUse> pointer_slots;
  struct TensorUse {
    int32_t value;
    ValueSpec spec;  // as the op sees it
    bool shape_alone;
  };
  std::vector<TensorUse> tensor_slots;
  // `output` may take the memory of `operand`, which is not needed after `step`.
  struct InPlace {
    int32_t step, operand, output;
  };
  std::vector<InPlace> in_place;
  // For each loop step, its program.
  std::vector<loop::Program> programs;

  const Value& Root(int32_t value) const { return values[values[value].root]; }

 private:
  Value& RootOf(int32_t value) { return values[values[value].root]; }
  int32_t Id(NodeOutput o) const { return plan_.id(o); }
  int32_t NewValue(const ValueSpec& spec);
  int32_t NewConstant(Tensor t);
  void MakeDynamic(int32_t value, bool allocated);
  // What runs, what is handed out: decided before the first step.
  void FindRunning();
  void PlaceLeaves();
  void FindEscaping();

  // The step that is being emitted.
  int32_t step() const {
    return static_cast<int32_t>(instance_.steps.size()) - (joins_last_ ? 1 : 0);
  }
  void AddStep(StepKind kind, size_t index, int32_t node);
  // The value is read or written by the step about to be added.
  void Use(int32_t value);
  void Define(int32_t value);
  void AddPointer(int32_t value, int64_t offset);
  void AddTensor(int32_t value, const ValueSpec& spec, bool shape_alone);

  absl::Status EmitUnit(const Unit& unit);
  absl::Status MapOf(int32_t node, ViewMap* map) const;
  std::vector<int64_t> ReducedAxes(int32_t node) const;
  bool IsAlias(int32_t node) const;
  bool EmitGroup(const Unit& unit, const compiler::LowerContext& context);
  bool CoversUses(const Unit& unit, const compiler::LoweredGroup& group) const;
  absl::Status EmitNode(int32_t node);
  void EmitAlias(int32_t node);
  absl::Status EmitElementwise(int32_t node);
  absl::Status EmitView(int32_t node);
  absl::Status EmitReduction(int32_t node);
  bool EmitProduct(int32_t node, int32_t result, int32_t epilogue);
  void EmitCall(int32_t node, StepKind kind);
  void EmitCheck(int32_t node, const Unit& unit);
  absl::Status EmitVariable(int32_t node);
  bool EmitForwardedRead(int32_t node);
  bool EmitAssignInPlace(int32_t node);
  absl::Status EmitUpdate(int32_t node);
  // True if the unit after this one updates a variable by `output`, which nothing else uses, and
  // the loop that computes it was put by to become one with the update's.
  bool JoinsUpdate(const loop::Program& program, const loop::Launch& launch,
                   absl::Span<const SlotUse> operands, int32_t output);
  // True if an update by a loop can run on the panels of the last step's product; `launch` then
  // walks rows of the product.
  bool JoinsProduct(int32_t node, absl::Span<const SlotUse> operands, loop::Launch* launch);
  bool StaysInPanels(const UpdateStep& update, int32_t delta_node) const;
  ProductStep* ProductOfLastStep();
  UpdateStep& LastStepAsUpdate();
  void AddTarget(UpdateStep* update, UpdateStep::Target target);
  bool IsReadOf(int32_t value, const VariableState* variable) const;
  const UpdateStep::Target* TargetOfLastStep(const VariableState* variable) const;
  // The last product's value loses its memory: loops see it panel by panel.
  void KeepInPanels(int32_t root);
  // A loop of `operands` into `outputs`; returns its place in instance_.loops. A value of -1 stands
  // for a pointer that the step sets as it runs.
  int32_t AddLoop(const loop::Program& program, const loop::Launch& launch,
                  absl::Span<const SlotUse> operands, absl::Span<const int32_t> outputs);

  const Plan& plan_;
  const Graph& graph_;
  const Concrete& concrete_;
  Instance& instance_;
  std::vector<bool> runs_;        // by node
  std::vector<bool> escapes_;     // by output id: fetched or assigned, itself or through aliases
  std::vector<int32_t> unit_of_;  // by node, -1 if it does not run
  std::vector<std::vector<int32_t>> users_;  // by output id: running nodes that use it
  std::vector<bool> fetched_;                // by output id
  bool fuses_;                               // false if the user turned fusion off
  const Unit* next_unit_ = nullptr;          // after the one being emitted
  // A loop that is run as part of the next unit's update by its only output.
  struct JoinedLoop {
    loop::Program program;
    loop::Launch launch;
    std::vector<SlotUse> operands;
    int32_t output = -1;  // -1: there is none
  };
  JoinedLoop joined_;
  // The last step's matrix product, for the updates that may join it.
  struct LastProduct {
    int32_t step = -1;
    int32_t unit = -1;
    int32_t result = -1;      // the product's value
    std::vector<Slot> slots;  // of the epilogue's operands that are the product
    Slot first = 0;           // of all its slots
  };
  LastProduct product_;
  // Operands that any output with elements of the same size may overwrite, of the last loop (or
  // epilogue, if its product is kept in panels), which is step overwritable_step_.
  std::vector<int32_t> overwritable_;
  int32_t overwritable_step_ = -1;
  bool joins_last_ = false;  // what is emitted becomes part of the last step
};

}  // namespace duet::runtime

#endif  // DUET_RUNTIME_STEP_BUILDER_H_
