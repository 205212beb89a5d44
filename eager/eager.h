// The interpreter that runs op calls now, and the single-op execution that the constant folder and
// the executor share with it.
#ifndef DUET_EAGER_EAGER_H_
#define DUET_EAGER_EAGER_H_

#include "core/dispatch.h"
#include "core/loop/launch.h"

namespace duet {

// Ensures that op calls outside of any scope run eagerly. Called by duet.h's library at start-up.
void InstallEagerInterpreter();

}  // namespace duet

#endif  // DUET_EAGER_EAGER_H_
