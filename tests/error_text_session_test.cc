// The exact texts of mistakes around recording, sessions, variables and files.

#include <functional>

#include "core/strings.h"
#include "duet.h"
#include "gtest/gtest.h"
#include "tests/test_environment.h"

namespace duet::testing {
namespace {

const OwnKernelCache own_cache;
using absl::StatusCode;

// Each mistake notes its own line before the call: L = Here().
uint32_t L = 0;
uint32_t Here(std::source_location loc = std::source_location::current()) { return loc.line(); }

// "<code>: <text>" with "HERE" for this file at line L.
std::string Text(const absl::Status& status) {
  std::string message(status.message());
  const std::string place = Str(__FILE__, ":", L, ": ");
  if (message.rfind(place, 0) == 0) message = "HERE: " + message.substr(place.size());
  return Str(absl::StatusCodeToString(status.code()), ": ", message);
}
std::string Caught(const std::function<void()>& call) {
  try {
    call();
  } catch (const Error& e) {
    return Text(e.status());
  } catch (const std::exception& e) {
    return Str("another exception: ", e.what());
  }
  return "no error";
}

// y = Tanh(x) * 2 with x float32[?,3].
struct Small {
  Graph graph;
  Tensor x, y;
  Small() {
    const GraphScope scope(graph);
    L = Here(), x = Placeholder(kFloat32, {-1, 3}, "x");
    y = Tanh(x) * 2;
  }
};

TEST(ErrorTextSessionTest, Recording) {
  EXPECT_EQ(Caught([] { L = Here(), Placeholder(kFloat32, {2}, "x"); }),
            "FAILED_PRECONDITION: HERE: Placeholder: nothing is being recorded on this thread; "
            "open a scope first: GraphScope scope(graph);");
  Small a, b;
  const auto two_graphs = [&] {
    const GraphScope scope(b.graph);
    L = Here(), a.x + b.x;
  };
  EXPECT_EQ(Caught(two_graphs),
            "FAILED_PRECONDITION: HERE: Add: \"x:0\" belongs to another graph than the one being "
            "recorded; make the call inside a GraphScope of the graph that \"x:0\" was recorded "
            "into, or feed its value");
  const auto read = [&] {
    const GraphScope scope(a.graph);
    L = Here(), a.x.ToVector<float>();
  };
  EXPECT_EQ(Caught(read),
            "FAILED_PRECONDITION: HERE: Tensor: x:0 is being recorded and has no value yet; run "
            "the graph to get one, or read values outside of the Function or GraphScope");
}

TEST(ErrorTextSessionTest, BranchingOnARecordedTensor) {
  const Tensor one = Ones({});
  Function f([](const Tensor& x) {
    const Tensor positive = x > 0;
    L = Here() + 1;
    if (positive.ToBool()) return x * 2;
    return x;
  });
  EXPECT_EQ(Caught([&] { f(one); }),
            "FAILED_PRECONDITION: HERE: Tensor: if, while and ! on Greater:0, which is being "
            "recorded and has no value yet: C++ would take one branch for all runs; use "
            "Select(condition, a, b), or move the branch out of the Function or GraphScope");
  // The conversion in the condition itself has no place for a location, and says the rest.
  Function g([](const Tensor& x) {
    if (x > 0) return x * 2;
    return x;
  });
  EXPECT_NE(Caught([&] { g(one); }).find("use Select(condition, a, b)"), std::string::npos);
}

TEST(ErrorTextSessionTest, VariablesInsideFunctions) {
  Function f([](const Tensor& x) {
    L = Here();  // of the statement below
    Variable w(x, "w");
    return w.Read();
  });
  EXPECT_NE(
      Caught([&] { f(Ones({2})); }).find("make variables outside of a Function or GraphScope"),
      std::string::npos);
}

TEST(ErrorTextSessionTest, Feeding) {
  Small s;
  Session session(s.graph);
  EXPECT_EQ(Text(session.Run({}, {s.y}).status()),
            "INVALID_ARGUMENT: HERE: Placeholder: the placeholder \"x\" (float32[?,3]) was not "
            "fed, and what is fetched depends on it; add {\"x\", value} to the feeds");
  EXPECT_EQ(Text(session.Run({{s.x, Ones({2, 4})}}, {s.y}).status()),
            "INVALID_ARGUMENT: HERE: Placeholder: the placeholder \"x\" was fed a value of another "
            "type: expected float32[?,3], found float32[2,4]");
  EXPECT_EQ(Text(session.Run({{s.x, Ones({3})}}, {s.y}).status()),
            "INVALID_ARGUMENT: HERE: Placeholder: the placeholder \"x\" was fed a value of another "
            "type: expected float32[?,3], found float32[3]");
  EXPECT_EQ(Text(session.Run({{s.x, Ones({2, 3}, kFloat64)}}, {s.y}).status()),
            "INVALID_ARGUMENT: HERE: Placeholder: the placeholder \"x\" was fed a value of another "
            "type: expected float32[?,3], found float64[2,3]");
  EXPECT_EQ(Text(session.Run({{s.x, Tensor()}}, {s.y}).status()),
            "INVALID_ARGUMENT: HERE: Placeholder: the placeholder \"x\" was fed an undefined "
            "tensor: expected float32[?,3]");
  EXPECT_EQ(Text(session.Run({{"x", Ones({2, 3})}, {"x:0", Ones({2, 3})}}, {s.y}).status()),
            "INVALID_ARGUMENT: HERE: Placeholder: \"x\" is fed twice; give it one value");
  EXPECT_EQ(Text(session.Run({{s.y, Ones({2, 3})}}, {s.y}).status()),
            Str("INVALID_ARGUMENT: ", __FILE__, ":", L + 1,
                ": Mul: \"Mul:0\" is fed but is no placeholder; only placeholders take values"));
  // What no recorded line is to blame for is the fault of the call of Run.
  const auto run = [&](const Session::Feeds& feeds, const std::vector<TensorRef>& fetches,
                       const std::vector<std::string>& targets = {}) {
    L = Here() + 1;
    return Text(session.Run(feeds, fetches, targets).status());
  };
  EXPECT_EQ(run({{"z", Ones({2, 3})}}, {s.y}),
            "NOT_FOUND: HERE: Session::Run: the graph has no node \"z\"; did you mean x?");
  EXPECT_EQ(run({{"x", Ones({2, 3})}}, {"Tahn:0"}),
            "NOT_FOUND: HERE: Session::Run: the graph has no node \"Tahn\"; did you mean Tanh?");
  EXPECT_EQ(run({{"x", Ones({2, 3})}}, {"Tanh:1"}),
            "NOT_FOUND: HERE: Session::Run: node \"Tanh\" has 1 output; there is no \"Tanh:1\"");
  EXPECT_EQ(
      run({{"x", Ones({2, 3})}}, {Ones({2})}),
      "FAILED_PRECONDITION: HERE: Session::Run: a tensor of shape [2] is a value, not a symbol "
      "of the graph; use a tensor recorded inside its GraphScope, or a name");
  EXPECT_EQ(run({{"x", Ones({2, 3})}}, {s.y}, {"nothing"}),
            "NOT_FOUND: HERE: Session::Run: the graph has no node \"nothing\"");
  EXPECT_EQ(Text(session.Run({{"z", Ones({2, 3})}}, {s.y}, {}, Location()).status()),
            "NOT_FOUND: the graph has no node \"z\"; did you mean x?");
  // None of them spoiled the session.
  const auto good = session.Run({{s.x, Ones({2, 3})}}, {s.y});
  ASSERT_TRUE(good.ok()) << good.status();
}

TEST(ErrorTextSessionTest, Options) {
  Small s;
  SessionOptions options;
  options.disabled_passes = {"fuson"};
  Session session(s.graph, options);
  L = Here() + 1;
  EXPECT_EQ(Text(session.Run({{s.x, Ones({2, 3})}}, {s.y}).status()),
            "INVALID_ARGUMENT: HERE: Session::Run: there is no pass \"fuson\"; the passes are "
            "verify, prune, inline, "
            "cse, constant_folding, simplify, fusion");
}

TEST(ErrorTextSessionTest, MemoryLimit) {
  Graph graph;
  Tensor x, y;
  {
    const GraphScope scope(graph);
    x = Placeholder(kFloat32, {-1}, "x");
    y = MatMul(Reshape(x, {-1, 1}), Reshape(x, {1, -1}));
  }
  SessionOptions options;
  options.memory_limit = 1 << 20;
  Session session(graph, options);
  EXPECT_EQ(Text(session.Run({{x, Ones({2000})}}, {y}).status()),
            "RESOURCE_EXHAUSTED: this run needs 16000000 bytes (0 for intermediate values, "
            "16000000 for results) and the session's memory_limit is 1048576; raise "
            "SessionOptions::memory_limit or feed smaller values");
  EXPECT_TRUE(session.Run({{x, Ones({200})}}, {y}).ok());
}

TEST(ErrorTextSessionTest, Variables) {
  Variable w(Ones({2, 3}), "w");
  EXPECT_EQ(Caught([&] {
              L = Here(), w.Assign(Ones({3, 2}));
            }),
            "INVALID_ARGUMENT: HERE: Assign: the variable is float32[2,3], found a value "
            "of float32[3,2]; a variable keeps its dtype and shape: Cast, Reshape or BroadcastTo "
            "the value");
  EXPECT_EQ(Caught([&] {
              L = Here(), w.AssignSub(Ones({2, 3}, kFloat64));
            }),
            "INVALID_ARGUMENT: HERE: AssignSub: the variable is float32[2,3], found a "
            "value of float64[2,3]; a variable keeps its dtype and shape: Cast, Reshape or "
            "BroadcastTo the value");
  EXPECT_EQ(
      Caught([&] { L = Here(), w.AssignAdd(Tensor()); }),
      "INVALID_ARGUMENT: HERE: AssignAdd: input 1 is undefined: it was "
      "default-constructed, or is the gradient of a source that the target does not depend on");
  // A graph that was saved has its variables' handles, not their values.
  Graph graph;
  {
    const GraphScope scope(graph);
    L = Here(), w.Read() * 2;
  }
  const auto bytes = SerializeGraph(graph);
  ASSERT_TRUE(bytes.ok()) << bytes.status();
  const auto again = ParseGraph(*bytes);
  ASSERT_TRUE(again.ok()) << again.status();
  Session session(*again);
  EXPECT_EQ(Text(session.Run({}, {"Mul"}).status()),
            "FAILED_PRECONDITION: HERE: ReadVariableOp: the variable \"w\" has no value yet; "
            "assign it before it is read");
}

TEST(ErrorTextSessionTest, Files) {
  const std::string folder = TempFolder();
  Small s;
  EXPECT_EQ(Text(ReadGraph("no/such/file.pb").status()),
            "NOT_FOUND: cannot open 'no/such/file.pb': No such file or directory");
  EXPECT_EQ(Text(WriteGraph(s.graph, "no/such/folder/g.pb")),
            "NOT_FOUND: cannot write 'no/such/folder/g.pb': No such file or directory");
  EXPECT_EQ(Text(WriteGraph(s.graph, folder + "/g.onnx")).find("INVALID_ARGUMENT: "), 0);
  EXPECT_EQ(Text(Graph::FromText("x = Placeholder() {dtype=float32, shape=shape[2]}\n"
                                 "y = Thna(x)\n")
                     .status()),
            "INVALID_ARGUMENT: line 2, column 5: there is no op \"Thna\"; did you mean Tanh?");
  EXPECT_EQ(Text(Graph::FromText("y = Tanh(x)\n").status()),
            "INVALID_ARGUMENT: line 1, column 10: the graph has no node \"x\"");
  EXPECT_EQ(Text(Graph::FromText("x = Placeholder() {dtype=float32, shape=shape[2}\n").status()),
            "INVALID_ARGUMENT: line 1, column 48: found \"}\", expected ']'");
  EXPECT_EQ(Text(Graph::FromText("x = Placeholder() {dtype=float32, shape=shape[2]}\n"
                                 "y = MatMul(x, x)\n")
                     .status()),
            "INVALID_ARGUMENT: line 2: MatMul: found shapes [2] and [2], expected two matrices "
            "(rank 2); use Reshape or ExpandDims");
}

TEST(ErrorTextSessionTest, Functions) {
  Function f([](const Tensor& x, const Tensor& y) { return L = Here(), MatMul(x, y); });
  EXPECT_EQ(Caught([&] {
              f(Ones({2, 3}), Ones({2, 3}));
            }),
            "INVALID_ARGUMENT: HERE: MatMul: found shapes [2,3] and [2,3], whose inner sizes 3 and "
            "2 differ; they fit with transpose_b=true");
  // Recorded with open sizes, it fails when it runs, at the same line.
  const Graph graph =
      f.Concrete({TensorSpec(kFloat32, {-1, -1}, "x"), TensorSpec(kFloat32, {-1, -1}, "y")});
  Session session(graph);
  EXPECT_EQ(Text(session.Run({{"x", Ones({2, 3})}, {"y", Ones({2, 3})}}, {"result0"}).status()),
            "INVALID_ARGUMENT: HERE: MatMul: found shapes [2,3] and [2,3], whose inner sizes 3 and "
            "2 differ; they fit with transpose_b=true");
  EXPECT_EQ(
      Caught([&] { L = Here(), f.Concrete({TensorSpec(kFloat32, {2})}); }),
      "INVALID_ARGUMENT: HERE: Function::Concrete: the callable takes 2 tensors, found 1 specs");
}

}  // namespace
}  // namespace duet::testing
