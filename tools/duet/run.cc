#include <algorithm>
#include <chrono>

#include "compiler/prune.h"
#include "core/strings.h"
#include "io/npy.h"
#include "tools/duet/commands.h"
#include "tools/duet/graph_file.h"
#include "tools/duet/table.h"

namespace duet::tool {

Json StatsReport(const SessionStats& stats) {
  Json passes = Json::array();
  for (const PassStats& pass : stats.passes) {
    passes.push_back({{"name", pass.name},
                      {"nodes_before", pass.nodes_before},
                      {"nodes_after", pass.nodes_after},
                      {"changed", pass.changed},
                      {"disabled", pass.disabled},
                      {"seconds", pass.seconds}});
  }
  return {{"kernels_compiled", stats.kernels_compiled},
          {"cache_hits", stats.cache_hits},
          {"compile_seconds", stats.compile_seconds},
          {"plan_seconds", stats.plan_seconds},
          {"kernels_in_plan", stats.kernels_in_plan},
          {"planned_bytes", stats.planned_bytes},
          {"liveness_bytes", stats.liveness_bytes},
          {"peak_bytes", stats.peak_bytes},
          {"passes", passes}};
}

absl::StatusOr<Json> Run(const RunArgs& args) {
  DUET_ASSIGN_OR_RETURN(const Graph graph, LoadGraph(args.file));
  DUET_ASSIGN_OR_RETURN(const std::vector<NodeOutput> outputs, FetchesOf(graph, args.fetches));
  if (!args.outs.empty() && args.outs.size() != outputs.size()) {
    return absl::InvalidArgumentError(Str(Count(static_cast<int64_t>(args.outs.size()), "file"),
                                          " for ", outputs.size(),
                                          " results; name one --out for each --fetch"));
  }
  Session::Feeds feeds;
  std::vector<std::string> fed_names;
  for (const std::string& text : args.feeds) {
    DUET_ASSIGN_OR_RETURN(const auto feed, SplitAssignment(text));
    DUET_ASSIGN_OR_RETURN(const NodeOutput fed, graph.FindOutput(feed.first));
    fed_names.push_back(graph.node(fed.node).name);
    DUET_ASSIGN_OR_RETURN(Tensor value, ReadNpy(feed.second));
    feeds.emplace_back(feed.first, std::move(value));
  }
  DUET_ASSIGN_OR_RETURN(const compiler::PassInput needed,
                        compiler::Prune({.graph = graph, .fetches = outputs}, {}));
  for (int32_t node : PlaceholdersOf(needed.graph)) {
    const std::string& name = needed.graph.node(node).name;
    if (std::find(fed_names.begin(), fed_names.end(), name) != fed_names.end()) continue;
    const ValueSpec& spec = needed.graph.spec({node, 0});
    return absl::InvalidArgumentError(Str("what is fetched depends on \"", name, "\" (",
                                          DescribeType(spec.dtype, spec.shape),
                                          "), which was not fed; add --feed ", name, "=FILE.npy"));
  }
  std::vector<TensorRef> fetches;
  for (const NodeOutput& output : outputs) fetches.emplace_back(graph.OutputName(output));

  Session session(graph, args.options);
  const auto start = std::chrono::steady_clock::now();
  DUET_ASSIGN_OR_RETURN(const std::vector<Tensor> values,
                        session.Run(feeds, fetches, {}, Location()));
  const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - start;

  Json results = Json::array();
  for (size_t i = 0; i < values.size(); ++i) {
    Json result = {{"name", graph.OutputName(outputs[i])},
                   {"type", DescribeType(values[i].dtype(), values[i].shape())},
                   {"value", values[i].ValueString()}};
    if (!args.outs.empty()) {
      DUET_RETURN_IF_ERROR(WriteNpy(values[i], args.outs[i]));
      result["file"] = args.outs[i];
    }
    results.push_back(std::move(result));
  }
  return Json{
      {"results", results}, {"seconds", elapsed.count()}, {"stats", StatsReport(session.stats())}};
}

void PrintRun(const Json& report, std::ostream& out) {
  for (const Json& result : report["results"]) {
    out << result["name"].get<std::string>() << " = " << result["type"].get<std::string>();
    if (result.contains("file")) {
      out << " -> " << result["file"].get<std::string>() << "\n";
    } else {
      out << "\n" << result["value"].get<std::string>() << "\n";
    }
  }
  const Json& stats = report["stats"];
  out << "\n";
  PrintPassTable(stats["passes"], out);
  out << "\n"
      << Seconds(report["seconds"].get<double>()) << ", of which "
      << Seconds(stats["plan_seconds"].get<double>()) << " planning and "
      << Seconds(stats["compile_seconds"].get<double>()) << " compiling; "
      << Count(stats["kernels_in_plan"].get<int64_t>(), "kernel") << ", "
      << stats["kernels_compiled"].get<int64_t>() << " compiled, "
      << stats["cache_hits"].get<int64_t>() << " from the cache; at most "
      << Bytes(stats["peak_bytes"].get<int64_t>()) << "\n";
}

}  // namespace duet::tool
