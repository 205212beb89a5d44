#include "core/error.h"

#include <set>
#include <utility>

#include "absl/base/const_init.h"
#include "absl/strings/cord.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"

namespace duet {
namespace {

constexpr char kLocationUrl[] = "duet/location";

}  // namespace

std::string Location::ToString() const { return known() ? absl::StrCat(file, ":", line) : ""; }

Location Location::Intern(std::string_view file, uint32_t line) {
  static absl::Mutex mutex(absl::kConstInit);
  static auto* names = new std::set<std::string, std::less<>>;
  absl::MutexLock lock(&mutex);
  auto it = names->find(file);
  if (it == names->end()) it = names->emplace(file).first;
  return Location(it->c_str(), line);
}

Error::Error(absl::Status status, Location location)
    : status_(std::move(status)), location_(location), text_(status_.message()) {}

InternalError::InternalError(std::string_view message, std::source_location where)
    : text_(absl::StrCat("internal error in Duet: ", message, " (", where.file_name(), ":",
                         where.line(),
                         "). This is a bug of Duet, not of your program: please report it with "
                         "this message and the graph that DUET_DUMP_TO=<folder> writes.")) {}

absl::Status Annotate(const absl::Status& status, std::string_view op, Location location) {
  if (status.ok() || HasLocation(status)) return status;
  std::string text;
  if (location.known()) absl::StrAppend(&text, location.ToString(), ": ");
  if (!op.empty()) absl::StrAppend(&text, op, ": ");
  absl::StrAppend(&text, status.message());
  absl::Status out(status.code(), text);
  if (location.known()) out.SetPayload(kLocationUrl, absl::Cord(location.ToString()));
  return out;
}

bool HasLocation(const absl::Status& status) {
  return status.GetPayload(kLocationUrl).has_value();
}

void ThrowError(const absl::Status& status, std::string_view op, Location location) {
  throw Error(Annotate(status, op, location), location);
}

}  // namespace duet
