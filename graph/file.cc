#include "graph/file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "core/error.h"
#include "core/strings.h"

namespace duet {
namespace {

// Closes a file descriptor with its scope.
class Fd {
 public:
  explicit Fd(int fd) : fd_(fd) {}
  ~Fd() {
    if (fd_ >= 0) close(fd_);
  }
  Fd(const Fd&) = delete;
  Fd& operator=(const Fd&) = delete;
  int get() const { return fd_; }
  int Close() { return close(std::exchange(fd_, -1)); }

 private:
  int fd_;
};

absl::Status SystemError(std::string_view what, const std::string& path) {
  const int code = errno;
  return absl::ErrnoToStatus(code, ToAbsl(Str("cannot ", what, " \"", path, "\"")));
}

absl::Status WriteAll(int fd, std::string_view bytes, const std::string& path) {
  while (!bytes.empty()) {
    const ssize_t n = write(fd, bytes.data(), std::min<size_t>(bytes.size(), 1 << 30));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return SystemError("write", path);
    bytes.remove_prefix(static_cast<size_t>(n));
  }
  return absl::OkStatus();
}

absl::Status SyncFolder(const std::string& path) {
  const size_t slash = path.rfind('/');
  const std::string folder = slash == std::string::npos ? "." : path.substr(0, slash + 1);
  const Fd fd(open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (fd.get() < 0 || fsync(fd.get()) != 0) return SystemError("sync the folder", folder);
  return absl::OkStatus();
}

// The permissions that open() would have given a new file.
mode_t NewFileMode() {
  const mode_t mask = umask(0);
  umask(mask);
  return 0666 & ~mask;
}

}  // namespace

absl::StatusOr<std::string> ReadFile(const std::string& path, int64_t max_bytes) {
  const Fd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  struct stat info;
  if (fd.get() < 0 || fstat(fd.get(), &info) != 0) return SystemError("open", path);
  if (S_ISDIR(info.st_mode)) {
    return absl::InvalidArgumentError(Str("\"", path, "\" is a folder, not a file"));
  }
  const auto too_large = [&] {
    return absl::ResourceExhaustedError(
        Str("\"", path, "\" is larger than the limit of ", max_bytes, " bytes"));
  };
  if (info.st_size > max_bytes) return too_large();
  std::string bytes;
  // One byte more than the size, so that the end is seen without growing. A pipe has no size.
  size_t size = 0;
  bytes.resize(static_cast<size_t>(info.st_size) + 1);
  while (true) {
    if (size == bytes.size()) bytes.resize(bytes.size() * 2);
    const ssize_t n = read(fd.get(), bytes.data() + size, bytes.size() - size);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return SystemError("read", path);
    if (n == 0) break;
    size += static_cast<size_t>(n);
    if (static_cast<int64_t>(size) > max_bytes) return too_large();
  }
  bytes.resize(size);
  return bytes;
}

absl::Status WriteFileAtomically(const std::string& path, std::string_view bytes) {
  std::string temporary = path + ".XXXXXX";
  Fd fd(mkstemp(temporary.data()));
  if (fd.get() < 0) return SystemError("write", path);
  absl::Status status = WriteAll(fd.get(), bytes, temporary);
  if (status.ok() &&
      (fchmod(fd.get(), NewFileMode()) != 0 || fsync(fd.get()) != 0 || fd.Close() != 0)) {
    status = SystemError("write", temporary);
  }
  if (status.ok() && rename(temporary.c_str(), path.c_str()) != 0) {
    status = SystemError("replace", path);
  }
  if (!status.ok()) {
    unlink(temporary.c_str());
    return status;
  }
  return SyncFolder(path);
}

}  // namespace duet
