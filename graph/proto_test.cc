// GraphDef files: what is written, what is read, what is refused.
#include <cstdlib>
#include <fstream>
#include <random>

#include "absl/strings/str_replace.h"
#include "core/ops/ops.h"
#include "gmock/gmock.h"
#include "google/protobuf/text_format.h"
#include "graph/graph.h"
#include "graph/proto_convert.h"
#include "gtest/gtest.h"
#include "proto/graph.pb.h"

namespace duet {
namespace {

using ::testing::HasSubstr;

std::string TempPath(const std::string& name) {
  const char* folder = std::getenv("TEST_TMPDIR");
  return std::string(folder != nullptr ? folder : "/tmp") + "/" + name;
}

// Reads protobuf text with a file size that leaves room for constants.
absl::StatusOr<Graph> Import(const std::string& pbtxt, const ImportOptions& options = {},
                             int64_t file_bytes = 1 << 20) {
  wire::GraphDef proto;
  if (!google::protobuf::TextFormat::ParseFromString(pbtxt, &proto)) {
    return absl::InternalError("the test's text is wrong");
  }
  return graph_internal::GraphFromProto(proto, file_bytes, options);
}

std::string ErrorOf(const std::string& pbtxt, const ImportOptions& options = {},
                    int64_t file_bytes = 1 << 20) {
  auto g = Import(pbtxt, options, file_bytes);
  return g.ok() ? "no error" : std::string(g.status().message());
}

constexpr char kX[] =
    "node { name: 'x' op: 'Placeholder' attr { key: 'dtype' value { type: DT_FLOAT } } "
    "attr { key: 'shape' value { shape { dim { size: -1 } dim { size: 4 } } } } }\n";

std::string Const(const std::string& tensor, const std::string& dtype = "DT_FLOAT",
                  const std::string& name = "c") {
  return "node { name: '" + name + "' op: 'Const' attr { key: 'dtype' value { type: " + dtype +
         " } } attr { key: 'value' value { tensor { dtype: " + dtype + " " + tensor + " } } } }\n";
}

constexpr char kAllText[] =
    "x = Placeholder() {dtype=float32, shape=shape[?,4]} : float32[?,4] @ \"train.cc\":12\n"
    "w = Const() {value=float32[4,2]{1, 2, 3, 4, 5, -0, nan, inf}} : float32[4,2] @ "
    "\"train.cc\":13\n"
    "MatMul = MatMul(x, w) : float32[?,2] @ \"a/model.cc\":1\n"
    "t = MatMul(w, w) {transpose_b=true} : float32[4,4]\n"
    "axis = Const() {value=int32[]{0}} : int32[]\n"
    "both = ConcatV2(x, t, axis) : float32[?,4] device=\"/device:CPU:0\" group=2\n"
    "axes = Const() {value=int64[1]{1}} : int64[1]\n"
    "Sum = Sum(both, axes, ^MatMul) {keep_dims=true} : float32[?,1]\n"
    "bits = Cast(Sum) {DstT=bool} : bool[?,1]\n"
    "r = RandomUniform(axes) {dtype=float64, seed=7} : float64[1]\n";

TEST(GraphFile, RoundTripsInBothForms) {
  auto g = Graph::FromText(kAllText);
  ASSERT_TRUE(g.ok()) << g.status();
  for (const char* name : {"graph.pb", "graph.pbtxt"}) {
    const std::string path = TempPath(name);
    ASSERT_TRUE(WriteGraph(*g, path).ok());
    auto again = ReadGraph(path);
    ASSERT_TRUE(again.ok()) << again.status();
    EXPECT_EQ(again->ToText(), g->ToText());
    EXPECT_TRUE(SameGraph(*again, *g));
    ASSERT_TRUE(WriteGraph(*again, path).ok()) << "a file is replaced";
  }
  const std::string bytes = *SerializeGraph(*g);
  EXPECT_EQ(bytes, *SerializeGraph(*ParseGraph(bytes)));
}

TEST(GraphFile, WritesTensorFlowsAttributes) {
  auto g = Graph::FromText(kAllText);
  ASSERT_TRUE(g.ok()) << g.status();
  wire::GraphDef proto;
  graph_internal::GraphToProto(*g, &proto);
  EXPECT_EQ(proto.versions().producer(), 1087);
  EXPECT_EQ(proto.debug_info().files_size(), 2);
  const auto attr = [&](int node, const char* name) { return proto.node(node).attr().at(name); };
  EXPECT_EQ(attr(2, "T").type(), wire::DT_FLOAT);
  EXPECT_FALSE(proto.node(2).attr().contains("transpose_a")) << "a default is left out";
  EXPECT_TRUE(attr(3, "transpose_b").b());
  EXPECT_EQ(attr(5, "N").i(), 2);
  EXPECT_EQ(attr(5, "Tidx").type(), wire::DT_INT32);
  EXPECT_EQ(attr(7, "Tidx").type(), wire::DT_INT64);
  EXPECT_EQ(proto.node(7).input(2), "^MatMul");
  EXPECT_EQ(attr(8, "SrcT").type(), wire::DT_FLOAT);
  EXPECT_EQ(attr(8, "DstT").type(), wire::DT_BOOL);
  EXPECT_EQ(attr(1, "dtype").type(), wire::DT_FLOAT);
  EXPECT_FALSE(proto.node(0).attr().contains("_output_shapes"));
}

TEST(GraphFile, NamesAndFoldersThatAreWrong) {
  const Graph g;
  EXPECT_EQ(WriteGraph(g, "model.txt").message(),
            "\"model.txt\" does not end in .pb (binary) or .pbtxt (text)");
  EXPECT_EQ(ReadGraph("model.txt").status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(ReadGraph(TempPath("none.pb")).status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(WriteGraph(g, TempPath("no/folder/g.pb")).code(), absl::StatusCode::kNotFound);
  std::ofstream(TempPath("bad.pb")) << "this is not a graph";
  const absl::Status bad = ReadGraph(TempPath("bad.pb")).status();
  EXPECT_EQ(bad.code(), absl::StatusCode::kDataLoss);
  EXPECT_THAT(
      std::string(bad.message()),
      HasSubstr("bad.pb\": the bytes are not a GraphDef: damaged, cut short, or another file"));
  std::ofstream(TempPath("bad.pbtxt")) << "node {\n  nam: 'x' }";
  EXPECT_THAT(std::string(ReadGraph(TempPath("bad.pbtxt")).status().message()),
              HasSubstr("the text is not a GraphDef: line 2, column "));
}

TEST(Import, SortsNodesAndKeepsTheOrderOfASortedFile) {
  auto g = Import(std::string("node { name: 'y' op: 'Neg' input: 'x' input: '^z' }\n"
                              "node { name: 'z' op: 'Abs' input: 'x:0' }\n") +
                  kX);
  ASSERT_TRUE(g.ok()) << g.status();
  EXPECT_EQ(g->ToText(),
            "x = Placeholder() {dtype=float32, shape=shape[?,4]} : float32[?,4]\n"
            "z = Abs(x) : float32[?,4]\n"
            "y = Neg(x, ^z) : float32[?,4]\n");
}

TEST(Import, ALongChainBackwardsNeedsNoStack) {
  std::string text;
  for (int i = 20000; i > 0; --i) {
    text += "node { name: 'n" + std::to_string(i) + "' op: 'Neg' input: 'n" +
            std::to_string(i - 1) + "' }\n";
  }
  auto g = Import(text + absl::StrReplaceAll(kX, {{"'x'", "'n0'"}}));
  ASSERT_TRUE(g.ok()) << g.status();
  EXPECT_EQ(g->size(), 20001);
}

TEST(Import, StructureErrors) {
  EXPECT_EQ(ErrorOf("node { name: 'a' op: 'MatMull' }"),
            "node \"a\": there is no op \"MatMull\"; did you mean MatMul?");
  EXPECT_EQ(Import("node { name: 'a' op: 'MatMull' }").status().code(),
            absl::StatusCode::kNotFound);
  EXPECT_THAT(ErrorOf("node { name: '_a' op: 'Neg' }"), HasSubstr("which is not a node's name"));
  EXPECT_EQ(ErrorOf(std::string(kX) + kX), "there are two nodes called \"x\"");
  const auto neg = [](const std::string& inputs) {
    return std::string(kX) + "node { name: 'y' op: 'Neg' " + inputs + " }";
  };
  EXPECT_EQ(ErrorOf(neg("input: 'q'")),
            "node \"y\" (Neg): input \"q\" names a node that is not in the graph");
  EXPECT_EQ(ErrorOf(neg("input: 'x:1'")),
            "node \"y\" (Neg): there is no output 1 of \"x\", which has 1");
  for (const char* bad : {"x:-1", "x:", "x:99999999999", "x:0x", "x:+0"}) {
    EXPECT_THAT(ErrorOf(neg(std::string("input: '") + bad + "'")),
                HasSubstr("is not of the form node, node:output or ^node"))
        << bad;
  }
  EXPECT_THAT(ErrorOf(neg("input: '^x' input: 'x'")), HasSubstr("comes after a control input"));
  EXPECT_THAT(ErrorOf(neg("")), HasSubstr("node \"y\" (Neg): takes 1 inputs, found 0"));
  EXPECT_EQ(
      ErrorOf("node { name: 'a' op: 'Neg' input: 'c' } node { name: 'b' op: 'Neg' input: 'a' }"
              "node { name: 'c' op: 'Neg' input: 'b' }"),
      "the graph has a cycle: \"a\" -> \"b\" -> \"c\" -> \"a\"; loops are not supported yet");
  EXPECT_THAT(ErrorOf("node { name: 'a' op: 'Neg' input: 'a' }"),
              HasSubstr("cycle: \"a\" -> \"a\""));
  EXPECT_EQ(
      ErrorOf(
          "node { name: 'a' op: 'my_fn' } library { function { signature { name: 'my_fn' } } }"),
      "node \"a\" calls the function \"my_fn\"; graphs with functions are not supported yet");
}

TEST(Import, AttributeErrors) {
  const auto neg = [](const std::string& attr) {
    return std::string(kX) + "node { name: 'y' op: 'Neg' input: 'x' attr { " + attr + " } }";
  };
  EXPECT_EQ(ErrorOf(neg("key: 'T' value { type: DT_FLOAT }")), "no error");
  EXPECT_EQ(ErrorOf(neg("key: 'T' value { type: DT_INT32 }")),
            "node \"y\" (Neg): attribute \"T\" is int32, but the inputs make it float32");
  EXPECT_EQ(ErrorOf(neg("key: 'T' value { i: 1 }")),
            "node \"y\" (Neg): attribute \"T\" is not a type");
  EXPECT_EQ(ErrorOf(neg("key: 'beta' value { i: 1 }")),
            "node \"y\" (Neg): the op has no attribute \"beta\"");
  EXPECT_EQ(ErrorOf(neg("key: '_class' value { list { s: 'loc:@x' } }")), "no error");
  EXPECT_EQ(ErrorOf(neg("key: 'allowed_devices' value { list { } }")), "no error");
  const auto sum = [](const std::string& value) {
    return std::string(kX) + Const("tensor_shape { } int_val: 0", "DT_INT32") +
           "node { name: 'y' op: 'Sum' input: 'x' input: 'c' attr { key: 'keep_dims' value { " +
           value + " } } }";
  };
  EXPECT_EQ(ErrorOf(sum("b: true")), "no error");
  EXPECT_THAT(ErrorOf(sum("i: 1")), HasSubstr("attribute \"keep_dims\": is of another kind"));
  EXPECT_THAT(ErrorOf(sum("")), HasSubstr("attribute \"keep_dims\": has no value"));
  EXPECT_THAT(ErrorOf(sum("placeholder: 'k'")), HasSubstr("outside of one"));
  EXPECT_THAT(ErrorOf(sum("func { name: 'f' }")), HasSubstr("calls the function \"f\""));
  EXPECT_THAT(ErrorOf(sum("list { b: true }")), HasSubstr("list of another kind"));
}

TEST(Import, ListLengthsAreChecked) {
  const auto concat = [](int n) {
    return std::string(kX) + Const("tensor_shape { } int_val: 1", "DT_INT32") +
           "node { name: 'y' op: 'ConcatV2' input: 'x' input: 'x' input: 'c' attr { key: 'N' value "
           "{ "
           "i: " +
           std::to_string(n) + " } } }";
  };
  EXPECT_EQ(ErrorOf(concat(2)), "no error");
  EXPECT_EQ(ErrorOf(concat(3)),
            "node \"y\" (ConcatV2): attribute \"N\" is 3, but the list has 2 inputs");
}

TEST(Import, PlaceholdersNeedARank) {
  EXPECT_THAT(
      ErrorOf("node { name: 'x' op: 'Placeholder' attr { key: 'dtype' value { type: DT_FLOAT } "
              "} attr { key: 'shape' value { shape { unknown_rank: true } } } }"),
      HasSubstr("Duet needs the number of dimensions; write the graph with a shape that gives "
                "it, with -1 for each size that is not known"));
  EXPECT_THAT(
      ErrorOf("node { name: 'x' op: 'Placeholder' attr { key: 'dtype' value { type: DT_FLOAT "
              "} } }"),
      HasSubstr("node \"x\" (Placeholder): has no shape"));
  EXPECT_THAT(ErrorOf(absl::StrReplaceAll(kX, {{"DT_FLOAT", "DT_HALF"}})),
              HasSubstr("attribute \"dtype\": dtype DT_HALF is not supported"));
  EXPECT_THAT(ErrorOf(absl::StrReplaceAll(kX, {{"DT_FLOAT", "101"}})),
              HasSubstr("is not supported"));
  EXPECT_THAT(ErrorOf(absl::StrReplaceAll(kX, {{"size: 4", "size: -2"}})),
              HasSubstr("negative size -2"));
}

TEST(Import, ConstantsInEveryEncoding) {
  const auto value = [](const std::string& tensor, const std::string& dtype) {
    auto g = Import(Const(tensor, dtype));
    EXPECT_TRUE(g.ok()) << g.status();
    return g.ok() ? AttrToString(g->node(0).attrs.Get<Tensor>("value")) : "";
  };
  const std::string three = "tensor_shape { dim { size: 3 } } ";
  EXPECT_EQ(value(three + "float_val: 1 float_val: 2 float_val: 3", "DT_FLOAT"),
            "float32[3]{1.0, 2.0, 3.0}");
  EXPECT_EQ(value(three + "float_val: 1 float_val: 2", "DT_FLOAT"), "float32[3]{1.0, 2.0, 2.0}");
  EXPECT_EQ(value(three + "float_val: 1.5", "DT_FLOAT"), "float32[3]{1.5 ...}");
  EXPECT_EQ(value(three, "DT_FLOAT"), "float32[3]{0.0 ...}");
  EXPECT_EQ(value(three + "double_val: 0.1", "DT_DOUBLE"), "float64[3]{0.1 ...}");
  EXPECT_EQ(value(three + "int_val: -1", "DT_INT32"), "int32[3]{-1 ...}");
  EXPECT_EQ(value(three + "int64_val: 1 int64_val: 2", "DT_INT64"), "int64[3]{1, 2, 2}");
  EXPECT_EQ(value(three + "int_val: 255", "DT_UINT8"), "uint8[3]{255 ...}");
  EXPECT_EQ(value(three + "bool_val: true bool_val: false", "DT_BOOL"),
            "bool[3]{true, false, false}");
  EXPECT_EQ(value(three + "tensor_content: '\\001\\000\\002'", "DT_BOOL"),
            "bool[3]{true, false, true}");
  EXPECT_EQ(
      value("tensor_shape { dim { size: 1 } } tensor_content: '\\000\\000\\200\\077'", "DT_FLOAT"),
      "float32[1]{1.0}");
  EXPECT_EQ(value("tensor_shape { dim { size: 0 } dim { size: 3 } }", "DT_FLOAT"),
            "float32[0,3]{}");
  EXPECT_EQ(value("tensor_shape { } int_val: 7", "DT_INT32"), "int32[]{7}");
}

TEST(Import, BadConstants) {
  const std::string two = "tensor_shape { dim { size: 2 } } ";
  EXPECT_THAT(ErrorOf(Const(two + "float_val: 1 float_val: 2 float_val: 3")),
              HasSubstr("has 3 values, expected at most 2"));
  EXPECT_THAT(ErrorOf(Const(two + "tensor_content: 'abc'")),
              HasSubstr("float32[2] has 3 bytes of content, expected 8"));
  EXPECT_THAT(ErrorOf(Const(two + "tensor_content: 'abcdefgh' float_val: 1")),
              HasSubstr("has both"));
  EXPECT_THAT(ErrorOf(Const(two + "int_val: 1")), HasSubstr("values in the list of another dtype"));
  EXPECT_THAT(ErrorOf(Const(two + "int_val: 256", "DT_UINT8")), HasSubstr("which it cannot hold"));
  EXPECT_THAT(ErrorOf(Const(two + "string_val: 'a'", "DT_STRING")),
              HasSubstr("DT_STRING is not supported"));
  EXPECT_THAT(ErrorOf(Const("tensor_shape { dim { size: -1 } }")),
              HasSubstr("with an unknown size"));
  EXPECT_THAT(ErrorOf(Const("tensor_shape { unknown_rank: true }")), HasSubstr("unknown rank"));
  EXPECT_THAT(ErrorOf(Const("tensor_shape { dim { size: 4611686018427387904 } dim { size: 4 } }")),
              HasSubstr("more elements than memory can address"));
  std::string deep = "tensor_shape { ";
  for (int i = 0; i < 255; ++i) deep += "dim { size: 1 } ";
  EXPECT_THAT(ErrorOf(Const(deep + "}")), HasSubstr("rank 255 is over the largest rank, 254"));
}

TEST(Import, LimitsComeBeforeMemory) {
  const std::string huge = Const("tensor_shape { dim { size: 1000000000000 } } float_val: 1");
  EXPECT_THAT(ErrorOf(huge), HasSubstr("takes the graph's constants over the limit"));
  EXPECT_EQ(Import(huge).status().code(), absl::StatusCode::kResourceExhausted);
  // 1000 times the file's size, over all constants.
  const std::string kb = "tensor_shape { dim { size: 250 } } float_val: 1";
  EXPECT_EQ(ErrorOf(Const(kb), {}, 1), "no error");
  EXPECT_THAT(ErrorOf(Const(kb) + Const(kb, "DT_FLOAT", "d"), {}, 1), HasSubstr("over the limit"));
  EXPECT_THAT(ErrorOf(Const(kb), {.max_constant_bytes = 999}), HasSubstr("over the limit"));
  EXPECT_THAT(ErrorOf(std::string(kX) + Const(kb), {.max_nodes = 1}),
              HasSubstr("the graph has 2 nodes, over ImportOptions::max_nodes, 1"));
  std::string nodes;
  for (int i = 0; i < 1000; ++i) nodes += std::string("\x0a\x00", 2);
  EXPECT_EQ(ParseGraph(nodes, {.max_nodes = 999}).status().code(),
            absl::StatusCode::kResourceExhausted);
}

TEST(Import, LocationsThatLeadNowhereAreUnknown) {
  auto g =
      Import(std::string(kX) +
             "debug_info { files: 'f.cc' traces { key: 'x' value { file_line_cols { file_index: 1 "
             "line: 3 } } } }");
  ASSERT_TRUE(g.ok());
  EXPECT_FALSE(g->node(0).location.known());
  auto by_id =
      Import(std::string(kX) +
             "debug_info { files: 'f.cc' name_to_trace_id { key: 'x' value: 5 } traces_by_id { "
             "key: 5 value { frame_id: 9 } } frames_by_id { key: 9 value { file_index: 0 line: "
             "3 } } }");
  ASSERT_TRUE(by_id.ok());
  EXPECT_EQ(by_id->node(0).location.ToString(), "f.cc:3");
}

TEST(Import, ErrorsOfALoadedGraphNameTheUsersLine) {
  const std::string bad =
      std::string(kX) + Const("tensor_shape { dim { size: 3 } }") +
      "node { name: 'y' op: 'AddV2' input: 'x' input: 'c' } debug_info { files: "
      "'f.cc' traces { key: 'y' value { file_line_cols { file_index: 0 line: 3 } } } }";
  EXPECT_THAT(ErrorOf(bad), HasSubstr("node \"y\" (AddV2): f.cc:3: "));
}

// Damaged bytes give an error or a well-formed graph, nothing else.
TEST(Import, SurvivesMutationsAndTruncation) {
  const std::string bytes = *SerializeGraph(*Graph::FromText(kAllText));
  ASSERT_TRUE(ParseGraph(bytes).ok());
  for (size_t size = 0; size < bytes.size(); size += 7) {
    auto g = ParseGraph(std::string_view(bytes).substr(0, size));
    if (g.ok()) {
      EXPECT_TRUE(ParseGraph(*SerializeGraph(*g)).ok());
    }
  }
  std::mt19937 random(11);
  int failed = 0;
  for (int i = 0; i < 500; ++i) {
    std::string bad = bytes;
    for (int k = 0; k <= static_cast<int>(random() % 4); ++k) {
      const size_t at = random() % bad.size();
      switch (random() % 3) {
        case 0:
          bad[at] = static_cast<char>(random());
          break;
        case 1:
          bad.erase(at, 1 + random() % 4);
          break;
        default:
          bad.insert(at, 1, static_cast<char>(random()));
      }
    }
    auto g = ParseGraph(bad);
    failed += !g.ok();
    if (g.ok()) {
      auto again = ParseGraph(*SerializeGraph(*g));
      ASSERT_TRUE(again.ok()) << again.status();
      EXPECT_EQ(again->ToText(), g->ToText());
    }
  }
  EXPECT_GT(failed, 250);
}

}  // namespace
}  // namespace duet
