#include "examples/digits_data.h"

#include <zlib.h>

#include <charconv>
#include <memory>
#include <vector>

#include "core/strings.h"

namespace duet::examples {
namespace {

constexpr int kHeldOutEvery = 5;
constexpr int kMaxPixel = 16;
constexpr int64_t kMaxRows = 100'000;
constexpr int kMaxLine = 4096;

struct Rows {
  std::vector<float> pixels;
  std::vector<int64_t> labels;
  Images ToImages() const {
    const auto n = static_cast<int64_t>(labels.size());
    return {Constant(pixels, {n, kPixels}), Constant(labels, {n})};
  }
};

// Appends the row in `line`; false if it is not one.
bool ParseRow(std::string_view line, Rows* rows) {
  const char* p = line.data();
  const char* const end = p + line.size();
  for (int64_t column = 0; column <= kPixels; ++column) {
    int value = 0;
    const auto [next, error] = std::from_chars(p, end, value);
    const bool is_label = column == kPixels;
    if (error != std::errc() || value < 0 || value > (is_label ? kClasses - 1 : kMaxPixel)) {
      return false;
    }
    if (is_label) {
      rows->labels.push_back(value);
      return next == end;
    }
    rows->pixels.push_back(static_cast<float>(value) / kMaxPixel);
    if (next == end || *next != ',') return false;
    p = next + 1;
  }
  return false;
}

}  // namespace

absl::StatusOr<Digits> ReadDigits(const std::string& path) {
  const std::unique_ptr<gzFile_s, int (*)(gzFile)> file(gzopen(path.c_str(), "rb"), gzclose);
  if (file == nullptr) return absl::NotFoundError(Str("cannot open '", path, "'"));
  Rows train, held_out;
  char buffer[kMaxLine];
  int64_t row = 0;
  for (; gzgets(file.get(), buffer, sizeof(buffer)) != nullptr; ++row) {
    std::string_view line(buffer);
    while (line.ends_with('\n') || line.ends_with('\r')) line.remove_suffix(1);
    Rows* rows = row % kHeldOutEvery == kHeldOutEvery - 1 ? &held_out : &train;
    if (row == kMaxRows || !ParseRow(line, rows)) {
      return absl::DataLossError(Str(path, ":", row + 1, ": expected ", kPixels,
                                     " pixels from 0 to ", kMaxPixel, " and a label from 0 to ",
                                     kClasses - 1, ", in at most ", kMaxRows, " rows"));
    }
  }
  int code = Z_OK;
  const char* message = gzerror(file.get(), &code);
  // A truncated file ends before its checksum.
  if (code != Z_OK && code != Z_STREAM_END) {
    return absl::DataLossError(Str("'", path, "' is damaged: ", message));
  }
  if (held_out.labels.empty()) return absl::DataLossError(Str("'", path, "' has too few rows"));
  return Digits{train.ToImages(), held_out.ToImages()};
}

}  // namespace duet::examples
