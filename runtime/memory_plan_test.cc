#include "runtime/memory_plan.h"

#include <random>

#include "gtest/gtest.h"

namespace duet::runtime {
namespace {

int64_t Rounded(int64_t bytes) {
  return (bytes + kBufferAlignment - 1) / kBufferAlignment * kBufferAlignment;
}

void ExpectValid(const std::vector<Buffer>& buffers, const MemoryPlan& plan) {
  ASSERT_EQ(plan.offsets.size(), buffers.size());
  for (size_t i = 0; i < buffers.size(); ++i) {
    EXPECT_EQ(plan.offsets[i] % kBufferAlignment, 0);
    EXPECT_LE(plan.offsets[i] + Rounded(buffers[i].bytes), plan.bytes);
    for (size_t j = 0; j < i; ++j) {
      const bool together =
          buffers[i].first <= buffers[j].last && buffers[j].first <= buffers[i].last;
      const bool overlap = plan.offsets[i] < plan.offsets[j] + buffers[j].bytes &&
                           plan.offsets[j] < plan.offsets[i] + buffers[i].bytes;
      if (together && buffers[i].bytes > 0 && buffers[j].bytes > 0) {
        ASSERT_FALSE(overlap) << i << " and " << j;
      }
    }
  }
  EXPECT_GE(plan.bytes, plan.lower_bound);
}

std::vector<Buffer> RandomBuffers(std::mt19937* random, int count, int steps) {
  std::vector<Buffer> buffers;
  for (int i = 0; i < count; ++i) {
    const auto first = static_cast<int32_t>((*random)() % static_cast<unsigned>(steps));
    const auto length = static_cast<int32_t>((*random)() % 10);
    const int64_t bytes = (*random)() % 8 == 0 ? 0 : static_cast<int64_t>((*random)() % 5000);
    buffers.push_back({bytes, first, first + length});
  }
  return buffers;
}

TEST(MemoryPlanTest, NothingNeedsNothing) {
  const MemoryPlan plan = PlanMemory({});
  EXPECT_EQ(plan.bytes, 0);
  EXPECT_EQ(plan.lower_bound, 0);
}

TEST(MemoryPlanTest, LiveBuffersNeverOverlap) {
  std::mt19937 random(7);
  for (int trial = 0; trial < 200; ++trial) {
    const auto buffers = RandomBuffers(&random, 1 + trial / 2, 1 + trial / 3);
    ExpectValid(buffers, PlanMemory(buffers));
  }
}

TEST(MemoryPlanTest, ManyBuffersAreStillValid) {
  std::mt19937 random(8);
  const auto buffers = RandomBuffers(&random, 5000, 2000);
  const MemoryPlan plan = PlanMemory(buffers);
  ExpectValid(buffers, plan);
  EXPECT_LE(static_cast<double>(plan.bytes), 2.0 * static_cast<double>(plan.lower_bound));
}

TEST(MemoryPlanTest, AChainNeedsTwoBuffers) {
  std::vector<Buffer> buffers;
  for (int i = 0; i < 50; ++i) buffers.push_back({1000, i, i + 1});
  const MemoryPlan plan = PlanMemory(buffers);
  ExpectValid(buffers, plan);
  EXPECT_EQ(plan.bytes, 2 * 1024);
  EXPECT_EQ(plan.lower_bound, 2 * 1024);
}

// Activations that live until their gradient, as the layers of a network make them.
TEST(MemoryPlanTest, LayersStayWithinATenthOfTheBound) {
  for (int layers = 2; layers < 20; ++layers) {
    std::vector<Buffer> buffers;
    const int steps = 4 * layers;
    for (int i = 0; i < layers; ++i) {
      const int64_t width = 64 * (1 + (i * 37) % 11);
      buffers.push_back({32 * width * 4, 2 * i, steps - 2 * i});              // activation
      buffers.push_back({32 * width * 4, steps - 2 * i, steps - 2 * i + 2});  // its gradient
      buffers.push_back({width * 48 * 4, steps - 2 * i, steps - 2 * i + 1});  // of the weights
    }
    const MemoryPlan plan = PlanMemory(buffers);
    ExpectValid(buffers, plan);
    EXPECT_LE(static_cast<double>(plan.bytes), 1.1 * static_cast<double>(plan.lower_bound))
        << layers;
  }
}

}  // namespace
}  // namespace duet::runtime
