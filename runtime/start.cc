#include "runtime/start.h"

#include "core/ops/register.h"
#include "eager/eager.h"
#include "runtime/cpu/cpu_device.h"

namespace duet {

void StartDuet() {
  static const bool started = [] {
    RegisterAllOps();
    runtime::cpu::InstallCpuDevice();
    InstallEagerInterpreter();
    return true;
  }();
  static_cast<void>(started);
}

namespace {

[[maybe_unused]] const bool started = (StartDuet(), true);

}  // namespace
}  // namespace duet
