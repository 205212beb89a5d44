#include "graph/text.h"

#include <bit>
#include <cmath>
#include <limits>
#include <random>

#include "core/ops/ops.h"
#include "gmock/gmock.h"
#include "graph/graph.h"
#include "gtest/gtest.h"

namespace duet {
namespace {

using ::testing::HasSubstr;

std::string ErrorOf(std::string_view text, const ImportOptions& options = {}) {
  auto g = ParseGraphText(text, options);
  return g.ok() ? "no error" : std::string(g.status().message());
}

void ExpectRoundTrip(const AttrValue& value) {
  const std::string text = AttrToString(value);
  auto parsed = ParseAttr(text);
  ASSERT_TRUE(parsed.ok()) << text << ": " << parsed.status();
  EXPECT_TRUE(AttrEquals(*parsed, value)) << text << " became " << AttrToString(*parsed);
  EXPECT_EQ(AttrToString(*parsed), text);
}

TEST(Attrs, RoundTrip) {
  for (int64_t i : {int64_t{0}, int64_t{-1}, INT64_MAX, INT64_MIN}) ExpectRoundTrip(AttrValue(i));
  const float inf = std::numeric_limits<float>::infinity();
  for (float f : {0.f, -0.f, 1.f, 0.1f, -3.5e-20f, 1e30f, 16777216.f, inf, -inf,
                  std::numeric_limits<float>::denorm_min(), std::numeric_limits<float>::max()}) {
    ExpectRoundTrip(AttrValue(f));
  }
  for (bool b : {false, true}) ExpectRoundTrip(AttrValue(b));
  for (const char* s : {"", "SAME", "a \"quoted\" \\ word", "line\nline",
                        "\x01\xff"
                        "f0",
                        "# {}[]"}) {
    ExpectRoundTrip(AttrValue(std::string(s)));
  }
  ExpectRoundTrip(AttrValue(std::string("nul\0byte", 8)));
  for (DType d : {kFloat32, kFloat64, kInt32, kInt64, kUInt8, kBool, kResource, kInvalid}) {
    ExpectRoundTrip(AttrValue(d));
  }
  for (const Shape& s : {Shape{}, Shape{2}, Shape{-1, 64}, Shape{0, 1, -1}}) {
    ExpectRoundTrip(AttrValue(s));
  }
  ExpectRoundTrip(AttrValue(std::vector<int64_t>{}));
  ExpectRoundTrip(AttrValue(std::vector<int64_t>{1, -2, 3}));
  ExpectRoundTrip(AttrValue(std::vector<DType>{}));
  ExpectRoundTrip(AttrValue(std::vector<DType>{kFloat32, kBool}));
}

TEST(Attrs, TensorsRoundTripBitForBit) {
  ExpectRoundTrip(AttrValue(Constant(std::vector<float>{1.5f, -0.f, 1e-45f, 3.4e38f}, {2, 2})));
  ExpectRoundTrip(AttrValue(Constant(std::vector<double>{0.1, -1e300, 5e-324}, {3})));
  ExpectRoundTrip(AttrValue(Constant(std::vector<int64_t>{INT64_MIN, INT64_MAX}, {1, 2})));
  ExpectRoundTrip(AttrValue(Constant(std::vector<uint8_t>{0, 255}, {2})));
  ExpectRoundTrip(AttrValue(Constant(true)));
  ExpectRoundTrip(AttrValue(Constant(std::vector<float>{}, {0, 3})));
  ExpectRoundTrip(AttrValue(Constant(std::vector<float>(100, 0.25f), {10, 10})));
  ExpectRoundTrip(AttrValue(Constant(std::vector<int32_t>(100, -7), {100})));
  const float inf = std::numeric_limits<float>::infinity();
  ExpectRoundTrip(AttrValue(Constant(std::vector<float>{inf, -inf}, {2})));
  ExpectRoundTrip(AttrValue(Constant(std::vector<float>(5, inf), {5})));
  // Random bits; NaNs of all payloads print alike and are left out.
  std::mt19937 random(1);
  std::vector<float> floats;
  while (floats.size() < 2000) {
    const float f = std::bit_cast<float>(static_cast<uint32_t>(random()));
    if (!std::isnan(f)) floats.push_back(f);
  }
  ExpectRoundTrip(AttrValue(Constant(floats, {2000})));
  const auto nans = ParseAttr("float32[2]{nan, -nan}");
  ASSERT_TRUE(nans.ok()) << nans.status();
  EXPECT_EQ(AttrToString(*nans), "float32[2]{nan, -nan}");
}

TEST(Text, PrintsAndParsesEverythingOfANode) {
  const std::string text =
      "x = Placeholder() {dtype=float32, shape=shape[?,64]} : float32[?,64] @ \"train.cc\":12\n"
      "w = Const() {value=float32[64]{0.5 ...}} : float32[64]\n"
      "axes = Const() {value=int32[1]{1}} : int32[1]\n"
      "Add = AddV2(x, w) : float32[?,64] device=\"/device:CPU:0\" group=3 @ \"a \\\"b\\\".cc\":13\n"
      "Sum = Sum(Add, axes, ^x, ^w) {keep_dims=true} : float32[?,1]\n"
      "v = VarHandleOp() {dtype=float32, shape=shape[2], shared_name=\"v\"} : resource[2]\n";
  auto g = Graph::FromText(text);
  ASSERT_TRUE(g.ok()) << g.status();
  EXPECT_EQ(g->ToText(), text);
  EXPECT_TRUE(SameGraph(*g, *Graph::FromText(g->ToText())));
  const Node& add = g->node(3);
  EXPECT_EQ(add.group, 3);
  EXPECT_EQ(add.device, "/device:CPU:0");
  EXPECT_EQ(add.location.ToString(), "a \"b\".cc:13");
}

TEST(Text, SkipsCommentsAndFillsInTypes) {
  auto g = Graph::FromText(
      "\n# a comment\n  x = Placeholder(){dtype=int32,shape=shape[3]} # here\r\n"
      "\ty=Neg( x )");
  ASSERT_TRUE(g.ok()) << g.status();
  EXPECT_EQ(g->ToText(),
            "x = Placeholder() {dtype=int32, shape=shape[3]} : int32[3]\ny = Neg(x) : int32[3]\n");
  EXPECT_EQ(Graph::FromText("")->size(), 0);
}

TEST(Text, AWrittenTypeMaySayLess) {
  const std::string head = "x = Placeholder() {dtype=float32, shape=shape[2,3]} : float32[2,3]\n";
  auto g = Graph::FromText(head + "y = Neg(x) : float32[?,3]\n");
  ASSERT_TRUE(g.ok()) << g.status();
  EXPECT_EQ(g->node(1).outputs[0].shape, (Shape{-1, 3}));
  EXPECT_EQ(ErrorOf(head + "y = Neg(x) : float32[2,4]"),
            "line 2, column 12: found the types float32[2,4], expected float32[2,3] from the op's "
            "shape rule");
  EXPECT_THAT(ErrorOf(head + "y = Neg(x) : int32[2,3]"), HasSubstr("found the types int32[2,3]"));
  EXPECT_THAT(ErrorOf(head + "y = Neg(x) : float32[2,3], float32[]"), HasSubstr("found the types"));
}

TEST(Text, ErrorsSayWhereAndWhat) {
  const std::string x = "x = Placeholder() {dtype=float32, shape=shape[2]}\n";
  EXPECT_EQ(ErrorOf("= Neg(x)"), "line 1, column 1: found \"=\", expected a node's name");
  EXPECT_EQ(ErrorOf("_x = Neg(x)"), "line 1, column 1: found \"_x\", expected a node's name");
  EXPECT_EQ(ErrorOf("x Neg"), "line 1, column 3: found \"Neg\", expected '='");
  EXPECT_EQ(ErrorOf("x ="), "line 1, column 4: found the end of the line, expected an op's name");
  EXPECT_EQ(ErrorOf("x = Placehodler()"),
            "line 1, column 5: there is no op \"Placehodler\"; did you mean Placeholder?");
  EXPECT_EQ(ErrorOf(x + "y = Neg(z)"),
            "line 2, column 9: the graph has no node \"z\"; did you mean x?");
  EXPECT_EQ(ErrorOf(x + "y = Neg(x:1)"),
            "line 2, column 9: node \"x\" has 1 output; there is no \"x:1\"");
  EXPECT_EQ(ErrorOf(x + "y = Neg(x:q)"),
            "line 2, column 11: found \"q\", expected the number of an output");
  EXPECT_EQ(ErrorOf(x + "y = Neg(^x, x)"),
            "line 2, column 13: control inputs come after all others");
  EXPECT_EQ(ErrorOf(x + "y = Neg(x"), "line 2, column 10: found the end of the line, expected ')'");
  EXPECT_EQ(ErrorOf(x + x), "line 2, column 1: there are two nodes called \"x\"");
  EXPECT_EQ(ErrorOf(x + "y = Neg(x) {a=1, a=2}"),
            "line 2, column 18: attribute \"a\" is given twice");
  EXPECT_EQ(ErrorOf(x + "y = Neg(x) {a=}"), "line 2, column 15: found \"}\", expected a value");
  EXPECT_THAT(ErrorOf(x + "y = Neg(x) {a=1}"), HasSubstr("line 2: Neg: has no attribute \"a\""));
  EXPECT_THAT(ErrorOf(x + "y = Neg(x, x)"), HasSubstr("line 2: Neg: takes 1 inputs, found 2"));
  EXPECT_EQ(ErrorOf(x + "y = Neg(x) group=-1"), "line 2, column 18: no such group");
  EXPECT_EQ(ErrorOf(x + "y = Neg(x) @ \"a"), "line 2, column 14: this string has no closing '\"'");
  EXPECT_EQ(ErrorOf(x + "y = Neg(x) more"),
            "line 2, column 12: found \"more\", expected the end of the line");
  EXPECT_EQ(ErrorOf(x + "y = Neg(x) @ \"a.cc\":7 \x01"),
            "line 2, column 23: found \"\\x01\", expected the end of the line");
}

TEST(Text, BadConstants) {
  const auto constant = [](const std::string& value) {
    return "c = Const() {value=" + value + "}";
  };
  EXPECT_EQ(ErrorOf(constant("float32[2]{1, 2, 3}")),
            "line 1, column 37: found more than the 2 elements of [2]");
  EXPECT_EQ(ErrorOf(constant("float32[2]{1}")),
            "line 1, column 32: found 1 elements, expected 2 for [2]");
  EXPECT_EQ(ErrorOf(constant("uint8[1]{256}")),
            "line 1, column 29: found \"256\", expected a value of uint8");
  EXPECT_EQ(ErrorOf(constant("bool[1]{2}")),
            "line 1, column 28: found \"2\", expected a value of bool");
  EXPECT_EQ(ErrorOf(constant("float32[?]{1}")),
            "line 1, column 27: the shape of a constant has an unknown size");
  EXPECT_EQ(ErrorOf(constant("resource[1]{1}")),
            "line 1, column 28: a constant cannot be resource");
  EXPECT_EQ(ErrorOf(constant("float32[-1]{1}")),
            "line 1, column 28: a size is negative; an unknown one is written '?'");
  EXPECT_THAT(ErrorOf(constant("float32[4611686018427387904,4]{1 ...}")),
              HasSubstr("more elements than memory can address"));
  EXPECT_THAT(ErrorOf(constant("float32[1000000000000]{1 ...}")),
              HasSubstr("takes the graph's constants over the limit"));
  EXPECT_EQ(ParseGraphText(constant("float32[1000000000000]{1 ...}")).status().code(),
            absl::StatusCode::kResourceExhausted);
}

TEST(Text, Limits) {
  EXPECT_EQ(
      ErrorOf("a = Const() {value=int32[]{1}}\nb = Const() {value=int32[]{1}}", {.max_nodes = 1}),
      "line 2: the graph has more than 1 nodes; raise ImportOptions::max_nodes");
  EXPECT_THAT(ErrorOf("a = Const() {value=int32[]{1}} @ \"file.cc\":1", {.max_string_bytes = 3}),
              HasSubstr("max_string_bytes"));
  EXPECT_THAT(ErrorOf("a = Const() {value=int32[4]{1 ...}}", {.max_constant_bytes = 15}),
              HasSubstr("max_constant_bytes"));
}

// Damaged text gives an error or a graph, nothing else.
TEST(Text, SurvivesMutations) {
  const std::string text =
      "x = Placeholder() {dtype=float32, shape=shape[?,64]} : float32[?,64] @ \"train.cc\":12\n"
      "w = Const() {value=float32[64]{0.5 ...}} : float32[64]\n"
      "Add = AddV2(x, w, ^w) : float32[?,64] group=3\n"
      "y = Cast(Add) {DstT=int64, Truncate=false} : int64[?,64]\n";
  std::mt19937 random(7);
  int parsed = 0;
  for (int i = 0; i < 2000; ++i) {
    std::string bad = text;
    for (int k = 0; k <= static_cast<int>(random() % 3); ++k) {
      const size_t at = random() % bad.size();
      switch (random() % 3) {
        case 0:
          bad[at] = static_cast<char>(random());
          break;
        case 1:
          bad.erase(at, random() % 8);
          break;
        default:
          bad.insert(at, text.substr(random() % text.size(), random() % 8));
      }
    }
    auto g = ParseGraphText(bad);
    if (g.ok()) {
      ++parsed;
      EXPECT_EQ(Graph::FromText(g->ToText())->ToText(), g->ToText());
    }
  }
  EXPECT_LT(parsed, 1500);
}

}  // namespace
}  // namespace duet
