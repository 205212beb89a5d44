// Every registered op, with every dtype, over a table of shapes: eager against the reference
// interpreter within the op's tolerance; eager, graph, graph with each pass disabled, and the graph
// saved and read back, bit for bit.

#include <map>
#include <set>

#include "compiler/pass.h"
#include "core/dispatch.h"
#include "core/strings.h"
#include "duet.h"
#include "graph/reference.h"
#include "gtest/gtest.h"
#include "tests/op_cases.h"
#include "tests/test_environment.h"

namespace duet::testing {
namespace {

const OwnKernelCache kernel_cache;

// A graph of one call, its feeds and its fetches.
struct CallGraph {
  Graph graph;
  Session::Feeds feeds;
  std::vector<std::pair<NodeOutput, Tensor>> raw_feeds;
  std::vector<TensorRef> fetches;
  std::vector<NodeOutput> raw_fetches;
};

// With `unknown`, the first size of every fed tensor is not known to the graph.
CallGraph Record(const OpCase& c, bool unknown) {
  CallGraph g;
  std::vector<Tensor> symbols;
  const GraphScope scope(g.graph);
  for (size_t i = 0; i < c.inputs.size(); ++i) {
    const Tensor& value = c.inputs[i];
    if (c.host[i]) {
      symbols.push_back(value);
      continue;
    }
    Shape shape = value.shape();
    if (unknown && shape.rank() > 0) shape.set_dim(0, -1);
    const Tensor symbol = Placeholder(value.dtype(), shape, Str("x", i));
    g.feeds.emplace_back(Str("x", i), value);
    g.raw_feeds.emplace_back(*OutputOf(g.graph, symbol), value);
    symbols.push_back(symbol);
  }
  for (const Tensor& out : Dispatch(*c.op, c.attrs, symbols, Location())) {
    g.fetches.emplace_back(out.name());
    g.raw_fetches.push_back(*OutputOf(g.graph, out));
  }
  return g;
}

class Modes {
 public:
  Modes(const OpCase& c, const Outputs& eager) : case_(c), eager_(eager) {}

  void Check(const std::string& mode, const absl::StatusOr<std::vector<Tensor>>& result) {
    if (!result.ok()) {
      ADD_FAILURE() << case_.name << ", " << mode << ": " << result.status();
      return;
    }
    ASSERT_EQ(result->size(), eager_.size());
    for (size_t i = 0; i < eager_.size(); ++i) {
      std::string why;
      EXPECT_TRUE(SameBits(eager_[i], (*result)[i], &why))
          << case_.name << ", eager and " << mode << " differ: " << why;
    }
  }
  void CheckSession(const std::string& mode, const Graph& graph, const CallGraph& g,
                    std::vector<std::string> disabled, int threads = 1) {
    SessionOptions options;
    options.num_threads = threads;
    options.disabled_passes = std::move(disabled);
    Session session(graph, options);
    Check(mode, session.Run(g.feeds, g.fetches));
  }

 private:
  const OpCase& case_;
  const Outputs& eager_;
};

void CheckCase(const OpCase& c) {
  Outputs eager;
  try {
    eager = Dispatch(*c.op, c.attrs, c.inputs, Location());
  } catch (const Error& e) {
    ADD_FAILURE() << c.name << ": " << e.what();
    return;
  }
  const CallGraph g = Record(c, false);
  const auto reference = ReferenceRun(g.graph, g.raw_feeds, g.raw_fetches);
  if (!reference.ok()) {
    ADD_FAILURE() << c.name << ", reference: " << reference.status();
  } else {
    for (size_t i = 0; i < eager.size(); ++i) {
      std::string why;
      EXPECT_TRUE(WithinUlp(eager[i], (*reference)[i], c.op->tolerance_ulp, &why))
          << c.name << ", eager and the reference differ: " << why;
    }
  }
  Modes modes(c, eager);
  modes.CheckSession("graph", g.graph, g, {});
  std::set<std::string> passes;
  for (const compiler::Pass& pass : compiler::Pipeline()) passes.insert(pass.name);
  for (const std::string& pass : passes) {
    modes.CheckSession(Str("graph without ", pass), g.graph, g, {pass});
  }
  modes.CheckSession("graph without passes", g.graph, g, {passes.begin(), passes.end()}, 2);
  const auto bytes = SerializeGraph(g.graph);
  ASSERT_TRUE(bytes.ok()) << c.name << ": " << bytes.status();
  const auto reloaded = ParseGraph(*bytes);
  if (!reloaded.ok()) {
    ADD_FAILURE() << c.name << ", reloading: " << reloaded.status();
  } else {
    EXPECT_EQ(reloaded->ToText(), g.graph.ToText()) << c.name;
    modes.CheckSession("reloaded graph", *reloaded, g, {});
  }
  const auto parsed = Graph::FromText(g.graph.ToText());
  if (!parsed.ok()) {
    ADD_FAILURE() << c.name << ", parsing its text: " << parsed.status() << "\n"
                  << g.graph.ToText();
  } else {
    EXPECT_EQ(parsed->ToText(), g.graph.ToText()) << c.name;
  }
  try {
    const CallGraph open = Record(c, true);
    modes.CheckSession("graph of unknown sizes", open.graph, open, {});
  } catch (const Error& e) {
    // Where not even the rank follows, recording is refused, and says so.
    EXPECT_NE(std::string(e.what()).find("not known"), std::string::npos)
        << c.name << ", unknown sizes: " << e.what();
  }
}

class ConformanceTest : public ::testing::TestWithParam<const OpDef*> {};

TEST_P(ConformanceTest, AllModesAgree) {
  const OpDef& op = *GetParam();
  const std::vector<OpCase> cases = CasesFor(op);
  ASSERT_FALSE(cases.empty()) << op.name
                              << " has a shape rule of its own: give it a row in tests/op_cases.cc";
  for (const OpCase& c : cases) {
    CheckCase(c);
    if (HasFailure()) break;  // the first one says enough
  }
}

// Every public op is documented and says how exact it is.
TEST_P(ConformanceTest, IsDocumented) {
  const OpDef& op = *GetParam();
  EXPECT_FALSE(op.doc.empty()) << op.name;
  const bool internal = op.name.rfind("Duet", 0) == 0;
  EXPECT_TRUE(internal || !op.examples.empty()) << op.name;
  for (const OpExample& e : op.examples) EXPECT_FALSE(e.result.empty()) << e.code;
}

INSTANTIATE_TEST_SUITE_P(Registry, ConformanceTest, ::testing::ValuesIn(TestableOps()),
                         [](const auto& info) { return info.param->name; });

}  // namespace
}  // namespace duet::testing
