#include "compiler/lower.h"

#include <algorithm>
#include <utility>

#include "compiler/group.h"
#include "core/strings.h"

namespace duet::compiler {
namespace {

using Kind = Member::Kind;
using loop::Builder;

// Emits the body of a group and collects its operands.
class Emitter {
 public:
  Emitter(const GroupModel& model, const LowerContext& context)
      : model_(model), context_(context), builder_(&body_) {
    body_.axis = model.axis();
  }

  absl::StatusOr<LoweredLoop> Run();

 private:
  Builder::Value LoadOperand(const Access& access, DType dtype);
  Builder::Value LoadCount(DType dtype);
  Builder::Value Input(const Member& member, int i);
  Builder::Value Emit(const Member& member);
  void FindInPlace();

  const GroupModel& model_;
  const LowerContext& context_;
  loop::Body body_;
  Builder builder_;
  std::vector<loop::Strides> operand_strides_, output_strides_;
  absl::flat_hash_map<int32_t, Builder::Value> values_;  // node -> its value
  LoweredLoop lowered_;
};

Builder::Value Emitter::LoadOperand(const Access& access, DType dtype) {
  const int64_t offset = access.offset * static_cast<int64_t>(SizeOf(dtype));
  size_t i = 0;
  for (; i < lowered_.operands.size(); ++i) {
    const LoweredOperand& o = lowered_.operands[i];
    if (o.source == access.source && o.offset == offset && operand_strides_[i] == access.strides) {
      break;
    }
  }
  if (i == lowered_.operands.size()) {
    lowered_.operands.push_back({access.source, offset, {}});
    operand_strides_.push_back(access.strides);
    body_.operands.push_back(dtype);
    if (model_.axis() != loop::Axis::kNone) {
      bool varies = false;
      for (int d = model_.reduce_begin(); d < model_.reduce_end(); ++d) {
        varies |= access.strides[static_cast<size_t>(d)] != 0;
      }
      body_.varies.push_back(varies);
    }
  }
  return builder_.Load(static_cast<int>(i));
}

// The number of elements that a mean divides by: a scalar operand, as the op alone has it.
Builder::Value Emitter::LoadCount(DType dtype) {
  const loop::Scalar count = loop::Scalar::OfInt(dtype, model_.reduced_size());
  size_t i = 0;
  for (; i < lowered_.operands.size(); ++i) {
    const LoweredOperand& o = lowered_.operands[i];
    if (o.source.node < 0 && o.value.bits == count.bits && body_.operands[i] == dtype) break;
  }
  if (i == lowered_.operands.size()) {
    lowered_.operands.push_back({NodeOutput{}, 0, count});
    operand_strides_.emplace_back(static_cast<size_t>(model_.space().rank()), 0);
    body_.operands.push_back(dtype);
    body_.varies.push_back(false);
  }
  return builder_.Load(static_cast<int>(i));
}

Builder::Value Emitter::Input(const Member& member, int i) {
  const NodeOutput in = context_.graph.node(member.node).inputs[static_cast<size_t>(i)];
  const Member* m = model_.Find(in);
  if (m != nullptr && m->kind != Kind::kAccess) return values_.at(in.node);
  return LoadOperand(model_.LoadOf(member, i), context_.spec(in).dtype);
}

Builder::Value Emitter::Emit(const Member& member) {
  const Node& node = context_.graph.node(member.node);
  const DType dtype = context_.spec({member.node, 0}).dtype;
  switch (member.kind) {
    case Kind::kCompute: {
      absl::InlinedVector<Builder::Value, 4> inputs;
      for (size_t i = 0; i < node.inputs.size(); ++i) {
        inputs.push_back(Input(member, static_cast<int>(i)));
      }
      return node.op->elementwise(builder_, node.attrs, inputs, dtype);
    }
    case Kind::kReduce: {
      const Builder::Value sum = builder_.Reduction(node.op->reduce, Input(member, 0));
      if (!node.op->reduce_mean) return sum;
      return builder_.Binary(loop::Code::kDiv, sum, LoadCount(dtype));
    }
    case Kind::kForward:
      return Input(member, 0);
    case Kind::kAccess:
    case Kind::kProduct:
      break;
  }
  // Of a product or a view: the value itself, at every point.
  Access access = member.access;
  if (member.kind == Kind::kProduct) {
    access = {{member.node, 0}, 0, model_.StorageStrides(Member::Level::kPoint), true};
  }
  return LoadOperand(access, dtype);
}

// An elementwise loop reads each element of a contiguous operand just before it writes the same
// place of an output of the same element size.
void Emitter::FindInPlace() {
  lowered_.in_place.assign(lowered_.operands.size(), -1);
  if (model_.axis() != loop::Axis::kNone) return;
  for (size_t i = 0; i < lowered_.operands.size(); ++i) {
    const LoweredOperand& operand = lowered_.operands[i];
    if (operand.source.node < 0 || operand.offset != 0) continue;
    const Shape& shape = context_.spec(operand.source).shape;
    const auto same_source = [&](const LoweredOperand& o) { return o.source == operand.source; };
    if (std::count_if(lowered_.operands.begin(), lowered_.operands.end(), same_source) != 1 ||
        shape.num_elements() != model_.space().num_elements()) {
      continue;
    }
    for (size_t k = 0; k < lowered_.outputs.size(); ++k) {
      if (SizeOf(context_.spec(lowered_.outputs[k]).dtype) == SizeOf(body_.operands[i]) &&
          SameWalk(operand_strides_[i], output_strides_[k], model_.space())) {
        lowered_.in_place[i] = static_cast<int>(k);
        break;
      }
    }
  }
}

absl::StatusOr<LoweredLoop> Emitter::Run() {
  for (const Member& member : model_.members()) {
    const bool used_outside = context_.used_outside({member.node, 0});
    // A view is read by those who use it, each with its own strides.
    if (member.kind == Kind::kAccess && !used_outside) continue;
    const Builder::Value value = Emit(member);
    values_.emplace(member.node, value);
    if (!used_outside) continue;
    lowered_.outputs.push_back({member.node, 0});
    body_.outputs.push_back({value});
    output_strides_.push_back(model_.StorageStrides(member.level));
  }
  FindInPlace();
  DUET_RETURN_IF_ERROR(
      loop::PlanLaunch(body_, {model_.space(), model_.reduce_begin(), model_.reduce_end()},
                       operand_strides_, output_strides_, &lowered_.program, &lowered_.launch));
  return std::move(lowered_);
}

}  // namespace

absl::StatusOr<LoweredGroup> LowerGroup(const std::vector<int32_t>& nodes,
                                        const LowerContext& context) {
  InternalCheck(!nodes.empty(), "a group without nodes");
  DUET_ASSIGN_OR_RETURN(const GroupModel model,
                        GroupModel::Build(nodes, context, /*optimistic=*/false));
  LoweredGroup group;
  group.contraction = model.contraction();
  DUET_ASSIGN_OR_RETURN(group.loop, Emitter(model, context).Run());
  if (group.contraction >= 0) {
    // The loop after a product runs on panels of rows, so one that was collapsed is opened again.
    const Shape& product = model.space();
    if (!loop::OpenRows(product.dim(0), product.dim(1), &group.loop.launch)) {
      return absl::FailedPreconditionError("the loop after a product does not run row by row");
    }
  }
  return group;
}

}  // namespace duet::compiler
