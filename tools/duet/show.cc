#include <algorithm>
#include <sstream>

#include "core/strings.h"
#include "tools/duet/commands.h"
#include "tools/duet/graph_file.h"
#include "tools/duet/table.h"

namespace duet::tool {
namespace {

// A constant or the handle of a variable; null for other nodes.
Json ParameterReport(const Node& node) {
  DType dtype = kInvalid;
  Shape shape;
  const char* kind = "constant";
  if (node.op->family == Family::kConstant) {
    dtype = node.outputs[0].dtype;
    shape = node.outputs[0].shape;
  } else if (node.op->resource == ResourceUse::kHandle) {
    kind = "variable";
    dtype = node.attrs.Get<DType>("dtype");
    shape = node.attrs.Get<Shape>("shape");
  } else {
    return nullptr;
  }
  const int64_t elements = std::max<int64_t>(shape.num_elements(), 0);
  return {{"name", node.name},
          {"kind", kind},
          {"type", DescribeType(dtype, shape)},
          {"elements", elements},
          {"bytes", elements * static_cast<int64_t>(SizeOf(dtype))}};
}

Json NodeReport(const Graph& graph, const Node& node) {
  Json inputs = Json::array(), outputs = Json::array();
  for (const NodeOutput& input : node.inputs) inputs.push_back(graph.OutputName(input));
  for (int32_t control : node.control_inputs) inputs.push_back(Str("^", graph.node(control).name));
  for (const ValueSpec& spec : node.outputs) {
    outputs.push_back(
        {{"dtype", std::string(Name(spec.dtype))},
         {"shape", std::vector<int64_t>(spec.shape.dims().begin(), spec.shape.dims().end())},
         {"type", DescribeType(spec.dtype, spec.shape)}});
  }
  return {{"name", node.name},
          {"op", node.op->name},
          {"inputs", inputs},
          {"outputs", outputs},
          {"group", node.group < 0 ? Json(nullptr) : Json(node.group)},
          {"location", node.location.known() ? Json(node.location.ToString()) : Json(nullptr)}};
}

std::string Joined(const Json& list, const char* key = nullptr) {
  std::string out;
  for (const Json& item : list) {
    AppendTo(&out, out.empty() ? "" : " ",
             (key != nullptr ? item[key] : item).get_ref<const std::string&>());
  }
  return out;
}

// A line of the text form for reading: of a long list of elements only the first ones.
std::string Shortened(std::string line) {
  constexpr size_t kLong = 400, kKept = 60;
  const size_t open = line.size() > kLong ? line.find("]{") : std::string::npos;
  if (open == std::string::npos) return line;
  const size_t cut = line.find(',', open + kKept), close = line.find('}', open);
  if (cut != std::string::npos && close != std::string::npos && cut < close) {
    line.replace(cut, close - cut, ", ...");
  }
  return line;
}

}  // namespace

absl::StatusOr<Json> Show(const ShowArgs& args) {
  DUET_ASSIGN_OR_RETURN(const Graph graph, LoadGraph(args.file));
  Json nodes = Json::array(), parameters = Json::array();
  int64_t elements = 0, bytes = 0;
  for (int i = 0; i < graph.size(); ++i) {
    nodes.push_back(NodeReport(graph, graph.node(i)));
    Json parameter = ParameterReport(graph.node(i));
    if (parameter.is_null()) continue;
    elements += parameter["elements"].get<int64_t>();
    bytes += parameter["bytes"].get<int64_t>();
    parameters.push_back(std::move(parameter));
  }
  return Json{{"file", args.file},        {"nodes", nodes},
              {"parameters", parameters}, {"parameter_elements", elements},
              {"parameter_bytes", bytes}, {"text", graph.ToText()}};
}

void PrintShow(const Json& report, std::ostream& out) {
  out << report["file"].get<std::string>() << ": "
      << Count(static_cast<int64_t>(report["nodes"].size()), "node") << "\n\n";
  Table nodes({"node", "op", "inputs", "outputs", "location"});
  for (const Json& node : report["nodes"]) {
    nodes.Add({node["name"], node["op"], Joined(node["inputs"]), Joined(node["outputs"], "type"),
               node["location"].is_null() ? "" : node["location"].get<std::string>()});
  }
  nodes.Print(out);
  if (!report["parameters"].empty()) {
    out << "\n";
    Table parameters({"parameter", "kind", "type", "elements", "size"});
    for (const Json& p : report["parameters"]) {
      parameters.Add({p["name"], p["kind"], p["type"], Str(p["elements"].get<int64_t>()),
                      Bytes(p["bytes"].get<int64_t>())});
    }
    parameters.Add({"total", "", "", Str(report["parameter_elements"].get<int64_t>()),
                    Bytes(report["parameter_bytes"].get<int64_t>())});
    parameters.Print(out, {3, 4});
  }
  out << "\n";
  std::istringstream text(report["text"].get<std::string>());
  for (std::string line; std::getline(text, line);) out << Shortened(std::move(line)) << "\n";
}

}  // namespace duet::tool
