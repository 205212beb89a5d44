#include "core/error.h"

#include <set>
#include <utility>

#include <mutex>
#include "absl/strings/cord.h"
#include "core/strings.h"

namespace duet {
namespace {

constexpr char kLocationUrl[] = "duet/location";

}  // namespace

std::string Location::ToString() const { return known() ? Str(file, ":", line) : ""; }

Location Location::Intern(std::string_view file, uint32_t line) {
  static constinit std::mutex mutex;
  static auto* names = new std::set<std::string, std::less<>>;
  const std::lock_guard lock(mutex);
  auto it = names->find(file);
  if (it == names->end()) it = names->emplace(file).first;
  return Location(it->c_str(), line);
}

Error::Error(absl::Status status, Location location)
    : status_(std::move(status)), location_(location), text_(status_.message()) {}

InternalError::InternalError(std::string_view message, std::source_location where)
    : text_(Str("internal error in Duet: ", message, " (", where.file_name(), ":", where.line(),
                "). This is a bug of Duet, not of your program: please report it with "
                "this message and the graph that DUET_DUMP_TO=<folder> writes.")) {}

absl::Status Annotate(const absl::Status& status, std::string_view op, Location location) {
  if (status.ok() || HasLocation(status)) return status;
  std::string text;
  if (location.known()) AppendTo(&text, location.ToString(), ": ");
  if (!op.empty()) AppendTo(&text, op, ": ");
  AppendTo(&text, status.message());
  absl::Status out(status.code(), text);
  if (location.known()) out.SetPayload(kLocationUrl, absl::Cord(location.ToString()));
  return out;
}

bool HasLocation(const absl::Status& status) { return status.GetPayload(kLocationUrl).has_value(); }

void ThrowError(const absl::Status& status, std::string_view op, Location location) {
  throw Error(Annotate(status, op, location), location);
}

}  // namespace duet
