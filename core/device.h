// The device interface: what an op's kernel and an executor may ask of the place they run on.
#ifndef DUET_CORE_DEVICE_H_
#define DUET_CORE_DEVICE_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "core/loop/launch.h"
#include "core/loop/program.h"

namespace duet {

// Where kernels for loop programs come from: prebuilt, from the on-disk cache, or compiled now. The
// one implementation is in compiler/; eager, folder and executor all ask it. Thread safe.
class KernelProvider {
 public:
  virtual ~KernelProvider() = default;
  // The kernels of several programs, compiled together where that is cheaper. With `fast_math` the
  // kernel may contract and reassociate; it is another kernel, under another key.
  virtual absl::StatusOr<std::vector<loop::KernelFn>> GetAll(
      absl::Span<const loop::Program* const> programs, bool fast_math) = 0;
  absl::StatusOr<loop::KernelFn> Get(const loop::Program& program, bool fast_math = false) {
    const loop::Program* p = &program;
    auto all = GetAll({&p, 1}, fast_math);
    if (!all.ok()) return all.status();
    return (*all)[0];
  }
  struct Stats {
    int64_t compiled = 0;        // kernels compiled by this process
    int64_t prebuilt_hits = 0;   // taken from the build
    int64_t disk_hits = 0;       // loaded from the on-disk cache
    int64_t memory_hits = 0;     // found in the process
    double compile_seconds = 0;  // wall time, emitting, optimising and loading
  };
  virtual Stats stats() const = 0;
};

// A matrix product c[m,n] = op(a) * op(b), row-major, contiguous; op transposes. With an epilogue c
// may be null: then the product exists only while the epilogue sees it, panel by panel.
struct GemmArgs {
  DType dtype;
  bool transpose_a = false, transpose_b = false;
  int64_t m = 0, n = 0, k = 0;
  const void* a = nullptr;
  const void* b = nullptr;
  void* c = nullptr;
};
// Called once for each row, in finished panels of rows [begin, end) of c, while they are in cache;
// `panel` is where row `begin` is, and may be written. May not throw.
using GemmEpilogue = absl::FunctionRef<void(int64_t begin, int64_t end, void* panel)>;

// A loop over fewer points than this is run at once by the calling thread: it costs less than
// waking another.
inline constexpr int64_t kInlinePoints = int64_t{1} << 15;

class Device {
 public:
  virtual ~Device() = default;
  virtual std::string name() const = 0;  // "/device:CPU:0"
  virtual KernelProvider& kernels() = 0;
  // Runs a kernel over a whole launch; splits large ones over `num_threads` threads (0: the
  // device's default). Same bits for any number.
  virtual void RunLoop(loop::KernelFn fn, loop::Axis axis, const loop::Launch& launch,
                       absl::Span<void* const> pointers, int num_threads) = 0;
  // Bits depend on the sizes and transposes alone.
  virtual void Gemm(const GemmArgs& args, int num_threads) = 0;
  // std::bad_alloc only before the first call of the epilogue. Without an override the whole
  // product is one panel.
  virtual void GemmWithEpilogue(const GemmArgs& args, GemmEpilogue epilogue, int num_threads);
};

// The CPU, which runtime/cpu provides when it is linked in. Never null after start-up; throws
// InternalError if no device was linked.
Device& CpuDevice();
void RegisterCpuDevice(Device* device);

}  // namespace duet

#endif  // DUET_CORE_DEVICE_H_
