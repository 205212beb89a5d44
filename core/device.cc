#include "core/device.h"

#include <atomic>
#include <vector>

#include "core/error.h"

namespace duet {
namespace {

std::atomic<Device*> cpu_device{nullptr};

}  // namespace

void Device::GemmWithEpilogue(const GemmArgs& args, GemmEpilogue epilogue, int num_threads) {
  GemmArgs whole = args;
  std::vector<char> room;
  if (args.c == nullptr) {
    room.resize(static_cast<size_t>(args.m * args.n) * SizeOf(args.dtype));
    whole.c = room.data();
  }
  Gemm(whole, num_threads);
  epilogue(0, args.m, whole.c);
}

Device& CpuDevice() {
  Device* device = cpu_device.load(std::memory_order_acquire);
  InternalCheck(device != nullptr, "no CPU device is linked into this program");
  return *device;
}

void RegisterCpuDevice(Device* device) { cpu_device.store(device, std::memory_order_release); }

}  // namespace duet
