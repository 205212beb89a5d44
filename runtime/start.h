// What must stand before the first op call.
#ifndef DUET_RUNTIME_START_H_
#define DUET_RUNTIME_START_H_

namespace duet {

// Installs the eager interpreter and the CPU device (ops register themselves). A program that links
// //:duet has called it before main; calls after the first do nothing.
void StartDuet();

}  // namespace duet

#endif  // DUET_RUNTIME_START_H_
