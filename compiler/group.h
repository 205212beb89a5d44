// What a set of nodes means as one kernel: its iteration space, and for each node how its value
// lies in that space. Fusion asks whether a candidate fits, with unknown sizes taken to be equal;
// lowering asks the same of concrete shapes. One set of rules, so the two cannot drift.
#ifndef DUET_COMPILER_GROUP_H_
#define DUET_COMPILER_GROUP_H_

#include <cstdint>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "compiler/access.h"
#include "compiler/lower.h"
#include "core/loop/launch.h"
#include "core/loop/program.h"
#include "graph/graph.h"

namespace duet::compiler {

// True if the pass may put the node into some group: it is pure and its meaning is a loop
// expression, a view, a reduction or a matrix product.
bool IsFusable(const Node& node);

// True if the value of input `i` decides shapes (axes, sizes, ...).
bool IsHostInput(const Node& node, int i);

// True if input `i` of a member must be produced outside of its group: it is a host input (axes,
// sizes), or OpDef::check looks at its elements. Floating-point elements are never checked, so that
// float division fuses.
bool NeedsMaterialised(const Node& node, int i, DType dtype);

// A node of a group.
struct Member {
  enum class Kind : uint8_t {
    kCompute,  // an elementwise op
    kReduce,   // a reduction of input 0
    kForward,  // a view that leaves input 0, a member, at its place in the space
    kAccess,   // a view of something outside: `access` says how it is loaded
    kProduct,  // the matrix product; loaded as an operand
  };
  // Where the value lies: at every point of the space, or once per position of the kept dimensions.
  enum class Level : uint8_t { kPoint, kReduced };
  int32_t node = -1;
  Kind kind = Kind::kCompute;
  Level level = Level::kPoint;
  bool varies = true;  // along the reduced dimensions; true in groups without any
  Access access;       // kAccess: over the node's own output shape
};

class GroupModel {
 public:
  // `nodes` ascend. With `optimistic`, views whose host values are not known are taken to fit.
  // FailedPrecondition, with the reason, if the nodes are not one kernel.
  static absl::StatusOr<GroupModel> Build(const std::vector<int32_t>& nodes,
                                          const LowerContext& context, bool optimistic);

  const Shape& space() const { return space_; }
  loop::Axis axis() const { return axis_; }
  int reduce_begin() const { return reduce_begin_; }
  int reduce_end() const { return reduce_end_; }
  int32_t contraction() const { return contraction_; }
  const std::vector<Member>& members() const { return members_; }
  // The member that produces `o`, or null if `o` comes from outside.
  const Member* Find(NodeOutput o) const;
  // How input `i` of `member` is loaded, with strides over the whole space; for an input that is
  // not a computed member's value.
  Access LoadOf(const Member& member, int i) const;
  // The strides over the space of a contiguous tensor that holds a value of this level.
  loop::Strides StorageStrides(Member::Level level) const;
  // The number of elements one result of the reduction combines.
  int64_t reduced_size() const;

 private:
  explicit GroupModel(const LowerContext& context) : context_(&context) {}
  absl::Status FindSpace(const std::vector<int32_t>& nodes);
  absl::Status AddMember(int32_t node, bool optimistic);
  absl::Status AddCompute(Member member);
  absl::Status AddView(Member member, bool optimistic);
  absl::Status AddReduction(Member member);
  absl::Status CheckAccess(const Access& load) const;
  absl::Status CheckOutputs() const;
  bool HasKeptShape(const Shape& shape) const;
  bool VariesAlongReduced(const Access& load) const;
  // True if a value of level kReduced and `shape`, broadcast over the space, keeps each element at
  // its own position of the kept dimensions.
  bool AlignsWithSpace(const Shape& shape) const;
  Access AccessOf(NodeOutput o) const;
  // `access`, over `shape`, as an operand of a node of `consumer`'s shape at `level`.
  Access Spread(const Access& access, const Shape& shape, const Shape& consumer,
                Member::Level level) const;
  const Shape& shape(NodeOutput o) const { return context_->spec(o).shape; }
  const Node& node(int32_t i) const { return context_->graph.node(i); }

  const LowerContext* context_;
  Shape space_;
  Shape kept_, dropped_;  // the shapes of reduced values: sizes of 1, or no such dimensions
  loop::Axis axis_ = loop::Axis::kNone;
  int reduce_begin_ = 0, reduce_end_ = 0;
  int32_t contraction_ = -1;
  std::vector<Member> members_;
  absl::flat_hash_map<int32_t, int> position_;  // node -> place in members_
};

}  // namespace duet::compiler

#endif  // DUET_COMPILER_GROUP_H_
