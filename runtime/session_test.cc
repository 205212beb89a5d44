#include "runtime/session.h"

#include <string>
#include <vector>

#include "duet.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace duet {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::vector<float> Floats(const Tensor& t) { return t.ToVector<float>(); }

TEST(SessionTest, RunsByTensorAndByName) {
  Graph graph;
  Tensor x, y;
  {
    GraphScope scope(graph);
    x = Placeholder(kFloat32, {-1, 2}, "x");
    y = Identity(x * 2.0f + 1.0f);
  }
  Session session(graph);
  const Tensor value = Constant({{1.0f, 2.0f}});
  auto out = session.Run({{x, value}}, {y});
  ASSERT_TRUE(out.ok()) << out.status();
  EXPECT_THAT(Floats((*out)[0]), ElementsAre(3, 5));
  out = session.Run({{"x", value}}, {y.name(), "x:0"});
  ASSERT_TRUE(out.ok()) << out.status();
  EXPECT_THAT(Floats((*out)[0]), ElementsAre(3, 5));
  EXPECT_THAT(Floats((*out)[1]), ElementsAre(1, 2));
}

TEST(SessionTest, ResultsAreTheCallersOwn) {
  Graph graph;
  Tensor x, y;
  {
    GraphScope scope(graph);
    x = Placeholder(kFloat32, {2}, "x");
    y = x + 1.0f;
  }
  Session session(graph);
  auto first = session.Run({{x, Constant({1.0f, 2.0f})}}, {y});
  auto second = session.Run({{x, Constant({10.0f, 20.0f})}}, {y});
  ASSERT_TRUE(first.ok() && second.ok());
  EXPECT_THAT(Floats((*first)[0]), ElementsAre(2, 3));
  EXPECT_THAT(Floats((*second)[0]), ElementsAre(11, 21));
}

TEST(SessionTest, FetchesIntermediateValuesConstantsAndReshapes) {
  Graph graph;
  Tensor x, a, b, c, d;
  {
    GraphScope scope(graph);
    x = Placeholder(kFloat32, {2, 2}, "x");
    a = Exp(x) * 0.0f + x;
    b = Reshape(a, {4});
    c = Constant({7.0f, 8.0f});
    d = Reshape(x, {1, 4});
  }
  Session session(graph);
  auto out = session.Run({{x, Constant({{1.0f, 2.0f}, {3.0f, 4.0f}})}}, {a, b, c, d, b});
  ASSERT_TRUE(out.ok()) << out.status();
  EXPECT_EQ((*out)[0].shape(), Shape({2, 2}));
  EXPECT_EQ((*out)[1].shape(), Shape({4}));
  EXPECT_THAT(Floats((*out)[1]), ElementsAre(1, 2, 3, 4));
  EXPECT_THAT(Floats((*out)[2]), ElementsAre(7, 8));
  EXPECT_EQ((*out)[3].shape(), Shape({1, 4}));
  EXPECT_THAT(Floats((*out)[4]), ElementsAre(1, 2, 3, 4));
}

TEST(SessionTest, ANewBatchSizeCompilesNothing) {
  Graph graph;
  Tensor x, y;
  {
    GraphScope scope(graph);
    x = Placeholder(kFloat32, {-1, 8}, "x");
    y = Softmax(Tanh(MatMul(x, Ones({8, 4})) + Ones({4})));
  }
  Session session(graph);
  ASSERT_TRUE(session.Run({{x, Ones({5, 8})}}, {y}).ok());
  const SessionStats before = session.stats();
  for (int batch : {1, 2, 7, 16, 33, 0}) {
    auto out = session.Run({{x, Ones({batch, 8})}}, {y});
    ASSERT_TRUE(out.ok()) << out.status();
    EXPECT_EQ((*out)[0].shape(), Shape({batch, 4}));
  }
  const SessionStats after = session.stats();
  EXPECT_EQ(after.kernels_compiled, before.kernels_compiled);
  EXPECT_EQ(after.plans, 1);
  EXPECT_EQ(after.instances, before.instances + 6);
}

TEST(SessionTest, SameBitsWithPassesDisabledAndAnyThreads) {
  Graph graph;
  Tensor x, y;
  {
    GraphScope scope(graph);
    x = Placeholder(kFloat32, {-1, 64}, "x");
    const Tensor h = Relu(MatMul(x, RandomNormal({64, 32}, kFloat32, 1)) + Ones({32}));
    y = LogSoftmax(MatMul(h, RandomNormal({32, 10}, kFloat32, 2)));
  }
  const Tensor value = RandomUniform({300, 64}, kFloat32, 3);
  std::vector<SessionOptions> variants(4);
  variants[0].num_threads = 1;
  variants[1].num_threads = 2;
  variants[2].disabled_passes = {"fusion"};
  variants[3].disabled_passes = {"prune",    "inline", "cse", "constant_folding",
                                 "simplify", "fusion"};
  std::vector<float> expected;
  for (const SessionOptions& options : variants) {
    Session session(graph, options);
    auto out = session.Run({{x, value}}, {y});
    ASSERT_TRUE(out.ok()) << out.status();
    if (expected.empty()) expected = Floats((*out)[0]);
    EXPECT_EQ(Floats((*out)[0]), expected);
  }
}

TEST(SessionTest, ValuesThatDecideShapesMayBeFed) {
  Graph graph;
  Tensor x, shape, y, rows;
  {
    GraphScope scope(graph);
    x = Placeholder(kFloat32, {-1}, "x");
    shape = Placeholder(kInt32, {2}, "shape");
    y = Reshape(x + 1.0f, shape);
  }
  Session session(graph);
  const Tensor value = Constant({1.0f, 2.0f, 3.0f, 4.0f, 5.0f, 6.0f});
  auto a = session.Run({{x, value}, {shape, Constant({2, 3})}}, {y});
  auto b = session.Run({{x, value}, {shape, Constant({3, 2})}}, {y});
  ASSERT_TRUE(a.ok()) << a.status();
  ASSERT_TRUE(b.ok()) << b.status();
  EXPECT_EQ((*a)[0].shape(), Shape({2, 3}));
  EXPECT_EQ((*b)[0].shape(), Shape({3, 2}));
  auto bad = session.Run({{x, value}, {shape, Constant({4, 2})}}, {y});
  EXPECT_EQ(bad.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(bad.status().message()), HasSubstr("session_test.cc"));
}

TEST(SessionTest, VariablesAreReadAndAssignedInOrder) {
  Variable v(Constant({1.0f, 2.0f}), "v");
  Graph graph;
  Tensor before, after;
  {
    GraphScope scope(graph);
    before = Identity(v.Read());
    v.AssignAdd(Constant({10.0f, 10.0f}));
    after = Identity(v.Read());
  }
  Session session(graph);
  for (int i = 0; i < 3; ++i) {
    auto out = session.Run({}, {before, after});
    ASSERT_TRUE(out.ok()) << out.status();
    const auto base = static_cast<float>(10 * i);
    EXPECT_THAT(Floats((*out)[0]), ElementsAre(1 + base, 2 + base));
    EXPECT_THAT(Floats((*out)[1]), ElementsAre(11 + base, 12 + base));
    EXPECT_THAT(Floats(v.Read()), ElementsAre(11 + base, 12 + base));
  }
}

TEST(SessionTest, AnUpdateDoesNotChangeWhatWasReadBefore) {
  Variable v(Zeros({100}), "v");
  Graph graph;
  Tensor after;
  {
    GraphScope scope(graph);
    v.AssignAdd(Ones({100}));
    after = Identity(v.Read());
  }
  Session session(graph);
  auto first = session.Run({}, {after});
  auto second = session.Run({}, {after});
  ASSERT_TRUE(first.ok() && second.ok());
  EXPECT_EQ(Floats((*first)[0])[50], 1);
  EXPECT_EQ(Floats((*second)[0])[50], 2);
}

TEST(SessionTest, TheVariableOfALoadedGraphMustBeAssignedFirst) {
  Variable v(Constant({1.0f, 2.0f}), "weights");
  Graph recorded;
  std::string read_name;
  {
    GraphScope scope(recorded);
    v.Assign(Constant({5.0f, 6.0f}));
  }
  Tensor read;
  Graph reading;
  {
    GraphScope scope(reading);
    read = Identity(v.Read());
  }
  auto bytes = SerializeGraph(reading);
  ASSERT_TRUE(bytes.ok()) << bytes.status();
  auto loaded = ParseGraph(*bytes);
  ASSERT_TRUE(loaded.ok()) << loaded.status();
  Session session(*loaded);
  auto out = session.Run({}, {read.name()});
  EXPECT_EQ(out.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(out.status().message()), HasSubstr("weights"));
}

// ---- Errors -------------------------------------------------------------------------------------

class SessionErrorTest : public testing::Test {
 protected:
  SessionErrorTest() {
    GraphScope scope(graph_);
    x_ = Placeholder(kFloat32, {-1, 2}, "features");
    n_ = Placeholder(kInt32, {2}, "divisor");
    y_ = Identity(x_ + 1.0f);
    q_ = FloorDiv(Constant({7, 8}), n_);
    line_ = std::source_location::current().line() - 1;
  }
  // The status of a run, after which the session must still work.
  absl::Status Fail(const Session::Feeds& feeds, const std::vector<TensorRef>& fetches,
                    const std::vector<std::string>& targets = {}) {
    Session session(graph_);
    const absl::Status status = session.Run(feeds, fetches, targets).status();
    auto good = session.Run({{x_, Ones({3, 2})}}, {y_});
    EXPECT_TRUE(good.ok()) << good.status();
    return status;
  }
  static std::string Text(const absl::Status& s) { return std::string(s.message()); }

  Graph graph_;
  Tensor x_, n_, y_, q_;
  uint32_t line_ = 0;
};

TEST_F(SessionErrorTest, WrongFeeds) {
  absl::Status s = Fail({{x_, Ones({2})}}, {y_});
  EXPECT_EQ(s.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(Text(s), HasSubstr("\"features\""));
  EXPECT_THAT(Text(s), HasSubstr("expected float32[?,2], found float32[2]"));
  EXPECT_THAT(Text(s), HasSubstr("session_test.cc"));
  s = Fail({{x_, Ones({2, 2}, kFloat64)}}, {y_});
  EXPECT_THAT(Text(s), HasSubstr("expected float32[?,2], found float64[2,2]"));
  s = Fail({{x_, Ones({2, 3})}}, {y_});
  EXPECT_THAT(Text(s), HasSubstr("found float32[2,3]"));
  s = Fail({{x_, Tensor()}}, {y_});
  EXPECT_THAT(Text(s), HasSubstr("undefined"));
  s = Fail({{x_, y_}}, {y_});
  EXPECT_THAT(Text(s), HasSubstr("recorded tensor"));
  s = Fail({{x_, Ones({2, 2})}, {x_, Ones({2, 2})}}, {y_});
  EXPECT_THAT(Text(s), HasSubstr("fed twice"));
}

TEST_F(SessionErrorTest, MissingFeedNamesThePlaceholderAndItsLine) {
  const absl::Status s = Fail({}, {y_});
  EXPECT_EQ(s.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(Text(s), HasSubstr("\"features\" (float32[?,2]) was not fed"));
  EXPECT_THAT(Text(s), HasSubstr("session_test.cc:"));
}

TEST_F(SessionErrorTest, UnknownNames) {
  absl::Status s = Fail({{"feature", Ones({2, 2})}}, {y_});
  EXPECT_EQ(s.code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(Text(s), HasSubstr("features"));
  s = Fail({{x_, Ones({2, 2})}}, {"no_such_thing:0"});
  EXPECT_EQ(s.code(), absl::StatusCode::kNotFound);
  s = Fail({{x_, Ones({2, 2})}}, {"features:3"});
  EXPECT_EQ(s.code(), absl::StatusCode::kNotFound);
  s = Fail({{x_, Ones({2, 2})}}, {y_}, {"no_such_target"});
  EXPECT_EQ(s.code(), absl::StatusCode::kNotFound);
  s = Fail({{x_, Ones({2, 2})}}, {Tensor()});
  EXPECT_EQ(s.code(), absl::StatusCode::kInvalidArgument);
}

TEST_F(SessionErrorTest, OnlyPlaceholdersAreFed) {
  const absl::Status s = Fail({{y_, Ones({2, 2})}}, {y_});
  EXPECT_EQ(s.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(Text(s), HasSubstr("no placeholder"));
}

TEST_F(SessionErrorTest, AFailureWhileRunningHasTheUsersLine) {
  const absl::Status s = Fail({{n_, Constant({1, 0})}}, {q_});
  EXPECT_EQ(s.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(Text(s), HasSubstr("session_test.cc:" + std::to_string(line_)));
  EXPECT_THAT(Text(s), HasSubstr("FloorDiv"));
}

TEST_F(SessionErrorTest, ATensorOfAnotherGraph) {
  Graph other;
  Tensor z;
  {
    GraphScope scope(other);
    z = Placeholder(kFloat32, {2}, "z");
  }
  const absl::Status s = Fail({{x_, Ones({2, 2})}}, {z});
  EXPECT_FALSE(s.ok());
}

TEST_F(SessionErrorTest, TheMemoryLimitIsCheckedBeforeMemoryIsTaken) {
  SessionOptions options;
  options.memory_limit = 1 << 20;
  Session session(graph_, options);
  auto small = session.Run({{x_, Ones({100, 2})}}, {y_});
  EXPECT_TRUE(small.ok()) << small.status();
  auto large = session.Run({{x_, Ones({1 << 18, 2})}}, {y_});
  EXPECT_EQ(large.status().code(), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(Text(large.status()), HasSubstr("memory_limit is 1048576"));
  EXPECT_TRUE(session.Run({{x_, Ones({100, 2})}}, {y_}).ok());
  EXPECT_LE(session.stats().peak_bytes, 1 << 20);
}

TEST_F(SessionErrorTest, AShapeMustNotDependOnAVariable) {
  Variable v(Constant({2, 1}), "sizes");
  Graph graph;
  Tensor y;
  {
    GraphScope scope(graph);
    y = Reshape(Ones({2}), v.Read());
  }
  const absl::Status s = Session(graph).Run({}, {y}).status();
  EXPECT_EQ(s.code(), absl::StatusCode::kUnimplemented) << s;
  EXPECT_THAT(Text(s), HasSubstr("decides a shape"));
}

TEST_F(SessionErrorTest, UnknownPass) {
  SessionOptions options;
  options.disabled_passes = {"no_such_pass"};
  Session session(graph_, options);
  const absl::Status s = session.Run({{x_, Ones({2, 2})}}, {y_}).status();
  EXPECT_EQ(s.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(Text(s), HasSubstr("no_such_pass"));
}

// ---- Memory
// ---------------------------------------------------------------------------------------

TEST(SessionMemoryTest, PlansOfNetworksStayWithinATenthOfTheBound) {
  for (const bool fuse : {true, false}) {
    for (int layers : {2, 5, 9}) {
      Graph graph;
      Tensor x, y;
      {
        GraphScope scope(graph);
        x = Placeholder(kFloat32, {-1, 64}, "x");
        y = x;
        for (int i = 0; i < layers; ++i) {
          const int64_t in = y.shape().dim(1), out = 16 + 24 * ((i * 5) % 7);
          y = Relu(MatMul(y, RandomNormal({in, out}, kFloat32, 5)) + Ones({out}));
        }
        y = Softmax(y);
      }
      SessionOptions options;
      if (!fuse) options.disabled_passes = {"fusion"};
      Session session(graph, options);
      ASSERT_TRUE(session.Run({{x, Ones({128, 64})}}, {y}).ok());
      const SessionStats stats = session.stats();
      EXPECT_GE(stats.planned_bytes, stats.liveness_bytes);
      EXPECT_LE(static_cast<double>(stats.planned_bytes),
                1.1 * static_cast<double>(stats.liveness_bytes));
    }
  }
}

TEST(SessionMemoryTest, AnUnfusedChainRunsInPlace) {
  Graph graph;
  Tensor x, y;
  {
    GraphScope scope(graph);
    x = Placeholder(kFloat32, {1024}, "x");
    y = x;
    for (int i = 0; i < 10; ++i) y = y + 1.0f;
    y = y * 2.0f;
  }
  SessionOptions options;
  options.disabled_passes = {"fusion", "simplify"};
  Session session(graph, options);
  auto out = session.Run({{x, Zeros({1024})}}, {y});
  ASSERT_TRUE(out.ok()) << out.status();
  EXPECT_EQ(Floats((*out)[0])[1000], 20);
  EXPECT_EQ(session.stats().planned_bytes, 4096);
}

// A value that was computed to know a shape is also read when the plan runs, long after.
TEST(SessionMemoryTest, AShapeIsReadAsAValue) {
  Graph graph;
  Tensor x, wide, sizes;
  {
    GraphScope scope(graph);
    x = Placeholder(kFloat32, {-1, 1}, "x");
    const Tensor shape = ShapeOf(x);
    wide = BroadcastTo(x, shape);
    sizes = shape + shape;
  }
  Session session(graph);
  for (int i = 0; i < 20; ++i) {
    auto out = session.Run({{x, Ones({3 + i % 2, 1})}}, {wide, sizes});
    ASSERT_TRUE(out.ok()) << out.status();
    EXPECT_THAT((*out)[1].ToVector<int32_t>(), ElementsAre(6 + i % 2 * 2, 2));
  }
}

// A small result that another op sees under another shape, both unfused.
TEST(SessionMemoryTest, ASmallResultIsReadUnderAnotherShape) {
  Graph graph;
  Tensor x, y, p;
  {
    GraphScope scope(graph);
    x = Placeholder(kFloat64, {-1, 2}, "x");
    y = Relu(x);
    p = Softmax(ExpandDims(y, 0));
  }
  SessionOptions options;
  options.disabled_passes = {"inline", "fusion", "simplify"};
  Session session(graph, options);
  for (double v : {0.0, 1.0, 2.0}) {
    auto out = session.Run({{x, Constant({{v, v}}, kFloat64)}}, {y, p});
    ASSERT_TRUE(out.ok()) << out.status();
    EXPECT_THAT((*out)[0].ToVector<double>(), ElementsAre(v, v));
    EXPECT_THAT((*out)[1].ToVector<double>(), ElementsAre(0.5, 0.5));
  }
  auto out = session.Run({{x, Constant({{0.0, 1000.0}}, kFloat64)}}, {y, p});
  ASSERT_TRUE(out.ok()) << out.status();
  EXPECT_THAT((*out)[1].ToVector<double>(), ElementsAre(0, 1));
}

TEST(SessionTest, RefusesNegativeOptions) {
  Graph graph;
  Tensor y;
  {
    const GraphScope scope(graph);
    y = Identity(Placeholder(kFloat32, {}, "x"));
  }
  SessionOptions options;
  options.num_threads = -5;
  Session session(graph, options);
  EXPECT_EQ(session.Run({{"x", Constant(1.0f)}}, {y}).status().code(),
            absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace duet
