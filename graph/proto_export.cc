#include <map>
#include <string>

#include "core/strings.h"
#include "graph/proto_convert.h"
#include "proto/graph.pb.h"

namespace duet::graph_internal {
namespace {

// A version of TensorFlow's graphs that all current readers accept.
constexpr int kProducer = 1087;

// Protobuf strings are UTF-8; a path need not be. Bytes outside of ASCII that are not UTF-8 become
// '?'.
std::string ToUtf8(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size();) {
    const auto lead = static_cast<unsigned char>(text[i]);
    size_t length = lead < 0x80                    ? 1
                    : lead >= 0xC2 && lead <= 0xDF ? 2
                    : lead >= 0xE0 && lead <= 0xEF ? 3
                    : lead >= 0xF0 && lead <= 0xF4 ? 4
                                                   : 0;
    bool valid = length > 0 && i + length <= text.size();
    for (size_t k = 1; valid && k < length; ++k) {
      valid = (static_cast<unsigned char>(text[i + k]) & 0xC0) == 0x80;
    }
    if (valid && length >= 3) {
      // Overlong forms, surrogates and what lies beyond U+10FFFF.
      const auto next = static_cast<unsigned char>(text[i + 1]);
      valid = !(lead == 0xE0 && next < 0xA0) && !(lead == 0xED && next > 0x9F) &&
              !(lead == 0xF0 && next < 0x90) && !(lead == 0xF4 && next > 0x8F);
    }
    if (valid) {
      out.append(text.substr(i, length));
    } else {
      out.push_back('?');
      length = 1;
    }
    i += length;
  }
  return out;
}

void AttrToProto(const AttrValue& value, wire::AttrValue* proto) {
  std::visit(
      [proto](const auto& v) {
        using T = std::decay_t<decltype(v)>;
        if constexpr (std::is_same_v<T, int64_t>) {
          proto->set_i(v);
        } else if constexpr (std::is_same_v<T, float>) {
          proto->set_f(v);
        } else if constexpr (std::is_same_v<T, bool>) {
          proto->set_b(v);
        } else if constexpr (std::is_same_v<T, std::string>) {
          proto->set_s(v);
        } else if constexpr (std::is_same_v<T, DType>) {
          proto->set_type(static_cast<wire::DataType>(v));
        } else if constexpr (std::is_same_v<T, Shape>) {
          ShapeToProto(v, proto->mutable_shape());
        } else if constexpr (std::is_same_v<T, Tensor>) {
          proto->mutable_tensor();
          if (v.defined()) TensorToProto(v, proto->mutable_tensor());
        } else if constexpr (std::is_same_v<T, std::vector<int64_t>>) {
          auto* list = proto->mutable_list();
          for (int64_t i : v) list->add_i(i);
        } else {
          auto* list = proto->mutable_list();
          for (DType d : v) list->add_type(static_cast<wire::DataType>(d));
        }
      },
      value);
}

// The attributes that follow from the inputs: types ("T") and lengths of lists ("N").
void DerivedAttrsToProto(const Graph& graph, const Node& node, wire::NodeDef* proto) {
  absl::InlinedVector<DType, 4> inputs;
  for (const NodeOutput& in : node.inputs) inputs.push_back(graph.spec(in).dtype);
  for (const auto& [name, value] : DerivedAttrs(*node.op, inputs, node.outputs)) {
    AttrToProto(value, &(*proto->mutable_attr())[name]);
  }
}

// Where nodes were recorded; a graph without locations gets no debug_info.
class DebugInfo {
 public:
  explicit DebugInfo(wire::GraphDef* graph) : graph_(graph) {}
  void Add(const std::string& node, Location location) {
    wire::GraphDebugInfo& info = *graph_->mutable_debug_info();
    const std::string file = ToUtf8(location.file);
    const auto [it, is_new] = files_.emplace(file, info.files_size());
    if (is_new) info.add_files(file);
    auto* frame = (*info.mutable_traces())[node].add_file_line_cols();
    frame->set_file_index(it->second);
    frame->set_line(static_cast<int32_t>(location.line));
  }

 private:
  wire::GraphDef* graph_;
  std::map<std::string, int> files_;
};

bool IsDefault(const OpDef& op, std::string_view name, const AttrValue& value) {
  for (const AttrDef& a : op.attrs) {
    if (a.name == name) return !a.required && AttrEquals(a.default_value, value);
  }
  return false;
}

}  // namespace

void GraphToProto(const Graph& graph, wire::GraphDef* proto) {
  proto->mutable_versions()->set_producer(kProducer);
  DebugInfo debug_info(proto);
  for (int i = 0; i < graph.size(); ++i) {
    const Node& node = graph.node(i);
    wire::NodeDef* def = proto->add_node();
    def->set_name(node.name);
    def->set_op(node.op->name);
    for (const NodeOutput& in : node.inputs) {
      def->add_input(in.index == 0 ? graph.node(in.node).name : graph.OutputName(in));
    }
    for (int32_t c : node.control_inputs) def->add_input(Str("^", graph.node(c).name));
    def->set_device(ToUtf8(node.device));
    for (const auto& [name, value] : node.attrs) {
      if (!IsDefault(*node.op, name, value)) AttrToProto(value, &(*def->mutable_attr())[name]);
    }
    DerivedAttrsToProto(graph, node, def);
    if (node.group >= 0) (*def->mutable_attr())[kGroupAttr].set_i(node.group);
    if (node.location.known()) debug_info.Add(node.name, node.location);
  }
}

}  // namespace duet::graph_internal
