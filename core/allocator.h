// Memory for tensors: pooled, 64-byte aligned, counted, with a limit.
#ifndef DUET_CORE_ALLOCATOR_H_
#define DUET_CORE_ALLOCATOR_H_

#include <atomic>
#include <cstddef>
#include <cstdint>

namespace duet {

// A reference-counted block of memory. The header sits before the 64-byte aligned data.
class Storage {
 public:
  // A block of at least `bytes` bytes, contents undefined, with one reference. Blocks are recycled:
  // small ones by the thread, large ones by the process. Throws Error(ResourceExhausted) when the
  // memory limit would be passed or the system has no more.
  static Storage* Allocate(size_t bytes);

  // A block that wraps memory owned by somebody else; `release(context)` runs with the last
  // reference.
  static Storage* Wrap(void* data, size_t bytes, void (*release)(void*), void* context);

  void* data() const { return data_; }
  size_t bytes() const { return bytes_; }
  void Ref() { refs_.fetch_add(1, std::memory_order_relaxed); }
  void Unref() {
    if (refs_.load(std::memory_order_acquire) == 1 ||
        refs_.fetch_sub(1, std::memory_order_acq_rel) == 1) {
      Free();
    }
  }
  bool unique() const { return refs_.load(std::memory_order_acquire) == 1; }

 private:
  friend class StoragePool;
  Storage() = default;
  void Free();

  std::atomic<int32_t> refs_{1};
  int32_t size_class_ = -1;  // -1: wrapped memory
  size_t bytes_ = 0;
  void* data_ = nullptr;
  void (*release_)(void*) = nullptr;
  void* context_ = nullptr;
  Storage* next_ = nullptr;  // in a free list
};

// What the pool holds, in bytes. `in_use` counts blocks with a reference, `cached` free ones.
struct MemoryStats {
  int64_t in_use = 0;
  int64_t peak = 0;  // the largest in_use since the start or ResetPeakMemory()
  int64_t cached = 0;
};
MemoryStats GetMemoryStats();
void ResetPeakMemory();

// The most bytes tensors may hold at once; 0 is no limit (the default). Tensors over the limit are
// refused with ResourceExhausted before memory is taken.
void SetMemoryLimit(int64_t bytes);

// Returns the process's free blocks to the system.
void TrimMemory();

}  // namespace duet

#endif  // DUET_CORE_ALLOCATOR_H_
