// Damaged and hostile files: reading one, and running what was read, gives a status. It never
// crashes, hangs or takes memory without bound.
//
//   DUET_TEST_SEED=417 hostile_files_test       one mutation
//   DUET_TEST_MUTATIONS=1000000 ...             more of them

#include <sys/resource.h>

#include <fstream>
#include <functional>

#include "core/allocator.h"
#include "core/strings.h"
#include "duet.h"
#include "graph/text.h"
#include "gtest/gtest.h"
#include "io/npy.h"
#include "tests/mutate.h"
#include "tests/test_environment.h"

namespace duet::testing {
namespace {

const OwnKernelCache own_cache;
constexpr int64_t kRunLimit = int64_t{64} << 20;       // bytes a session may use
constexpr int64_t kProcessLimit = int64_t{512} << 20;  // bytes the process may grow by
constexpr int kMutations = 10000;

// ---- Valid files to start from ------------------------------------------------------------------

Graph MlpInference() {
  Graph graph;
  const Tensor w1 = RandomUniform({16, 8}, kFloat32, 1), b1 = Ones({8});
  const Tensor w2 = RandomUniform({8, 4}, kFloat32, 2);
  const GraphScope scope(graph);
  const Tensor x = Placeholder(kFloat32, {-1, 16}, "x");
  const Tensor h = Relu(MatMul(x, w1) + b1);
  Identity(Softmax(MatMul(h, w2)));
  return graph;
}

Graph TrainingStep() {
  Graph graph;
  Variable w(RandomUniform({6, 3}, kFloat32, 3), "w"), m(Zeros({6, 3}), "m");
  const GraphScope scope(graph);
  const Tensor x = Placeholder(kFloat32, {-1, 6}, "x");
  const Tensor labels = Placeholder(kInt32, {-1}, "labels");
  GradientTape tape;
  const Tensor loss = Mean(SparseSoftmaxCrossEntropyWithLogits(MatMul(x, w), labels));
  m.Assign(m * 0.9f + tape.Gradient(loss, w));
  w.AssignSub(m * 0.1f);
  Identity(loss);
  return graph;
}

Graph Shapes() {
  Graph graph;
  const GraphScope scope(graph);
  const Tensor x = Placeholder(kFloat64, {-1, 3, 4}, "x");
  const Tensor i = Placeholder(kInt64, {2}, "i");
  const Tensor s = Sum(x, {0, 2}, true), t = Transpose(x, {2, 0, 1});
  const Tensor r = Reshape(x, {-1, 6}), g = Gather(r, i, 1);
  Concat({Slice(r, {0, 1}, {-1, 3}), Slice(r, {0, 0}, {-1, 2}), Cast(g, kFloat64)}, 1);
  Select(s > 0.5, BroadcastTo(s, ShapeOf(s)), OnesLike(s));
  Prod(Max(t, {1}), {0}, true);
  ArgMax(x, 1);
  OneHot(i, 5);
  RandomNormal({3, 2}, kFloat64, 9) * Cast(Range(2), kFloat64);
  FloorMod(i, Constant(std::vector<int64_t>{3, 4}, {2}));
  return graph;
}

// ---- Reading and running ------------------------------------------------------------------------

int64_t PeakResidentBytes() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<int64_t>(usage.ru_maxrss) * 1024;
}

std::string ReadBytes(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return std::string(std::istreambuf_iterator<char>(in), {});
}
void WriteBytes(const std::string& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary).write(bytes.data(), std::ssize(bytes));
}

// A status that a file may lead to: Internal is kept for bugs of Duet, and says something.
void ExpectUserError(const absl::Status& status, const std::string& what) {
  EXPECT_NE(status.code(), absl::StatusCode::kInternal) << what << ": " << status;
  EXPECT_NE(status.code(), absl::StatusCode::kUnknown) << what << ": " << status;
  EXPECT_FALSE(status.message().empty()) << what;
}

// Feeds every placeholder zeros (unknown sizes are 2) and fetches what nothing else uses.
absl::Status RunAll(const Graph& graph) {
  SessionOptions options;
  options.num_threads = 1;
  options.memory_limit = kRunLimit;
  Session session(graph, options);
  Session::Feeds feeds;
  std::vector<bool> used(static_cast<size_t>(graph.size()), false);
  for (int i = 0; i < graph.size(); ++i) {
    const Node& node = graph.node(i);
    for (const NodeOutput& in : node.inputs) used[static_cast<size_t>(in.node)] = true;
    if (node.op->family != Family::kPlaceholder) continue;
    Shape shape = node.outputs[0].shape;
    int64_t elements = 1;
    for (int d = 0; d < shape.rank(); ++d) {
      if (shape.dim(d) < 0) shape.set_dim(d, 2);
      if (__builtin_mul_overflow(elements, shape.dim(d), &elements)) elements = kRunLimit;
      if (elements > kRunLimit / 64) return absl::OkStatus();  // the test has no such value
    }
    if (SizeOf(node.outputs[0].dtype) == 0) return absl::OkStatus();
    feeds.emplace_back(node.name, Zeros(shape, node.outputs[0].dtype));
  }
  std::vector<TensorRef> fetches;
  std::vector<std::string> targets;
  for (int i = 0; i < graph.size(); ++i) {
    const Node& node = graph.node(i);
    if (used[static_cast<size_t>(i)]) continue;
    if (node.outputs.empty()) {
      targets.push_back(node.name);
    } else if (node.outputs[0].dtype != kResource) {
      fetches.emplace_back(node.name);
    }
  }
  return session.Run(feeds, fetches, targets).status();
}

struct Form {
  const char* name;
  bool text;
  std::vector<std::string> files;
  std::function<absl::StatusOr<Graph>(const std::string& bytes)> read;
};

std::vector<Form> Forms() {
  const std::string folder = TempFolder();
  Form pb{"pb", false, {}, [](const std::string& bytes) { return ParseGraph(bytes); }};
  Form pbtxt{"pbtxt", true, {}, [folder](const std::string& bytes) {
               WriteBytes(folder + "/mutated.pbtxt", bytes);
               return ReadGraph(folder + "/mutated.pbtxt");
             }};
  Form text{"text", true, {}, [](const std::string& bytes) { return Graph::FromText(bytes); }};
  for (const Graph& graph : {MlpInference(), TrainingStep(), Shapes()}) {
    const auto bytes = SerializeGraph(graph);
    EXPECT_TRUE(bytes.ok()) << bytes.status();
    pb.files.push_back(*bytes);
    const std::string path = folder + "/valid.pbtxt";
    const absl::Status written = WriteGraph(graph, path);
    EXPECT_TRUE(written.ok()) << written;
    pbtxt.files.push_back(ReadBytes(path));
    text.files.push_back(graph.ToText());
  }
  return {pb, pbtxt, text};
}

struct Counts {
  int loaded = 0, ran = 0;
};

void ReadAndRun(const Form& form, const std::string& bytes, const std::string& what, Counts* n) {
  try {
    const absl::StatusOr<Graph> graph = form.read(bytes);
    if (!graph.ok()) return ExpectUserError(graph.status(), what);
    ++n->loaded;
    // What was read is a graph like any other: it prints, and reads back.
    EXPECT_TRUE(Graph::FromText(graph->ToText()).ok()) << what << "\n" << graph->ToText();
    const absl::Status ran = RunAll(*graph);
    n->ran += ran.ok();
    if (!ran.ok()) ExpectUserError(ran, what);
  } catch (const std::exception& e) {
    ADD_FAILURE() << what << " threw " << e.what();
  }
}

TEST(HostileFilesTest, ValidFilesLoadAndRun) {
  for (const Form& form : Forms()) {
    for (size_t i = 0; i < form.files.size(); ++i) {
      Counts n;
      ReadAndRun(form, form.files[i], Str(form.name, " ", i), &n);
      EXPECT_EQ(n.loaded, 1) << form.name << " " << i;
      // The variables of a loaded training step have no values yet.
      EXPECT_EQ(n.ran, i == 1 ? 0 : 1) << form.name << " " << i;
    }
  }
}

TEST(HostileFilesTest, MutatedGraphsGiveAStatus) {
  const std::vector<Form> forms = Forms();
  SetMemoryLimit(kProcessLimit);
  Counts n;
  const int64_t before = PeakResidentBytes();
  const long long one = FromEnvironment("DUET_TEST_SEED", -1);
  const long long mutations = FromEnvironment("DUET_TEST_MUTATIONS", kMutations);
  for (long long i = 0; i < mutations && !HasFailure(); ++i) {
    if (one >= 0 && i != one) continue;
    std::mt19937_64 random(static_cast<uint64_t>(i));
    const Form& form = forms[random() % forms.size()];
    const std::string& file = form.files[random() % form.files.size()];
    const std::string& other = form.files[random() % form.files.size()];
    const std::string what = Str(form.name, " DUET_TEST_SEED=", i);
    NameCase(what);
    ReadAndRun(form, Mutate(file, other, form.text, random), what, &n);
  }
  SetMemoryLimit(0);
  EXPECT_LT(PeakResidentBytes() - before, kProcessLimit);
  if (one >= 0) return;
  // Otherwise the mutations test nothing but the parsers' first lines.
  EXPECT_GT(n.loaded, mutations / 50);
  EXPECT_GT(n.ran, mutations / 200);
}

TEST(HostileFilesTest, EveryTruncationGivesAStatus) {
  for (const Form& form : Forms()) {
    for (const std::string& file : form.files) {
      const size_t step = file.size() / 150 + 1;
      for (size_t size = 0; size < file.size(); size += step) {
        const std::string what = Str(form.name, " cut to ", size, " bytes");
        NameCase(what);
        Counts n;
        ReadAndRun(form, file.substr(0, size), what, &n);
      }
    }
  }
}

// ---- Hostile on purpose -------------------------------------------------------------------------

void ExpectRefused(const std::string& text, absl::StatusCode code, const std::string& part) {
  NameCase(text.substr(0, 100));
  const auto graph = Graph::FromText(text);
  absl::Status status = graph.status();
  if (graph.ok()) status = RunAll(*graph);
  EXPECT_EQ(status.code(), code) << text << "\n" << status;
  EXPECT_NE(std::string(status.message()).find(part), std::string::npos) << status;
}

TEST(HostileFilesTest, SizesThatOverflowAreRefused) {
  using absl::StatusCode;
  ExpectRefused("x = Const() {value=float32[4294967296,4294967296]{0.0...}}\n",
                StatusCode::kInvalidArgument, "4294967296");
  ExpectRefused("x = Const() {value=float32[1099511627776]{0.0...}}\n",
                StatusCode::kResourceExhausted, "");
  ExpectRefused(
      "s = Const() {value=int64[2]{3037000500, 3037000500}}\n"
      "v = Const() {value=float32[]{1.0}}\n"
      "f = Fill(s, v)\n",
      StatusCode::kInvalidArgument, "");
  ExpectRefused(
      "s = Const() {value=int64[1]{100000000000}}\n"
      "v = Const() {value=float32[]{1.0}}\n"
      "f = Fill(s, v)\n",
      StatusCode::kResourceExhausted, "");
  ExpectRefused(
      "a = Const() {value=int64[]{0}}\n"
      "b = Const() {value=int64[]{9000000000000000000}}\n"
      "c = Const() {value=int64[]{1}}\n"
      "r = Range(a, b, c)\n",
      StatusCode::kInvalidArgument, "");
}

TEST(HostileFilesTest, DeepAttributesAreRefused) {
  std::string bytes;
  // An AttrValue whose list holds a function with an attribute, and so on, 5,000 deep.
  const auto wrap = [](int field, const std::string& inner) {
    std::string out(1, static_cast<char>(field << 3 | 2));
    for (size_t n = inner.size();; n >>= 7) {
      out += static_cast<char>((n & 0x7f) | (n > 0x7f ? 0x80 : 0));
      if (n <= 0x7f) break;
    }
    return out + inner;
  };
  std::string attr = std::string("\x18\x01");  // i: 1
  for (int depth = 0; depth < 5000; ++depth) {
    // AttrValue.func { name, attr { key, value } }
    attr = wrap(10, wrap(1, "f") + wrap(2, wrap(1, "a") + wrap(2, attr)));
  }
  const std::string node =
      wrap(1, "n") + wrap(2, "Identity") + wrap(5, wrap(1, "a") + wrap(2, attr));
  const auto graph = ParseGraph(wrap(1, node));
  ASSERT_FALSE(graph.ok());
  ExpectUserError(graph.status(), "deep attribute");
}

// ---- Arrays -------------------------------------------------------------------------------------

TEST(HostileFilesTest, MutatedArraysGiveAStatus) {
  const std::string path = TempFolder() + "/array.npy";
  std::vector<std::string> files;
  for (const Tensor& t : {RandomUniform({7, 5}, kFloat32, 1), Constant({1, 2, 3}), Constant(true),
                          Zeros({2, 0, 3}, kFloat64)}) {
    const absl::Status written = WriteNpy(t, path);
    ASSERT_TRUE(written.ok()) << written;
    files.push_back(ReadBytes(path));
  }
  SetMemoryLimit(kProcessLimit);
  int loaded = 0;
  for (int i = 0; i < kMutations / 2 && !HasFailure(); ++i) {
    std::mt19937_64 random(static_cast<uint64_t>(i));
    const std::string what = Str("npy ", i);
    NameCase(what);
    const std::string& file = files[random() % files.size()];
    WriteBytes(path, Mutate(file, files[random() % files.size()], true, random));
    try {
      const auto t = ReadNpy(path);
      loaded += t.ok();
      if (!t.ok()) ExpectUserError(t.status(), what);
      if (t.ok()) {
        EXPECT_FALSE(t->ToString().empty());
      }
    } catch (const std::exception& e) {
      ADD_FAILURE() << what << " threw " << e.what();
    }
  }
  SetMemoryLimit(0);
  EXPECT_GT(loaded, 100);
}

}  // namespace
}  // namespace duet::testing
