#include "core/file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>

#include "core/error.h"
#include "core/strings.h"

namespace duet {
namespace {

absl::Status ErrnoStatus(std::string_view what, const std::string& path) {
  return absl::ErrnoToStatus(errno, ToAbsl(Str(what, " '", path, "'")));
}

absl::Status WriteAll(int fd, std::string_view bytes, const std::string& path) {
  while (!bytes.empty()) {
    const ssize_t n = ::write(fd, bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return ErrnoStatus("cannot write", path);
    bytes.remove_prefix(static_cast<size_t>(n));
  }
  return absl::OkStatus();
}

// Makes the name itself durable. Best effort: some file systems refuse to sync a folder.
void SyncFolderOf(const std::string& path) {
  const size_t slash = path.rfind('/');
  const std::string folder = slash == std::string::npos ? "." : path.substr(0, slash + 1);
  const int fd = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return;
  ::fsync(fd);
  ::close(fd);
}

// The mode a file that is created has: mkstemp makes it private. The mask can only be read by
// setting it, which would touch other threads; a file that is replaced keeps its own mode.
mode_t ModeFor(const std::string& path) {
  struct stat info;
  return ::stat(path.c_str(), &info) == 0 ? info.st_mode & 0777 : 0644;
}

}  // namespace

absl::StatusOr<InputFile> InputFile::Open(const std::string& path) {
  // O_NONBLOCK: opening a pipe must not wait for a writer.
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) return ErrnoStatus("cannot open", path);
  struct stat info;
  if (::fstat(fd, &info) != 0) {
    const absl::Status status = ErrnoStatus("cannot read", path);
    ::close(fd);
    return status;
  }
  if (!S_ISREG(info.st_mode)) {
    ::close(fd);
    return absl::InvalidArgumentError(Str("'", path, "' is not a regular file"));
  }
  return InputFile(path, fd, static_cast<int64_t>(info.st_size));
}

InputFile::~InputFile() {
  if (fd_ >= 0) ::close(fd_);
}

absl::Status InputFile::Read(void* to, size_t bytes) {
  char* p = static_cast<char*>(to);
  while (bytes > 0) {
    const ssize_t n = ::read(fd_, p, bytes);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return ErrnoStatus("cannot read", path_);
    if (n == 0) return absl::DataLossError(Str("'", path_, "' ends ", bytes, " bytes too early"));
    p += n;
    bytes -= static_cast<size_t>(n);
  }
  return absl::OkStatus();
}

absl::StatusOr<std::string> ReadFile(const std::string& path, int64_t max_bytes) {
  DUET_ASSIGN_OR_RETURN(InputFile file, InputFile::Open(path));
  if (file.size() > max_bytes) {
    return absl::ResourceExhaustedError(
        Str("'", path, "' has ", file.size(), " bytes; at most ", max_bytes, " are read"));
  }
  std::string bytes(static_cast<size_t>(file.size()), '\0');
  DUET_RETURN_IF_ERROR(file.Read(bytes.data(), bytes.size()));
  return bytes;
}

absl::Status WriteFile(const std::string& path, std::initializer_list<std::string_view> parts) {
  std::string temporary = Str(path, ".XXXXXX");
  const int fd = ::mkstemp(temporary.data());
  if (fd < 0) return ErrnoStatus("cannot write", path);
  absl::Status status;
  for (std::string_view part : parts) {
    if (status.ok()) status = WriteAll(fd, part, path);
  }
  if (status.ok() && (::fchmod(fd, ModeFor(path)) != 0 || ::fsync(fd) != 0)) {
    status = ErrnoStatus("cannot write", path);
  }
  if (::close(fd) != 0 && status.ok()) status = ErrnoStatus("cannot write", path);
  if (status.ok() && ::rename(temporary.c_str(), path.c_str()) != 0) {
    status = ErrnoStatus("cannot replace", path);
  }
  if (!status.ok()) {
    ::unlink(temporary.c_str());
    return status;
  }
  SyncFolderOf(path);
  return absl::OkStatus();
}

}  // namespace duet
