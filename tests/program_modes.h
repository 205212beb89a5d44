// Runs a random program in every mode and compares the bits.
#ifndef DUET_TESTS_PROGRAM_MODES_H_
#define DUET_TESTS_PROGRAM_MODES_H_

#include <cstdint>
#include <string>
#include <vector>

#include "tests/random_programs.h"

namespace duet::testing {

// What disagrees with the eager run, one line each, beginning with the mode: sessions with all
// passes, without a pass that `choice` picks, without fusion and without any; the graph written as
// protobuf and as text and read back; one and two threads; a second batch size. Empty if all agree.
// A program that fails must fail in every mode with the same status.
std::vector<std::string> FindDisagreements(const Program& program, uint64_t choice);

}  // namespace duet::testing

#endif  // DUET_TESTS_PROGRAM_MODES_H_
