// The `duet` command. Subcommands are in commands.h; here are their arguments and how errors end.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdlib>
#include <iostream>
#include <new>

#include "absl/strings/str_join.h"
#include "core/flags.h"
#include "core/strings.h"
#include "tools/duet/commands.h"
#include "tools/duet/example_graphs.h"
#include "tools/duet/table.h"

namespace duet::tool {
namespace {

constexpr int kUserError = 1;
constexpr int kInternalError = 70;  // EX_SOFTWARE

std::string FlagTable() {
  std::ostringstream out;
  out << "Environment (set = the value without it):\n";
  Table table({"  variable", "set", "what it does"});
  for (const Flag& flag : AllFlags()) table.Add({Str("  ", flag.name), flag.fallback, flag.doc});
  table.Print(out);
  return out.str();
}

std::string ExampleTable() {
  std::ostringstream out;
  out << "Examples:\n";
  Table table({"  name", "what it is"});
  for (const ExampleGraph& e : ExampleGraphs()) table.Add({Str("  ", e.name), e.doc});
  table.Print(out);
  return out.str();
}

// Errors are one line, whatever a file's content put into them.
int Fail(std::string message, int code) {
  for (char& c : message) {
    if (static_cast<unsigned char>(c) < ' ') c = ' ';
  }
  std::cerr << "duet: " << message << std::endl;
  return code;
}

int Finish(const absl::StatusOr<Json>& report, bool json,
           void (*print)(const Json&, std::ostream&)) {
  if (!report.ok()) {
    return Fail(
        std::string(report.status().message()),
        report.status().code() == absl::StatusCode::kInternal ? kInternalError : kUserError);
  }
  if (json) {
    // Names and files may hold bytes that are not UTF-8, which JSON text cannot.
    std::cout << report->dump(2, ' ', false, Json::error_handler_t::replace) << "\n";
  } else {
    print(*report, std::cout);
  }
  std::cout.flush();
  return std::cout ? 0 : Fail("cannot write to standard output", kUserError);
}

void AddFetches(CLI::App* command, std::vector<std::string>* fetches) {
  command->add_option("--fetch", *fetches, "a result, as 'y' or 'y:0' (default: what no node uses)")
      ->type_name("NAME")
      ->allow_extra_args(false);
}

void AddRunOptions(CLI::App* command, std::vector<std::string>* feeds, SessionOptions* options) {
  command->add_option("--feed", *feeds, "the value of a placeholder, from a .npy file")
      ->type_name("NAME=FILE")
      ->allow_extra_args(false);
  command->add_option("--threads", options->num_threads, "threads (0: one a core)")
      ->check(CLI::Range(0, 4096));
  command->add_option("--disable-passes", options->disabled_passes, "passes that do not run")
      ->type_name("PASS,...")
      ->delimiter(',')
      ->allow_extra_args(false);
  command->add_flag("--fast-math", options->fast_math, "may contract and reassociate: other bits");
  command
      ->add_option("--memory-limit", options->memory_limit,
                   "bytes a run may use for values; refused above (0: no limit)")
      ->check(CLI::NonNegativeNumber);
}

int Main(int argc, char** argv) {
  CLI::App app("Shows, optimises, runs and compares graphs.", "duet");
  app.require_subcommand(1);
  app.footer(
      "\nGraph files end in .pb (protobuf), .pbtxt (protobuf text) or .txt (Duet's text "
      "form).\n\n" +
      FlagTable());
  bool json = false;
  const auto add = [&](const char* name, const char* doc) {
    CLI::App* command = app.add_subcommand(name, doc);
    command->add_flag("--json", json, "print the report as JSON");
    return command;
  };

  ShowArgs show_args;
  CLI::App* show = add("show", "Print a graph: its nodes, parameters and text form");
  show->footer(
      "\nIn the text form long constants are cut; --json and opt --passes=verify give all.");
  show->add_option("FILE", show_args.file, "a graph file")->required();

  OptArgs opt_args;
  bool list_passes = false;
  CLI::App* opt = add("opt", "Run passes over a graph and write the result");
  CLI::Option* passes = opt->add_option("--passes", opt_args.passes,
                                        "run these, in this order (default: all, in theirs)")
                            ->type_name("PASS,...")
                            ->delimiter(',')
                            ->allow_extra_args(false);
  opt->add_flag("--list-passes", list_passes, "list the passes, in the order they run");
  opt->add_flag("--fast-math", opt_args.fast_math, "may contract and reassociate: other bits");
  AddFetches(opt, &opt_args.fetches);
  opt->add_option("IN", opt_args.in, "a graph file");
  opt->add_option("OUT", opt_args.out, "the graph file to write");

  RunArgs run_args;
  CLI::App* run = add("run", "Run a graph on .npy files");
  run->add_option("FILE", run_args.file, "a graph file")->required();
  AddRunOptions(run, &run_args.feeds, &run_args.options);
  AddFetches(run, &run_args.fetches);
  run->add_option("--out", run_args.outs, "the .npy file of each result, in the order of --fetch")
      ->type_name("FILE")
      ->allow_extra_args(false);

  CompareArgs compare_args;
  CLI::App* compare = add("compare", "Run a graph eagerly and as a graph: time, memory, bits");
  compare->add_option("GRAPH", compare_args.graph, "a graph file, or the name of an example")
      ->required();
  AddRunOptions(compare, &compare_args.feeds, &compare_args.options);
  AddFetches(compare, &compare_args.fetches);
  compare->add_option("--batch", compare_args.batch, "unknown sizes of what is not fed")
      ->capture_default_str();
  compare->footer("\n" + ExampleTable());

  // CLI11 would only say that one is missing.
  if (argc > 1 && argv[1][0] != '-') {
    std::vector<std::string> names;
    for (const CLI::App* command : app.get_subcommands({})) names.push_back(command->get_name());
    if (std::find(names.begin(), names.end(), argv[1]) == names.end()) {
      return Fail(
          Str("no subcommand is called '", argv[1], "'; there are ", absl::StrJoin(names, ", ")),
          kUserError);
    }
  }
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& help) {
    return app.exit(help);
  } catch (const CLI::ParseError& error) {
    return Fail(Str(error.what(), "; duet --help says what there is"), kUserError);
  }
  if (*show) return Finish(Show(show_args), json, PrintShow);
  if (*run) return Finish(Run(run_args), json, PrintRun);
  if (*compare) {
    // The threads of eager calls are the device's, which reads this when it starts.
    if (compare_args.options.num_threads > 0) {
      ::setenv("DUET_NUM_THREADS", Str(compare_args.options.num_threads).c_str(), 1);
    }
    return Finish(Compare(compare_args), json, PrintCompare);
  }
  if (list_passes) return Finish(ListPasses(), json, PrintPasses);
  if (opt_args.in.empty() || opt_args.out.empty()) {
    return Fail("opt takes two files, IN and OUT, or --list-passes", kUserError);
  }
  opt_args.all = passes->count() == 0;
  return Finish(Opt(opt_args), json, PrintOpt);
}

}  // namespace
}  // namespace duet::tool

int main(int argc, char** argv) {
  using duet::tool::Fail;
  try {
    return duet::tool::Main(argc, argv);
  } catch (const duet::Error& error) {
    return Fail(error.what(), duet::tool::kUserError);
  } catch (const std::bad_alloc&) {
    return Fail("out of memory", duet::tool::kUserError);
  } catch (const std::exception& error) {
    return Fail(error.what(), duet::tool::kInternalError);
  }
}
