#include "runtime/cpu/gemm.h"

#include <sys/mman.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <cstring>
#include <new>
#include <optional>
#include <type_traits>
#include <vector>

#include "runtime/cpu/gemm_kernels.h"

namespace duet::runtime::cpu {
namespace {

using gemm::BlockArgs;
using gemm::Kernels;
using gemm::KernelSet;
using gemm::RunLength;

// Below this many multiply-adds (about 15 us) a second thread costs more than it gives.
constexpr int64_t kMinParallelWork = int64_t{1} << 20;
// Bytes of packed b at once; a larger b is packed and used part by part.
constexpr int64_t kMaxPackBytes = int64_t{16} << 20;
// Bytes of b that tiles may read where they lie, from the level-2 cache.
constexpr int64_t kMaxDirectBytes = int64_t{512} << 10;
// Rows of c that one task works on: enough to reuse b, few enough to keep c in the level-2 cache.
constexpr int64_t kTaskRows = 112;
// Where b has no more bytes than this, tasks are so small that a and c take no more, either, and
// all of them stay in the level-1 cache, for the epilogue too.
constexpr int64_t kSmallBytes = int64_t{24} << 10;
// For at most this many rows and at least this long a k, dot products beat packing.
constexpr int64_t kMaxDotRows = 4;
constexpr int64_t kMinDotLength = 64;

const KernelSet& BestKernels() {
  static const KernelSet& best = [&]() -> const KernelSet& {
#if defined(__x86_64__)
    if (__builtin_cpu_supports("x86-64-v4")) return gemm::Avx512Kernels();
    if (__builtin_cpu_supports("x86-64-v3")) return gemm::Avx2Kernels();
#endif
    return gemm::GenericKernels();
  }();
  return best;
}

// Memory that a thread keeps from call to call, so that large products do not fault in new pages.
class Scratch {
 public:
  ~Scratch() { std::free(data_); }

  template <typename T>
  T* Get(int64_t count) {
    T* data = TryGet<T>(count);
    if (data == nullptr) throw std::bad_alloc();
    return data;
  }

  // Null if there is no memory.
  template <typename T>
  T* TryGet(int64_t count) {
    size_t bytes = static_cast<size_t>(count) * sizeof(T);
    const size_t page = bytes < kHugePage ? 4096 : kHugePage;
    bytes = (bytes + page - 1) / page * page;
    if (bytes > bytes_) {
      std::free(data_);
      bytes_ = 0;
      data_ = std::aligned_alloc(page, bytes);
      if (data_ == nullptr) return nullptr;
      bytes_ = bytes;
#if defined(__linux__)
      if (page == kHugePage) madvise(data_, bytes, MADV_HUGEPAGE);  // advice only: may be refused
#endif
    }
    return static_cast<T*>(data_);
  }

 private:
  static constexpr size_t kHugePage = size_t{2} << 20;

  void* data_ = nullptr;
  size_t bytes_ = 0;
};

thread_local Scratch packed_b_scratch;
thread_local Scratch copied_a_scratch;
thread_local Scratch rows_scratch;

int64_t CeilDiv(int64_t a, int64_t b) { return (a + b - 1) / b; }

// One product in terms of strides: op(a)[i, p] is a[i * a_row + p * a_k], op(b)[p, j] is
// b[p * b_k + j * b_column], and one stride of each is 1.
template <typename T>
struct Problem {
  int64_t m, n, k;
  const T* a;
  int64_t a_row, a_k;
  const T* b;
  int64_t b_k, b_column;
  T* c;
  int64_t ldc;
};

// Room for the rows of a c that has none, for as many tasks as run at the same time.
template <typename T>
class Rooms {
 public:
  Rooms(int64_t count, int64_t size)
      : data_(rows_scratch.Get<T>(count * size)), size_(size), taken_(count) {}
  int64_t Take() {
    for (size_t i = 0;; i = (i + 1) % taken_.size()) {
      if (!taken_[i].exchange(true, std::memory_order_acquire)) return static_cast<int64_t>(i);
    }
  }
  void Return(int64_t room) { taken_[room].store(false, std::memory_order_release); }
  T* data(int64_t room) const { return data_ + room * size_; }

 private:
  T* const data_;
  const int64_t size_;
  std::vector<std::atomic<bool>> taken_;
};

template <typename T>
class Runner {
 public:
  Runner(const Kernels<T>& kernels, const Problem<T>& problem, ThreadPool* pool)
      : kernels_(kernels), p_(problem), pool_(pool) {
    if (pool_ != nullptr && (pool_->num_threads() < 2 || p_.m * p_.n < kMinParallelWork / p_.k)) {
      pool_ = nullptr;
    }
  }

  // Whether all of the product can be computed some rows at a time, so that it needs no c.
  bool FinishesRows() const { return !Dots() && (!Packs() || BytesOfB() <= kMaxPackBytes); }

  // Returns whether `epilogue` has run.
  bool Run(const GemmEpilogue* epilogue) {
    if (Dots()) {
      For(p_.n, 16, [&](int64_t begin, int64_t end) {
        kernels_.dot(p_.m, end - begin, p_.k, p_.a, p_.a_row, p_.b + begin * p_.b_column,
                     p_.b_column, p_.c + begin, p_.ldc);
      });
      return false;
    }
    if (!Packs()) return Compute(0, p_.n, 0, p_.k, p_.b, kernels_.columns, p_.b_k, epilogue);

    // All of k at once where that fits, else some runs of it.
    int64_t k_part = p_.k, n_part = p_.n;
    if (BytesOfB() > kMaxPackBytes) {
      k_part = std::min<int64_t>(k_part, 8 * gemm::kRun);
      const int64_t fit = kMaxPackBytes / (k_part * static_cast<int64_t>(sizeof(T)));
      n_part = std::max(fit / kernels_.columns, int64_t{1}) * kernels_.columns;
    }
    bool done = false;
    for (int64_t j = 0; j < p_.n; j += n_part) {
      const int64_t n = std::min(p_.n - j, n_part);
      for (int64_t k0 = 0; k0 < p_.k;) {
        int64_t k1 = k0;
        while (k1 < p_.k && k1 - k0 < k_part) k1 += RunLength(k1, p_.k);
        T* packed = PackB(j, n, k0, k1);
        done = Compute(j, n, k0, k1, packed, (k1 - k0) * kernels_.columns, kernels_.columns,
                       j + n == p_.n && k1 == p_.k ? epilogue : nullptr);
        k0 = k1;
      }
    }
    return done;
  }

 private:
  int64_t BytesOfB() const { return p_.n * p_.k * static_cast<int64_t>(sizeof(T)); }
  bool Dots() const {
    return p_.b_k == 1 && p_.a_k == 1 && p_.m <= kMaxDotRows && p_.k >= kMinDotLength;
  }
  bool Packs() const {
    return p_.b_column != 1 || (BytesOfB() > kMaxDirectBytes && p_.m > 3 * kernels_.rows);
  }

  void For(int64_t n, int64_t grain, absl::FunctionRef<void(int64_t, int64_t)> body) {
    if (pool_ == nullptr) return body(0, n);
    pool_->ParallelFor(n, grain, body);
  }

  T* PackB(int64_t j, int64_t n, int64_t k0, int64_t k1) {
    const int64_t columns = kernels_.columns;
    const int64_t panels = CeilDiv(n, columns);
    T* packed = packed_b_scratch.Get<T>(panels * columns * (k1 - k0));
    const T* b = p_.b + k0 * p_.b_k + j * p_.b_column;
    For(panels, 1, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        kernels_.pack(b + i * columns * p_.b_column, p_.b_k, p_.b_column,
                      std::min(n - i * columns, columns), k1 - k0,
                      packed + i * columns * (k1 - k0));
      }
    });
    return packed;
  }

  // c[:, j..j+n] for k in [k0, k1), in tasks of some rows by some panels of columns.
  bool Compute(int64_t j, int64_t n, int64_t k0, int64_t k1, const T* b, int64_t b_panel,
               int64_t b_k, const GemmEpilogue* epilogue) {
    const int64_t panels = CeilDiv(n, kernels_.columns);
    int64_t task_rows = kTaskRows;
    const int64_t k = k1 - k0, size = sizeof(T);
    if (n * k * size <= kSmallBytes) {
      task_rows = std::min(task_rows, kSmallBytes / ((n + k) * size));
    }
    task_rows = std::max(task_rows / kernels_.rows, int64_t{1}) * kernels_.rows;
    int64_t task_panels = panels;
    if (pool_ != nullptr) {
      // Three tasks or more for a thread, by rows if there are enough of them.
      const int64_t tasks = 3 * pool_->num_threads();
      task_rows = std::min(task_rows, CeilDiv(CeilDiv(p_.m, tasks), kernels_.rows) * kernels_.rows);
      const int64_t row_tasks = CeilDiv(p_.m, task_rows);
      if (row_tasks < tasks && p_.c != nullptr)
        task_panels = CeilDiv(panels, CeilDiv(tasks, row_tasks));
    }
    const int64_t row_tasks = CeilDiv(p_.m, task_rows);
    const int64_t column_tasks = CeilDiv(panels, task_panels);
    const bool copies = n > 2 * kernels_.columns && CopyPays();
    const bool finishes_rows = epilogue != nullptr && column_tasks == 1;
    std::optional<Rooms<T>> rooms;
    if (p_.c == nullptr) {
      const int64_t at_once = pool_ == nullptr ? 1 : pool_->num_threads();
      rooms.emplace(std::min(at_once, row_tasks), task_rows * n);
    }
    For(row_tasks * column_tasks, 1, [&](int64_t begin, int64_t end) {
      // Without memory for the copy, a is read where it lies.
      T* a_copy = copies ? copied_a_scratch.TryGet<T>(gemm::CopySize(task_rows)) : nullptr;
      const int64_t room = rooms.has_value() ? rooms->Take() : 0;
      for (int64_t task = begin; task < end; ++task) {
        const int64_t row = task / column_tasks * task_rows;
        const int64_t panel = task % column_tasks * task_panels;
        const int64_t column = panel * kernels_.columns;
        const int64_t rows = std::min(p_.m - row, task_rows);
        T* c = rooms.has_value() ? rooms->data(room) : p_.c + row * p_.ldc;
        kernels_.block({.m = rows,
                        .n = std::min(n - column, task_panels * kernels_.columns),
                        .k_begin = k0,
                        .k_end = k1,
                        .k = p_.k,
                        .a = p_.a + row * p_.a_row,
                        .a_row = p_.a_row,
                        .a_k = p_.a_k,
                        .b = b + panel * b_panel,
                        .b_panel = b_panel,
                        .b_k = b_k,
                        .c = c + j + column,
                        .ldc = p_.ldc,
                        .a_copy = a_copy});
        if (finishes_rows) epilogue->run(epilogue->context, row, row + rows, c);
      }
      if (rooms.has_value()) rooms->Return(room);
    });
    return finishes_rows;
  }

  // Whether the lines of a that a tile reads are on too many pages, or compete for the same cache
  // sets.
  bool CopyPays() const {
    if (p_.m == 1 || p_.k < 64) return false;
    if (p_.a_k != 1) return p_.a_k * static_cast<int64_t>(sizeof(T)) >= 2048;
    const int64_t stride = p_.a_row * static_cast<int64_t>(sizeof(T));
    const int64_t offset = stride % 4096;
    return stride >= 2048 && (offset < 64 || offset > 4096 - 64);
  }

  const Kernels<T>& kernels_;
  const Problem<T> p_;
  ThreadPool* pool_;
};

template <typename T>
void Run(const Kernels<T>& kernels, const GemmShape& shape, const T* a, const T* b, T* c,
         const GemmEpilogue* epilogue, ThreadPool* pool) {
  const int64_t m = shape.m, n = shape.n, k = shape.k;
  if (m <= 0 || n <= 0) return;
  bool epilogue_ran = false;
  if (k <= 0) {
    if (c == nullptr) c = rows_scratch.Get<T>(m * n);
    std::memset(c, 0, static_cast<size_t>(m) * n * sizeof(T));
  } else {
    Problem<T> p = {.m = m,
                    .n = n,
                    .k = k,
                    .a = a,
                    .a_row = shape.transpose_a ? 1 : k,
                    .a_k = shape.transpose_a ? m : 1,
                    .b = b,
                    .b_k = shape.transpose_b ? 1 : n,
                    .b_column = shape.transpose_b ? k : 1,
                    .c = c,
                    .ldc = n};
    // A vector may be seen either way round: prefer what needs no transposition.
    if (k == 1) p.a_row = 1, p.b_column = 1;
    const bool column_vector = n == 1 && m > 1;
    if (column_vector) {
      p = {.m = 1,
           .n = m,
           .k = k,
           .a = b,
           .a_row = k,
           .a_k = 1,
           .b = a,
           .b_k = p.a_k,
           .b_column = p.a_row,
           .c = c,
           .ldc = m};
    } else if (m == 1) {
      p.a_row = k, p.a_k = 1;
      if (n == 1) p.b_k = 1, p.b_column = k;
    }
    if (c == nullptr && (column_vector || !Runner<T>(kernels, p, pool).FinishesRows())) {
      c = p.c = rows_scratch.Get<T>(m * n);
    }
    Runner<T> runner(kernels, p, pool);
    // The rows of a column vector are columns to the runner.
    epilogue_ran = runner.Run(column_vector ? nullptr : epilogue);
  }
  if (epilogue == nullptr || epilogue_ran) return;
  if (pool == nullptr || m * n < kMinParallelWork / 16) {
    epilogue->run(epilogue->context, 0, m, c);
  } else {
    pool->ParallelFor(m, CeilDiv(1024, n), [&](int64_t begin, int64_t end) {
      epilogue->run(epilogue->context, begin, end, c + begin * n);
    });
  }
}

}  // namespace

template <typename T>
void Gemm(const GemmShape& shape, const T* a, const T* b, T* c, const GemmEpilogue* epilogue,
          ThreadPool* pool) {
  const KernelSet& set = BestKernels();
  if constexpr (std::is_same_v<T, float>) {
    Run<float>(set.f32, shape, a, b, c, epilogue, pool);
  } else if constexpr (std::is_same_v<T, double>) {
    Run<double>(set.f64, shape, a, b, c, epilogue, pool);
  } else {
    // Signed overflow is undefined, unsigned wraps around to the same bits.
    using U = std::make_unsigned_t<T>;
    const Kernels<U>* kernels;
    if constexpr (sizeof(T) == 4) {
      kernels = &set.u32;
    } else {
      kernels = &set.u64;
    }
    Run<U>(*kernels, shape, reinterpret_cast<const U*>(a), reinterpret_cast<const U*>(b),
           reinterpret_cast<U*>(c), epilogue, pool);
  }
}

template void Gemm<float>(const GemmShape&, const float*, const float*, float*, const GemmEpilogue*,
                          ThreadPool*);
template void Gemm<double>(const GemmShape&, const double*, const double*, double*,
                           const GemmEpilogue*, ThreadPool*);
template void Gemm<int32_t>(const GemmShape&, const int32_t*, const int32_t*, int32_t*,
                            const GemmEpilogue*, ThreadPool*);
template void Gemm<int64_t>(const GemmShape&, const int64_t*, const int64_t*, int64_t*,
                            const GemmEpilogue*, ThreadPool*);

}  // namespace duet::runtime::cpu
