#include "tests/op_cases.h"

#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <map>
#include <optional>

#include "core/ops/ops.h"
#include "core/strings.h"

namespace duet::testing {
namespace {

using ShapeList = std::vector<Shape>;

const std::vector<ShapeList>& UnaryShapes() {
  static const auto* shapes = new std::vector<ShapeList>{
      {{}},   {{0}},  {{1}},    {{3}},     {{15}},   {{16}},      {{17}},
      {{33}}, {{64}}, {{2, 3}}, {{5, 17}}, {{1, 1}}, {{2, 0, 3}}, {{3, 1, 4}}};
  return *shapes;
}

const std::vector<ShapeList>& BinaryShapes() {
  static const auto* shapes = new std::vector<ShapeList>{
      {{}, {}},        {{3}, {3}},          {{3}, {}},           {{}, {17}},
      {{2, 3}, {3}},   {{2, 3}, {2, 1}},    {{4, 1}, {1, 5}},    {{1}, {0}},
      {{2, 0}, {1}},   {{2, 3, 4}, {3, 1}}, {{17}, {17}},        {{33}, {33}},
      {{3, 16}, {16}}, {{1, 7}, {7}},       {{2, 1, 3}, {4, 1}}, {{5, 19}, {5, 19}}};
  return *shapes;
}

const std::vector<ShapeList>& TernaryShapes() {
  static const auto* shapes = new std::vector<ShapeList>{
      {{}, {}, {}},      {{2, 3}, {2, 3}, {2, 3}}, {{3}, {2, 3}, {}}, {{}, {5}, {5}},
      {{17}, {17}, {1}}, {{2, 1}, {1, 3}, {3}},    {{0}, {1}, {}}};
  return *shapes;
}

// An input of a row: random elements of a shape, or given integers.
struct Input {
  Input(std::initializer_list<int64_t> dims) : shape(dims) {}
  Input(Shape s, std::vector<int64_t> v) : shape(std::move(s)), values(std::move(v)) {}
  Shape shape;
  std::optional<std::vector<int64_t>> values;
};
Input Ints(std::vector<int64_t> v) {
  const auto n = static_cast<int64_t>(v.size());
  return Input(Shape({n}), std::move(v));
}
Input Int(int64_t v) { return Input(Shape(), {v}); }

struct Row {
  std::vector<Input> inputs;
  Attrs attrs = {};
};

std::vector<Row> ReductionRows() {
  std::vector<Row> rows;
  const std::vector<std::pair<Shape, std::vector<std::vector<int64_t>>>> table = {
      {{}, {{}}},
      {{1}, {{0}}},
      {{7}, {{0}, {}}},
      {{16}, {{-1}}},
      {{33}, {{0}}},
      {{5000}, {{0}}},
      {{0}, {{0}}},
      {{3, 5}, {{0}, {1}, {0, 1}, {-1}, {}}},
      {{17, 19}, {{0}, {1}, {0, 1}}},
      {{300, 3}, {{0}}},
      {{2, 0}, {{0}, {1}}},
      {{2, 3, 4}, {{0}, {1}, {2}, {0, 2}, {1, 2}, {0, 1}, {2, 0, 1}}},
      {{2, 3, 1, 5}, {{1, 3}, {0, 2}}}};
  for (const auto& [shape, axes_list] : table) {
    for (const auto& axes : axes_list) {
      for (bool keep : {false, true}) {
        Row row;
        row.inputs = {Input(shape, {}), Ints(axes)};
        row.inputs[0].values.reset();
        row.attrs.Set("keep_dims", keep);
        rows.push_back(std::move(row));
      }
    }
  }
  return rows;
}

Attrs One(const char* name, AttrValue value) {
  Attrs attrs;
  attrs.Set(name, std::move(value));
  return attrs;
}

// The calls of ops that no family describes, by wire name.
const std::map<std::string, std::vector<Row>>& Rows() {
  static const auto* rows = [] {
    auto* r = new std::map<std::string, std::vector<Row>>();
    auto& m = *r;
    for (const char* name : {"Identity", "StopGradient", "ZerosLike", "OnesLike", "Shape"}) {
      for (const ShapeList& s : UnaryShapes()) {
        Row row;
        row.inputs = {Input(s[0], {})};
        row.inputs[0].values.reset();
        m[name].push_back(row);
      }
    }
    for (const char* name : {"Softmax", "LogSoftmax"}) {
      m[name] = {{{{1}}},       {{{10}}},   {{{3, 10}}}, {{{32, 17}}},
                 {{{2, 3, 5}}}, {{{0, 4}}}, {{{4, 1}}}};
    }
    for (bool ta : {false, true}) {
      for (bool tb : {false, true}) {
        Attrs attrs;
        attrs.Set("transpose_a", ta);
        attrs.Set("transpose_b", tb);
        for (const auto& [rows_, inner, cols] : std::vector<std::tuple<int64_t, int64_t, int64_t>>{
                 {1, 1, 1}, {2, 3, 4}, {17, 5, 16}, {32, 64, 33}, {3, 0, 2}, {0, 3, 2}}) {
          Row row;
          row.inputs = {ta ? Input{inner, rows_} : Input{rows_, inner},
                        tb ? Input{cols, inner} : Input{inner, cols}};
          row.attrs = attrs;
          m["MatMul"].push_back(row);
        }
      }
    }
    m["Reshape"] = {{{{2, 3}, Ints({3, 2})}}, {{{6}, Ints({-1, 2})}},   {{{1}, Ints({})}},
                    {{{}, Ints({1, 1})}},     {{{2, 0}, Ints({0, 5})}}, {{{4, 17}, Ints({17, 4})}}};
    m["Transpose"] = {{{{2, 3}, Ints({1, 0})}},   {{{2, 3, 4}, Ints({2, 0, 1})}},
                      {{{5}, Ints({0})}},         {{{}, Ints({})}},
                      {{{17, 33}, Ints({1, 0})}}, {{{2, 3, 4}, Ints({0, 2, 1})}},
                      {{{0, 3}, Ints({1, 0})}},   {{{2, 1, 3, 2}, Ints({3, 1, 0, 2})}}};
    m["ExpandDims"] = {{{{3}, Int(0)}}, {{{2, 3}, Int(-1)}}, {{{}, Int(0)}}, {{{2, 3}, Int(1)}}};
    m["Squeeze"] = {{{{1, 3, 1}}},
                    {{{1, 3, 1}}, One("squeeze_dims", std::vector<int64_t>{0})},
                    {{{1, 3, 1}}, One("squeeze_dims", std::vector<int64_t>{-1})},
                    {{{2, 3}}}};
    m["BroadcastTo"] = {{{{3}, Ints({2, 3})}},     {{{}, Ints({4})}},
                        {{{2, 1}, Ints({2, 17})}}, {{{1, 3}, Ints({2, 4, 3})}},
                        {{{2, 3}, Ints({2, 3})}},  {{{1}, Ints({0})}}};
    m["ConcatV2"] = {{{{2, 3}, {2, 2}, Int(1)}},
                     {{{2, 3}, {1, 3}, {3, 3}, Int(0)}},
                     {{{4}, {0}, {3}, Int(-1)}},
                     {{{2, 2}, Int(0)}},
                     {{{2, 3, 2}, {2, 1, 2}, Int(1)}}};
    m["Slice"] = {{{{5}, Ints({1}), Ints({3})}},
                  {{{4, 6}, Ints({1, 2}), Ints({2, -1})}},
                  {{{3, 3}, Ints({0, 0}), Ints({0, 3})}},
                  {{{}, Ints({}), Ints({})}},
                  {{{3, 40}, Ints({0, 3}), Ints({3, 33})}}};
    m["GatherV2"] = {{{{5, 3}, Ints({0, 4, 2}), Int(0)}},
                     {{{5, 3}, Input(Shape({2, 2}), {0, 1, 2, 0}), Int(1)}},
                     {{{4}, Int(3), Int(0)}},
                     {{{4, 2}, Ints({}), Int(0)}}};
    m["OneHot"] = {{{Ints({0, 2, 1}), Int(3), {}, {}}},
                   {{Ints({0, -1, 5}), Int(3), {}, {}}},
                   {{Input(Shape({2, 2}), {0, 1, 1, 0}), Int(2), {}, {}}, One("axis", int64_t{0})},
                   {{Int(1), Int(4), {}, {}}}};
    m["ArgMax"] = {
        {{{5}, Int(0)}}, {{{3, 4}, Int(1)}}, {{{3, 4}, Int(0)}}, {{{2, 3, 17}, Int(-1)}}};
    m["SparseSoftmaxCrossEntropyWithLogits"] = {{{{3, 5}, Ints({0, 4, 2})}},
                                                {{{1, 2}, Ints({1})}},
                                                {{{4, 17}, Ints({16, 0, 3, 3})}},
                                                {{{0, 3}, Ints({})}}};
    m["Fill"] = {{{Ints({2, 3}), {}}}, {{Ints({}), {}}}, {{Ints({0}), {}}}};
    m["Range"] = {
        {{Int(0), Int(5), Int(1)}}, {{Int(2), Int(11), Int(3)}}, {{Int(3), Int(3), Int(1)}}};
    for (const char* name : {"RandomUniform", "RandomStandardNormal"}) {
      Attrs attrs;
      attrs.Set("seed", int64_t{7});
      m[name] = {{{Ints({3, 5})}, attrs},
                 {{Ints({})}, attrs},
                 {{Ints({0})}, attrs},
                 {{Ints({1001})}, attrs}};
    }
    m["DuetSumToShape"] = {{{{2, 3}, {3}}},
                           {{{2, 3}, {2, 1}}},
                           {{{2, 3}, {}}},
                           {{{2, 3}, {2, 3}}},
                           {{{4, 2, 3}, {2, 1}}}};
    m["DuetSliceGrad"] = {{{{3}, Ints({1}), {5}}},
                          {{{2, 4}, Ints({1, 2}), {4, 6}}},
                          {{{}, Ints({}), {}}},
                          {{{0, 3}, Ints({0, 0}), {3, 3}}}};
    m["DuetGatherGrad"] = {{{{3, 3}, Ints({0, 4, 0}), Int(0), {5, 3}}},
                           {{{5, 2}, Ints({2, 0}), Int(1), {5, 3}}}};
    m["DuetCheckedLabels"] = {{{Ints({0, 4, 2}), {3, 5}}}, {{Ints({}), {0, 3}}}};
    return r;
  }();
  return *rows;
}

// Replaces some elements by the values where arithmetic is special.
void AddSpecials(Tensor* t) {
  VisitDType(t->dtype(), [&](auto zero) {
    using T = decltype(zero);
    if constexpr (std::is_floating_point_v<T>) {
      using L = std::numeric_limits<T>;
      const T specials[] = {L::quiet_NaN(),  L::infinity(), -L::infinity(), T(0),     -T(0),
                            L::denorm_min(), L::max(),      L::lowest(),    L::min(), T(1),
                            T(-1),           T(0.5)};
      T* data = static_cast<T*>(t->mutable_raw_data());
      for (int64_t i = 0; i < t->num_elements(); ++i) {
        if (i % 3 != 2) data[i] = specials[static_cast<size_t>(i * 7 / 2) % std::size(specials)];
      }
    }
  });
}

// Which dtypes each type attribute has, for one combination.
using Binding = std::map<std::string, DType>;

std::vector<Binding> Bindings(const OpDef& op) {
  std::vector<Binding> all = {{}};
  for (const TypeAttrDef& t : op.type_attrs) {
    std::vector<Binding> next;
    for (const Binding& b : all) {
      for (DType d : {kFloat32, kFloat64, kInt32, kInt64, kUInt8, kBool}) {
        if (!t.allowed.Contains(d)) continue;
        Binding with = b;
        with[t.name] = d;
        next.push_back(std::move(with));
      }
    }
    all = std::move(next);
  }
  return all;
}

std::vector<Row> RowsFor(const OpDef& op) {
  if (op.family == Family::kReduction) return ReductionRows();
  if (auto it = Rows().find(op.name); it != Rows().end()) return it->second;
  if (op.family != Family::kElementwise) return {};
  const auto& shapes = op.inputs.size() == 1   ? UnaryShapes()
                       : op.inputs.size() == 2 ? BinaryShapes()
                                               : TernaryShapes();
  std::vector<Row> rows;
  for (const ShapeList& list : shapes) {
    Row row;
    for (const Shape& s : list) {
      row.inputs.emplace_back(s, std::vector<int64_t>());
      row.inputs.back().values.reset();
    }
    rows.push_back(std::move(row));
  }
  return rows;
}

// The definition of input i; a list takes all that the others leave.
const ArgDef& ArgOf(const OpDef& op, size_t i, size_t count) {
  size_t at = 0;
  for (const ArgDef& arg : op.inputs) {
    const size_t n = arg.number_attr.empty() ? 1 : count - (op.inputs.size() - 1);
    if (i < at + n) return arg;
    at += n;
  }
  return op.inputs.back();
}

std::optional<OpCase> Make(const OpDef& op, const Row& row, const Binding& types, bool specials,
                           std::mt19937_64& random) {
  OpCase c;
  c.op = &op;
  c.attrs = row.attrs;
  c.name = op.name;
  for (const TypeAttrDef& t : op.type_attrs) {
    if (!t.from_input) c.attrs.Set(t.name, types.at(t.name));
    AppendTo(&c.name, " ", Name(types.at(t.name)));
  }
  for (size_t i = 0; i < row.inputs.size(); ++i) {
    const ArgDef& arg = ArgOf(op, i, row.inputs.size());
    const DType dtype = arg.type_attr.empty() ? arg.type : types.at(arg.type_attr);
    const Input& in = row.inputs[i];
    Tensor t = in.values ? IntTensor(dtype, in.shape, *in.values)
                         : RandomTensor(dtype, in.shape, op.test_low, op.test_high, random);
    if (specials && !in.values) AddSpecials(&t);
    c.inputs.push_back(t);
    c.host.push_back(arg.host);
    AppendTo(&c.name, " ", arg.host ? t.ValueString() : t.shape().ToString());
  }
  for (const auto& [name, value] : row.attrs)
    AppendTo(&c.name, " ", name, "=", AttrToString(value));
  if (specials) c.name += " specials";
  if (!FillDefaults(op, &c.attrs).ok()) return std::nullopt;
  // Elements the op refuses (a zero divisor, a negative exponent) are replaced by ones it takes.
  if (op.check != nullptr && !op.check(c.attrs, c.inputs).ok()) {
    for (int i : op.checked_inputs) {
      Tensor& t = c.inputs[static_cast<size_t>(i)];
      VisitDType(t.dtype(), [&](auto zero) {
        using T = decltype(zero);
        T* data = static_cast<T*>(t.mutable_raw_data());
        for (int64_t k = 0; k < t.num_elements(); ++k) data[k] = static_cast<T>(1 + k % 3);
      });
    }
  }
  return c;
}

template <class T, class U>
double Ulps(T a, T b) {
  if (std::isnan(a) && std::isnan(b)) return 0;
  if (a == b) return 0;
  if (std::isnan(a) || std::isnan(b)) return std::numeric_limits<double>::infinity();
  // The bits of floating numbers, counted from zero, are in the order of the numbers.
  const auto ordered = [](T v) {
    const auto bits = static_cast<int64_t>(std::bit_cast<U>(std::fabs(v)));
    return std::signbit(v) ? -bits : bits;
  };
  return std::fabs(static_cast<double>(ordered(a) - ordered(b)));
}

std::string At(const Tensor& t, int64_t i) {
  std::string out;
  VisitDType(t.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const T v = static_cast<const T*>(t.raw_data())[i];
    if constexpr (std::is_floating_point_v<T>) {
      char buffer[64];
      std::snprintf(buffer, sizeof(buffer), "%a (%.9g)", static_cast<double>(v),
                    static_cast<double>(v));
      out = buffer;
    } else {
      out = Str(static_cast<int64_t>(v));
    }
  });
  return out;
}

bool SameType(const Tensor& a, const Tensor& b, std::string* why) {
  if (!a.defined() || !b.defined()) {
    *why = "one of the tensors is undefined";
    return !a.defined() && !b.defined();
  }
  if (a.dtype() == b.dtype() && a.shape() == b.shape()) return true;
  *why = Str(DescribeType(a.dtype(), a.shape()), " and ", DescribeType(b.dtype(), b.shape()));
  return false;
}

}  // namespace

std::vector<const OpDef*> TestableOps() {
  std::vector<const OpDef*> ops;
  for (const OpDef* op : AllOps()) {
    if (op->family == Family::kConstant || op->family == Family::kPlaceholder) continue;
    if (op->resource != ResourceUse::kNone) continue;
    ops.push_back(op);
  }
  return ops;
}

Tensor IntTensor(DType dtype, const Shape& shape, const std::vector<int64_t>& values) {
  Tensor t = Tensor::Allocate(dtype, shape);
  VisitDType(dtype, [&](auto zero) {
    using T = decltype(zero);
    for (size_t i = 0; i < values.size(); ++i) {
      static_cast<T*>(t.mutable_raw_data())[i] = static_cast<T>(values[i]);
    }
  });
  return t;
}

Tensor RandomTensor(DType dtype, const Shape& shape, double low, double high,
                    std::mt19937_64& random) {
  Tensor t = Tensor::Allocate(dtype, shape);
  VisitDType(dtype, [&](auto zero) {
    using T = decltype(zero);
    T* data = static_cast<T*>(t.mutable_raw_data());
    for (int64_t i = 0; i < t.num_elements(); ++i) {
      if constexpr (std::is_floating_point_v<T>) {
        data[i] = static_cast<T>(std::uniform_real_distribution<double>(low, high)(random));
      } else if constexpr (std::is_same_v<T, bool>) {
        data[i] = (random() & 1) != 0;
      } else {
        const int64_t from = std::is_unsigned_v<T> || low >= 0 ? 0 : -4;
        data[i] = static_cast<T>(std::uniform_int_distribution<int64_t>(from, 5)(random));
      }
    }
  });
  return t;
}

std::vector<OpCase> CasesFor(const OpDef& op) {
  std::vector<OpCase> cases;
  std::mt19937_64 random(12345);
  const std::vector<Row> rows = RowsFor(op);
  for (const Binding& types : Bindings(op)) {
    for (const Row& row : rows) {
      if (auto c = Make(op, row, types, false, random)) cases.push_back(*std::move(c));
    }
    if (op.family == Family::kElementwise && !rows.empty()) {
      Row row;
      for (size_t i = 0; i < op.inputs.size(); ++i) row.inputs.push_back({35 - 34 * (i == 1)});
      if (auto c = Make(op, row, types, true, random)) cases.push_back(*std::move(c));
    }
  }
  return cases;
}

double UlpDistance(float a, float b) { return Ulps<float, uint32_t>(a, b); }
double UlpDistance(double a, double b) { return Ulps<double, uint64_t>(a, b); }

bool SameBits(const Tensor& a, const Tensor& b, std::string* why) {
  if (!SameType(a, b, why)) return false;
  if (!a.defined()) return true;
  const size_t size = SizeOf(a.dtype());
  for (int64_t i = 0; i < a.num_elements(); ++i) {
    const auto offset = static_cast<size_t>(i) * size;
    if (std::memcmp(static_cast<const char*>(a.raw_data()) + offset,
                    static_cast<const char*>(b.raw_data()) + offset, size) != 0) {
      *why = Str("element ", i, " of ", a.shape().ToString(), ": ", At(a, i), " and ", At(b, i));
      return false;
    }
  }
  return true;
}

bool WithinUlp(const Tensor& a, const Tensor& b, double ulp, std::string* why) {
  if (!IsFloating(a.dtype())) return SameBits(a, b, why);
  if (!SameType(a, b, why)) return false;
  bool ok = true;
  VisitDType(a.dtype(), [&](auto zero) {
    using T = decltype(zero);
    if constexpr (std::is_floating_point_v<T>) {
      for (int64_t i = 0; ok && i < a.num_elements(); ++i) {
        const double d = UlpDistance(static_cast<const T*>(a.raw_data())[i],
                                     static_cast<const T*>(b.raw_data())[i]);
        if (d > ulp) {
          *why = Str("element ", i, " of ", a.shape().ToString(), ": ", At(a, i), " and ", At(b, i),
                     ", ", d, " ULP apart");
          ok = false;
        }
      }
    }
  });
  return ok;
}

}  // namespace duet::testing
