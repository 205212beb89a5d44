#include "core/flags.h"

#include <cstdlib>

#include "absl/strings/str_split.h"
#include "core/error.h"

namespace duet {

const std::vector<Flag>& AllFlags() {
  static const auto* flags = new std::vector<Flag>{
      {"DUET_CACHE_DIR", "",
       "folder of the on-disk kernel cache; default: duet in XDG_CACHE_HOME or ~/.cache"},
      {"DUET_CACHE", "1", "0 turns the on-disk kernel cache off"},
      {"DUET_CACHE_MB", "256", "largest size of the on-disk kernel cache in MiB"},
      {"DUET_PREBUILT", "1", "0 ignores the kernels that were built with the library"},
      {"DUET_DISABLE_PASSES", "", "comma-separated names of passes that do not run"},
      {"DUET_DUMP_TO", "", "folder that receives the graph, as text, after every changing pass"},
      {"DUET_TIME_PASSES", "0", "1 prints the time of every pass to standard error"},
      {"DUET_NUM_THREADS", "0", "threads of the CPU device; 0 takes the number of cores"},
  };
  return *flags;
}

std::string FlagValue(std::string_view name) {
  for (const Flag& flag : AllFlags()) {
    if (name != flag.name) continue;
    const char* value = std::getenv(flag.name);
    return value != nullptr ? value : flag.fallback;
  }
  throw InternalError("a flag that is not in the table");
}

std::vector<std::string> FlagList(std::string_view name) {
  return absl::StrSplit(FlagValue(name), ',', absl::SkipEmpty());
}

bool FlagOn(std::string_view name) {
  const std::string value = FlagValue(name);
  return !value.empty() && value != "0";
}

}  // namespace duet
