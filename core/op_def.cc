#include "core/op_def.h"

#include <algorithm>
#include <array>
#include <deque>
#include <map>

#include <mutex>
#include "absl/strings/str_join.h"
#include "core/strings.h"

namespace duet {
namespace {

constexpr size_t kMaxTypeAttrs = 4;

// Definitions never move and are never removed, so pointers to them are kept everywhere.
struct Registry {
  std::mutex mutex;
  std::deque<OpDef> ops;
  std::map<std::string, const OpDef*, std::less<>> by_name;
};
Registry& TheRegistry() {
  static auto* registry = new Registry();
  return *registry;
}

size_t EditDistance(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = std::exchange(row[0], i);
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t up = row[j];
      row[j] = std::min({up + 1, row[j - 1] + 1, diagonal + (a[i - 1] == b[j - 1] ? 0 : 1)});
      diagonal = up;
    }
  }
  return row[b.size()];
}

std::string_view KindName(const AttrValue& v) {
  constexpr std::string_view kNames[] = {"int",   "float",  "bool",      "string",    "type",
                                         "shape", "tensor", "list(int)", "list(type)"};
  return kNames[v.index()];
}

std::string TypesText(DTypeSet set) {
  std::vector<std::string> names;
  for (DType d : {kFloat32, kFloat64, kInt32, kInt64, kUInt8, kBool}) {
    if (set.Contains(d)) names.emplace_back(Name(d));
  }
  return absl::StrJoin(names, ", ");
}

const TypeAttrDef* FindTypeAttr(const OpDef& op, std::string_view name) {
  for (const TypeAttrDef& t : op.type_attrs) {
    if (t.name == name) return &t;
  }
  return nullptr;
}

// The number of inputs; a list takes what is left over by the others, at least one.
absl::Status CheckInputCount(const OpDef& op, int found) {
  const auto args = static_cast<int>(op.inputs.size());
  if (op.list_input < 0 ? found == args : found >= args) return absl::OkStatus();
  return absl::InvalidArgumentError(
      Str("takes ", op.list_input < 0 ? "" : "at least ", args, " inputs, found ", found));
}

absl::Status WrongType(InferContext& c, int input, const ArgDef& arg, int bound_by) {
  const DType found = c.dtype(input);
  if (arg.type_index < 0) {
    return absl::InvalidArgumentError(
        Str(arg.name, " must be ", Name(arg.type), ", found ", Name(found)));
  }
  if (bound_by >= 0) {
    return absl::InvalidArgumentError(Str(
        "inputs must have one dtype, found ", DescribeType(c.dtype(bound_by), c.shape(bound_by)),
        " and ", DescribeType(found, c.shape(input)), "; convert one of them with Cast"));
  }
  return absl::InvalidArgumentError(
      Str(arg.name, " must be one of ",
          TypesText(c.op().type_attrs[static_cast<size_t>(arg.type_index)].allowed), ", found ",
          Name(found)));
}

absl::Status CheckInputs(InferContext& c) {
  const OpDef& op = c.op();
  DUET_RETURN_IF_ERROR(CheckInputCount(op, c.num_inputs()));
  const int list_length = c.num_inputs() - static_cast<int>(op.inputs.size()) + 1;
  // The input that bound each type attribute.
  std::array<int, kMaxTypeAttrs> bound;
  bound.fill(-1);
  int i = 0;
  for (size_t a = 0; a < op.inputs.size(); ++a) {
    const ArgDef& arg = op.inputs[a];
    const int end = i + (static_cast<int>(a) == op.list_input ? list_length : 1);
    for (; i < end; ++i) {
      if (arg.type_index < 0) {
        if (c.dtype(i) != arg.type) return WrongType(c, i, arg, -1);
        continue;
      }
      int& by = bound[static_cast<size_t>(arg.type_index)];
      if (by >= 0) {
        if (c.dtype(by) != c.dtype(i)) return WrongType(c, i, arg, by);
        continue;
      }
      if (!op.type_attrs[static_cast<size_t>(arg.type_index)].allowed.Contains(c.dtype(i))) {
        return WrongType(c, i, arg, -1);
      }
      by = i;
    }
  }
  return absl::OkStatus();
}

absl::Status CheckTypeAttrs(const OpDef& op, const Attrs& attrs) {
  for (const TypeAttrDef& t : op.type_attrs) {
    if (t.from_input) continue;
    const AttrValue* v = attrs.Find(t.name);
    if (v == nullptr || !std::holds_alternative<DType>(*v)) {
      return absl::InvalidArgumentError(Str("attribute ", t.name, " (a type) is missing"));
    }
    if (!t.allowed.Contains(std::get<DType>(*v))) {
      return absl::InvalidArgumentError(Str("attribute ", t.name, " must be one of ",
                                            TypesText(t.allowed), ", found ",
                                            Name(std::get<DType>(*v))));
    }
  }
  return absl::OkStatus();
}

}  // namespace

const OpDef& RegisterOp(OpDef def) {
  Registry& r = TheRegistry();
  const std::lock_guard lock(r.mutex);
  InternalCheck(r.by_name.find(def.name) == r.by_name.end(), "an op was registered twice");
  InternalCheck(def.type_attrs.size() <= kMaxTypeAttrs,
                "an op with more type attributes than Infer binds");
  def.id = static_cast<int>(r.ops.size());
  for (size_t i = 0; i < def.inputs.size(); ++i) {
    ArgDef& arg = def.inputs[i];
    for (size_t t = 0; t < def.type_attrs.size(); ++t) {
      if (def.type_attrs[t].name == arg.type_attr) arg.type_index = static_cast<int>(t);
    }
    InternalCheck(arg.type_attr.empty() || arg.type_index >= 0, "an input of an unknown type");
    if (!arg.number_attr.empty()) def.list_input = static_cast<int>(i);
  }
  def.has_call_types = std::any_of(def.type_attrs.begin(), def.type_attrs.end(),
                                   [](const TypeAttrDef& t) { return !t.from_input; });
  const OpDef& op = r.ops.emplace_back(std::move(def));
  r.by_name.emplace(op.name, &op);
  return op;
}

const OpDef* FindOp(std::string_view wire_name) {
  Registry& r = TheRegistry();
  const std::lock_guard lock(r.mutex);
  auto it = r.by_name.find(wire_name);
  return it == r.by_name.end() ? nullptr : it->second;
}

std::vector<const OpDef*> AllOps() {
  Registry& r = TheRegistry();
  const std::lock_guard lock(r.mutex);
  std::vector<const OpDef*> all;
  for (const auto& [name, op] : r.by_name) all.push_back(op);
  return all;
}

const OpDef& ResourceOp(ResourceUse use) {
  for (const OpDef* op : AllOps()) {
    if (op->resource == use) return *op;
  }
  throw InternalError("no op is registered for a use of variables");
}

std::vector<std::string> SimilarOps(std::string_view name) {
  std::vector<std::pair<size_t, std::string>> near;
  for (const OpDef* op : AllOps()) {
    const size_t d = std::min(EditDistance(name, op->name), EditDistance(name, op->public_name));
    if (d <= std::max<size_t>(2, name.size() / 3)) near.emplace_back(d, op->name);
  }
  std::sort(near.begin(), near.end());
  std::vector<std::string> out;
  for (size_t i = 0; i < near.size() && i < 3; ++i) out.push_back(near[i].second);
  return out;
}

const std::vector<int64_t>* InferContext::HostInts(int i) {
  for (const auto& [index, values] : host_) {
    if (index == i) return &values;
  }
  if (inputs_[i].value == nullptr) return nullptr;
  // Reserved for all inputs, so that pointers handed out stay valid.
  if (host_.empty()) host_.reserve(inputs_.size());
  return &host_.emplace_back(i, inputs_[i].value->AsInt64Vector()).second;
}

absl::Status Infer(InferContext& c) {
  const OpDef& op = c.op();
  DUET_RETURN_IF_ERROR(CheckInputs(c));
  if (op.has_call_types) DUET_RETURN_IF_ERROR(CheckTypeAttrs(op, c.attrs()));
  c.outputs.clear();
  DUET_RETURN_IF_ERROR(op.infer(c));
  InternalCheck(c.outputs.size() == op.outputs.size(),
                "a shape rule gave a wrong number of outputs");
  for (const ValueSpec& out : c.outputs) {
    DUET_RETURN_IF_ERROR(out.shape.Validate(/*allow_unknown=*/true));
  }
  return absl::OkStatus();
}

absl::Status FillDefaults(const OpDef& op, Attrs* attrs) {
  for (const auto& [name, value] : *attrs) {
    const AttrDef* def = nullptr;
    for (const AttrDef& a : op.attrs) {
      if (a.name == name) def = &a;
    }
    if (def == nullptr) {
      const TypeAttrDef* type = FindTypeAttr(op, name);
      if (type != nullptr && !type->from_input && std::holds_alternative<DType>(value)) continue;
      return absl::InvalidArgumentError(Str("has no attribute \"", name, "\""));
    }
    if (def->default_value.index() != value.index()) {
      return absl::InvalidArgumentError(Str("attribute ", name, " must be of kind ",
                                            KindName(def->default_value), ", found ",
                                            KindName(value)));
    }
  }
  for (const AttrDef& a : op.attrs) {
    if (attrs->Find(a.name) != nullptr) continue;
    if (a.required) {
      return absl::InvalidArgumentError(
          Str("attribute ", a.name, " (", KindName(a.default_value), ") is missing"));
    }
    attrs->Set(a.name, a.default_value);
  }
  return CheckTypeAttrs(op, *attrs);
}

}  // namespace duet
