#include "tests/test_environment.h"

#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <cstring>

namespace duet::testing {
namespace {

constexpr unsigned kSecondsPerCase = 60;
char current_case[256];

// A handler may do little more than write.
void OnCrash(int signal) {
  const char* what = signal == SIGALRM ? "\nran too long: " : "\ncrashed: ";
  ssize_t written = write(STDERR_FILENO, what, std::strlen(what));
  written = write(STDERR_FILENO, current_case, std::strlen(current_case));
  written = write(STDERR_FILENO, "\n", 1);
  static_cast<void>(written);
  std::signal(signal, SIG_DFL);
  std::raise(signal);
}

}  // namespace

std::string TempFolder() {
  const char* folder = std::getenv("TEST_TMPDIR");
  return folder != nullptr ? folder : "/tmp";
}

OwnKernelCache::OwnKernelCache() {
  setenv("DUET_CACHE_DIR", (TempFolder() + "/kernels").c_str(), 0);
}

void NameCase(std::string_view name) {
  static const bool installed = [] {
    for (int s : {SIGSEGV, SIGABRT, SIGFPE, SIGILL, SIGBUS, SIGALRM}) std::signal(s, OnCrash);
    return true;
  }();
  static_cast<void>(installed);
  const size_t n = std::min(name.size(), sizeof(current_case) - 1);
  std::memcpy(current_case, name.data(), n);
  current_case[n] = 0;
  alarm(kSecondsPerCase);
}

long long FromEnvironment(const char* name, long long fallback) {
  const char* value = std::getenv(name);
  return value != nullptr ? std::atoll(value) : fallback;
}

}  // namespace duet::testing
