// Files: bounded reading and atomic replacement.
#ifndef DUET_CORE_FILE_H_
#define DUET_CORE_FILE_H_

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace duet {

// A regular file open for reading. Anything else (a folder, a pipe, a device) is refused, so that
// the size is known before memory is taken and no read waits.
class InputFile {
 public:
  // NotFound, PermissionDenied, InvalidArgument (not a regular file) or Unavailable.
  static absl::StatusOr<InputFile> Open(const std::string& path);
  InputFile(InputFile&& o) noexcept
      : path_(std::move(o.path_)), fd_(std::exchange(o.fd_, -1)), size_(o.size_) {}
  InputFile& operator=(InputFile&&) = delete;
  ~InputFile();

  const std::string& path() const { return path_; }
  int64_t size() const { return size_; }  // in bytes, when it was opened
  // The next `bytes` bytes; DataLoss if the file ends before.
  absl::Status Read(void* to, size_t bytes);

 private:
  InputFile(std::string path, int fd, int64_t size)
      : path_(std::move(path)), fd_(fd), size_(size) {}
  std::string path_;
  int fd_;
  int64_t size_;
};

// All bytes of a file; ResourceExhausted, before memory is taken, if it has more than `max_bytes`.
absl::StatusOr<std::string> ReadFile(const std::string& path, int64_t max_bytes);

// Replaces the file by the parts, one after another: a crash at any point leaves the old file or
// the new one.
absl::Status WriteFile(const std::string& path, std::initializer_list<std::string_view> parts);

}  // namespace duet

#endif  // DUET_CORE_FILE_H_
