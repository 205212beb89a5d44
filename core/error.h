// Errors: the user's (duet::Error, with the user's file:line) and ours (duet::InternalError).
#ifndef DUET_CORE_ERROR_H_
#define DUET_CORE_ERROR_H_

#include <cstdint>
#include <exception>
#include <source_location>
#include <string>
#include <string_view>

#include "absl/status/status.h"

namespace duet {

// A place in a user's source. `file` outlives the process's use of it (a literal or an interned
// name).
struct Location {
  const char* file = nullptr;
  uint32_t line = 0;

  Location() = default;
  constexpr Location(const char* f, uint32_t l) : file(f), line(l) {}
  constexpr Location(const std::source_location& s)  // NOLINT: implicit on purpose
      : file(s.file_name()), line(s.line()) {}

  bool known() const { return file != nullptr; }
  std::string ToString() const;  // "train.cc:12", "" if unknown
  // A location whose file name is kept for the life of the process; for names read from files.
  static Location Intern(std::string_view file, uint32_t line);
};

// What a call that computes throws on a user's mistake. what() is
// "train.cc:12: MatMul: <found>; <expected>; <remedy>".
class Error : public std::exception {
 public:
  Error(absl::Status status, Location location);
  Error(absl::StatusCode code, const std::string& message, Location location)
      : Error(absl::Status(code, message), location) {}

  const char* what() const noexcept override { return text_.c_str(); }
  absl::StatusCode code() const { return status_.code(); }
  // The status with the location in its message, as Session::Run returns it.
  const absl::Status& status() const { return status_; }
  Location location() const { return location_; }

 private:
  absl::Status status_;
  Location location_;
  std::string text_;
};

// A bug of Duet itself. what() says how to report it.
class InternalError : public std::exception {
 public:
  explicit InternalError(std::string_view message,
                         std::source_location where = std::source_location::current());
  const char* what() const noexcept override { return text_.c_str(); }

 private:
  std::string text_;
};

// Checks an invariant of Duet's own; throws InternalError, never aborts.
inline void InternalCheck(bool ok, const char* message,
                          std::source_location where = std::source_location::current()) {
  if (!ok) throw InternalError(message, where);
}

// `status` with "<location>: <op>: " before its message; a status that has a location keeps it.
absl::Status Annotate(const absl::Status& status, std::string_view op, Location location);
// True if Annotate() has put a location into the status.
bool HasLocation(const absl::Status& status);

// Throws `status`, annotated, as an Error.
[[noreturn]] void ThrowError(const absl::Status& status, std::string_view op, Location location);

#define DUET_RETURN_IF_ERROR(expr)                                                   \
  do {                                                                               \
    if (absl::Status duet_status_ = (expr); !duet_status_.ok()) return duet_status_; \
  } while (false)

#define DUET_CONCAT_(a, b) a##b
#define DUET_CONCAT(a, b) DUET_CONCAT_(a, b)
#define DUET_ASSIGN_OR_RETURN(lhs, expr) \
  DUET_ASSIGN_OR_RETURN_(DUET_CONCAT(duet_or_, __LINE__), lhs, expr)
#define DUET_ASSIGN_OR_RETURN_(tmp, lhs, expr) \
  auto tmp = (expr);                           \
  if (!tmp.ok()) return tmp.status();          \
  lhs = *std::move(tmp)

}  // namespace duet

#endif  // DUET_CORE_ERROR_H_
