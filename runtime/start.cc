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

// Before the objects at namespace scope of other files, which may be tensors and variables.
struct Starter {
  Starter() { StartDuet(); }
};
[[maybe_unused, gnu::init_priority(101)]] const Starter starter;

}  // namespace
}  // namespace duet
