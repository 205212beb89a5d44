// What tests that compile kernels, or feed the library bad input, do before anything else.
#ifndef DUET_TESTS_TEST_ENVIRONMENT_H_
#define DUET_TESTS_TEST_ENVIRONMENT_H_

#include <string>
#include <string_view>

namespace duet::testing {

// A folder for the files of this test.
std::string TempFolder();

// Keeps the kernels of a test in the test's own folder. Define one at namespace scope.
struct OwnKernelCache {
  OwnKernelCache();
};

// Names the case that runs now. If the process crashes the name is written to standard error, so
// that the case can be run alone; if it runs for over a minute the process is ended with that name.
void NameCase(std::string_view name);

// The environment variable as a number.
long long FromEnvironment(const char* name, long long fallback);

}  // namespace duet::testing

#endif  // DUET_TESTS_TEST_ENVIRONMENT_H_
