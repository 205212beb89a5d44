#include "compiler/kernel_cache.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <filesystem>
#include <system_error>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "core/flags.h"

namespace duet::compiler {
namespace {

namespace fs = std::filesystem;

constexpr char kSuffix[] = ".kernel";
constexpr int64_t kMaxEntryBytes = int64_t{64} << 20;

// The file: this header, the key, the object.
struct Header {
  char magic[8] = {'D', 'U', 'E', 'T', 'K', 'R', 'N', 'L'};
  uint32_t version = 1;
  uint32_t checksum = 0;  // crc32 of key and object
  uint64_t key_bytes = 0;
  uint64_t object_bytes = 0;
};
static_assert(sizeof(Header) == 32);

uint32_t Checksum(std::string_view a, std::string_view b) {
  uLong crc = crc32(0, nullptr, 0);
  crc = crc32_z(crc, reinterpret_cast<const Bytef*>(a.data()), a.size());
  return crc32_z(crc, reinterpret_cast<const Bytef*>(b.data()), b.size());
}

// FNV-1a with 128 bits. It need not resist an adversary: who can write the folder can write code.
std::string HashName(std::string_view key) {
  unsigned __int128 hash =
      (static_cast<unsigned __int128>(0x6c62272e07bb0142) << 64) | 0x62b821756295c58d;
  const unsigned __int128 prime = (static_cast<unsigned __int128>(1) << 88) | 0x13b;
  for (unsigned char c : key) hash = (hash ^ c) * prime;
  return absl::StrCat(absl::Hex(static_cast<uint64_t>(hash >> 64), absl::kZeroPad16),
                      absl::Hex(static_cast<uint64_t>(hash), absl::kZeroPad16));
}

class File {
 public:
  File(const std::string& path, int flags, mode_t mode = 0600)
      : fd_(::open(path.c_str(), flags | O_CLOEXEC, mode)) {}
  ~File() {
    if (fd_ >= 0) ::close(fd_);
  }
  File(const File&) = delete;
  File& operator=(const File&) = delete;

  int fd() const { return fd_; }
  bool ok() const { return fd_ >= 0; }

  bool Write(const void* data, size_t size) {
    const char* p = static_cast<const char*>(data);
    while (size > 0) {
      ssize_t n = ::write(fd_, p, size);
      if (n < 0 && errno == EINTR) continue;
      if (n <= 0) return false;
      p += n;
      size -= n;
    }
    return true;
  }
  // True when exactly `size` bytes were there.
  bool Read(void* data, size_t size) {
    char* p = static_cast<char*>(data);
    while (size > 0) {
      ssize_t n = ::read(fd_, p, size);
      if (n < 0 && errno == EINTR) continue;
      if (n <= 0) return false;
      p += n;
      size -= n;
    }
    return true;
  }

 private:
  int fd_;
};

// The object of a whole and sound entry for `key`; nothing for any other contents. `foreign` is set
// when the entry is sound and belongs to another key with the same hash.
std::optional<std::string> ReadEntry(File& file, std::string_view key, bool& foreign) {
  foreign = false;
  struct stat info;
  Header header;
  const Header expected;
  if (::fstat(file.fd(), &info) != 0 || !S_ISREG(info.st_mode)) return std::nullopt;
  if (!file.Read(&header, sizeof(header))) return std::nullopt;
  if (std::memcmp(header.magic, expected.magic, sizeof(header.magic)) != 0 ||
      header.version != expected.version) {
    return std::nullopt;
  }
  // The sizes are believed only if they add up to the size of the file.
  const uint64_t rest = info.st_size - sizeof(header);
  if (rest > kMaxEntryBytes || header.key_bytes > rest ||
      header.object_bytes != rest - header.key_bytes) {
    return std::nullopt;
  }
  std::string found_key(header.key_bytes, '\0');
  std::string object(header.object_bytes, '\0');
  if (!file.Read(found_key.data(), found_key.size()) || !file.Read(object.data(), object.size())) {
    return std::nullopt;
  }
  if (Checksum(found_key, object) != header.checksum) return std::nullopt;
  foreign = found_key != key;
  if (foreign) return std::nullopt;
  return object;
}

std::string DefaultFolder() {
  std::string folder = FlagValue("DUET_CACHE_DIR");
  if (!folder.empty()) return folder;
  const char* xdg = std::getenv("XDG_CACHE_HOME");
  if (xdg != nullptr && xdg[0] == '/') return absl::StrCat(xdg, "/duet");
  const char* home = std::getenv("HOME");
  if (home != nullptr && home[0] == '/') return absl::StrCat(home, "/.cache/duet");
  return "";
}

}  // namespace

KernelCache& KernelCache::Get() {
  static KernelCache* cache = [] {
    int64_t megabytes = 0;
    if (!absl::SimpleAtoi(FlagValue("DUET_CACHE_MB"), &megabytes)) megabytes = 256;
    megabytes = std::clamp<int64_t>(megabytes, 0, int64_t{1} << 30);
    bool on = FlagOn("DUET_CACHE") && megabytes > 0;
    return new KernelCache(on ? DefaultFolder() : "", megabytes << 20);
  }();
  return *cache;
}

KernelCache::KernelCache(std::string folder, int64_t max_bytes)
    : folder_(std::move(folder)), max_bytes_(max_bytes) {
  if (folder_.empty()) return;
  std::error_code error;
  fs::create_directories(folder_, error);
  // Code is loaded from here: a folder that somebody else owns is not trusted.
  struct stat info;
  if (::stat(folder_.c_str(), &info) != 0 || !S_ISDIR(info.st_mode) || info.st_uid != ::geteuid() ||
      ::access(folder_.c_str(), R_OK | W_OK | X_OK) != 0) {
    folder_.clear();
  }
}

std::string KernelCache::PathOf(std::string_view key) const {
  return absl::StrCat(folder_, "/", HashName(key), kSuffix);
}

std::optional<std::string> KernelCache::Find(std::string_view key) {
  if (!enabled()) return std::nullopt;
  const std::string path = PathOf(key);
  File file(path, O_RDONLY | O_NONBLOCK);
  if (!file.ok()) {
    ++misses_;
    return std::nullopt;
  }
  bool foreign = false;
  std::optional<std::string> object = ReadEntry(file, key, foreign);
  if (!object.has_value()) {
    ++misses_;
    if (!foreign) {
      ++damaged_;
      ::unlink(path.c_str());
    }
    return std::nullopt;
  }
  ++hits_;
  // A young entry needs no new date; this keeps most hits free of a write.
  struct stat info;
  if (::fstat(file.fd(), &info) == 0 && ::time(nullptr) - info.st_mtime > 3600) {
    ::utimensat(AT_FDCWD, path.c_str(), nullptr, 0);
  }
  return object;
}

void KernelCache::Put(std::string_view key, std::string_view object) {
  if (!enabled()) return;
  const int64_t size = sizeof(Header) + key.size() + object.size();
  if (size > std::min(kMaxEntryBytes, max_bytes_)) return;
  static std::atomic<int64_t> counter{0};
  const std::string path = PathOf(key);
  const std::string temporary = absl::StrCat(path, ".", ::getpid(), ".", ++counter, ".tmp");
  bool written = false;
  {
    Header header;
    header.checksum = Checksum(key, object);
    header.key_bytes = key.size();
    header.object_bytes = object.size();
    File file(temporary, O_WRONLY | O_CREAT | O_EXCL);
    written = file.ok() && file.Write(&header, sizeof(header)) &&
              file.Write(key.data(), key.size()) && file.Write(object.data(), object.size());
  }
  if (!written || ::rename(temporary.c_str(), path.c_str()) != 0) {
    ::unlink(temporary.c_str());
    return;
  }
  std::lock_guard<std::mutex> lock(evict_mutex_);
  if (bytes_ >= 0) bytes_ += size;
  if (bytes_ < 0 || bytes_ > max_bytes_) Evict();
}

// Reads the folder, and if it is too large removes the oldest entries down to 7/8 of the limit, so
// that the next Put need not read it again. Temporary files that a dead process left go as well.
void KernelCache::Evict() {
  struct Entry {
    fs::file_time_type time;
    int64_t size;
    fs::path path;
  };
  std::vector<Entry> entries;
  bytes_ = 0;
  std::error_code error;
  const fs::file_time_type now = fs::file_time_type::clock::now();
  for (fs::directory_iterator it(folder_, error), end; !error && it != end; it.increment(error)) {
    std::error_code gone;
    const fs::path& path = it->path();
    const bool temporary = path.extension() == ".tmp";
    if (!temporary && path.extension() != kSuffix) continue;
    const fs::file_time_type time = fs::last_write_time(path, gone);
    if (gone) continue;
    if (temporary) {
      if (now - time > std::chrono::hours(1)) fs::remove(path, gone);
      continue;
    }
    const auto size = fs::file_size(path, gone);
    if (gone) continue;
    entries.push_back({time, static_cast<int64_t>(size), path});
    bytes_ += size;
  }
  if (bytes_ <= max_bytes_) return;
  std::sort(entries.begin(), entries.end(),
            [](const Entry& a, const Entry& b) { return a.time < b.time; });
  for (const Entry& entry : entries) {
    if (bytes_ <= max_bytes_ - max_bytes_ / 8) break;
    std::error_code gone;
    if (fs::remove(entry.path, gone)) ++evicted_;
    bytes_ -= entry.size;
  }
}

KernelCache::Stats KernelCache::stats() const {
  return {.hits = hits_, .misses = misses_, .damaged = damaged_, .evicted = evicted_};
}

}  // namespace duet::compiler
