#include "tests/shrink.h"

#include <algorithm>

#include "gtest/gtest.h"
#include "tests/test_environment.h"

namespace duet::testing {
namespace {

const OwnKernelCache own_cache;

int Find(const Program& p, const char* op) {
  const std::vector<bool> needed = NeededNodes(p);
  for (int i = 0; i < p.graph.size(); ++i) {
    if (needed[i] && p.graph.node(i).op->name == op) return i;
  }
  return -1;
}

// A bug that would be there whenever a needed node of `op` reads, at any distance, one of `from`.
bool Reaches(const Program& p, const char* op, const char* from) {
  const std::vector<bool> needed = NeededNodes(p);
  std::vector<bool> below(p.graph.size(), false);
  for (int i = 0; i < p.graph.size(); ++i) {
    const Node& node = p.graph.node(i);
    for (const NodeOutput& in : node.inputs) below[i] = below[i] || below[in.node];
    if (needed[i] && below[i] && node.op->name == op) return true;
    below[i] = below[i] || node.op->name == from;
  }
  return false;
}

// The first program of a seed from 0 on that `fails` accepts and that has over 25 nodes.
template <class F>
Program FirstLarge(F fails) {
  for (uint64_t seed = 0; seed < 3000; ++seed) {
    Program p = MakeRandomProgram(seed);
    if (p.graph.size() > 25 && fails(p)) return p;
  }
  ADD_FAILURE() << "no such program";
  return {};
}

TEST(ShrinkTest, KeepsTheNodeAlone) {
  const auto fails = [](const Program& p) { return Find(p, "Tanh") >= 0; };
  const Program small = Shrink(FirstLarge(fails), fails);
  // The op and the placeholder or constant it reads, of as few elements as the shape allows.
  ASSERT_EQ(small.graph.size(), 2) << Describe(small);
  EXPECT_EQ(small.fetches.size(), 1);
  EXPECT_LE(small.graph.node(1).outputs[0].shape.num_elements(), 1) << Describe(small);
}

TEST(ShrinkTest, KeepsAPathOfTwoOps) {
  const auto fails = [](const Program& p) { return Reaches(p, "Sum", "Mul"); };
  const Program small = Shrink(FirstLarge(fails), fails);
  // Mul of two leaves (or one, twice), the axes, Sum.
  EXPECT_LE(small.graph.size(), 5) << Describe(small);
  EXPECT_TRUE(fails(small));
  EXPECT_TRUE(RunEagerly(small, small.feeds).ok());
}

TEST(ShrinkTest, KeepsBothFetchesWhereBothAreNeeded) {
  const auto fails = [](const Program& p) {
    return p.fetches.size() >= 2 && Find(p, "Exp") >= 0 && Find(p, "Sum") >= 0;
  };
  const Program small = Shrink(FirstLarge(fails), fails);
  EXPECT_EQ(small.fetches.size(), 2);
  EXPECT_LE(small.graph.size(), 6) << Describe(small);
}

TEST(ShrinkTest, LooksAtValues) {
  // A bug that shows where a result holds an infinity.
  const auto fails = [](const Program& p) {
    const auto results = RunEagerly(p, p.feeds);
    if (!results.ok()) return false;
    for (const Tensor& t : *results) {
      if (t.dtype() != kFloat32) continue;
      for (float v : t.data<float>()) {
        if (v == std::numeric_limits<float>::infinity()) return true;
      }
    }
    return false;
  };
  const Program small = Shrink(FirstLarge(fails), fails);
  EXPECT_TRUE(fails(small));
  // A constant or fed infinity is the smallest such program.
  EXPECT_LE(small.graph.size(), 2) << Describe(small);
}

TEST(ShrinkTest, StopsAtItsBudget) {
  int calls = 0;
  const auto fails = [&](const Program&) {
    ++calls;
    return true;
  };
  Shrink(MakeRandomProgram(3), fails, 10);
  EXPECT_LE(calls, 10);
}

}  // namespace
}  // namespace duet::testing
