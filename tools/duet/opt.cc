#include <algorithm>

#include "absl/strings/str_join.h"
#include "compiler/pass.h"
#include "core/strings.h"
#include "tools/duet/commands.h"
#include "tools/duet/graph_file.h"
#include "tools/duet/table.h"

namespace duet::tool {
namespace {

absl::StatusOr<std::vector<compiler::Pass>> PassesCalled(const std::vector<std::string>& names) {
  std::vector<compiler::Pass> passes;
  for (const std::string& name : names) {
    const auto found = std::find_if(compiler::Pipeline().begin(), compiler::Pipeline().end(),
                                    [&](const compiler::Pass& pass) { return name == pass.name; });
    if (found == compiler::Pipeline().end()) {
      // The pipeline runs some passes twice.
      std::vector<std::string> known;
      for (const compiler::Pass& pass : compiler::Pipeline()) {
        if (std::find(known.begin(), known.end(), pass.name) == known.end()) {
          known.push_back(pass.name);
        }
      }
      return absl::NotFoundError(
          Str("no pass is called '", name, "'; there are ", absl::StrJoin(known, ", ")));
    }
    passes.push_back(*found);
  }
  return passes;
}

}  // namespace

absl::StatusOr<Json> Opt(const OptArgs& args) {
  DUET_ASSIGN_OR_RETURN(const std::vector<compiler::Pass> passes,
                        args.all ? compiler::Pipeline() : PassesCalled(args.passes));
  compiler::PassInput input;
  DUET_ASSIGN_OR_RETURN(input.graph, LoadGraph(args.in));
  DUET_ASSIGN_OR_RETURN(input.fetches, FetchesOf(input.graph, args.fetches));
  for (int32_t node : PlaceholdersOf(input.graph)) input.feeds.push_back({node, 0});
  input.targets = EffectsOf(input.graph);
  const int nodes_before = input.graph.size();
  compiler::PassOptions options;
  options.fast_math = args.fast_math;
  std::vector<compiler::PassReport> reports;
  DUET_ASSIGN_OR_RETURN(
      const compiler::PassInput output,
      compiler::RunPasses(passes, std::move(input), options, /*disabled=*/{}, &reports));
  DUET_RETURN_IF_ERROR(SaveGraph(output.graph, args.out));
  Json list = Json::array();
  for (const compiler::PassReport& report : reports) {
    list.push_back({{"name", report.name},
                    {"nodes_before", report.nodes_before},
                    {"nodes_after", report.nodes_after},
                    {"changed", report.changed},
                    {"disabled", report.disabled},
                    {"seconds", report.seconds}});
  }
  return Json{{"in", args.in},
              {"out", args.out},
              {"nodes_before", nodes_before},
              {"nodes_after", output.graph.size()},
              {"passes", list}};
}

void PrintOpt(const Json& report, std::ostream& out) {
  PrintPassTable(report["passes"], out);
  out << "\n"
      << report["out"].get<std::string>() << ": " << report["nodes_after"].get<int>() << " of "
      << Count(report["nodes_before"].get<int>(), "node") << "\n";
}

Json ListPasses() {
  Json list = Json::array();
  for (const compiler::Pass& pass : compiler::Pipeline()) {
    list.push_back({{"name", pass.name}, {"doc", pass.doc}});
  }
  return {{"passes", list}};
}

void PrintPasses(const Json& report, std::ostream& out) {
  Table table({"pass", "what it does"});
  for (const Json& pass : report["passes"]) table.Add({pass["name"], pass["doc"]});
  table.Print(out);
}

void PrintPassTable(const Json& passes, std::ostream& out) {
  Table table({"pass", "nodes before", "after", "time", ""});
  for (const Json& pass : passes) {
    table.Add({pass["name"], Str(pass["nodes_before"].get<int>()),
               Str(pass["nodes_after"].get<int>()), Seconds(pass["seconds"].get<double>()),
               pass["disabled"].get<bool>()  ? "disabled"
               : pass["changed"].get<bool>() ? "changed"
                                             : ""});
  }
  table.Print(out, {1, 2, 3});
}

}  // namespace duet::tool
