#include "tests/random_programs.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <random>

#include "core/dispatch.h"
#include "core/ops/defs.h"
#include "core/strings.h"
#include "tests/op_cases.h"

namespace duet::testing {
namespace {

// Ops that the generator calls in ways of their own, by wire name.
const OpDef& OpCalled(const char* wire_name) {
  const OpDef* op = FindOp(wire_name);
  InternalCheck(op != nullptr, "the generator calls an op that is not registered");
  return *op;
}

const std::vector<const OpDef*>& OpsOf(Family family) {
  static const auto* by_family = [] {
    auto* m = new std::map<Family, std::vector<const OpDef*>>();
    for (const OpDef* op : TestableOps()) (*m)[op->family].push_back(op);
    return m;
  }();
  return by_family->at(family);
}

const std::vector<OpCase>& CachedCases(const OpDef& op) {
  static auto* cases = new std::map<const OpDef*, std::vector<OpCase>>();
  auto it = cases->find(&op);
  if (it == cases->end()) it = cases->emplace(&op, CasesFor(op)).first;
  return it->second;
}

class Generator {
 public:
  explicit Generator(uint64_t seed) : random_(seed * 0x9E3779B97F4A7C15u + 1) {}
  Program Make();

 private:
  // An output with its value. Refers to known_ by position; -1 says that a call was not possible.
  struct Known {
    NodeOutput at;
    Tensor value;
    bool used = false;
  };

  int64_t Below(int64_t n) { return static_cast<int64_t>(random_() % static_cast<uint64_t>(n)); }
  bool Chance(double p) { return std::uniform_real_distribution<double>(0, 1)(random_) < p; }
  template <class T>
  const T& Any(const std::vector<T>& from) {
    return from[static_cast<size_t>(Below(static_cast<int64_t>(from.size())))];
  }
  const Tensor& value(int i) const { return known_[static_cast<size_t>(i)].value; }

  int Call(const OpDef& op, Attrs attrs, const std::vector<int>& inputs);
  Tensor RandomValue(DType dtype, const Shape& shape);
  int AddFeed(const Tensor& value);
  int AddConst(const Tensor& value);
  int AddInts(const std::vector<int64_t>& values);
  int AddScalar(DType dtype, double value);
  int Leaf(const Tensor& value) {
    return value.num_elements() <= 64 && Chance(0.35) ? AddConst(value) : AddFeed(value);
  }
  int Leaf(DType dtype, const Shape& shape) { return Leaf(RandomValue(dtype, shape)); }
  Shape RandomShape(int min_rank);
  int Recent();
  int Pick(DType dtype, int min_rank);
  int PickFloat(int min_rank) { return Pick(float_, min_rank); }
  int Partner(DType dtype, const Shape& shape);

  int Step();
  int Elementwise();
  int Reduction();
  int Product();
  int Movement();
  int Choosing();
  int FromCases();
  int Idiom();
  int Repeat();
  int Unary(const char* op, int x) { return x < 0 ? -1 : Call(OpCalled(op), {}, {x}); }
  int Binary(const char* op, int x, int y) {
    return x < 0 || y < 0 ? -1 : Call(OpCalled(op), {}, {x, y});
  }
  int Reduce(const char* op, int x, int64_t axis, bool keep) {
    if (x < 0 || value(x).rank() == 0) return -1;
    Attrs attrs;
    attrs.Set("keep_dims", keep);
    return Call(OpCalled(op), std::move(attrs), {x, AddInts({axis})});
  }
  std::vector<std::pair<int32_t, Tensor>> OtherFeeds();

  std::mt19937_64 random_;
  GraphBuilder builder_;
  Program program_;
  std::vector<Known> known_;
  std::vector<NodeOutput> failing_;
  DType float_ = kFloat32;
  std::vector<DType> types_;
  std::vector<int64_t> sizes_;
  int64_t batch_ = 1;
  bool open_batch_ = false;
  int64_t max_elements_ = 20000;
};

// ---- Nodes --------------------------------------------------------------------------------------

int Generator::Call(const OpDef& op, Attrs attrs, const std::vector<int>& inputs) {
  if (!FillDefaults(op, &attrs).ok()) return -1;
  std::vector<NodeOutput> at;
  std::vector<Tensor> values;
  std::vector<InputInfo> infos;
  for (int i : inputs) {
    if (i < 0) return -1;
    at.push_back(known_[static_cast<size_t>(i)].at);
    values.push_back(value(i));
  }
  for (const Tensor& t : values) infos.push_back({t.dtype(), &t.shape(), &t});
  InferContext context(op, attrs, infos);
  if (Infer(context).ok()) {
    for (const ValueSpec& out : context.outputs) {
      if (out.shape.num_elements() > max_elements_) return -1;
    }
  }
  const Location location("random_program.cc", static_cast<uint32_t>(builder_.graph().size() + 1));
  const auto node = builder_.Add({.op = &op, .attrs = attrs, .inputs = at, .location = location});
  if (!node.ok()) return -1;
  Outputs outputs;
  try {
    outputs = Dispatch(op, attrs, values, location);
  } catch (const Error&) {
    failing_.push_back({*node, 0});
    return -1;
  }
  for (int i : inputs) known_[static_cast<size_t>(i)].used = true;
  for (size_t k = 0; k < outputs.size(); ++k) {
    known_.push_back({{*node, static_cast<int32_t>(k)}, outputs[k]});
  }
  return static_cast<int>(known_.size() - outputs.size());
}

Tensor Generator::RandomValue(DType dtype, const Shape& shape) {
  Tensor t = RandomTensor(dtype, shape, -3, 3, random_);
  const bool whole = Chance(0.15), special = !whole && Chance(0.1);
  if (!whole && !special) return t;
  VisitDType(dtype, [&](auto zero) {
    using T = decltype(zero);
    if constexpr (std::is_floating_point_v<T>) {
      using L = std::numeric_limits<T>;
      const T specials[] = {L::quiet_NaN(), L::infinity(),   -L::infinity(), T(0),
                            -T(0),          L::denorm_min(), L::max(),       L::min()};
      auto* data = static_cast<T*>(t.mutable_raw_data());
      for (int64_t i = 0; i < t.num_elements(); ++i) {
        if (whole) data[i] = std::floor(data[i]);
        if (special && Chance(0.3)) data[i] = specials[Below(std::ssize(specials))];
      }
    }
  });
  return t;
}

int Generator::AddFeed(const Tensor& t) {
  Shape shape = t.shape();
  if (open_batch_ && shape.rank() > 0 && shape.dim(0) == batch_) shape.set_dim(0, -1);
  Attrs attrs;
  attrs.Set("dtype", t.dtype());
  attrs.Set("shape", shape);
  const auto node = builder_.Add(
      {.op = &ops::PlaceholderOp(), .name = Str("x", program_.feeds.size()), .attrs = attrs});
  if (!node.ok()) throw InternalError("a placeholder was refused");
  program_.feeds.emplace_back(*node, t);
  known_.push_back({{*node, 0}, t});
  return static_cast<int>(known_.size()) - 1;
}

int Generator::AddConst(const Tensor& t) {
  Attrs attrs;
  attrs.Set("value", t);
  attrs.Set("dtype", t.dtype());
  return Call(ops::ConstOp(), std::move(attrs), {});
}

int Generator::AddInts(const std::vector<int64_t>& values) {
  return AddConst(IntTensor(Chance(0.8) ? kInt32 : kInt64,
                            Shape({static_cast<int64_t>(values.size())}), values));
}

int Generator::AddScalar(DType dtype, double v) {
  Tensor t = Tensor::Allocate(dtype, Shape());
  VisitDType(dtype, [&](auto zero) {
    *static_cast<decltype(zero)*>(t.mutable_raw_data()) = static_cast<decltype(zero)>(v);
  });
  return AddConst(t);
}

Shape Generator::RandomShape(int min_rank) {
  const int rank = std::max<int>(min_rank, static_cast<int>(Below(4)));
  Shape shape;
  for (int d = 0; d < rank; ++d) {
    shape.AddDim(d == 0 && Chance(0.6) ? batch_ : Chance(0.15) ? 1 : Any(sizes_));
  }
  return shape;
}

// Later values more often, so that chains grow long.
int Generator::Recent() {
  const auto n = static_cast<int64_t>(known_.size());
  return static_cast<int>(Chance(0.6) ? n - 1 - Below(std::min<int64_t>(n, 5)) : Below(n));
}

int Generator::Pick(DType dtype, int min_rank) {
  for (int tries = 0; tries < 12; ++tries) {
    const int i = Recent();
    if (value(i).dtype() == dtype && value(i).rank() >= min_rank) return i;
  }
  return Leaf(dtype, RandomShape(min_rank));
}

// A value that broadcasts with `shape`.
int Generator::Partner(DType dtype, const Shape& shape) {
  for (int tries = 0; tries < 10; ++tries) {
    const int i = Recent();
    if (value(i).dtype() == dtype && BroadcastShapes(value(i).shape(), shape).ok()) return i;
  }
  if (Chance(0.4)) {
    return AddScalar(dtype, Any(std::vector<double>{0, 1, 2, 3, IsFloating(dtype) ? 0.5 : 1.0,
                                                    dtype == kUInt8 ? 4.0 : -1.0}));
  }
  Shape part;
  for (int d = static_cast<int>(Below(shape.rank() + 1)); d < shape.rank(); ++d) {
    part.AddDim(Chance(0.2) ? 1 : shape.dim(d));
  }
  return Leaf(dtype, part);
}

// ---- Kinds of steps -----------------------------------------------------------------------------

int Generator::Elementwise() {
  const OpDef& op = *Any(OpsOf(Family::kElementwise));
  const DType near = value(Recent()).dtype();
  Attrs attrs;
  std::map<std::string, DType> bound;
  for (const TypeAttrDef& t : op.type_attrs) {
    std::vector<DType> fits;
    for (DType d : types_) {
      if (t.allowed.Contains(d)) fits.push_back(d);
    }
    if (fits.empty()) return -1;
    const DType d = t.from_input && t.allowed.Contains(near) && Chance(0.8) ? near : Any(fits);
    if (t.from_input) {
      bound[t.name] = d;
    } else {
      attrs.Set(t.name, d);
    }
  }
  std::vector<int> inputs;
  Shape shape;
  for (const ArgDef& arg : op.inputs) {
    const DType d = arg.type_attr.empty() ? arg.type : bound.at(arg.type_attr);
    inputs.push_back(inputs.empty() ? Pick(d, 0) : Partner(d, shape));
    if (inputs.back() < 0) return -1;
    const auto joined = BroadcastShapes(shape, value(inputs.back()).shape());
    if (!joined.ok()) return -1;
    shape = *joined;
  }
  return Call(op, std::move(attrs), inputs);
}

int Generator::Reduction() {
  const OpDef& op = *Any(OpsOf(Family::kReduction));
  const int x = Chance(0.85) ? PickFloat(1) : Recent();
  std::vector<int64_t> axes;
  const int rank = value(x).rank();
  for (int d = 0; d < rank; ++d) {
    if (Chance(0.5)) axes.push_back(Chance(0.3) ? d - rank : d);
  }
  Attrs attrs;
  attrs.Set("keep_dims", Chance(0.5));
  return Call(op, std::move(attrs), {x, AddInts(axes)});
}

int Generator::Product() {
  const OpDef& op = *Any(OpsOf(Family::kContraction));
  int a = PickFloat(2);
  if (value(a).rank() != 2) {
    a = Call(ops::ReshapeOp(), {}, {a, AddInts({-1, value(a).shape().dim(value(a).rank() - 1)})});
    if (a < 0) return -1;
  }
  const bool ta = Chance(0.3), tb = Chance(0.3);
  const int64_t inner = value(a).shape().dim(ta ? 0 : 1);
  int b = -1;
  for (int tries = 0; b < 0 && tries < 6; ++tries) {
    const int i = Recent();
    if (value(i).dtype() == float_ && value(i).rank() == 2 &&
        value(i).shape().dim(tb ? 1 : 0) == inner) {
      b = i;
    }
  }
  if (b < 0) b = Leaf(float_, tb ? Shape({Any(sizes_), inner}) : Shape({inner, Any(sizes_)}));
  Attrs attrs;
  attrs.Set("transpose_a", ta);
  attrs.Set("transpose_b", tb);
  int y = Call(op, std::move(attrs), {a, b});
  if (y >= 0 && Chance(0.5)) y = Binary("AddV2", y, Partner(float_, value(y).shape()));
  if (y >= 0 && Chance(0.4)) y = Unary(Chance(0.5) ? "Relu" : "Tanh", y);
  return y;
}

int Generator::Movement() {
  const int x = Chance(0.8) ? PickFloat(1) : Recent();
  const Shape shape = value(x).shape();
  const int rank = shape.rank();
  const int64_t n = shape.num_elements();
  switch (Below(9)) {
    case 0: {
      std::vector<int64_t> sizes = {-1};
      if (rank > 0 && n > 0 && Chance(0.6)) sizes.push_back(shape.dim(rank - 1));
      if (Chance(0.3)) sizes.push_back(1);
      return Call(ops::ReshapeOp(), {}, {x, AddInts(sizes)});
    }
    case 1: {  // To a shape that is known only when it runs, if the batch is open.
      const int like = Recent();
      const int sizes = Unary("Shape", like);
      const OpDef& op =
          value(like).num_elements() == n && Chance(0.5) ? ops::ReshapeOp() : ops::BroadcastToOp();
      return Call(op, {}, {x, sizes});
    }
    case 2: {
      std::vector<int64_t> perm;
      for (int d = 0; d < rank; ++d) perm.push_back(d);
      std::shuffle(perm.begin(), perm.end(), random_);
      return Call(ops::TransposeOp(), {}, {x, AddInts(perm)});
    }
    case 3:
      return Call(ops::ExpandDimsOp(), {},
                  {x, AddConst(IntTensor(kInt32, {}, {Below(2 * rank + 2) - rank - 1}))});
    case 4:
      return Call(ops::SqueezeOp(), {}, {x});
    case 5: {
      std::vector<int64_t> sizes(shape.dims().begin(), shape.dims().end());
      for (int64_t& s : sizes) {
        if (s == 1) s = Any(sizes_);
      }
      if (Chance(0.5)) sizes.insert(sizes.begin(), Any(sizes_));
      return Call(ops::BroadcastToOp(), {}, {x, AddInts(sizes)});
    }
    case 6: {
      std::vector<int64_t> begin, size;
      for (int d = 0; d < rank; ++d) {
        begin.push_back(Below(shape.dim(d) + 1));
        size.push_back(Chance(0.3) ? -1 : Below(shape.dim(d) - begin.back() + 1));
      }
      return Call(ops::SliceOp(), {}, {x, AddInts(begin), AddInts(size)});
    }
    case 7: {
      if (rank == 0) return -1;
      const int64_t axis = Below(rank);
      std::vector<int> parts = {x};
      for (int64_t i = Below(3); i > 0; --i) {
        Shape other = shape;
        other.set_dim(static_cast<int>(axis), Chance(0.1) ? 0 : Any(sizes_));
        parts.push_back(Chance(0.4) ? x : Leaf(value(x).dtype(), other));
      }
      std::shuffle(parts.begin(), parts.end(), random_);
      parts.push_back(AddConst(IntTensor(kInt32, {}, {Chance(0.3) ? axis - rank : axis})));
      return Call(ops::ConcatOp(), {}, parts);
    }
    default:
      return Call(Chance(0.5) ? ops::IdentityOp() : ops::StopGradientOp(), {}, {x});
  }
}

// Softmax, classification, positions.
int Generator::Choosing() {
  const int x = PickFloat(1);
  const Shape shape = value(x).shape();
  const DType index = Chance(0.5) ? kInt32 : kInt64;
  const auto positions = [&](const Shape& s, int64_t size) {
    std::vector<int64_t> at(static_cast<size_t>(s.num_elements()));
    for (int64_t& p : at) p = Chance(0.02) ? size + 1 : Below(std::max<int64_t>(size, 1));
    return Leaf(IntTensor(index, s, at));
  };
  switch (Below(5)) {
    case 0:
      return Unary(Chance(0.6) ? "Softmax" : "LogSoftmax", x);
    case 1: {
      if (shape.rank() != 2) return -1;
      const int labels = positions(Shape({shape.dim(0)}), shape.dim(1));
      return Call(OpCalled("SparseSoftmaxCrossEntropyWithLogits"), {}, {x, labels});
    }
    case 2: {
      Attrs attrs;
      attrs.Set("output_type", index);
      const int64_t axis = Below(shape.rank());
      return Call(OpCalled("ArgMax"), std::move(attrs),
                  {x, AddConst(IntTensor(kInt32, {}, {axis}))});
    }
    case 3: {
      const int64_t axis = Below(shape.rank());
      const int at = positions(Chance(0.7) ? Shape({Any(sizes_)}) : Shape({2, 3}),
                               shape.dim(static_cast<int>(axis)));
      return Call(OpCalled("GatherV2"), {}, {x, at, AddConst(IntTensor(kInt32, {}, {axis}))});
    }
    default: {
      const int64_t depth = Any(sizes_);
      const int at = positions(Shape({batch_}), depth);
      const int depth_at = AddConst(IntTensor(kInt32, {}, {depth}));
      return Call(OpCalled("OneHot"), {},
                  {at, depth_at, AddScalar(float_, 1), AddScalar(float_, 0)});
    }
  }
}

// Any op of the registry, in a call that its conformance test makes.
int Generator::FromCases() {
  static const auto* ops = new std::vector<const OpDef*>(TestableOps());
  const OpDef& op = *Any(*ops);
  const std::vector<OpCase>& cases = CachedCases(op);
  if (cases.empty()) return -1;
  const OpCase* c = nullptr;
  for (int tries = 0; c == nullptr && tries < 20; ++tries) {
    c = &Any(cases);
    for (size_t i = 0; i < c->inputs.size(); ++i) {
      const DType d = c->inputs[i].dtype();
      if (!c->host[i] && std::find(types_.begin(), types_.end(), d) == types_.end()) c = nullptr;
      if (c == nullptr) break;
    }
  }
  if (c == nullptr) return -1;
  std::vector<int> inputs;
  for (size_t i = 0; i < c->inputs.size(); ++i) {
    const Tensor& t = c->inputs[i];
    int at = -1;
    for (int tries = 0; !c->host[i] && at < 0 && tries < 4; ++tries) {
      const int k = Recent();
      if (value(k).dtype() == t.dtype() && value(k).shape() == t.shape()) at = k;
    }
    inputs.push_back(at >= 0 ? at : c->host[i] ? AddConst(t) : Leaf(t));
  }
  return Call(op, c->attrs, inputs);
}

// Patterns that the fuser and the simplifier know.
int Generator::Idiom() {
  const int x = PickFloat(1);
  const int64_t last = -1;
  switch (Below(7)) {
    case 0: {
      const int e = Unary("Exp", Binary("Sub", x, Reduce("Max", x, last, true)));
      return Binary("RealDiv", e, Reduce("Sum", e, last, true));
    }
    case 1: {
      const int d = Binary("Sub", x, Reduce("Mean", x, last, true));
      const int v = Reduce("Mean", Unary("Square", d), last, true);
      return Binary("Mul", d, Unary("Rsqrt", Binary("AddV2", v, AddScalar(float_, 1e-3))));
    }
    case 2: {
      const char* op = Any(std::vector<const char*>{"AddV2", "Mul", "Sub", "RealDiv", "Pow"});
      const double c = Any(std::vector<double>{0, -0.0, 1, -1, 2, 0.5});
      return Chance(0.7) ? Binary(op, x, AddScalar(float_, c))
                         : Binary(op, AddScalar(float_, c), x);
    }
    case 3:
      return Binary(Any(std::vector<const char*>{"Sub", "AddV2", "Mul", "Maximum"}), x, x);
    case 4: {
      const char* op = Any(std::vector<const char*>{"Neg", "Square", "Abs", "Relu", "Floor"});
      return Unary(op, Unary(op, x));
    }
    case 5: {
      const int mask = Binary("Greater", x, AddScalar(float_, 0));
      if (mask < 0) return -1;
      return Call(ops::SelectOp(), {}, {mask, x, Partner(float_, value(x).shape())});
    }
    default:
      return Reduce("Sum", Binary("Mul", x, Partner(float_, value(x).shape())), 0, Chance(0.5));
  }
}

// The call of an earlier node once more.
int Generator::Repeat() {
  const Node& node = builder_.graph().node(known_[static_cast<size_t>(Recent())].at.node);
  std::vector<int> inputs;
  for (const NodeOutput& in : node.inputs) {
    const auto it =
        std::find_if(known_.begin(), known_.end(), [&](const Known& k) { return k.at == in; });
    if (it == known_.end()) return -1;
    inputs.push_back(static_cast<int>(it - known_.begin()));
  }
  return inputs.empty() ? -1 : Call(*node.op, node.attrs, inputs);
}

int Generator::Step() {
  const int64_t kind = Below(100);
  if (kind < 46) return Elementwise();
  if (kind < 56) return Reduction();
  if (kind < 61) return Product();
  if (kind < 74) return Movement();
  if (kind < 80) return Choosing();
  if (kind < 86) return FromCases();
  if (kind < 95) return Idiom();
  if (kind < 98) return Repeat();
  return Leaf(Any(types_), RandomShape(0));
}

std::vector<std::pair<int32_t, Tensor>> Generator::OtherFeeds() {
  std::vector<std::pair<int32_t, Tensor>> other;
  bool open = false;
  const int64_t size = 1 + Below(2 * batch_ + 3);
  for (const auto& [node, t] : program_.feeds) {
    Shape shape = builder_.graph().node(node).outputs[0].shape;
    if (shape.IsFullyDefined()) {
      other.emplace_back(node, t);
      continue;
    }
    open = true;
    shape.set_dim(0, size);
    // Whole numbers may be positions: those of the first feed are legal, so they are used again.
    other.emplace_back(node, RandomValue(t.dtype(), shape));
    if (IsInteger(t.dtype()) && t.num_elements() > 0) {
      Tensor& to = other.back().second;
      const auto* from = static_cast<const char*>(t.raw_data());
      const size_t bytes = t.byte_size();
      for (size_t i = 0; i < to.byte_size(); ++i) {
        static_cast<char*>(to.mutable_raw_data())[i] = from[i % bytes];
      }
    }
  }
  if (!open) other.clear();
  return other;
}

Program Generator::Make() {
  float_ = Chance(0.65) ? kFloat32 : kFloat64;
  types_ = {float_, float_, kBool, Any(std::vector<DType>{kInt32, kInt64, kUInt8})};
  const std::vector<int64_t> all = {1, 2, 3, 4, 5, 7, 8, 15, 16, 17, 31, 33};
  for (int i = 0; i < 3; ++i) sizes_.push_back(Any(all));
  batch_ = Any(all);
  if (Chance(0.03)) sizes_[0] = 0;
  if (Chance(0.03)) {  // Large enough to be split over threads.
    batch_ = 5003;
    max_elements_ = 500000;
  }
  open_batch_ = Chance(0.4);
  const double tail = -22 * std::log(1 - std::uniform_real_distribution<double>(0, 1)(random_));
  const int size = 5 + static_cast<int>(std::min(45.0, tail));
  AddFeed(RandomValue(float_, Shape({batch_, Any(sizes_)})));
  if (Chance(0.5)) AddFeed(RandomValue(types_[3], RandomShape(1)));
  // A step adds at most eleven nodes.
  const int last = std::max(5, size - 11);
  for (int tries = 0; builder_.graph().size() < last && tries < 400; ++tries) Step();
  std::vector<NodeOutput> ends;
  for (const Known& k : known_) {
    if (!k.used) ends.push_back(k.at);
  }
  std::shuffle(ends.begin(), ends.end(), random_);
  ends.resize(std::min<size_t>(ends.size(), 1 + static_cast<size_t>(Below(Chance(0.8) ? 4 : 20))));
  for (int64_t extra = Below(3); extra > 0; --extra) ends.push_back(Any(known_).at);
  if (!failing_.empty() && Chance(0.3)) ends.push_back(Any(failing_));
  program_.fetches = std::move(ends);
  program_.other_feeds = OtherFeeds();
  program_.graph = builder_.Build();
  return std::move(program_);
}

}  // namespace

Program MakeRandomProgram(uint64_t seed) { return Generator(seed).Make(); }

}  // namespace duet::testing
