// The handwritten digits of examples/data.
#ifndef DUET_EXAMPLES_DIGITS_DATA_H_
#define DUET_EXAMPLES_DIGITS_DATA_H_

#include <string>

#include "absl/status/statusor.h"
#include "duet.h"

namespace duet::examples {

inline constexpr int64_t kPixels = 64;
inline constexpr int64_t kClasses = 10;

struct Images {
  Tensor pixels;  // float32[n,64], from 0 to 1
  Tensor labels;  // int64[n]
};
struct Digits {
  Images train;
  Images held_out;  // every fifth row
};

// Reads a gzipped file of rows "pixel,...,pixel,label". DataLoss, with the line, for a damaged one.
absl::StatusOr<Digits> ReadDigits(const std::string& path);

}  // namespace duet::examples

#endif  // DUET_EXAMPLES_DIGITS_DATA_H_
