#include <algorithm>
#include <chrono>
#include <cmath>
#include <functional>
#include <optional>

#include "core/allocator.h"
#include "core/strings.h"
#include "duet.h"
#include "io/npy.h"
#include "tools/duet/commands.h"
#include "tools/duet/difference.h"
#include "tools/duet/eager_run.h"
#include "tools/duet/example_graphs.h"
#include "tools/duet/graph_file.h"
#include "tools/duet/table.h"

namespace duet::tool {
namespace {

using Clock = std::chrono::steady_clock;
using Values = std::vector<Tensor>;
using RunFn = std::function<absl::StatusOr<Values>()>;

constexpr double kMeasureSeconds = 0.4;
constexpr uint64_t kRandomSeed = 1;  // both modes draw the same numbers
constexpr int kMinRuns = 5, kMaxRuns = 20'000;

double SecondsSince(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

struct Measured {
  Values values;           // of the first run
  double first = 0;        // seconds of the first run, with all that it compiles
  double seconds = 0;      // median of the later runs
  int64_t peak_bytes = 0;  // of a later run, above what was there before
};

absl::StatusOr<Measured> Measure(const RunFn& run) {
  Measured measured;
  SetRandomSeed(kRandomSeed);
  Clock::time_point start = Clock::now();
  DUET_ASSIGN_OR_RETURN(measured.values, run());
  measured.first = SecondsSince(start);

  ResetPeakMemory();
  const int64_t before = GetMemoryStats().in_use;
  DUET_RETURN_IF_ERROR(run().status());
  measured.peak_bytes = GetMemoryStats().peak - before;

  std::vector<double> times;
  double total = 0;
  while (static_cast<int>(times.size()) < kMinRuns ||
         (total < kMeasureSeconds && static_cast<int>(times.size()) < kMaxRuns)) {
    start = Clock::now();
    DUET_RETURN_IF_ERROR(run().status());
    times.push_back(SecondsSince(start));
    total += times.back();
  }
  std::nth_element(times.begin(), times.begin() + times.size() / 2, times.end());
  measured.seconds = times[times.size() / 2];
  return measured;
}

absl::StatusOr<MadeGraph> GraphCalled(const std::string& name) {
  std::string known;
  for (const ExampleGraph& example : ExampleGraphs()) {
    AppendTo(&known, known.empty() ? "" : ", ", example.name);
    if (name == example.name) return example.make();
  }
  if (name.find('.') == std::string::npos && name.find('/') == std::string::npos) {
    return absl::NotFoundError(
        Str("no example is called '", name, "'; there are ", known, ", or name a graph file"));
  }
  DUET_ASSIGN_OR_RETURN(Graph graph, LoadGraph(name));
  return MadeGraph{std::move(graph), {}};
}

// Values of a spec whose unknown sizes are `batch`: floats of the standard normal distribution,
// integers 0 and 1, which are labels and indices of any range.
absl::StatusOr<Tensor> RandomValue(const ValueSpec& spec, int64_t batch, int64_t seed) {
  Shape shape = spec.shape;
  for (int d = 0; d < shape.rank(); ++d) {
    if (shape.dim(d) < 0) shape.set_dim(d, batch);
  }
  DUET_RETURN_IF_ERROR(shape.Validate());
  if (IsFloating(spec.dtype)) return RandomNormal(shape, spec.dtype, seed);
  if (spec.dtype == kBool) return RandomUniform(shape, kFloat32, seed) < 0.5f;
  return Cast(RandomUniform(shape, kFloat32, seed) * 2.0f, spec.dtype);
}

using NodeFeeds = std::vector<std::pair<int32_t, Tensor>>;

absl::StatusOr<NodeFeeds> FeedsOf(const Graph& graph, const CompareArgs& args) {
  NodeFeeds feeds;
  for (const std::string& text : args.feeds) {
    DUET_ASSIGN_OR_RETURN(const auto feed, SplitAssignment(text));
    DUET_ASSIGN_OR_RETURN(const NodeOutput output, graph.FindOutput(feed.first));
    if (graph.node(output.node).outputs.size() != 1) {
      return absl::InvalidArgumentError(Str(
          "'", feed.first, "' is one of several results of its node; only nodes with one are fed"));
    }
    DUET_ASSIGN_OR_RETURN(Tensor value, ReadNpy(feed.second));
    const ValueSpec& spec = graph.spec(output);
    if (value.dtype() != spec.dtype || !value.shape().IsCompatibleWith(spec.shape)) {
      return absl::InvalidArgumentError(
          Str(feed.second, " holds ", DescribeType(value.dtype(), value.shape()), ", and '",
              feed.first, "' is ", DescribeType(spec.dtype, spec.shape)));
    }
    feeds.emplace_back(output.node, std::move(value));
  }
  for (int32_t node : PlaceholdersOf(graph)) {
    if (std::any_of(feeds.begin(), feeds.end(), [&](const auto& f) { return f.first == node; })) {
      continue;
    }
    DUET_ASSIGN_OR_RETURN(Tensor value, RandomValue(graph.spec({node, 0}), args.batch, node + 1));
    feeds.emplace_back(node, std::move(value));
  }
  return feeds;
}

std::vector<TensorRef> Names(const Graph& graph, const std::vector<NodeOutput>& outputs) {
  std::vector<TensorRef> names;
  for (const NodeOutput& output : outputs) names.emplace_back(graph.OutputName(output));
  return names;
}

Session::Feeds SessionFeeds(const Graph& graph, const NodeFeeds& feeds) {
  Session::Feeds named;
  for (const auto& [node, value] : feeds) named.emplace_back(graph.node(node).name, value);
  return named;
}

Json UlpReport(uint64_t ulp) { return ulp == kFarthest ? Json(nullptr) : Json(ulp); }

Json DifferenceReport(const Graph& graph, NodeOutput output, const Tensor& value,
                      const Difference& difference) {
  const Location location = graph.node(output.node).location;
  return {{"name", graph.OutputName(output)},
          {"op", graph.node(output.node).op->name},
          {"type", DescribeType(value.dtype(), value.shape())},
          {"location", location.known() ? Json(location.ToString()) : Json(nullptr)},
          {"bits_equal", difference.same_bits()},
          {"max_ulp", UlpReport(difference.max_ulp)},
          {"element", difference.same_bits() ? Json(nullptr) : Json(difference.position)}};
}

// The first node, in the graph's order, whose value differs between the modes when all are fetched;
// null if none does.
absl::StatusOr<Json> FirstDifference(const Graph& graph, const NodeFeeds& feeds,
                                     const std::vector<NodeOutput>& fetches,
                                     const SessionOptions& options) {
  std::vector<bool> needed(graph.size(), false), fed(graph.size(), false);
  for (const NodeOutput& fetch : fetches) needed[fetch.node] = true;
  for (const auto& [node, value] : feeds) fed[node] = true;
  for (int32_t i = graph.size() - 1; i >= 0; --i) {
    if (!needed[i] || fed[i]) continue;
    for (const NodeOutput& input : graph.node(i).inputs) needed[input.node] = true;
  }
  std::vector<NodeOutput> all;
  for (int32_t i = 0; i < graph.size(); ++i) {
    if (!needed[i] || fed[i] || graph.node(i).op->family == Family::kConstant) continue;
    for (int o = 0; o < static_cast<int>(graph.node(i).outputs.size()); ++o) all.push_back({i, o});
  }
  DUET_ASSIGN_OR_RETURN(const EagerRun eager, EagerRun::Create(graph, feeds, all));
  SetRandomSeed(kRandomSeed);
  DUET_ASSIGN_OR_RETURN(const Values expected, eager.Run());
  SetRandomSeed(kRandomSeed);
  Session session(graph, options);
  DUET_ASSIGN_OR_RETURN(const Values found,
                        session.Run(SessionFeeds(graph, feeds), Names(graph, all), {}, Location()));
  for (size_t i = 0; i < all.size(); ++i) {
    const Difference difference = DifferenceOf(expected[i], found[i]);
    if (!difference.same_bits()) return DifferenceReport(graph, all[i], found[i], difference);
  }
  return Json(nullptr);
}

}  // namespace

absl::StatusOr<Json> Compare(const CompareArgs& args) try {
  if (args.batch < 0) return absl::InvalidArgumentError("--batch is negative");
  DUET_ASSIGN_OR_RETURN(const MadeGraph made, GraphCalled(args.graph));
  const Graph& graph = made.graph;
  DUET_ASSIGN_OR_RETURN(const std::vector<NodeOutput> fetches,
                        FetchesOf(graph, args.fetches.empty() ? made.fetches : args.fetches));
  DUET_ASSIGN_OR_RETURN(const NodeFeeds feeds, FeedsOf(graph, args));

  DUET_ASSIGN_OR_RETURN(const EagerRun eager_run, EagerRun::Create(graph, feeds, fetches));
  DUET_ASSIGN_OR_RETURN(const Measured eager, Measure([&] { return eager_run.Run(); }));
  Session session(graph, args.options);
  const Session::Feeds named = SessionFeeds(graph, feeds);
  const std::vector<TensorRef> names = Names(graph, fetches);
  DUET_ASSIGN_OR_RETURN(const Measured recorded,
                        Measure([&] { return session.Run(named, names, {}, Location()); }));

  Json results = Json::array();
  uint64_t max_ulp = 0;
  bool bits_equal = true;
  for (size_t i = 0; i < fetches.size(); ++i) {
    const Difference difference = DifferenceOf(eager.values[i], recorded.values[i]);
    max_ulp = std::max(max_ulp, difference.max_ulp);
    bits_equal = bits_equal && difference.same_bits();
    results.push_back(DifferenceReport(graph, fetches[i], recorded.values[i], difference));
  }
  DUET_ASSIGN_OR_RETURN(Json first, FirstDifference(graph, feeds, fetches, args.options));

  // What the first run of the graph costs more than a later one pays back by this many runs.
  const double compile = std::max(recorded.first - recorded.seconds, 0.0);
  const double gain = eager.seconds - recorded.seconds;
  Json inputs = Json::array();
  for (const auto& [node, value] : feeds) {
    inputs.push_back(
        {{"name", graph.node(node).name}, {"type", DescribeType(value.dtype(), value.shape())}});
  }
  return Json{
      {"graph", args.graph},
      {"nodes", graph.size()},
      {"feeds", inputs},
      {"eager", {{"seconds_per_run", eager.seconds}, {"peak_bytes", eager.peak_bytes}}},
      {"recorded", {{"seconds_per_run", recorded.seconds}, {"peak_bytes", recorded.peak_bytes}}},
      {"speedup", eager.seconds / recorded.seconds},
      {"compile_seconds", compile},
      {"break_even_runs", gain > 0 ? Json(std::ceil(compile / gain)) : Json(nullptr)},
      {"bits_equal", bits_equal},
      {"max_ulp", UlpReport(max_ulp)},
      {"fetches", results},
      {"first_difference", first},
      {"stats", StatsReport(session.stats())}};
} catch (const Error& error) {
  return error.status();
}

void PrintCompare(const Json& report, std::ostream& out) {
  const auto ulp = [](const Json& v) {
    return v.is_null() ? std::string("NaN beside a number") : Str(v.get<uint64_t>());
  };
  out << report["graph"].get<std::string>() << ": " << Count(report["nodes"].get<int>(), "node");
  for (const Json& feed : report["feeds"]) {
    out << ", " << feed["name"].get<std::string>() << " = " << feed["type"].get<std::string>();
  }
  out << "\n\n";
  const Json& stats = report["stats"];
  Table table({"", "eager", "graph"});
  table.Add({"time per run", Seconds(report["eager"]["seconds_per_run"].get<double>()),
             Seconds(report["recorded"]["seconds_per_run"].get<double>())});
  table.Add({"memory", Bytes(report["eager"]["peak_bytes"].get<int64_t>()),
             Bytes(report["recorded"]["peak_bytes"].get<int64_t>())});
  table.Add({"compile time", "", Seconds(report["compile_seconds"].get<double>())});
  table.Add({"kernels compiled", "", Str(stats["kernels_compiled"].get<int64_t>())});
  table.Add({"kernels from cache", "", Str(stats["cache_hits"].get<int64_t>())});
  table.Add({"break-even", "",
             report["break_even_runs"].is_null()
                 ? "never"
                 : Count(static_cast<int64_t>(report["break_even_runs"].get<double>()), "run")});
  table.Print(out, {1, 2});
  out << "\n";
  Table fetches({"fetch", "type", "bits equal", "largest difference in ULP"});
  for (const Json& fetch : report["fetches"]) {
    fetches.Add({fetch["name"], fetch["type"], fetch["bits_equal"].get<bool>() ? "yes" : "no",
                 ulp(fetch["max_ulp"])});
  }
  fetches.Print(out, {3});
  const Json& first = report["first_difference"];
  out << "\nfirst differing node: ";
  if (first.is_null()) {
    out << (report["bits_equal"].get<bool>() ? "none" : "none when all nodes are fetched") << "\n";
  } else {
    out << first["name"].get<std::string>() << " (" << first["op"].get<std::string>()
        << "), element " << first["element"].get<int64_t>() << ", " << ulp(first["max_ulp"])
        << " ULP";
    if (!first["location"].is_null()) out << ", " << first["location"].get<std::string>();
    out << "\n";
  }
}

}  // namespace duet::tool
