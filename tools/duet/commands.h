// The subcommands. Each computes a report as JSON, which `--json` prints as it is; without it the
// Print function beside it prints the same facts for people.
#ifndef DUET_TOOLS_DUET_COMMANDS_H_
#define DUET_TOOLS_DUET_COMMANDS_H_

#include <nlohmann/json.hpp>
#include <ostream>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "runtime/session.h"

namespace duet::tool {

using Json = nlohmann::ordered_json;  // keeps the order in which keys were added

struct ShowArgs {
  std::string file;
};
absl::StatusOr<Json> Show(const ShowArgs& args);
void PrintShow(const Json& report, std::ostream& out);

struct OptArgs {
  std::string in, out;
  bool all = true;                  // the whole pipeline, else `passes`
  std::vector<std::string> passes;  // run in the order given
  std::vector<std::string> fetches;
  bool fast_math = false;
};
absl::StatusOr<Json> Opt(const OptArgs& args);
void PrintOpt(const Json& report, std::ostream& out);
Json ListPasses();
void PrintPasses(const Json& report, std::ostream& out);

struct RunArgs {
  std::string file;
  std::vector<std::string> feeds, fetches, outs;
  SessionOptions options;
};
absl::StatusOr<Json> Run(const RunArgs& args);
void PrintRun(const Json& report, std::ostream& out);

struct CompareArgs {
  std::string graph;  // a file, or the name of an example
  std::vector<std::string> feeds, fetches;
  int64_t batch = 8;  // for unknown sizes
  SessionOptions options;
};
absl::StatusOr<Json> Compare(const CompareArgs& args);
void PrintCompare(const Json& report, std::ostream& out);

// For run and compare: {"kernels_compiled": 3, ..., "passes": [{"name": "cse", ...}]}.
Json StatsReport(const SessionStats& stats);
void PrintPassTable(const Json& passes, std::ostream& out);

}  // namespace duet::tool

#endif  // DUET_TOOLS_DUET_COMMANDS_H_
