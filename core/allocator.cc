#include "core/allocator.h"

#include <sys/mman.h>

#include <array>
#include <bit>
#include <cstdlib>
#include <new>

#include <mutex>
#include "core/error.h"
#include "core/strings.h"

namespace duet {
namespace {

// Sizes are rounded up to four steps a power of two, so that at most a quarter of a block is unused
// and a freed block fits the next request of about its size.
constexpr int kFirstBits = 7;  // 128 bytes
constexpr int kNumClasses = 4 * (48 - kFirstBits);
constexpr int kSmallClasses = 4 * (17 - kFirstBits);  // up to 128 KiB: recycled by the thread
constexpr int kMaxPerThread = 16;                     // blocks a class
constexpr int64_t kMaxCached = int64_t{2} << 30;      // bytes of free blocks that the process keeps
constexpr size_t kHugePage = size_t{2} << 20;

int ClassOf(size_t bytes) {
  if (bytes <= (size_t{1} << kFirstBits)) return 0;
  const int top = std::bit_width(bytes - 1) - 1;  // 2^top < bytes <= 2^(top+1)
  const size_t step = size_t{1} << (top - 2);
  const int quarter = static_cast<int>((bytes - 1 - (size_t{1} << top)) / step);  // 0..3
  return 4 * (top - kFirstBits) + quarter + 1;
}

size_t ClassBytes(int size_class) {
  if (size_class == 0) return size_t{1} << kFirstBits;
  const int top = (size_class - 1) / 4 + kFirstBits;
  const int quarter = (size_class - 1) % 4;
  return (size_t{1} << top) + (quarter + 1) * (size_t{1} << (top - 2));
}

std::atomic<int64_t> in_use{0}, peak{0}, cached{0}, limit{0};

}  // namespace

// The free lists. A thread keeps a few small blocks of each class; the rest are the process's.
class StoragePool {
 public:
  // Trivially destructible, so that tensors in static variables can be released after the thread's
  // other thread-locals are gone.
  struct ThreadCache {
    Storage* head[kSmallClasses];
    int8_t count[kSmallClasses];
    bool closed;
  };
  // Gives a thread's blocks to the process when the thread ends.
  struct ThreadGuard {
    ~ThreadGuard() {
      cache_.closed = true;
      for (int c = 0; c < kSmallClasses; ++c) {
        while (Storage* s = Pop(c)) PushShared(s);
      }
    }
  };

  static Storage* Get(size_t bytes) {
    const int size_class = ClassOf(bytes);
    if (size_class >= kNumClasses) return nullptr;
    Storage* s = nullptr;
    if (size_class < kSmallClasses) s = Pop(size_class);
    if (s == nullptr) s = PopShared(size_class);
    if (s == nullptr) s = New(size_class);
    return s;
  }

  static void Put(Storage* s) {
    const int c = s->size_class_;
    in_use.fetch_sub(static_cast<int64_t>(ClassBytes(c)), std::memory_order_relaxed);
    if (c < kSmallClasses && !cache_.closed && cache_.count[c] < kMaxPerThread) {
      static thread_local ThreadGuard guard;
      (void)guard;
      s->next_ = cache_.head[c];
      cache_.head[c] = s;
      ++cache_.count[c];
      return;
    }
    PushShared(s);
  }

  static void Trim() {
    const std::lock_guard lock(mutex_);
    for (Storage*& head : shared_) {
      while (head != nullptr) {
        Storage* s = std::exchange(head, head->next_);
        cached.fetch_sub(static_cast<int64_t>(ClassBytes(s->size_class_)));
        std::free(s);
      }
    }
  }

 private:
  static Storage* Pop(int c) {
    Storage* s = cache_.head[c];
    if (s == nullptr) return nullptr;
    cache_.head[c] = s->next_;
    --cache_.count[c];
    return s;
  }
  static Storage* PopShared(int c) {
    const std::lock_guard lock(mutex_);
    Storage* s = shared_[c];
    if (s == nullptr) return nullptr;
    shared_[c] = s->next_;
    cached.fetch_sub(static_cast<int64_t>(ClassBytes(c)), std::memory_order_relaxed);
    return s;
  }
  static void PushShared(Storage* s) {
    const auto bytes = static_cast<int64_t>(ClassBytes(s->size_class_));
    if (cached.load(std::memory_order_relaxed) + bytes > kMaxCached) {
      std::free(s);
      return;
    }
    const std::lock_guard lock(mutex_);
    cached.fetch_add(bytes, std::memory_order_relaxed);
    s->next_ = shared_[s->size_class_];
    shared_[s->size_class_] = s;
  }
  static Storage* New(int c) {
    // The header takes the 64 bytes before the data.
    static_assert(sizeof(Storage) <= 64);
    const size_t bytes = ClassBytes(c) + 64;
    const bool huge = bytes >= 2 * kHugePage;
    const size_t align = huge ? kHugePage : 64;
    const size_t rounded = (bytes + align - 1) / align * align;
    void* block = std::aligned_alloc(align, rounded);
    if (block == nullptr) return nullptr;
    if (huge) madvise(block, rounded, MADV_HUGEPAGE);
    auto* s = new (block) Storage();
    s->size_class_ = c;
    s->data_ = static_cast<char*>(block) + 64;
    return s;
  }

  static thread_local constinit ThreadCache cache_;
  static std::mutex mutex_;
  static std::array<Storage*, kNumClasses> shared_;
};

thread_local constinit StoragePool::ThreadCache StoragePool::cache_ = {};
std::mutex StoragePool::mutex_;
std::array<Storage*, kNumClasses> StoragePool::shared_ = {};

Storage* Storage::Allocate(size_t bytes) {
  const auto taken = static_cast<int64_t>(ClassBytes(ClassOf(bytes)));
  const int64_t now = in_use.fetch_add(taken, std::memory_order_relaxed) + taken;
  const int64_t most = limit.load(std::memory_order_relaxed);
  Storage* s = nullptr;
  if (most == 0 || now <= most) s = StoragePool::Get(bytes);
  if (s == nullptr) {
    in_use.fetch_sub(taken, std::memory_order_relaxed);
    throw Error(absl::StatusCode::kResourceExhausted,
                most != 0 && now > most
                    ? Str("a tensor of ", bytes, " bytes would pass the memory limit of ", most,
                          " bytes (", now - taken, " in use)")
                    : Str("the system has no memory for a tensor of ", bytes, " bytes"),
                Location());
  }
  int64_t old = peak.load(std::memory_order_relaxed);
  while (now > old && !peak.compare_exchange_weak(old, now, std::memory_order_relaxed)) {
  }
  s->refs_.store(1, std::memory_order_relaxed);
  s->bytes_ = bytes;
  return s;
}

Storage* Storage::Wrap(void* data, size_t bytes, void (*release)(void*), void* context) {
  auto* s = new Storage();
  s->data_ = data;
  s->bytes_ = bytes;
  s->release_ = release;
  s->context_ = context;
  return s;
}

void Storage::Free() {
  if (size_class_ >= 0) {
    StoragePool::Put(this);
  } else {
    if (release_ != nullptr) release_(context_);
    delete this;
  }
}

MemoryStats GetMemoryStats() {
  return {in_use.load(std::memory_order_relaxed), peak.load(std::memory_order_relaxed),
          cached.load(std::memory_order_relaxed)};
}

void ResetPeakMemory() { peak.store(in_use.load()); }
void SetMemoryLimit(int64_t bytes) { limit.store(bytes); }
void TrimMemory() { StoragePool::Trim(); }

}  // namespace duet
