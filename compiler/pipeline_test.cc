#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "absl/strings/match.h"
#include "compiler/evaluate_testing.h"
#include "compiler/pass_testing.h"
#include "compiler/prune.h"
#include "compiler/rewrite.h"
#include "compiler/simplify.h"

namespace duet::compiler {
namespace {

using ::testing::HasSubstr;

constexpr char kText[] =
    "x = Placeholder() {dtype=float32, shape=shape[?,10]}\n"
    "one = Const() {value=float32[]{1}}\n"
    "f = Floor(x)\n"
    "a = Mul(f, one)\n"
    "p = Softmax(a)\n"
    "q = Softmax(f)\n"
    "dead = Exp(q)\n"
    "y = AddV2(p, q)\n";

// A pass that replaces every node's recorded types by float32[1].
absl::StatusOr<PassInput> Breaks(const PassInput& input, const PassOptions&) {
  GraphBuilder builder;
  for (int i = 0; i < input.graph.size(); ++i) {
    const Node& node = input.graph.node(i);
    const ValueSpec wrong[] = {{kFloat32, Shape({1})}};
    auto added = builder.Add(
        {.op = node.op, .name = node.name, .attrs = node.attrs, .inputs = node.inputs}, wrong);
    if (!added.ok()) return added.status();
  }
  PassInput result = input;
  result.graph = builder.Build();
  return result;
}

// A pass that fetches something else.
absl::StatusOr<PassInput> MovesTheFetch(const PassInput& input, const PassOptions&) {
  PassInput result = input;
  result.fetches[0] = {1, 0};
  return result;
}

TEST(Pipeline, RunsTheRecipe) {
  PlainDevice::Install();
  std::vector<PassReport> reports;
  auto out = RunPipeline(Parse(kText, {"x"}, {"y"}), {}, {}, &reports);
  ASSERT_TRUE(out.ok()) << out.status();
  ASSERT_EQ(reports.size(), Pipeline().size());
  EXPECT_EQ(reports[0].name, "verify");
  EXPECT_FALSE(reports[0].changed);
  EXPECT_EQ(reports[1].name, "prune");
  EXPECT_EQ(reports[1].nodes_before, 8);
  EXPECT_EQ(reports[1].nodes_after, 7);
  EXPECT_TRUE(reports[1].changed);
  // f * 1 is f, so the two softmaxes are one, in one kernel with the sum.
  int grouped = 0;
  for (int i = 0; i < out->graph.size(); ++i) grouped += out->graph.node(i).group == 0;
  EXPECT_EQ(grouped, 7) << out->graph.ToText();
}

TEST(Pipeline, NamesTheGuiltyPass) {
  auto out = RunPasses({{"prune", &Prune, ""}, {"breaks", &Breaks, ""}}, Parse(kText, {"x"}, {"y"}),
                       {}, {}, nullptr);
  EXPECT_EQ(out.status().code(), absl::StatusCode::kInternal);
  EXPECT_THAT(std::string(out.status().message()),
              HasSubstr("pass \"breaks\" broke the graph: node \"x\" (Placeholder): output 0 is "
                        "float32[1], its op gives float32[?,10]"));
  out = RunPasses({{"moves", &MovesTheFetch, ""}}, Parse(kText, {"x"}, {"y"}), {}, {}, nullptr);
  EXPECT_THAT(
      std::string(out.status().message()),
      HasSubstr("pass \"moves\" broke the graph: fetch \"y:0\" was float32[?,10], now it is "
                "float32[]"));
}

TEST(Pipeline, DisablesPassesByName) {
  PlainDevice::Install();
  std::vector<std::string> all;
  for (const Pass& pass : Pipeline()) all.emplace_back(pass.name);
  std::vector<PassReport> reports;
  const PassInput in = Parse(kText, {"x"}, {"y"});
  auto out = RunPipeline(in, {}, all, &reports);
  ASSERT_TRUE(out.ok()) << out.status();
  EXPECT_EQ(out->graph.ToText(), in.graph.ToText());
  for (const PassReport& r : reports) EXPECT_TRUE(r.disabled) << r.name;

  out = RunPipeline(in, {}, {"cse", "fuse"}, nullptr);
  EXPECT_EQ(out.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(out.status().message(),
            "there is no pass \"fuse\"; the passes are verify, prune, inline, cse, "
            "constant_folding, simplify, fusion");
}

TEST(Pipeline, ReadsItsEnvironment) {
  PlainDevice::Install();
  const std::string folder = testing::TempDir() + "/pipeline_dumps";
  std::filesystem::remove_all(folder);
  setenv("DUET_DUMP_TO", folder.c_str(), 1);
  setenv("DUET_DISABLE_PASSES", "simplify,fusion", 1);
  std::vector<PassReport> reports;
  auto out = RunPipeline(Parse(kText, {"x"}, {"y"}), {}, {}, &reports);
  unsetenv("DUET_DUMP_TO");
  unsetenv("DUET_DISABLE_PASSES");
  ASSERT_TRUE(out.ok()) << out.status();
  for (const PassReport& r : reports) {
    EXPECT_EQ(r.disabled, r.name == "simplify" || r.name == "fusion") << r.name;
  }
  std::ifstream file(folder + "/02_prune.txt");
  std::stringstream text;
  text << file.rdbuf();
  EXPECT_THAT(text.str(), HasSubstr("# feeds: x:0\n# fetches: y:0\n"));
  EXPECT_THAT(text.str(), testing::Not(HasSubstr("dead")));
  // A dump is a graph again.
  EXPECT_TRUE(Graph::FromText(text.str()).ok());
  EXPECT_FALSE(std::filesystem::exists(folder + "/01_verify.txt"));
}

TEST(Pipeline, EachPassOffGivesTheSameBits) {
  PlainDevice::Install();
  const PassInput in = Parse(kText, {"x"}, {"y", "p"});
  const std::vector<Tensor> feeds = {RandomTensor(kFloat32, {5, 10}, 3)};
  const Evaluation plain = Evaluator(in, feeds).Run();
  for (const char* off : {"", "prune", "inline", "cse", "constant_folding", "simplify", "fusion"}) {
    auto out = RunPipeline(
        in, {}, *off ? std::vector<std::string>{off} : std::vector<std::string>{}, nullptr);
    ASSERT_TRUE(out.ok()) << out.status();
    const Evaluation run = Evaluator(*out, feeds).Run();
    for (size_t k = 0; k < 2; ++k) ExpectSameBits(run.fetches[k], plain.fetches[k], off);
  }
}

}  // namespace
}  // namespace duet::compiler
