#include "examples/fresh_process.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>

#include <cerrno>
#include <cstdlib>
#include <filesystem>

#include "core/error.h"
#include "core/strings.h"

extern char** environ;

namespace duet::examples {

namespace fs = std::filesystem;

TemporaryFolder::TemporaryFolder() {
  std::error_code error;
  fs::path parent = fs::temp_directory_path(error);
  if (const char* test = std::getenv("TEST_TMPDIR")) parent = test;
  path_ = (parent / "duet.XXXXXX").string();
  if (::mkdtemp(path_.data()) == nullptr) {
    throw Error(absl::ErrnoToStatus(errno, "cannot make a temporary folder"), Location());
  }
}

TemporaryFolder::~TemporaryFolder() {
  std::error_code error;
  fs::remove_all(path_, error);
}

std::string TemporaryFolder::File(std::string_view name) const { return Str(path_, "/", name); }

std::string FindBuilt(const std::string& file) {
  std::error_code error;
  const fs::path self = fs::read_symlink("/proc/self/exe", error);
  std::vector<fs::path> places = {self.string() + ".runfiles/duet",
                                  self.parent_path().parent_path(), fs::current_path(error)};
  if (const char* runfiles = std::getenv("RUNFILES_DIR")) {
    places.insert(places.begin(), fs::path(runfiles) / "duet");
  }
  for (const fs::path& place : places) {
    if (fs::exists(place / file, error)) return (place / file).string();
  }
  return "";
}

absl::Status RunProgram(const std::vector<std::string>& command, const std::string& out) {
  std::vector<char*> arguments;
  for (const std::string& argument : command)
    arguments.push_back(const_cast<char*>(argument.c_str()));
  arguments.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_addopen(&actions, 1, out.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
  pid_t child = 0;
  const int failed =
      ::posix_spawn(&child, arguments[0], &actions, nullptr, arguments.data(), environ);
  ::posix_spawn_file_actions_destroy(&actions);
  if (failed != 0) return absl::ErrnoToStatus(failed, ToAbsl(Str("cannot start ", command[0])));
  int status = 0;
  while (::waitpid(child, &status, 0) < 0) {
    if (errno != EINTR) return absl::ErrnoToStatus(errno, "cannot wait for a process");
  }
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return absl::OkStatus();
  return absl::InternalError(Str(command[0],
                                 WIFEXITED(status) ? " exited with " : " was ended by signal ",
                                 WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status)));
}

}  // namespace duet::examples
