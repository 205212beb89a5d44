#include "graph/text.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/str_join.h"
#include "core/strings.h"
#include "graph/graph_data.h"
#include "graph/text_cursor.h"

namespace duet {
namespace {

using graph_internal::TextBudget;
using graph_internal::TextCursor;

// "..." in a constant repeats a value: this much is allowed for a text of any length.
constexpr int64_t kConstantBytesForAnyText = int64_t{256} << 20;

// The dtype of a constant is its value's.
constexpr std::string_view kConstantDType = "dtype";

// Whether printing the attribute can be left to the op's defaults.
bool IsDefault(const OpDef& op, std::string_view name, const AttrValue& value) {
  if (op.family == Family::kConstant && name == kConstantDType) return true;
  for (const AttrDef& a : op.attrs) {
    if (a.name == name) return !a.required && AttrEquals(a.default_value, value);
  }
  return false;
}

void AppendInput(const Graph& graph, NodeOutput input, std::string* out) {
  AppendTo(out, graph.node(input.node).name);
  if (input.index != 0) AppendTo(out, ":", input.index);
}

}  // namespace

std::string PrintNode(const Graph& graph, int i) {
  const Node& node = graph.node(i);
  std::string out = Str(node.name, " = ", node.op->name, "(");
  std::string_view separator = "";
  for (const NodeOutput& input : node.inputs) {
    AppendTo(&out, std::exchange(separator, ", "));
    AppendInput(graph, input, &out);
  }
  for (int32_t c : node.control_inputs) {
    AppendTo(&out, std::exchange(separator, ", "), "^", graph.node(c).name);
  }
  out += ")";
  separator = " {";
  for (const auto& [name, value] : node.attrs) {
    if (IsDefault(*node.op, name, value)) continue;
    AppendTo(&out, std::exchange(separator, ", "), name, "=", AttrToString(value));
  }
  if (separator != " {") out += "}";
  separator = " : ";
  for (const ValueSpec& spec : node.outputs) {
    AppendTo(&out, std::exchange(separator, ", "), DescribeType(spec.dtype, spec.shape));
  }
  if (!node.device.empty()) {
    AppendTo(&out, " device=\"", absl::CHexEscape(node.device), "\"");
  }
  if (node.group >= 0) AppendTo(&out, " group=", node.group);
  if (node.location.known()) {
    AppendTo(&out, " @ \"", absl::CHexEscape(node.location.file), "\":", node.location.line);
  }
  return out;
}

std::string PrintGraph(const Graph& graph) {
  std::string out;
  for (int i = 0; i < graph.size(); ++i) AppendTo(&out, PrintNode(graph, i), "\n");
  return out;
}

namespace {

// Parses the lines of a text into a graph.
class GraphParser {
 public:
  GraphParser(std::string_view text, const ImportOptions& options)
      : text_(text), options_(options) {
    const auto size = static_cast<int64_t>(text.size());
    budget_.constant_bytes =
        std::min(options.max_constant_bytes, std::max(size * 1000, kConstantBytesForAnyText));
    budget_.string_bytes = options.max_string_bytes;
  }

  absl::StatusOr<Graph> Parse() {
    int line_number = 0;
    for (size_t begin = 0; begin < text_.size();) {
      size_t end = text_.find('\n', begin);
      if (end == std::string_view::npos) end = text_.size();
      TextCursor cursor(text_.substr(begin, end - begin), ++line_number);
      if (!cursor.AtEnd()) {
        if (builder_.graph().size() >= options_.max_nodes) {
          return absl::ResourceExhaustedError(Str("line ", line_number,
                                                  ": the graph has more than ", options_.max_nodes,
                                                  " nodes; raise ImportOptions::max_nodes"));
        }
        DUET_RETURN_IF_ERROR(ParseNode(cursor, line_number));
      }
      begin = end + 1;
    }
    return builder_.Build();
  }

 private:
  absl::Status ParseNode(TextCursor& cursor, int line_number) {
    GraphBuilder::NodeArgs args{.op = nullptr};
    DUET_RETURN_IF_ERROR(ParseHead(cursor, &args));
    DUET_RETURN_IF_ERROR(ParseInputs(cursor, &args));
    DUET_RETURN_IF_ERROR(ParseAttrs(cursor, &args));
    AddConstantDType(&args);
    const size_t types_at = cursor.position();
    std::vector<ValueSpec> written;
    const bool has_types = cursor.Accept(':');
    if (has_types) DUET_RETURN_IF_ERROR(ParseTypes(cursor, &written));
    DUET_RETURN_IF_ERROR(ParseTail(cursor, &args));

    const OpDef& op = *args.op;
    auto inferred = graph_internal::InferNode(builder_.graph(), &args);
    if (!inferred.ok()) return InLine(line_number, inferred.status(), args);
    if (has_types) {
      DUET_RETURN_IF_ERROR(CheckTypes(cursor, types_at, written, *inferred));
    } else {
      written = *std::move(inferred);
    }
    const Location location = args.location;
    auto node = builder_.Add(std::move(args), written);
    if (!node.ok()) {
      return InLine(line_number, node.status(), {.op = &op, .location = location});
    }
    return absl::OkStatus();
  }

  // "line 3: train.cc:12: MatMul: ..."
  static absl::Status InLine(int line_number, const absl::Status& status,
                             const GraphBuilder::NodeArgs& args) {
    const absl::Status full = Annotate(status, args.op->public_name, args.location);
    return absl::Status(full.code(),
                        ToAbsl(Str("line ", line_number, ": ", FromAbsl(full.message()))));
  }

  absl::Status ParseHead(TextCursor& cursor, GraphBuilder::NodeArgs* args) {
    const size_t start = cursor.position();
    DUET_ASSIGN_OR_RETURN(const std::string_view name, cursor.NodeName("a node's name"));
    if (!graph_internal::IsValidNodeName(name)) {
      return cursor.ErrorAt(start, Str("\"", name, "\" is not a node's name"));
    }
    if (builder_.graph().Find(name) >= 0) {
      return cursor.ErrorAt(start, Str("there are two nodes called \"", name, "\""));
    }
    args->name = std::string(name);
    DUET_RETURN_IF_ERROR(cursor.Expect('='));
    const size_t op_start = cursor.position();
    DUET_ASSIGN_OR_RETURN(const std::string_view op, cursor.Identifier("an op's name"));
    args->op = FindOp(op);
    if (args->op == nullptr) {
      const std::vector<std::string> similar = SimilarOps(op);
      return cursor.ErrorAt(
          op_start,
          Str("there is no op \"", op, "\"",
              similar.empty() ? "" : Str("; did you mean ", absl::StrJoin(similar, ", "), "?")));
    }
    return absl::OkStatus();
  }

  absl::Status ParseInputs(TextCursor& cursor, GraphBuilder::NodeArgs* args) {
    DUET_RETURN_IF_ERROR(cursor.Expect('('));
    if (cursor.Accept(')')) return absl::OkStatus();
    do {
      const size_t start = cursor.position();
      const bool control = cursor.Accept('^');
      DUET_ASSIGN_OR_RETURN(const std::string_view name, cursor.NodeName("an input"));
      int64_t index = 0;
      if (!control && cursor.Accept(':')) {
        DUET_ASSIGN_OR_RETURN(index, cursor.Integer("the number of an output"));
      }
      const auto found =
          builder_.graph().FindOutput(control ? std::string(name) : Str(name, ":", index));
      if (control) {
        const int32_t node = builder_.graph().Find(name);
        if (node < 0) return cursor.ErrorAt(start, FromAbsl(found.status().message()));
        args->control_inputs.push_back(node);
      } else if (!args->control_inputs.empty()) {
        return cursor.ErrorAt(start, "control inputs come after all others");
      } else if (!found.ok()) {
        return cursor.ErrorAt(start, FromAbsl(found.status().message()));
      } else {
        args->inputs.push_back(*found);
      }
    } while (cursor.Accept(','));
    return cursor.Expect(')');
  }

  absl::Status ParseAttrs(TextCursor& cursor, GraphBuilder::NodeArgs* args) {
    if (!cursor.Accept('{') || cursor.Accept('}')) return absl::OkStatus();
    do {
      const size_t start = cursor.position();
      DUET_ASSIGN_OR_RETURN(const std::string_view name, cursor.Identifier("an attribute's name"));
      DUET_RETURN_IF_ERROR(cursor.Expect('='));
      DUET_ASSIGN_OR_RETURN(AttrValue value, cursor.ParseAttrValue(&budget_));
      if (args->attrs.Find(name) != nullptr) {
        return cursor.ErrorAt(start, Str("attribute \"", name, "\" is given twice"));
      }
      args->attrs.Set(name, std::move(value));
    } while (cursor.Accept(','));
    return cursor.Expect('}');
  }

  static void AddConstantDType(GraphBuilder::NodeArgs* args) {
    if (args->op->family != Family::kConstant || args->attrs.Find(kConstantDType) != nullptr)
      return;
    const AttrValue* value = args->attrs.Find("value");
    if (value == nullptr || !std::holds_alternative<Tensor>(*value)) return;
    args->attrs.Set(kConstantDType, std::get<Tensor>(*value).dtype());
  }

  static absl::Status ParseTypes(TextCursor& cursor, std::vector<ValueSpec>* types) {
    do {
      DUET_ASSIGN_OR_RETURN(const DType dtype, cursor.ParseDType());
      DUET_ASSIGN_OR_RETURN(Shape shape, cursor.ParseShape());
      types->push_back({dtype, std::move(shape)});
    } while (cursor.Accept(','));
    return absl::OkStatus();
  }

  absl::Status ParseTail(TextCursor& cursor, GraphBuilder::NodeArgs* args) {
    if (cursor.AcceptWord("device")) {
      DUET_RETURN_IF_ERROR(cursor.Expect('='));
      DUET_ASSIGN_OR_RETURN(args->device, cursor.String("a device in quotes", &budget_));
    }
    if (cursor.AcceptWord("group")) {
      DUET_RETURN_IF_ERROR(cursor.Expect('='));
      const size_t start = cursor.position();
      DUET_ASSIGN_OR_RETURN(const int64_t group, cursor.Integer("the number of a group"));
      if (group < 0 || group > INT32_MAX) return cursor.ErrorAt(start, "no such group");
      args->group = static_cast<int32_t>(group);
    }
    if (cursor.Accept('@')) {
      DUET_ASSIGN_OR_RETURN(const std::string file, cursor.String("a file in quotes", &budget_));
      DUET_RETURN_IF_ERROR(cursor.Expect(':'));
      const size_t start = cursor.position();
      DUET_ASSIGN_OR_RETURN(const int64_t line, cursor.Integer("a line"));
      if (line < 0 || line > UINT32_MAX) return cursor.ErrorAt(start, "no such line");
      args->location = Location::Intern(file, static_cast<uint32_t>(line));
    }
    if (!cursor.AtEnd()) return cursor.Expected("the end of the line");
    return absl::OkStatus();
  }

  // A written type may say less than the rule (an unknown size), never something else.
  static absl::Status CheckTypes(const TextCursor& cursor, size_t position,
                                 const std::vector<ValueSpec>& written,
                                 const std::vector<ValueSpec>& inferred) {
    bool same = written.size() == inferred.size();
    for (size_t i = 0; same && i < written.size(); ++i) {
      const Shape &w = written[i].shape, &r = inferred[i].shape;
      same = written[i].dtype == inferred[i].dtype && w.rank() == r.rank();
      for (int d = 0; same && d < w.rank(); ++d) same = w.dim(d) == -1 || w.dim(d) == r.dim(d);
    }
    if (same) return absl::OkStatus();
    const auto text = [](const std::vector<ValueSpec>& specs) {
      return absl::StrJoin(specs, ", ", [](std::string* out, const ValueSpec& s) {
        *out += DescribeType(s.dtype, s.shape);
      });
    };
    return cursor.ErrorAt(position, Str("found the types ", text(written), ", expected ",
                                        text(inferred), " from the op's shape rule"));
  }

  std::string_view text_;
  const ImportOptions& options_;
  TextBudget budget_;
  GraphBuilder builder_;
};

}  // namespace

absl::StatusOr<Graph> ParseGraphText(std::string_view text, const ImportOptions& options) {
  return GraphParser(text, options).Parse();
}

}  // namespace duet
