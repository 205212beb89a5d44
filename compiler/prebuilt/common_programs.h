// The loop programs that eager execution asks for most, from a walk over the registry.
#ifndef DUET_COMPILER_PREBUILT_COMMON_PROGRAMS_H_
#define DUET_COMPILER_PREBUILT_COMMON_PROGRAMS_H_

#include <vector>

#include "core/loop/program.h"

namespace duet::compiler {

// Every elementwise op for every dtype it allows, with operands of one layout or one of them a
// scalar; every reduction op for every dtype, over the innermost dimensions or over others; copies
// of views. No program comes twice. The order depends on the registry alone.
std::vector<loop::Program> CommonPrograms();

}  // namespace duet::compiler

#endif  // DUET_COMPILER_PREBUILT_COMMON_PROGRAMS_H_
