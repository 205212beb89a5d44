#include "compiler/simplify.h"

#include <cmath>
#include <cstring>
#include <iterator>
#include <limits>
#include <optional>
#include <type_traits>
#include <utility>

#include "compiler/access.h"
#include "compiler/rewrite.h"
#include "core/ops/defs.h"
#include "graph/recorder.h"

namespace duet::compiler {
namespace {

// A call in the new graph that a rule looks at: an op and inputs, not added yet.
struct Call {
  Rewriter& out;
  const Node& node;  // the old node: op, attributes, output types
  std::vector<NodeOutput> inputs;

  const Graph& graph() const { return out.graph(); }
  const ValueSpec& result() const { return node.outputs[0]; }
  const ValueSpec& spec(int i) const { return graph().spec(inputs[static_cast<size_t>(i)]); }
  bool Is(const OpDef& op) const { return node.op == &op; }
  // The node that makes input i.
  const Node& producer(int i) const { return graph().node(inputs[static_cast<size_t>(i)].node); }
  // The value of input i if it is a constant, else null.
  const Tensor* constant(int i) const {
    const Node& p = producer(i);
    return p.op->family == Family::kConstant ? &p.attrs.Get<Tensor>("value") : nullptr;
  }
};

// What a rule gives: nothing, an output that has the call's value, or other inputs for the same op.
struct Rewrite {
  enum class Kind : uint8_t { kNone, kUse, kInputs } kind = Kind::kNone;
  NodeOutput use;
  std::vector<NodeOutput> inputs;
};
constexpr auto kNone = Rewrite::Kind::kNone;
Rewrite Nothing() { return {}; }
Rewrite Use(NodeOutput o) { return {Rewrite::Kind::kUse, o, {}}; }
Rewrite UseInput(const Call& c, int i) { return Use(c.inputs[static_cast<size_t>(i)]); }

// The same call on `x` as its first input.
Rewrite OnInput(const Call& c, NodeOutput x) {
  Rewrite r{Rewrite::Kind::kInputs, {}, c.inputs};
  r.inputs[0] = x;
  return r;
}

// ---- What rules ask -----------------------------------------------------------------------------

// True if input i, of the result's dtype, has the result's shape for sure. `scalar` >= 0 names an
// input of one element, which cannot make the result larger.
bool KeepsShape(const Call& c, int i, int scalar = -1) {
  const ValueSpec& x = c.spec(i);
  if (x.dtype != c.result().dtype || x.shape.rank() != c.result().shape.rank()) return false;
  if (scalar >= 0 && c.spec(scalar).shape.num_elements() == 1) return true;
  return x.shape.IsFullyDefined() && x.shape == c.result().shape;
}

// True if input i is a constant whose elements are all `value`, to the bit (+0 is not -0).
bool IsAll(const Call& c, int i, double value) {
  constexpr int64_t kMostElements = 4096;
  const Tensor* t = c.constant(i);
  if (t == nullptr || t->num_elements() == 0 || t->num_elements() > kMostElements) return false;
  const loop::Scalar scalar = loop::Scalar::Of(t->dtype(), value);
  const size_t size = SizeOf(t->dtype());
  const auto* bytes = static_cast<const char*>(t->raw_data());
  for (int64_t k = 0; k < t->num_elements(); ++k, bytes += size) {
    if (std::memcmp(bytes, &scalar.bits, size) != 0) return false;
  }
  return true;
}

// The other side of a binary call whose input `i` is all `value`, if it has the result's shape.
Rewrite OtherIfAll(const Call& c, int i, double value) {
  if (!IsAll(c, i, value) || !KeepsShape(c, 1 - i, i)) return Nothing();
  return UseInput(c, 1 - i);
}

bool IsFloat(const Call& c) { return IsFloating(c.result().dtype); }

// The input of input 0 if that is made by `op` with nothing to wait for, else nothing.
std::optional<NodeOutput> InputOf(const Call& c, const OpDef& op) {
  const Node& p = c.producer(0);
  if (p.op != &op || c.inputs[0].index != 0) return std::nullopt;
  return p.inputs[0];
}

// True if a cast to `wide` and back to `narrow` gives every value of `narrow` back.
bool WidensExactly(DType narrow, DType wide) {
  switch (narrow) {
    case kFloat32:
      return wide == kFloat64;
    case kInt32:
      return wide == kInt64 || wide == kFloat64;
    case kUInt8:
      return IsNumeric(wide) && wide != kUInt8;
    case kBool:
      return IsNumeric(wide);
    default:
      return false;
  }
}

// True if two shapes with the same number of elements are equal for sure: their known sizes are,
// and at most one size, in the same place, is not known.
bool SameShape(const Shape& a, const Shape& b) {
  if (a.rank() != b.rank()) return false;
  int unknown = 0;
  for (int d = 0; d < a.rank(); ++d) {
    if (a.dim(d) != b.dim(d) || a.dim(d) == 0) return a.IsFullyDefined() && a == b;
    unknown += a.dim(d) < 0;
  }
  return unknown <= 1;
}

// The map of a view with sizes that are all known.
std::optional<ViewMap> MapOf(const OpDef& op, const Attrs& attrs, const Graph& graph,
                             absl::Span<const NodeOutput> inputs, const ValueSpec& result) {
  if (op.family != Family::kView || !result.shape.IsFullyDefined()) return std::nullopt;
  absl::InlinedVector<InputInfo, 4> infos;
  for (size_t i = 0; i < inputs.size(); ++i) {
    const ValueSpec& spec = graph.spec(inputs[i]);
    infos.push_back({spec.dtype, &spec.shape, graph.StaticValue(inputs[i])});
    if (!spec.shape.IsFullyDefined() || (i > 0 && infos[i].value == nullptr)) return std::nullopt;
  }
  InferContext context(op, attrs, infos);
  ViewMap map;
  if (!op.view(context, &map).ok()) return std::nullopt;
  return map;
}

bool IsReshape(const Node& node) {
  const OpDef* op = node.op;
  return op == &ops::ReshapeOp() || op == &ops::ExpandDimsOp() || op == &ops::SqueezeOp();
}

std::optional<std::vector<int64_t>> Permutation(const Graph& graph, NodeOutput o, int rank) {
  const Node& p = graph.node(o.node);
  if (p.op->family != Family::kConstant) return std::nullopt;
  std::vector<int64_t> perm = p.attrs.Get<Tensor>("value").AsInt64Vector();
  if (static_cast<int>(perm.size()) != rank) return std::nullopt;
  for (int64_t& axis : perm) {
    if (axis < 0) axis += rank;
  }
  return perm;
}

bool IsIdentity(const std::vector<int64_t>& perm) {
  for (size_t d = 0; d < perm.size(); ++d) {
    if (perm[d] != static_cast<int64_t>(d)) return false;
  }
  return true;
}

// ---- Rules that need more than a line
// -------------------------------------------------------------

Rewrite ViewOfEverything(const Call& c) {
  if (c.node.op->check != nullptr) return Nothing();  // it is there for its check
  const auto map = MapOf(*c.node.op, c.node.attrs, c.graph(), c.inputs, c.result());
  const Shape& shape = c.result().shape;
  if (!map || !(c.spec(0).shape == shape)) return Nothing();
  const bool in_order =
      map->reshape || (map->offset == 0 && SameWalk(map->strides, RowMajor(shape), shape));
  return in_order ? UseInput(c, 0) : Nothing();
}

Rewrite TransposeTwice(const Call& c) {
  if (!c.Is(ops::TransposeOp())) return Nothing();
  const int rank = c.result().shape.rank();
  const auto outer = Permutation(c.graph(), c.inputs[1], rank);
  if (!outer) return Nothing();
  if (IsIdentity(*outer)) return UseInput(c, 0);
  const auto x = InputOf(c, ops::TransposeOp());
  if (!x) return Nothing();
  const auto inner = Permutation(c.graph(), c.producer(0).inputs[1], rank);
  if (!inner) return Nothing();
  // Dimension d of the result is dimension inner[outer[d]] of x.
  std::vector<int64_t> both;
  for (int64_t axis : *outer) both.push_back((*inner)[static_cast<size_t>(axis)]);
  if (IsIdentity(both)) return Use(*x);
  Tensor perm = Tensor::Allocate(kInt64, Shape({rank}));
  std::memcpy(perm.mutable_raw_data(), both.data(), perm.byte_size());
  auto constant = c.out.Add({.op = &ops::ConstOp(),
                             .name = c.node.name + "/perm",
                             .attrs = ConstantAttrs(perm),
                             .location = c.node.location,
                             .device = c.node.device});
  if (!constant.ok()) return Nothing();
  Rewrite r = OnInput(c, *x);
  r.inputs[1] = {*constant, 0};
  return r;
}

Rewrite SelectOfConstant(const Call& c) {
  if (!c.Is(ops::SelectOp())) return Nothing();
  for (const int side : {1, 2}) {
    if (IsAll(c, 0, side == 1 ? 1 : 0) && KeepsShape(c, side) &&
        c.result().shape.IsFullyDefined()) {
      return UseInput(c, side);
    }
  }
  return Nothing();
}

Rewrite LogicalNeutral(const Call& c) {
  const bool is_and = c.Is(ops::LogicalAndOp());
  if (!is_and && !c.Is(ops::LogicalOrOp())) return Nothing();
  if (c.inputs[0] == c.inputs[1]) return UseInput(c, 0);
  const Rewrite left = OtherIfAll(c, 0, is_and ? 1 : 0);
  return left.kind != kNone ? left : OtherIfAll(c, 1, is_and ? 1 : 0);
}

// ---- The table ----------------------------------------------------------------------------------

struct Rule {
  const char* identity;
  Rewrite (*apply)(const Call& c);
};

// Each entry is an identity that holds bit for bit, with what it needs.
// clang-format off
constexpr Rule kRules[] = {
    {"identity(x) = x", [](const Call& c) { return c.node.op->forwards_input ? UseInput(c, 0) : Nothing(); }},
    {"x * 1 = x", [](const Call& c) { return c.Is(ops::MulOp()) ? OtherIfAll(c, 1, 1) : Nothing(); }},
    {"1 * x = x", [](const Call& c) { return c.Is(ops::MulOp()) ? OtherIfAll(c, 0, 1) : Nothing(); }},
    {"x / 1 = x", [](const Call& c) { return c.Is(ops::DivOp()) ? OtherIfAll(c, 1, 1) : Nothing(); }},
    {"x // 1 = x (integers)", [](const Call& c) { return c.Is(ops::FloorDivOp()) && !IsFloat(c) ? OtherIfAll(c, 1, 1) : Nothing(); }},
    // -0 + +0 is +0, so only the other zero is neutral for floating types.
    {"x - +0 = x", [](const Call& c) { return c.Is(ops::SubOp()) ? OtherIfAll(c, 1, 0.0) : Nothing(); }},
    {"x + -0 = x (floating), x + 0 = x (integers)", [](const Call& c) { return c.Is(ops::AddOp()) ? OtherIfAll(c, 1, IsFloat(c) ? -0.0 : 0.0) : Nothing(); }},
    {"-0 + x = x (floating), 0 + x = x (integers)", [](const Call& c) { return c.Is(ops::AddOp()) ? OtherIfAll(c, 0, IsFloat(c) ? -0.0 : 0.0) : Nothing(); }},
    {"-(-x) = x", [](const Call& c) { auto x = c.Is(ops::NegOp()) ? InputOf(c, ops::NegOp()) : std::nullopt; return x ? Use(*x) : Nothing(); }},
    {"|-x| = |x|", [](const Call& c) { auto x = c.Is(ops::AbsOp()) ? InputOf(c, ops::NegOp()) : std::nullopt; return x ? OnInput(c, *x) : Nothing(); }},
    {"||x|| = |x|", [](const Call& c) { return c.Is(ops::AbsOp()) && InputOf(c, ops::AbsOp()) ? UseInput(c, 0) : Nothing(); }},
    {"!(!x) = x", [](const Call& c) { auto x = c.Is(ops::LogicalNotOp()) ? InputOf(c, ops::LogicalNotOp()) : std::nullopt; return x ? Use(*x) : Nothing(); }},
    {"x && true = x, x || false = x, x && x = x, x || x = x", &LogicalNeutral},
    {"cast(x) = x (to its own dtype)", [](const Call& c) { return c.Is(ops::CastOp()) && c.spec(0).dtype == c.result().dtype ? UseInput(c, 0) : Nothing(); }},
    {"cast(cast(x)) = x (to a wider dtype and back)", [](const Call& c) {
       auto x = c.Is(ops::CastOp()) ? InputOf(c, ops::CastOp()) : std::nullopt;
       return x && c.graph().spec(*x).dtype == c.result().dtype && WidensExactly(c.result().dtype, c.spec(0).dtype) ? Use(*x) : Nothing(); }},
    {"select(true, x, y) = x, select(false, x, y) = y", &SelectOfConstant},
    {"reshape(x) = x (to its own shape)", [](const Call& c) { return IsReshape(c.node) && SameShape(c.spec(0).shape, c.result().shape) ? UseInput(c, 0) : Nothing(); }},
    {"reshape(reshape(x)) = reshape(x)", [](const Call& c) { return c.Is(ops::ReshapeOp()) && IsReshape(c.producer(0)) ? OnInput(c, c.producer(0).inputs[0]) : Nothing(); }},
    {"broadcast(broadcast(x)) = broadcast(x)", [](const Call& c) { auto x = c.Is(ops::BroadcastToOp()) ? InputOf(c, ops::BroadcastToOp()) : std::nullopt; return x ? OnInput(c, *x) : Nothing(); }},
    {"transpose(x) = x (in place), transpose(transpose(x)) = transpose(x)", &TransposeTwice},
    {"view(x) = x (of everything, in order)", &ViewOfEverything},
    {"concat({x}) = x", [](const Call& c) { return c.Is(ops::ConcatOp()) && c.inputs.size() == 2 ? UseInput(c, 0) : Nothing(); }},
};
// clang-format on

// True if `use` may stand for the call's result: same dtype, and a shape that is not another one.
bool Fits(const Call& c, NodeOutput use) {
  const ValueSpec& spec = c.graph().spec(use);
  return spec.dtype == c.result().dtype && spec.shape.IsCompatibleWith(c.result().shape);
}

// True if a computed `o` holds no NaN but the quiet one that kernels store (core/loop/program.h).
// What is fed, read from a variable or moved may hold any, and arithmetic on it would not keep its
// bits.
bool HoldsOnlyQuietNans(const Graph& graph, NodeOutput o) {
  const Node& node = graph.node(o.node);
  switch (node.op->family) {
    case Family::kElementwise:
      return true;
    case Family::kReduction: {
      const Tensor* axes = graph.StaticValue(node.inputs[1]);
      return axes != nullptr && axes->num_elements() > 0;
    }
    case Family::kView:
      return HoldsOnlyQuietNans(graph, node.inputs[0]);
    case Family::kConstant: {
      const Tensor& t = node.attrs.Get<Tensor>("value");
      bool quiet = true;
      VisitDType(t.dtype(), [&](auto zero) {
        using T = decltype(zero);
        if constexpr (std::is_floating_point_v<T>) {
          const T nan = std::numeric_limits<T>::quiet_NaN();
          for (const T v : t.data<T>()) {
            quiet &= !std::isnan(v) || std::memcmp(&v, &nan, sizeof(T)) == 0;
          }
        }
      });
      return quiet;
    }
    default:
      return false;
  }
}

// True if putting `use` in the call's place leaves every bit: an elementwise op would have turned
// any NaN into the quiet one.
bool KeepsBits(const Call& c, NodeOutput use) {
  if (c.node.op->family != Family::kElementwise || !IsFloat(c)) return true;
  const bool moves = c.Is(ops::CastOp()) && c.spec(0).dtype == c.result().dtype;
  return moves || HoldsOnlyQuietNans(c.graph(), use);
}

// The first rule that matches.
Rewrite Apply(const Call& c) {
  for (const Rule& rule : kRules) {
    Rewrite r = rule.apply(c);
    if (r.kind == Rewrite::Kind::kUse && !(Fits(c, r.use) && KeepsBits(c, r.use))) continue;
    if (r.kind != kNone) return r;
  }
  return Nothing();
}

}  // namespace

std::vector<const char*> SimplifyRules() {
  std::vector<const char*> rules;
  for (const Rule& rule : kRules) rules.push_back(rule.identity);
  return rules;
}

absl::StatusOr<PassInput> Simplify(const PassInput& input, const PassOptions& /*options*/) {
  const Graph& graph = input.graph;
  const Ends ends(input);
  Rewriter out(input);
  bool changed = false;
  for (int32_t i = 0; i < graph.size(); ++i) {
    const Node& node = graph.node(i);
    if (!IsPure(node) || ends.fed[static_cast<size_t>(i)] || !node.control_inputs.empty() ||
        node.inputs.empty() || node.outputs.size() != 1) {
      DUET_RETURN_IF_ERROR(out.Copy(i));
      continue;
    }
    Call call{out, node, out.MapInputs(node)};
    Rewrite rewrite = Apply(call);
    bool other_inputs = false;
    // Each rule that replaces inputs goes one producer further back, so this ends.
    while (rewrite.kind == Rewrite::Kind::kInputs) {
      other_inputs = true;
      call.inputs = std::move(rewrite.inputs);
      rewrite = Apply(call);
    }
    changed |= other_inputs || rewrite.kind != kNone;
    if (rewrite.kind == Rewrite::Kind::kUse) {
      out.Forward(i, {rewrite.use});
    } else if (other_inputs) {
      DUET_ASSIGN_OR_RETURN(const int32_t added, out.Add({.op = node.op,
                                                          .name = node.name,
                                                          .attrs = node.attrs,
                                                          .inputs = call.inputs,
                                                          .location = node.location,
                                                          .device = node.device}));
      out.Forward(i, {{added, 0}});
    } else {
      DUET_RETURN_IF_ERROR(out.Copy(i));
    }
  }
  if (!changed) return input;
  return std::move(out).Finish();
}

}  // namespace duet::compiler
