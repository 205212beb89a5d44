#include "core/device.h"

#include <atomic>

#include "core/error.h"

namespace duet {
namespace {

std::atomic<Device*> cpu_device{nullptr};

}  // namespace

Device& CpuDevice() {
  Device* device = cpu_device.load(std::memory_order_acquire);
  InternalCheck(device != nullptr, "no CPU device is linked into this program");
  return *device;
}

void RegisterCpuDevice(Device* device) { cpu_device.store(device, std::memory_order_release); }

}  // namespace duet
