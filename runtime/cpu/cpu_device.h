// The CPU as a Device: loops and matrix products on the calling thread or, when large, on a pool of
// threads.
#ifndef DUET_RUNTIME_CPU_CPU_DEVICE_H_
#define DUET_RUNTIME_CPU_CPU_DEVICE_H_

#include "core/device.h"

namespace duet::runtime::cpu {

// Makes the CPU the process's CpuDevice(). Its threads start with the first large piece of work.
// May be called more than once.
void InstallCpuDevice();

}  // namespace duet::runtime::cpu

#endif  // DUET_RUNTIME_CPU_CPU_DEVICE_H_
