// Ops register themselves before main(), each file for its own. A program that links core/ops as a
// plain archive, from which a linker takes only the files that are asked for, calls this to take
// them all: importing a graph finds ops by name, which no linker sees.
#ifndef DUET_CORE_OPS_REGISTER_H_
#define DUET_CORE_OPS_REGISTER_H_

namespace duet {

// Refers to every file of core/ops. Thread safe; cheap.
void RegisterAllOps();

}  // namespace duet

#endif  // DUET_CORE_OPS_REGISTER_H_
