// Random programs give the same bits in every mode. A program that does not is shrunk and printed.
//
//   DUET_TEST_SEED=417 random_program_test      one program, printed before it runs
//   DUET_TEST_PROGRAMS=50000 ...                more of them (the target random_program_long_test)

#include <algorithm>
#include <iostream>
#include <map>

#include "absl/strings/str_join.h"
#include "core/strings.h"
#include "gtest/gtest.h"
#include "tests/op_cases.h"
#include "tests/program_modes.h"
#include "tests/random_programs.h"
#include "tests/shrink.h"
#include "tests/test_environment.h"

#ifndef DUET_DEFAULT_PROGRAMS
#define DUET_DEFAULT_PROGRAMS 2000
#endif

namespace duet::testing {
namespace {

constexpr uint64_t kBaseSeed = 20240000;
constexpr int kChunks = 40;
const OwnKernelCache own_cache;

// InternalError, which no program may cause, counts as a disagreement.
std::vector<std::string> Disagreements(const Program& p, uint64_t seed) {
  try {
    return FindDisagreements(p, seed);
  } catch (const std::exception& e) {
    return {Str("threw: ", e.what())};
  }
}

void RunSeed(uint64_t seed) {
  NameCase(Str("DUET_TEST_SEED=", seed));
  const Program program = MakeRandomProgram(seed);
  const std::vector<std::string> found = Disagreements(program, seed);
  if (found.empty()) return;
  const Program small =
      Shrink(program, [&](const Program& p) { return !Disagreements(p, seed).empty(); });
  ADD_FAILURE() << "DUET_TEST_SEED=" << seed << "\n"
                << absl::StrJoin(found, "\n") << "\nshrunk:\n"
                << absl::StrJoin(Disagreements(small, seed), "\n") << "\n"
                << Describe(small);
}

class RandomProgramTest : public ::testing::TestWithParam<int> {};

TEST_P(RandomProgramTest, AllModesAgree) {
  const int64_t one = FromEnvironment("DUET_TEST_SEED", -1);
  if (one >= 0) {
    if (GetParam() != 0) return;
    std::cerr << Describe(MakeRandomProgram(static_cast<uint64_t>(one)));
    RunSeed(static_cast<uint64_t>(one));
    return;
  }
  const int64_t programs = FromEnvironment("DUET_TEST_PROGRAMS", DUET_DEFAULT_PROGRAMS);
  int failures = 0;
  for (int64_t i = GetParam(); i < programs && failures < 3; i += kChunks) {
    RunSeed(kBaseSeed + static_cast<uint64_t>(i));
    failures += HasFailure();
  }
}

INSTANTIATE_TEST_SUITE_P(Seeds, RandomProgramTest, ::testing::Range(0, kChunks));

TEST(RandomProgramsTest, CoverTheRegistry) {
  std::map<const OpDef*, int> needed;
  int failing = 0, open = 0, smallest = 1000, largest = 0;
  constexpr int kPrograms = 800;
  for (uint64_t i = 0; i < kPrograms; ++i) {
    const Program p = MakeRandomProgram(kBaseSeed + i);
    const std::vector<bool> nodes = NeededNodes(p);
    for (int n = 0; n < p.graph.size(); ++n) needed[p.graph.node(n).op] += nodes[n];
    failing += !RunEagerly(p, p.feeds).ok();
    open += !p.other_feeds.empty();
    smallest = std::min(smallest, p.graph.size());
    largest = std::max(largest, p.graph.size());
  }
  for (const OpDef* op : TestableOps()) {
    // Parts of gradients are rare: the fewest calls that the long suite makes.
    const bool is_part = op->name.rfind("Duet", 0) == 0;
    EXPECT_GE(needed[op], is_part ? 0 : 1) << op->name;
  }
  EXPECT_GT(failing, 5);
  EXPECT_LT(failing, kPrograms / 10);
  EXPECT_GT(open, kPrograms / 5);
  EXPECT_GE(smallest, 5);
  EXPECT_LE(largest, 50);
}

TEST(RandomProgramsTest, OneSeedIsOneProgram) {
  for (uint64_t seed : {kBaseSeed, kBaseSeed + 7}) {
    EXPECT_EQ(Describe(MakeRandomProgram(seed)), Describe(MakeRandomProgram(seed)));
  }
  EXPECT_NE(Describe(MakeRandomProgram(1)), Describe(MakeRandomProgram(2)));
}

}  // namespace
}  // namespace duet::testing
