// WriteGraph and ReadGraph: GraphDef files, binary and text.
#include <string>

#include "core/file.h"
#include "core/strings.h"
#include "google/protobuf/io/coded_stream.h"
#include "google/protobuf/io/tokenizer.h"
#include "google/protobuf/io/zero_copy_stream_impl_lite.h"
#include "google/protobuf/stubs/logging.h"
#include "google/protobuf/text_format.h"
#include "google/protobuf/wire_format_lite.h"
#include "graph/graph.h"
#include "graph/proto_convert.h"
#include "proto/graph.pb.h"

namespace duet {
namespace {

namespace pb = ::google::protobuf;
using pb::internal::WireFormatLite;

// Protobuf addresses a message with an int.
constexpr int64_t kMaxFileBytes = INT32_MAX;
constexpr int kMaxDepth = 100;

bool EndsWith(const std::string& path, std::string_view ending) {
  return path.size() > ending.size() &&
         std::string_view(path).substr(path.size() - ending.size()) == ending;
}

enum class Form { kBinary, kText };

absl::StatusOr<Form> FormOf(const std::string& path) {
  if (EndsWith(path, ".pb")) return Form::kBinary;
  if (EndsWith(path, ".pbtxt")) return Form::kText;
  return absl::InvalidArgumentError(
      Str("\"", path, "\" does not end in .pb (binary) or .pbtxt (text)"));
}

absl::Status SerializeBinary(const wire::GraphDef& proto, std::string* bytes) {
  if (proto.ByteSizeLong() > static_cast<size_t>(kMaxFileBytes)) {
    return absl::ResourceExhaustedError(Str("the graph has ", proto.ByteSizeLong(),
                                            " bytes, over the 2 GiB that a GraphDef "
                                            "file can have; keep large constants in variables"));
  }
  pb::io::StringOutputStream stream(bytes);
  pb::io::CodedOutputStream coded(&stream);
  // Maps in the order of their keys: equal graphs give equal files.
  coded.SetSerializationDeterministic(true);
  InternalCheck(proto.SerializeToCodedStream(&coded), "a GraphDef does not serialise");
  return absl::OkStatus();
}

// Refuses too many nodes before a message is made of them: two bytes of a file are a node in
// memory.
absl::Status CountNodes(std::string_view bytes, const ImportOptions& options) {
  pb::io::CodedInputStream in(reinterpret_cast<const uint8_t*>(bytes.data()),
                              static_cast<int>(bytes.size()));
  in.SetRecursionLimit(kMaxDepth);
  int64_t nodes = 0;
  while (const uint32_t tag = in.ReadTag()) {
    if (WireFormatLite::GetTagFieldNumber(tag) == wire::GraphDef::kNodeFieldNumber &&
        ++nodes > options.max_nodes) {
      return absl::ResourceExhaustedError(Str("the graph has more than ", options.max_nodes,
                                              " nodes; raise ImportOptions::max_nodes"));
    }
    // What cannot be skipped cannot be parsed either; the parser reports it.
    if (!WireFormatLite::SkipField(&in, tag)) break;
  }
  return absl::OkStatus();
}

absl::Status ParseBinary(std::string_view bytes, const ImportOptions& options,
                         wire::GraphDef* proto) {
  if (static_cast<int64_t>(bytes.size()) > kMaxFileBytes) {
    return absl::ResourceExhaustedError("a GraphDef cannot have more than 2 GiB");
  }
  DUET_RETURN_IF_ERROR(CountNodes(bytes, options));
  const pb::LogSilencer silence;
  pb::io::CodedInputStream in(reinterpret_cast<const uint8_t*>(bytes.data()),
                              static_cast<int>(bytes.size()));
  in.SetRecursionLimit(kMaxDepth);
  if (!proto->ParseFromCodedStream(&in) || !in.ConsumedEntireMessage()) {
    return absl::DataLossError("the bytes are not a GraphDef: damaged, cut short, or another file");
  }
  return absl::OkStatus();
}

// Keeps the first error of the text parser.
class FirstError : public pb::io::ErrorCollector {
 public:
  void AddError(int line, pb::io::ColumnNumber column, const std::string& message) override {
    if (text_.empty()) text_ = Str("line ", line + 1, ", column ", column + 1, ": ", message);
  }
  void AddWarning(int, pb::io::ColumnNumber, const std::string&) override {}
  const std::string& text() const { return text_; }

 private:
  std::string text_;
};

absl::Status ParseText(const std::string& bytes, wire::GraphDef* proto) {
  const pb::LogSilencer silence;
  pb::TextFormat::Parser parser;
  FirstError error;
  parser.RecordErrorsTo(&error);
  parser.SetRecursionLimit(kMaxDepth);
  if (!parser.ParseFromString(bytes, proto)) {
    return absl::DataLossError(Str("the text is not a GraphDef: ", error.text()));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::string> SerializeGraph(const Graph& graph) {
  wire::GraphDef proto;
  graph_internal::GraphToProto(graph, &proto);
  std::string bytes;
  DUET_RETURN_IF_ERROR(SerializeBinary(proto, &bytes));
  return bytes;
}

absl::StatusOr<Graph> ParseGraph(std::string_view bytes, const ImportOptions& options) {
  wire::GraphDef proto;
  DUET_RETURN_IF_ERROR(ParseBinary(bytes, options, &proto));
  return graph_internal::GraphFromProto(proto, static_cast<int64_t>(bytes.size()), options);
}

absl::Status WriteGraph(const Graph& graph, const std::string& path) {
  DUET_ASSIGN_OR_RETURN(const Form form, FormOf(path));
  wire::GraphDef proto;
  graph_internal::GraphToProto(graph, &proto);
  std::string bytes;
  if (form == Form::kBinary) {
    DUET_RETURN_IF_ERROR(SerializeBinary(proto, &bytes));
  } else {
    InternalCheck(pb::TextFormat::PrintToString(proto, &bytes), "a GraphDef does not print");
  }
  return WriteFile(path, {bytes});
}

absl::StatusOr<Graph> ReadGraph(const std::string& path, const ImportOptions& options) {
  DUET_ASSIGN_OR_RETURN(const Form form, FormOf(path));
  DUET_ASSIGN_OR_RETURN(const std::string bytes, ReadFile(path, kMaxFileBytes));
  auto graph = [&]() -> absl::StatusOr<Graph> {
    wire::GraphDef proto;
    if (form == Form::kBinary) {
      DUET_RETURN_IF_ERROR(ParseBinary(bytes, options, &proto));
    } else {
      DUET_RETURN_IF_ERROR(ParseText(bytes, &proto));
    }
    return graph_internal::GraphFromProto(proto, static_cast<int64_t>(bytes.size()), options);
  }();
  if (graph.ok()) return graph;
  return absl::Status(graph.status().code(),
                      ToAbsl(Str("\"", path, "\": ", FromAbsl(graph.status().message()))));
}

}  // namespace duet
