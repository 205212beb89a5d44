// Runs the `duet` command in a process of its own, as a deployment would.
#ifndef DUET_EXAMPLES_FRESH_PROCESS_H_
#define DUET_EXAMPLES_FRESH_PROCESS_H_

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"

namespace duet::examples {

// A folder that is removed with all that is in it.
class TemporaryFolder {
 public:
  TemporaryFolder();
  ~TemporaryFolder();
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  std::string File(std::string_view name) const;

 private:
  std::string path_;
};

// The path of a file of this project, given from its root ("tools/duet/duet"): among the runfiles
// of this program, or beside it in the build's output. "" if it is in neither.
std::string FindBuilt(const std::string& file);

// Runs a program and waits for it; its standard output goes to the file `out`. Internal, with its
// exit code, if it fails; its standard error is ours.
absl::Status RunProgram(const std::vector<std::string>& command, const std::string& out);

}  // namespace duet::examples

#endif  // DUET_EXAMPLES_FRESH_PROCESS_H_
