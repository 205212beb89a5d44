// The on-disk cache of object code, shared by all processes of a user.
//
// A key is any text that names everything the object code depends on; it starts with
// JitEngine::target_key(). An entry is one file. It holds the whole key, so that two keys with one
// hash are told apart, and a checksum: an entry that is damaged, truncated or foreign is a miss, is
// removed, and is written anew by the next Put. Writing goes to a temporary name and renames, so a
// reader sees a whole entry or none. Nothing here fails: a cache that cannot work is off.
#ifndef DUET_COMPILER_KERNEL_CACHE_H_
#define DUET_COMPILER_KERNEL_CACHE_H_

#include <atomic>
#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

namespace duet::compiler {

// Thread safe, and safe for several processes on one folder.
class KernelCache {
 public:
  // The cache that the flags DUET_CACHE, DUET_CACHE_DIR and DUET_CACHE_MB describe when first
  // asked.
  static KernelCache& Get();

  // An empty folder, or one that cannot be made or written, gives a cache that is off. When a Put
  // makes the entries exceed `max_bytes`, the oldest are removed; Find makes an entry young again.
  KernelCache(std::string folder, int64_t max_bytes);

  bool enabled() const { return !folder_.empty(); }
  const std::string& folder() const { return folder_; }

  std::optional<std::string> Find(std::string_view key);
  void Put(std::string_view key, std::string_view object);

  // Since the cache was made; `damaged` are misses as well.
  struct Stats {
    int64_t hits = 0;
    int64_t misses = 0;
    int64_t damaged = 0;
    int64_t evicted = 0;
  };
  Stats stats() const;

 private:
  std::string PathOf(std::string_view key) const;
  void Evict();

  std::string folder_;
  const int64_t max_bytes_;
  std::mutex evict_mutex_;
  int64_t bytes_ = -1;  // an estimate of the entries' size, -1 before the folder was read
  std::atomic<int64_t> hits_{0}, misses_{0}, damaged_{0}, evicted_{0};
};

}  // namespace duet::compiler

#endif  // DUET_COMPILER_KERNEL_CACHE_H_
