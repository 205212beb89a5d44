// The environment variables of Duet, declared once, in one table (flags.cc). 0 or empty means off.
#ifndef DUET_CORE_FLAGS_H_
#define DUET_CORE_FLAGS_H_

#include <string>
#include <string_view>
#include <vector>

namespace duet {

struct Flag {
  const char* name;      // "DUET_DUMP_TO"
  const char* fallback;  // used when the variable is not set
  const char* doc;
};
// All of them, for --help and docs.
const std::vector<Flag>& AllFlags();

// The value of a flag in the table; InternalError for a name that is not in it. Read at each call.
std::string FlagValue(std::string_view name);
// Comma-separated list.
std::vector<std::string> FlagList(std::string_view name);
bool FlagOn(std::string_view name);  // not empty, not "0"

}  // namespace duet

#endif  // DUET_CORE_FLAGS_H_
