// The recipe, and what runs it.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <system_error>
#include <utility>

#include "absl/strings/str_join.h"
#include "compiler/constant_folding.h"
#include "compiler/cse.h"
#include "compiler/fusion.h"
#include "compiler/inline.h"
#include "compiler/pass.h"
#include "compiler/prune.h"
#include "compiler/simplify.h"
#include "compiler/verify.h"
#include "core/flags.h"
#include "core/strings.h"

namespace duet::compiler {

const std::vector<Pass>& Pipeline() {
  static const auto* recipe = new std::vector<Pass>{
      // A graph may come from a file or a text: nothing below looks at one that was not checked.
      {"verify", &Verify, "checks every node against its op's rule"},
      // First of those that change, so that the others look only at what this run needs.
      {"prune", &Prune, "drops what no fetch and no target needs"},
      // Before the passes that find equal and constant nodes: these look inside of composites.
      {"inline", &Inline, "replaces composite ops by the ops they are made of"},
      // Before folding, so that each value is computed once; bodies repeat each other's shapes and
      // constants.
      {"cse", &Cse, "merges nodes that compute the same value"},
      // Before simplification, whose rules look for constants.
      {"constant_folding", &ConstantFolding, "computes now what depends on constants alone"},
      {"simplify", &Simplify, "rewrites by identities that keep every bit"},
      // Rewriting by identities makes equal nodes, and new constants' parents.
      {"cse", &Cse, "merges nodes that compute the same value"},
      // What was folded and forwarded is dead now; fusion must not write outputs that nobody reads.
      {"prune", &Prune, "drops what no fetch and no target needs"},
      // Last: it fixes the order of the nodes, and no pass after it could keep groups whole.
      {"fusion", &Fusion, "joins nodes into kernels"},
  };
  return *recipe;
}

namespace {

bool SameEnds(const PassInput& a, const PassInput& b) {
  return a.feeds == b.feeds && a.fetches == b.fetches && a.targets == b.targets;
}

// Writes the graph as text; a folder that cannot be written to is reported once, on standard error,
// and does not stop the run.
void Dump(const std::string& folder, int number, std::string_view name, const PassInput& input) {
  if (folder.empty()) return;
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  const std::string path = Str(folder, "/", number < 10 ? "0" : "", number, "_", name, ".txt");
  std::ofstream out(path, std::ios::binary | std::ios::trunc);
  const auto names = [&](const std::vector<NodeOutput>& outputs) {
    return absl::StrJoin(
        outputs, " ", [&](std::string* s, NodeOutput o) { s->append(input.graph.OutputName(o)); });
  };
  out << "# feeds: " << names(input.feeds) << "\n# fetches: " << names(input.fetches) << "\n";
  for (int32_t t : input.targets) out << "# target: " << input.graph.node(t).name << "\n";
  out << input.graph.ToText();
  if (!out.flush()) std::fprintf(stderr, "duet: cannot write %s\n", path.c_str());
}

absl::Status CheckNames(const std::vector<Pass>& passes, const std::vector<std::string>& disabled) {
  for (const std::string& name : disabled) {
    const auto is_it = [&](const Pass& pass) { return name == pass.name; };
    if (std::any_of(passes.begin(), passes.end(), is_it)) continue;
    std::vector<std::string> known;
    for (const Pass& pass : passes) {
      if (std::find(known.begin(), known.end(), pass.name) == known.end()) {
        known.emplace_back(pass.name);
      }
    }
    return absl::InvalidArgumentError(
        Str("there is no pass \"", name, "\"; the passes are ", absl::StrJoin(known, ", ")));
  }
  return absl::OkStatus();
}

// Runs one pass and checks what it made. Errors of the pass itself keep their code.
absl::StatusOr<PassInput> RunOne(const Pass& pass, const PassInput& input,
                                 const PassOptions& options, bool* changed) {
  DUET_ASSIGN_OR_RETURN(PassInput result, pass.run(input, options));
  *changed = !SameEnds(input, result) || !SameGraph(input.graph, result.graph);
  if (!*changed) return input;
  absl::Status status = VerifyGraph(result);
  if (status.ok()) status = VerifyEnds(input, result);
  if (status.ok()) return result;
  return absl::InternalError(Str("pass \"", pass.name,
                                 "\" broke the graph: ", FromAbsl(status.message()),
                                 "; this is a bug of Duet, disable the pass to go on "
                                 "(DUET_DISABLE_PASSES=",
                                 pass.name, ") and please report it"));
}

}  // namespace

absl::StatusOr<PassInput> RunPasses(const std::vector<Pass>& passes, PassInput input,
                                    const PassOptions& options,
                                    const std::vector<std::string>& disabled,
                                    std::vector<PassReport>* reports) {
  std::vector<std::string> off = disabled;
  for (std::string& name : FlagList("DUET_DISABLE_PASSES")) off.push_back(std::move(name));
  // The names in the flag are of the recipe's passes; a shorter list of passes may lack some.
  DUET_RETURN_IF_ERROR(CheckNames(passes, disabled));
  DUET_RETURN_IF_ERROR(CheckNames(Pipeline(), FlagList("DUET_DISABLE_PASSES")));
  const std::string dump_to = FlagValue("DUET_DUMP_TO");
  const bool print_times = FlagOn("DUET_TIME_PASSES");
  Dump(dump_to, 0, "input", input);
  DUET_ASSIGN_OR_RETURN(input, CutFeeds(input));
  int number = 0;
  for (const Pass& pass : passes) {
    ++number;
    PassReport report{.name = pass.name, .nodes_before = input.graph.size()};
    report.disabled = std::find(off.begin(), off.end(), pass.name) != off.end();
    if (!report.disabled) {
      const auto start = std::chrono::steady_clock::now();
      auto result = RunOne(pass, input, options, &report.changed);
      report.seconds =
          std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
      if (!result.ok()) return result.status();
      input = *std::move(result);
      if (report.changed) Dump(dump_to, number, pass.name, input);
      if (print_times) {
        std::fprintf(stderr, "duet: pass %-16s %8.3f ms, %d -> %d nodes\n", pass.name,
                     report.seconds * 1e3, report.nodes_before, input.graph.size());
      }
    }
    report.nodes_after = input.graph.size();
    if (reports != nullptr) reports->push_back(std::move(report));
  }
  return input;
}

absl::StatusOr<PassInput> RunPipeline(PassInput input, const PassOptions& options,
                                      const std::vector<std::string>& disabled,
                                      std::vector<PassReport>* reports) {
  return RunPasses(Pipeline(), std::move(input), options, disabled, reports);
}

}  // namespace duet::compiler
