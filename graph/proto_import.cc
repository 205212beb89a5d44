#include <algorithm>
#include <functional>
#include <queue>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_join.h"
#include "core/strings.h"
#include "graph/graph_data.h"
#include "graph/proto_convert.h"
#include "proto/graph.pb.h"

namespace duet::graph_internal {
namespace {

// One reference in NodeDef.input.
struct Reference {
  int32_t node;  // position in the file
  int32_t output;
  bool control;
};

absl::Status InNode(const wire::NodeDef& def, const absl::Status& status) {
  if (status.ok()) return status;
  return absl::Status(status.code(), ToAbsl(Str("node \"", def.name(), "\" (", def.op(),
                                                "): ", FromAbsl(status.message()))));
}

absl::StatusOr<AttrValue> ListFromProto(const wire::AttrValue::ListValue& list,
                                        const AttrValue& like) {
  const int others = list.s_size() + list.f_size() + list.b_size() + list.shape_size() +
                     list.tensor_size() + list.func_size();
  if (std::holds_alternative<std::vector<int64_t>>(like) && others + list.type_size() == 0) {
    return AttrValue(std::vector<int64_t>(list.i().begin(), list.i().end()));
  }
  if (std::holds_alternative<std::vector<DType>>(like) && others + list.i_size() == 0) {
    std::vector<DType> types;
    for (int number : list.type()) {
      DUET_ASSIGN_OR_RETURN(const DType d, DTypeFromWire(number));
      types.push_back(d);
    }
    return AttrValue(std::move(types));
  }
  return absl::InvalidArgumentError("is a list of another kind than the op has");
}

bool IsEmptyList(const wire::AttrValue& proto) {
  const auto& l = proto.list();
  return proto.has_list() && l.s_size() + l.i_size() + l.f_size() + l.b_size() + l.type_size() +
                                     l.shape_size() + l.tensor_size() + l.func_size() ==
                                 0;
}

// Imports one GraphDef.
class Importer {
 public:
  Importer(const wire::GraphDef& proto, int64_t file_bytes, const ImportOptions& options)
      : proto_(proto), options_(options), string_budget_(options.max_string_bytes) {
    const int64_t by_size =
        file_bytes > INT64_MAX / 1000 ? INT64_MAX : std::max<int64_t>(file_bytes, 0) * 1000;
    constant_budget_ = std::min(options.max_constant_bytes, by_size);
  }

  absl::StatusOr<Graph> Import() {
    if (proto_.node_size() > options_.max_nodes) {
      return absl::ResourceExhaustedError(Str("the graph has ", proto_.node_size(),
                                              " nodes, over ImportOptions::max_nodes, ",
                                              options_.max_nodes));
    }
    for (const auto& f : proto_.library().function()) functions_.emplace(f.signature().name(), 1);
    DUET_RETURN_IF_ERROR(IndexNodes());
    DUET_RETURN_IF_ERROR(ResolveInputs());
    DUET_ASSIGN_OR_RETURN(const std::vector<int32_t> order, Sort());
    positions_.assign(static_cast<size_t>(proto_.node_size()), -1);
    for (int32_t i : order) DUET_RETURN_IF_ERROR(AddNode(i));
    return builder_.Build();
  }

 private:
  // Names and ops.
  absl::Status IndexNodes() {
    for (int i = 0; i < proto_.node_size(); ++i) {
      const wire::NodeDef& def = proto_.node(i);
      if (!IsValidNodeName(def.name())) {
        return absl::InvalidArgumentError(
            Str("node ", i, " of the file has the name \"", def.name(),
                "\", which is not a node's name ([A-Za-z0-9.][A-Za-z0-9_./>-]*)"));
      }
      if (!by_name_.emplace(def.name(), i).second) {
        return absl::InvalidArgumentError(Str("there are two nodes called \"", def.name(), "\""));
      }
      const OpDef* op = FindOp(def.op());
      if (op == nullptr) return UnknownOp(def);
      ops_.push_back(op);
    }
    return absl::OkStatus();
  }

  absl::Status UnknownOp(const wire::NodeDef& def) const {
    if (functions_.contains(def.op())) {
      return absl::UnimplementedError(Str("node \"", def.name(), "\" calls the function \"",
                                          def.op(),
                                          "\"; graphs with functions are not supported yet"));
    }
    const std::vector<std::string> similar = SimilarOps(def.op());
    return absl::NotFoundError(
        Str("node \"", def.name(), "\": there is no op \"", def.op(), "\"",
            similar.empty() ? "" : Str("; did you mean ", absl::StrJoin(similar, ", "), "?")));
  }

  absl::Status ResolveInputs() {
    references_.resize(static_cast<size_t>(proto_.node_size()));
    for (int i = 0; i < proto_.node_size(); ++i) {
      const wire::NodeDef& def = proto_.node(i);
      auto& references = references_[static_cast<size_t>(i)];
      for (const std::string& input : def.input()) {
        auto reference = ParseReference(input);
        if (!reference.ok()) return InNode(def, reference.status());
        if (!reference->control && !references.empty() && references.back().control) {
          return InNode(def, absl::InvalidArgumentError(
                                 Str("input \"", input, "\" comes after a control input")));
        }
        references.push_back(*reference);
      }
    }
    return absl::OkStatus();
  }

  absl::StatusOr<Reference> ParseReference(std::string_view input) const {
    Reference r{-1, 0, false};
    std::string_view name = input;
    if (!name.empty() && name[0] == '^') {
      r.control = true;
      name.remove_prefix(1);
    } else if (const size_t colon = name.rfind(':'); colon != std::string_view::npos) {
      const std::string_view digits = name.substr(colon + 1);
      const bool is_number =
          !digits.empty() && digits.find_first_not_of("0123456789") == std::string_view::npos;
      if (!is_number || !absl::SimpleAtoi(ToAbsl(digits), &r.output)) {
        return absl::InvalidArgumentError(
            Str("input \"", input, "\" is not of the form node, node:output or ^node"));
      }
      name = name.substr(0, colon);
    }
    const auto it = by_name_.find(ToAbsl(name));
    if (it == by_name_.end()) {
      return absl::InvalidArgumentError(
          Str("input \"", input, "\" names a node that is not in the graph"));
    }
    r.node = it->second;
    return r;
  }

  // A topological order; among nodes that are ready the first of the file goes first.
  absl::StatusOr<std::vector<int32_t>> Sort() const {
    const auto n = references_.size();
    std::vector<int32_t> waiting(n, 0), order;
    std::vector<std::vector<int32_t>> users(n);
    for (size_t i = 0; i < n; ++i) {
      waiting[i] = static_cast<int32_t>(references_[i].size());
      for (const Reference& r : references_[i]) {
        users[static_cast<size_t>(r.node)].push_back(static_cast<int32_t>(i));
      }
    }
    std::priority_queue<int32_t, std::vector<int32_t>, std::greater<>> ready;
    for (size_t i = 0; i < n; ++i) {
      if (waiting[i] == 0) ready.push(static_cast<int32_t>(i));
    }
    order.reserve(n);
    while (!ready.empty()) {
      const int32_t i = ready.top();
      ready.pop();
      order.push_back(i);
      for (int32_t u : users[static_cast<size_t>(i)]) {
        if (--waiting[static_cast<size_t>(u)] == 0) ready.push(u);
      }
    }
    if (order.size() < n) return Cycle(waiting);
    return order;
  }

  // Names a cycle: from a node that still waits, inputs that still wait lead into one.
  absl::Status Cycle(const std::vector<int32_t>& waiting) const {
    int32_t at = 0;
    while (waiting[static_cast<size_t>(at)] == 0) ++at;
    std::vector<int32_t> path;
    std::vector<bool> seen(waiting.size(), false);
    while (!seen[static_cast<size_t>(at)]) {
      seen[static_cast<size_t>(at)] = true;
      path.push_back(at);
      for (const Reference& r : references_[static_cast<size_t>(at)]) {
        if (waiting[static_cast<size_t>(r.node)] > 0) {
          at = r.node;
          break;
        }
      }
    }
    path.erase(path.begin(), std::find(path.begin(), path.end(), at));
    std::reverse(path.begin(), path.end());
    constexpr size_t kShown = 8;
    std::string text = Str("\"", proto_.node(path.back()).name(), "\"");
    for (size_t i = 0; i < path.size() && i < kShown; ++i) {
      AppendTo(&text, " -> \"", proto_.node(path[i]).name(), "\"");
    }
    return absl::InvalidArgumentError(Str("the graph has a cycle: ", text,
                                          path.size() > kShown ? " -> ..." : "",
                                          "; loops are not supported yet"));
  }

  absl::Status AddNode(int32_t i) {
    const wire::NodeDef& def = proto_.node(i);
    const OpDef& op = *ops_[static_cast<size_t>(i)];
    GraphBuilder::NodeArgs args{.op = &op, .name = def.name()};
    args.device = def.device();
    args.location = LocationOf(def.name());
    absl::InlinedVector<DType, 4> dtypes;
    for (const Reference& r : references_[static_cast<size_t>(i)]) {
      const int32_t producer = positions_[static_cast<size_t>(r.node)];
      if (r.control) {
        args.control_inputs.push_back(producer);
        continue;
      }
      const Node& node = builder_.graph().node(producer);
      if (static_cast<size_t>(r.output) >= node.outputs.size()) {
        return InNode(
            def, absl::InvalidArgumentError(Str("there is no output ", r.output, " of \"",
                                                node.name, "\", which has ", node.outputs.size())));
      }
      args.inputs.push_back({producer, r.output});
      dtypes.push_back(node.outputs[static_cast<size_t>(r.output)].dtype);
    }
    DUET_RETURN_IF_ERROR(InNode(def, ReadAttrs(def, op, &args)));
    auto specs = InferNode(builder_.graph(), &args);
    if (!specs.ok()) return InNode(def, Annotate(specs.status(), "", args.location));
    DUET_RETURN_IF_ERROR(InNode(def, CheckDerived(def, op, dtypes, *specs)));
    DUET_ASSIGN_OR_RETURN(positions_[static_cast<size_t>(i)],
                          builder_.Add(std::move(args), *specs));
    return absl::OkStatus();
  }

  absl::Status ReadAttrs(const wire::NodeDef& def, const OpDef& op, GraphBuilder::NodeArgs* args) {
    for (const auto& [name, proto] : def.attr()) {
      if (name == kGroupAttr && proto.value_case() == wire::AttrValue::kI && proto.i() >= 0 &&
          proto.i() < INT32_MAX) {
        args->group = static_cast<int32_t>(proto.i());
      }
      if (!name.empty() && name[0] == '_') continue;
      const AttrValue* like = KindOf(op, name);
      if (like == nullptr) {
        // A list of nothing asks for nothing: newer writers add such attributes.
        if (IsDerived(op, name) || IsEmptyList(proto)) continue;
        return absl::InvalidArgumentError(Str("the op has no attribute \"", name, "\""));
      }
      auto value = ReadAttr(proto, *like);
      if (!value.ok()) {
        return absl::Status(
            value.status().code(),
            ToAbsl(Str("attribute \"", name, "\": ", FromAbsl(value.status().message()))));
      }
      args->attrs.Set(name, *std::move(value));
    }
    if (op.family == Family::kPlaceholder && args->attrs.Find("shape") == nullptr) {
      return absl::InvalidArgumentError(
          "has no shape, and Duet needs the number of dimensions; write the graph with the "
          "attribute \"shape\", with -1 for each size that is not known");
    }
    return absl::OkStatus();
  }

  // A value of the kind of a stored attribute; null if the op stores none of that name.
  static const AttrValue* KindOf(const OpDef& op, std::string_view name) {
    static const auto* type = new AttrValue(kInvalid);
    for (const AttrDef& a : op.attrs) {
      if (a.name == name) return &a.default_value;
    }
    for (const TypeAttrDef& t : op.type_attrs) {
      if (t.name == name && !t.from_input) return type;
    }
    return nullptr;
  }

  static bool IsDerived(const OpDef& op, std::string_view name) {
    for (const TypeAttrDef& t : op.type_attrs) {
      if (t.name == name) return true;
    }
    for (const ArgDef& arg : op.inputs) {
      if (arg.number_attr == name) return true;
    }
    return false;
  }

  absl::StatusOr<AttrValue> ReadAttr(const wire::AttrValue& proto, const AttrValue& like) {
    const auto is = [&]<class T>(T) { return std::holds_alternative<T>(like); };
    switch (proto.value_case()) {
      case wire::AttrValue::kI:
        if (is(int64_t{})) return AttrValue(proto.i());
        break;
      case wire::AttrValue::kF:
        if (is(float{})) return AttrValue(proto.f());
        break;
      case wire::AttrValue::kB:
        if (is(bool{})) return AttrValue(proto.b());
        break;
      case wire::AttrValue::kS:
        if (!is(std::string{})) break;
        string_budget_ -= static_cast<int64_t>(proto.s().size());
        if (string_budget_ < 0) {
          return absl::ResourceExhaustedError(
              "the strings of the graph are over ImportOptions::max_string_bytes");
        }
        return AttrValue(proto.s());
      case wire::AttrValue::kType:
        if (!is(DType{})) break;
        return Wrap(DTypeFromWire(proto.type()));
      case wire::AttrValue::kShape:
        if (!is(Shape{})) break;
        return Wrap(ShapeFromProto(proto.shape()));
      case wire::AttrValue::kTensor:
        if (!is(Tensor{})) break;
        return Wrap(TensorFromProto(proto.tensor(), &constant_budget_));
      case wire::AttrValue::kList:
        return ListFromProto(proto.list(), like);
      case wire::AttrValue::kFunc:
        return absl::UnimplementedError(Str("calls the function \"", proto.func().name(),
                                            "\"; graphs with functions are not supported yet"));
      case wire::AttrValue::kPlaceholder:
        return absl::InvalidArgumentError("stands for an attribute of a function, outside of one");
      case wire::AttrValue::VALUE_NOT_SET:
        return absl::InvalidArgumentError("has no value");
    }
    return absl::InvalidArgumentError("is of another kind than the op has");
  }

  template <class T>
  static absl::StatusOr<AttrValue> Wrap(absl::StatusOr<T> value) {
    if (!value.ok()) return value.status();
    return AttrValue(*std::move(value));
  }

  // Types and lengths in the file agree with the inputs.
  static absl::Status CheckDerived(const wire::NodeDef& def, const OpDef& op,
                                   absl::Span<const DType> inputs,
                                   absl::Span<const ValueSpec> outputs) {
    for (const auto& [name, value] : DerivedAttrs(op, inputs, outputs)) {
      const auto it = def.attr().find(name);
      if (it == def.attr().end()) continue;
      const wire::AttrValue& proto = it->second;
      if (std::holds_alternative<int64_t>(value)) {
        if (proto.value_case() != wire::AttrValue::kI || proto.i() != std::get<int64_t>(value)) {
          return absl::InvalidArgumentError(Str("attribute \"", name, "\" is ", proto.i(),
                                                ", but the list has ", AttrToString(value),
                                                " inputs"));
        }
        continue;
      }
      if (proto.value_case() != wire::AttrValue::kType) {
        return absl::InvalidArgumentError(Str("attribute \"", name, "\" is not a type"));
      }
      if (proto.type() != static_cast<int>(std::get<DType>(value))) {
        const DType written = DTypeFromWire(proto.type()).value_or(kInvalid);
        return absl::InvalidArgumentError(Str("attribute \"", name, "\" is ", Name(written),
                                              ", but the inputs make it ",
                                              Name(std::get<DType>(value))));
      }
    }
    return absl::OkStatus();
  }

  // The innermost frame of the node's trace; unknown where the file's tables do not lead to one.
  Location LocationOf(const std::string& node) const {
    using Frame = wire::GraphDebugInfo::FileLineCol;
    const wire::GraphDebugInfo& info = proto_.debug_info();
    const wire::GraphDebugInfo::StackTrace* trace = nullptr;
    if (auto it = info.traces().find(node); it != info.traces().end()) {
      trace = &it->second;
    } else if (auto id = info.name_to_trace_id().find(node); id != info.name_to_trace_id().end()) {
      auto by_id = info.traces_by_id().find(id->second);
      if (by_id != info.traces_by_id().end()) trace = &by_id->second;
    }
    const Frame* frame = nullptr;
    if (trace != nullptr && trace->file_line_cols_size() > 0) {
      frame = &trace->file_line_cols(0);
    } else if (trace != nullptr && trace->frame_id_size() > 0) {
      auto by_id = info.frames_by_id().find(trace->frame_id(0));
      if (by_id != info.frames_by_id().end()) frame = &by_id->second;
    }
    if (frame == nullptr || frame->file_index() < 0 || frame->file_index() >= info.files_size() ||
        frame->line() < 0) {
      return {};
    }
    return Location::Intern(info.files(frame->file_index()), static_cast<uint32_t>(frame->line()));
  }

  const wire::GraphDef& proto_;
  const ImportOptions& options_;
  int64_t constant_budget_ = 0;
  int64_t string_budget_;
  absl::flat_hash_map<std::string, int> functions_;
  absl::flat_hash_map<std::string, int32_t> by_name_;
  std::vector<const OpDef*> ops_;
  std::vector<std::vector<Reference>> references_;
  std::vector<int32_t> positions_;  // in the graph, of each node of the file
  GraphBuilder builder_;
};

}  // namespace

std::vector<std::pair<std::string, AttrValue>> DerivedAttrs(const OpDef& op,
                                                            absl::Span<const DType> inputs,
                                                            absl::Span<const ValueSpec> outputs) {
  std::vector<std::pair<std::string, AttrValue>> derived;
  const auto add = [&](const std::string& name, AttrValue value) {
    for (const auto& [known, unused] : derived) {
      if (known == name) return;
    }
    for (const TypeAttrDef& t : op.type_attrs) {
      if (t.name == name && !t.from_input) return;
    }
    for (const AttrDef& a : op.attrs) {
      if (a.name == name) return;
    }
    derived.emplace_back(name, std::move(value));
  };
  int lists = 0;
  for (const ArgDef& arg : op.inputs) lists += !arg.number_attr.empty();
  const int64_t fixed = static_cast<int64_t>(op.inputs.size()) - lists;
  const int64_t list_length = static_cast<int64_t>(inputs.size()) - fixed;
  size_t at = 0;
  for (const ArgDef& arg : op.inputs) {
    const int64_t count = arg.number_attr.empty() ? 1 : list_length;
    if (!arg.number_attr.empty()) add(arg.number_attr, AttrValue(count));
    if (count > 0 && at < inputs.size() && !arg.type_attr.empty()) {
      add(arg.type_attr, AttrValue(inputs[at]));
    }
    at += static_cast<size_t>(std::max<int64_t>(count, 0));
  }
  for (size_t i = 0; i < op.outputs.size() && i < outputs.size(); ++i) {
    if (!op.outputs[i].type_attr.empty()) {
      add(op.outputs[i].type_attr, AttrValue(outputs[i].dtype));
    }
  }
  return derived;
}

absl::StatusOr<Graph> GraphFromProto(const wire::GraphDef& proto, int64_t file_bytes,
                                     const ImportOptions& options) {
  return Importer(proto, file_bytes, options).Import();
}

}  // namespace duet::graph_internal
