// Whole files: read with a limit, replaced atomically.
#ifndef DUET_GRAPH_FILE_H_
#define DUET_GRAPH_FILE_H_

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace duet {

// The bytes of `path`. NotFound, PermissionDenied, ... as the system says; ResourceExhausted,
// before memory is taken, if there are more than `max_bytes`.
absl::StatusOr<std::string> ReadFile(const std::string& path, int64_t max_bytes);

// Replaces `path` by `bytes`: a temporary file in the same folder is written, synced and renamed,
// and the folder is synced. After a crash at any point the old file or the new one is there.
absl::Status WriteFileAtomically(const std::string& path, std::string_view bytes);

}  // namespace duet

#endif  // DUET_GRAPH_FILE_H_
