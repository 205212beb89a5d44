// Damages files at random, for tests of what reads them.
#ifndef DUET_TESTS_MUTATE_H_
#define DUET_TESTS_MUTATE_H_

#include <random>
#include <string>

namespace duet::testing {

// `bytes` after one to four random changes: bits flipped, bytes replaced, ranges removed, repeated
// or taken from `other`, lengths and numbers made huge or negative, the end cut off. In `text` the
// changes are also made to whole words and numbers.
std::string Mutate(std::string bytes, const std::string& other, bool text, std::mt19937_64& random);

}  // namespace duet::testing

#endif  // DUET_TESTS_MUTATE_H_
