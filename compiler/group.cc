#include "compiler/group.h"

#include <algorithm>

#include "absl/container/inlined_vector.h"
#include "core/execute.h"
#include "core/strings.h"

namespace duet::compiler {
namespace {

using Kind = Member::Kind;
using Level = Member::Level;

absl::Status DoesNotFit(const Node& node, std::string_view reason) {
  return absl::FailedPreconditionError(
      Str("\"", node.name, "\" does not fit the kernel: ", reason));
}

bool IsComputed(const Member* m) { return m != nullptr && m->kind != Kind::kAccess; }

}  // namespace

bool IsFusable(const Node& node) {
  const OpDef& op = *node.op;
  if (op.stateful || op.random || op.side_effect || op.resource != ResourceUse::kNone) return false;
  if (node.outputs.size() != 1 || SizeOf(node.outputs[0].dtype) == 0) return false;
  switch (op.family) {
    case Family::kElementwise:
      return op.elementwise != nullptr;
    case Family::kView:
      return op.view != nullptr;
    case Family::kReduction:
    case Family::kContraction:
      return true;
    default:
      return false;
  }
}

bool IsHostInput(const Node& node, int i) {
  // The argument that input i belongs to; a list takes what the other arguments leave.
  const auto& args = node.op->inputs;
  const int list_length = static_cast<int>(node.inputs.size()) - static_cast<int>(args.size()) + 1;
  for (const ArgDef& arg : args) {
    i -= arg.number_attr.empty() ? 1 : list_length;
    if (i < 0) return arg.host;
  }
  return false;
}

bool NeedsMaterialised(const Node& node, int i, DType dtype) {
  const OpDef& op = *node.op;
  if (op.check != nullptr && !IsFloating(dtype)) {
    for (int checked : op.checked_inputs) {
      if (checked == i) return true;
    }
  }
  return IsHostInput(node, i);
}

const Member* GroupModel::Find(NodeOutput o) const {
  auto it = position_.find(o.node);
  return it == position_.end() ? nullptr : &members_[static_cast<size_t>(it->second)];
}

int64_t GroupModel::reduced_size() const {
  int64_t n = 1;
  for (int d = reduce_begin_; d < reduce_end_; ++d) n *= space_.dim(d);
  return n;
}

absl::StatusOr<GroupModel> GroupModel::Build(const std::vector<int32_t>& nodes,
                                             const LowerContext& context, bool optimistic) {
  GroupModel model(context);
  DUET_RETURN_IF_ERROR(model.FindSpace(nodes));
  model.members_.reserve(nodes.size());
  for (int32_t n : nodes) DUET_RETURN_IF_ERROR(model.AddMember(n, optimistic));
  DUET_RETURN_IF_ERROR(model.CheckOutputs());
  return model;
}

// The space is what is reduced, else the product, else what the last computation writes.
absl::Status GroupModel::FindSpace(const std::vector<int32_t>& nodes) {
  int32_t reduction = -1, last = nodes.back();
  std::vector<int64_t> axes;
  for (int32_t n : nodes) {
    const Node& node = this->node(n);
    if (!IsFusable(node)) return DoesNotFit(node, "its op is not fused");
    if (node.device != this->node(nodes[0]).device) return DoesNotFit(node, "another device");
    if (node.op->family == Family::kElementwise) last = n;
    if (node.op->family == Family::kContraction) {
      if (contraction_ >= 0) return DoesNotFit(node, "a second matrix product");
      contraction_ = n;
    }
    if (node.op->family != Family::kReduction) continue;
    const Tensor* value = context_->value(node.inputs[1]);
    if (value == nullptr) return DoesNotFit(node, "its axes are not known");
    const Shape& input = shape(node.inputs[0]);
    std::vector<int64_t> own = value->AsInt64Vector();
    for (int64_t& a : own) {
      if (a < 0) a += input.rank();
      if (a < 0 || a >= input.rank()) return DoesNotFit(node, "its axes are not valid");
    }
    std::sort(own.begin(), own.end());
    own.erase(std::unique(own.begin(), own.end()), own.end());
    if (reduction < 0) {
      reduction = n;
      space_ = input;
      axes = std::move(own);
    } else if (!(input == space_) || own != axes) {
      return DoesNotFit(node, "it reduces another space");
    }
  }
  if (reduction < 0) {
    space_ = context_->spec({contraction_ >= 0 ? contraction_ : last, 0}).shape;
    if (contraction_ >= 0 && space_.rank() != 2) {
      return DoesNotFit(node(contraction_), "the product is not a matrix");
    }
    return absl::OkStatus();
  }
  const Node& node = this->node(reduction);
  if (contraction_ >= 0) return DoesNotFit(node, "a reduction after a matrix product");
  // The order of a reduction is that of the op run alone, so the fused loop must be its one step.
  const std::vector<ReduceStep> steps = PlanReduction(space_, axes);
  if (steps.size() != 1 || axes.back() - axes.front() + 1 != static_cast<int64_t>(axes.size())) {
    return DoesNotFit(node, "it is not reduced in one step");
  }
  reduce_begin_ = static_cast<int>(axes.front());
  reduce_end_ = static_cast<int>(axes.back()) + 1;
  const loop::Space& step = steps[0].space;
  axis_ = step.reduce_end == step.shape.rank() ? loop::Axis::kInner : loop::Axis::kRows;
  if ((axis_ == loop::Axis::kInner) != (reduce_end_ == space_.rank())) {
    return DoesNotFit(node, "the op alone reduces another loop");
  }
  kept_ = space_;
  for (int d = 0; d < space_.rank(); ++d) {
    if (d >= reduce_begin_ && d < reduce_end_) {
      kept_.set_dim(d, 1);
    } else {
      dropped_.AddDim(space_.dim(d));
    }
  }
  return absl::OkStatus();
}

absl::Status GroupModel::AddMember(int32_t n, bool optimistic) {
  const Node& node = this->node(n);
  for (size_t i = 0; i < node.inputs.size(); ++i) {
    const NodeOutput in = node.inputs[i];
    if (position_.contains(in.node) &&
        NeedsMaterialised(node, static_cast<int>(i), context_->spec(in).dtype)) {
      return DoesNotFit(node, Str("input ", i, " is looked at before the kernel runs"));
    }
  }
  Member member;
  member.node = n;
  switch (node.op->family) {
    case Family::kElementwise:
      return AddCompute(std::move(member));
    case Family::kView:
      return AddView(std::move(member), optimistic);
    case Family::kReduction:
      return AddReduction(std::move(member));
    default:
      break;
  }
  // The product is finished, row by row, before the loop reads it: it cannot use the loop's values.
  for (const NodeOutput& in : node.inputs) {
    if (position_.contains(in.node)) return DoesNotFit(node, "its input is computed by the group");
  }
  member.kind = Kind::kProduct;
  position_.emplace(n, static_cast<int>(members_.size()));
  members_.push_back(std::move(member));
  return absl::OkStatus();
}

bool GroupModel::HasKeptShape(const Shape& shape) const {
  return axis_ != loop::Axis::kNone && (shape == kept_ || shape == dropped_);
}

bool GroupModel::VariesAlongReduced(const Access& load) const {
  if (axis_ == loop::Axis::kNone || !load.known) return true;
  for (int d = reduce_begin_; d < reduce_end_; ++d) {
    if (load.strides[static_cast<size_t>(d)] != 0) return true;
  }
  return false;
}

bool GroupModel::AlignsWithSpace(const Shape& shape) const {
  return SameWalk(loop::BroadcastStrides(shape, space_), StorageStrides(Level::kReduced), space_);
}

loop::Strides GroupModel::StorageStrides(Level level) const {
  loop::Strides strides = RowMajor(level == Level::kPoint ? space_ : kept_);
  if (level == Level::kReduced) {
    for (int d = reduce_begin_; d < reduce_end_; ++d) strides[static_cast<size_t>(d)] = 0;
  }
  return strides;
}

Access GroupModel::AccessOf(NodeOutput o) const {
  const Member* m = Find(o);
  if (m != nullptr) return m->access;
  return Access{o, 0, RowMajor(shape(o)), true};
}

Access GroupModel::Spread(const Access& access, const Shape& shape, const Shape& consumer,
                          Level level) const {
  // NumPy broadcasting: sizes that are equal keep their stride, even for size 1, so that the kernel
  // does not change with the batch size.
  loop::Strides wide(static_cast<size_t>(consumer.rank()), 0);
  const int skip = consumer.rank() - shape.rank();
  for (int d = 0; access.known && d < shape.rank(); ++d) {
    if (shape.dim(d) == consumer.dim(skip + d)) {
      wide[static_cast<size_t>(skip + d)] = access.strides[static_cast<size_t>(d)];
    }
  }
  Access load{access.source, access.offset, {}, access.known};
  if (level == Level::kPoint) {
    load.strides = std::move(wide);
    return load;
  }
  load.strides.assign(static_cast<size_t>(space_.rank()), 0);
  const bool dropped = consumer.rank() != space_.rank();
  int from = 0;
  for (int d = 0; d < space_.rank(); ++d) {
    const bool reduced = d >= reduce_begin_ && d < reduce_end_;
    if (reduced && dropped) continue;
    const int64_t stride = wide[static_cast<size_t>(from++)];
    if (!reduced) load.strides[static_cast<size_t>(d)] = stride;
  }
  return load;
}

Access GroupModel::LoadOf(const Member& member, int i) const {
  const NodeOutput in = node(member.node).inputs[static_cast<size_t>(i)];
  const Shape& consumer =
      member.kind == Kind::kReduce ? space_ : context_->spec({member.node, 0}).shape;
  const Level level = member.kind == Kind::kReduce ? Level::kPoint : member.level;
  return Spread(AccessOf(in), shape(in), consumer, level);
}

// Whatever is read inside the reduced loop must walk all reduced dimensions with one stride.
absl::Status GroupModel::CheckAccess(const Access& load) const {
  if (axis_ == loop::Axis::kNone || !load.known) return absl::OkStatus();
  int64_t next = -1;
  for (int d = reduce_end_; d-- > reduce_begin_;) {
    const int64_t size = space_.dim(d);
    if (size == 1) continue;
    const int64_t stride = load.strides[static_cast<size_t>(d)];
    if (next >= 0 && stride != next) {
      return absl::FailedPreconditionError("the reduced dimensions are not walked with one stride");
    }
    next = stride * std::max<int64_t>(size, 1);
  }
  return absl::OkStatus();
}

absl::Status GroupModel::AddCompute(Member member) {
  const Node& node = this->node(member.node);
  const Shape& out = node.outputs.empty() ? space_ : context_->spec({member.node, 0}).shape;
  bool inner_varies = false, uses_reduced = false, varies = axis_ == loop::Axis::kNone;
  for (const NodeOutput& in : node.inputs) {
    const Member* m = Find(in);
    if (IsComputed(m)) {
      inner_varies |= m->varies;
      uses_reduced |= !m->varies;
    } else if (out == space_) {
      varies |= VariesAlongReduced(Spread(AccessOf(in), shape(in), space_, Level::kPoint));
    }
  }
  varies |= inner_varies;
  if (out == space_ && (varies || !HasKeptShape(out))) {
    member.level = Level::kPoint;
    member.varies = varies;
    // One pass over the rows finds the reductions; nothing is computed again from them row by row.
    if (axis_ == loop::Axis::kRows && uses_reduced) {
      return DoesNotFit(node, "it uses a reduction over rows at every row");
    }
  } else if (HasKeptShape(out) && !inner_varies) {
    member.level = Level::kReduced;
    member.varies = false;
  } else {
    return DoesNotFit(node, "its value lies in another space");
  }
  for (size_t i = 0; i < node.inputs.size(); ++i) {
    const NodeOutput in = node.inputs[i];
    const Member* m = Find(in);
    if (!IsComputed(m)) {
      DUET_RETURN_IF_ERROR(CheckAccess(LoadOf(member, static_cast<int>(i))));
      continue;
    }
    if (m->level == Level::kPoint) {
      if (!(shape(in) == out)) return DoesNotFit(node, "it broadcasts a value of the group");
    } else if (member.level == Level::kPoint) {
      if (!AlignsWithSpace(shape(in))) {
        return DoesNotFit(node, "it broadcasts a reduction along another dimension");
      }
    } else if (!SameWalk(loop::BroadcastStrides(shape(in), out), RowMajor(out), out)) {
      return DoesNotFit(node, "it uses a reduction at other positions");
    }
  }
  position_.emplace(member.node, static_cast<int>(members_.size()));
  members_.push_back(std::move(member));
  return absl::OkStatus();
}

absl::Status GroupModel::AddView(Member member, bool optimistic) {
  const Node& node = this->node(member.node);
  const NodeOutput in = node.inputs[0];
  const Shape& in_shape = shape(in);
  const Shape& out = context_->spec({member.node, 0}).shape;
  absl::InlinedVector<InputInfo, 4> infos;
  bool known = true;
  for (size_t i = 0; i < node.inputs.size(); ++i) {
    const ValueSpec& spec = context_->spec(node.inputs[i]);
    infos.push_back({spec.dtype, &spec.shape, context_->value(node.inputs[i])});
    known &= infos.back().value != nullptr || !IsHostInput(node, static_cast<int>(i));
  }
  if (!known && !optimistic) return DoesNotFit(node, "its sizes are not known");
  ViewMap map;
  if (known) {
    InferContext infer(*node.op, node.attrs, infos);
    DUET_RETURN_IF_ERROR(node.op->view(infer, &map));
    if (map.reshape && in_shape.num_elements() != out.num_elements()) {
      if (!optimistic) return DoesNotFit(node, "its sizes do not fit its input");
    }
  }
  const Member* m = Find(in);
  if (!IsComputed(m)) {
    if (known && m != nullptr && !m->access.known) {
      return DoesNotFit(node, "a view of a view whose sizes are not known");
    }
    if (known) {
      DUET_ASSIGN_OR_RETURN(member.access, Through(AccessOf(in), in_shape, map, out));
    } else {
      if (m != nullptr) return DoesNotFit(node, "a view of a view whose sizes are not known");
      member.access = {in, 0, {}, false};
    }
    member.kind = Kind::kAccess;
    member.varies = !(out == space_) || VariesAlongReduced(member.access);
  } else {
    member.kind = Kind::kForward;
    member.varies = m->varies;
    member.level = m->level;
    const bool in_order =
        known && (map.reshape || (map.offset == 0 && SameWalk(map.strides, RowMajor(out), out)));
    if (m->level == Level::kPoint) {
      if (!(out == space_) || !in_order) {
        return DoesNotFit(node, "it moves a value of the group to another place");
      }
    } else if (HasKeptShape(out) && in_order) {
      // A reduction with or without its dimensions of size 1.
    } else if (out == space_ && axis_ == loop::Axis::kInner &&
               (!known || (!map.reshape && map.offset == 0 &&
                           SameWalk(map.strides, StorageStrides(Level::kReduced), space_)))) {
      member.level = Level::kPoint;
    } else {
      return DoesNotFit(node, "it moves a reduction to another place");
    }
  }
  position_.emplace(member.node, static_cast<int>(members_.size()));
  members_.push_back(std::move(member));
  return absl::OkStatus();
}

absl::Status GroupModel::AddReduction(Member member) {
  const Node& node = this->node(member.node);
  member.kind = Kind::kReduce;
  member.level = Level::kReduced;
  member.varies = false;
  const Member* m = Find(node.inputs[0]);
  bool varies;
  if (IsComputed(m)) {
    varies = m->level == Level::kPoint && m->varies;
  } else {
    const Access load = LoadOf(member, 0);
    DUET_RETURN_IF_ERROR(CheckAccess(load));
    varies = VariesAlongReduced(load);
  }
  if (!varies) return DoesNotFit(node, "what it reduces does not vary along the reduced loop");
  position_.emplace(member.node, static_cast<int>(members_.size()));
  members_.push_back(std::move(member));
  return absl::OkStatus();
}

absl::Status GroupModel::CheckOutputs() const {
  bool any = false;
  for (const Member& m : members_) {
    if (!context_->used_outside({m.node, 0})) continue;
    any = true;
    const Node& node = this->node(m.node);
    switch (m.kind) {
      case Kind::kProduct:
        return DoesNotFit(node, "the product is used outside");
      case Kind::kAccess:
        if (!(context_->spec({m.node, 0}).shape == space_)) {
          return DoesNotFit(node, "a view of another shape is used outside");
        }
        break;
      default:
        break;
    }
    if (m.level == Level::kReduced) continue;
    if (axis_ == loop::Axis::kRows) {
      return DoesNotFit(node, "a value inside a reduction over rows is used outside");
    }
    if (!m.varies) return DoesNotFit(node, "a broadcast of a reduction is used outside");
  }
  if (!any) return absl::FailedPreconditionError("nothing of the group is used");
  return absl::OkStatus();
}

}  // namespace duet::compiler
