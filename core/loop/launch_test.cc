#include "core/loop/launch.h"

#include <numeric>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace duet::loop {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

// A body of float32 operands that are added up.
Body Sum(int operands) {
  Body body;
  body.operands.assign(operands, kFloat32);
  Builder b(&body);
  auto sum = b.Load(0);
  for (int k = 1; k < operands; ++k) sum = b.Binary(Code::kAdd, sum, b.Load(k));
  body.outputs = {{sum}};
  return body;
}

// The same, reduced.
Body Reduced(Axis axis, std::vector<bool> varies) {
  Body body = Sum(static_cast<int>(varies.size()));
  body.axis = axis;
  body.varies = std::move(varies);
  body.outputs = {{Builder(&body).Reduction(Reduce::kSum, body.outputs[0].value)}};
  return body;
}

struct Planned {
  absl::Status status;
  Program program;
  Launch launch;
};

Planned Plan(const Body& body, const Space& space, const std::vector<Shape>& operands) {
  std::vector<Strides> in;
  for (const Shape& s : operands) in.push_back(BroadcastStrides(s, space.shape));
  Shape out = space.shape;
  if (body.axis != Axis::kNone) {
    for (int d = space.reduce_begin; d < space.reduce_end; ++d) out.set_dim(d, 1);
  }
  Planned p;
  p.status =
      PlanLaunch(body, space, in, {{BroadcastStrides(out, space.shape)}}, &p.program, &p.launch);
  return p;
}

TEST(LaunchTest, BroadcastStridesOfEqualSizesAreContiguous) {
  EXPECT_THAT(BroadcastStrides({3, 1, 5}, {3, 1, 5}), ElementsAre(5, 5, 1));
  EXPECT_THAT(BroadcastStrides({1, 5}, {3, 2, 5}), ElementsAre(0, 0, 1));
  EXPECT_THAT(BroadcastStrides({2, 1}, {3, 2, 5}), ElementsAre(0, 1, 0));
  EXPECT_THAT(BroadcastStrides({}, {4}), ElementsAre(0));
  EXPECT_THAT(BroadcastStrides({0, 5}, {0, 5}), ElementsAre(5, 1));
}

TEST(LaunchTest, ContiguousOperandsCollapse) {
  const Planned p = Plan(Sum(2), {{3, 4, 5}}, {{3, 4, 5}, {3, 4, 5}});
  ASSERT_TRUE(p.status.ok());
  EXPECT_EQ(p.launch.rows, 1);
  EXPECT_EQ(p.launch.inner, 60);
  EXPECT_THAT(p.launch.outer, IsEmpty());
  EXPECT_THAT(p.program.inner, ElementsAre(Stride::kUnit, Stride::kUnit));
  EXPECT_EQ(p.launch.points(), 60);
}

TEST(LaunchTest, AScalarSpaceIsOnePoint) {
  const Planned p = Plan(Sum(2), {{}}, {{}, {}});
  ASSERT_TRUE(p.status.ok());
  EXPECT_EQ(p.launch.points(), 1);
}

TEST(LaunchTest, ABiasIsRowsTimesInner) {
  const Planned p = Plan(Sum(2), {{2, 3, 64}}, {{2, 3, 64}, {64}});
  ASSERT_TRUE(p.status.ok());
  EXPECT_EQ(p.launch.rows, 6);
  EXPECT_EQ(p.launch.inner, 64);
  EXPECT_EQ(p.launch.layouts[0].row, 256);
  EXPECT_EQ(p.launch.layouts[1].row, 0);
  EXPECT_EQ(p.launch.layouts[2].inner, 4);
}

// The size of a batch is no part of a kernel.
TEST(LaunchTest, TheProgramDoesNotDependOnTheBatchSize) {
  struct Case {
    Body body;
    std::vector<int64_t> space;                  // after the batch
    std::vector<std::vector<int64_t>> operands;  // -1 is the batch
    int reduce_begin, reduce_end;
  };
  const std::vector<Case> cases = {
      {Sum(2), {64}, {{-1, 64}, {64}}, 0, 0},
      {Sum(2), {64}, {{-1, 64}, {-1, 1}}, 0, 0},
      {Sum(2), {1}, {{-1, 1}, {1}}, 0, 0},
      {Sum(2), {1}, {{-1, 1}, {-1, 1}}, 0, 0},
      {Sum(2), {3, 1}, {{-1, 3, 1}, {3, 1}}, 0, 0},
      {Sum(2), {3, 8}, {{-1, 3, 8}, {3, 1}}, 0, 0},
      {Reduced(Axis::kInner, {true}), {10}, {{-1, 10}}, 1, 2},
      {Reduced(Axis::kInner, {true, false}), {10}, {{-1, 10}, {-1, 1}}, 1, 2},
      {Reduced(Axis::kInner, {true}), {10}, {{-1, 10}}, 0, 2},
      {Reduced(Axis::kRows, {true}), {10}, {{-1, 10}}, 0, 1},
      {Reduced(Axis::kRows, {true, true}), {10}, {{-1, 10}, {-1, 1}}, 0, 1},
  };
  for (const Case& c : cases) {
    std::vector<Program> programs;
    for (int64_t batch : {32, 1, 0, 7}) {
      Space space{.reduce_begin = c.reduce_begin, .reduce_end = c.reduce_end};
      space.shape.AddDim(batch);
      for (int64_t d : c.space) space.shape.AddDim(d);
      std::vector<Shape> operands;
      for (const auto& dims : c.operands) {
        operands.emplace_back();
        for (int64_t d : dims) operands.back().AddDim(d < 0 ? batch : d);
      }
      const Planned p = Plan(c.body, space, operands);
      ASSERT_TRUE(p.status.ok()) << p.status;
      programs.push_back(p.program);
    }
    for (const Program& p : programs) EXPECT_EQ(ToString(p), ToString(programs[0]));
  }
}

TEST(LaunchTest, DimensionsThatDoNotCollapseAreOuter) {
  const Planned p = Plan(Sum(2), {{2, 3, 4, 5}}, {{2, 1, 4, 5}, {3, 1, 5}});
  ASSERT_TRUE(p.status.ok());
  EXPECT_THAT(p.launch.outer, ElementsAre(2, 3));
  EXPECT_EQ(p.launch.rows, 4);
  EXPECT_EQ(p.launch.inner, 5);
  EXPECT_THAT(p.launch.layouts[0].outer, ElementsAre(80, 0));
  EXPECT_THAT(p.launch.layouts[1].outer, ElementsAre(0, 20));
  EXPECT_EQ(NumUnits(Axis::kNone, p.launch), 24);
}

TEST(LaunchTest, ATransposedOperandIsOfClassAny) {
  const Strides transposed = {1, 8}, contiguous = {5, 1};
  Program program;
  Launch launch;
  ASSERT_TRUE(PlanLaunch(Sum(1), {{8, 5}}, {{transposed}}, {{contiguous}}, &program, &launch).ok());
  EXPECT_THAT(program.inner, ElementsAre(Stride::kAny));
  EXPECT_EQ(launch.layouts[0].inner, 32);
  EXPECT_EQ(PlanLaunch(Sum(1), {{8, 5}}, {{contiguous}}, {{transposed}}, &program, &launch).code(),
            absl::StatusCode::kFailedPrecondition);
}

TEST(LaunchTest, ReductionOverInner) {
  const Planned p = Plan(Reduced(Axis::kInner, {true, false}), {{2, 3, 4, 5}, 2, 4},
                         {{2, 3, 4, 5}, {2, 3, 1, 1}});
  ASSERT_TRUE(p.status.ok()) << p.status;
  EXPECT_EQ(p.launch.rows, 6);
  EXPECT_EQ(p.launch.inner, 20);
  EXPECT_THAT(p.program.inner, ElementsAre(Stride::kUnit, Stride::kZero));
  EXPECT_EQ(p.launch.layouts[2].row, 4);
  EXPECT_TRUE(Verify(p.program).ok());
}

TEST(LaunchTest, ReductionOverRows) {
  const Planned p = Plan(Reduced(Axis::kRows, {true}), {{2, 3, 4, 5}, 1, 3}, {{2, 3, 4, 5}});
  ASSERT_TRUE(p.status.ok());
  EXPECT_THAT(p.launch.outer, ElementsAre(2));
  EXPECT_EQ(p.launch.rows, 12);
  EXPECT_EQ(p.launch.inner, 5);
  EXPECT_EQ(p.launch.layouts[0].row, 20);
  EXPECT_EQ(NumUnits(Axis::kRows, p.launch), 2);
}

TEST(LaunchTest, ReducedDimensionsMustCollapse) {
  const Planned p = Plan(Reduced(Axis::kInner, {true, true}), {{4, 5}, 0, 2}, {{4, 5}, {5}});
  EXPECT_EQ(p.status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(p.status.message()), HasSubstr("[4,5] do not collapse"));
}

// A value that depends on reductions alone is stored once per row. Where it has a place at every
// point, and there are none, there is nothing to store it to.
TEST(LaunchTest, AnEmptyOutputTakesNoValuePerRow) {
  const Body body = Reduced(Axis::kInner, {true});
  Program program;
  Launch launch;
  const Strides in = {1, 1}, per_row = {1, 0}, per_point = {1, 1};
  EXPECT_TRUE(PlanLaunch(body, {{17, 0}, 1, 2}, {{in}}, {{per_row}}, &program, &launch).ok());
  EXPECT_EQ(PlanLaunch(body, {{17, 0}, 1, 2}, {{in}}, {{per_point}}, &program, &launch).code(),
            absl::StatusCode::kFailedPrecondition);
}

TEST(LaunchTest, WrongArgumentsAreRefused) {
  Program program;
  Launch launch;
  const Strides one = {1}, two = {5, 1};
  EXPECT_EQ(PlanLaunch(Sum(2), {{5}}, {{one}}, {{one}}, &program, &launch).code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(PlanLaunch(Sum(1), {{5}}, {{two}}, {{one}}, &program, &launch).code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(
      PlanLaunch(Reduced(Axis::kInner, {true}), {{4, 5}, 0, 1}, {{two}}, {{two}}, &program, &launch)
          .code(),
      absl::StatusCode::kInvalidArgument);
}

// An index along inner counts in the last dimension alone.
TEST(LaunchTest, AnIndexKeepsTheLastDimensionApart) {
  Body body = Sum(1);
  Builder b(&body);
  body.outputs = {{b.Binary(Code::kAdd, b.Cast(kFloat32, b.IndexInner()), 0)}};
  for (int64_t n : {4, 1}) {
    const Planned p = Plan(body, {{3, n}}, {{3, n}});
    ASSERT_TRUE(p.status.ok());
    EXPECT_EQ(p.launch.rows, 3);
    EXPECT_EQ(p.launch.inner, n);
  }
}

// Notes which points it is called for.
struct Seen {
  std::vector<int> counts;
  std::vector<int64_t> bases;
};
Seen* seen = nullptr;
void Note(const KernelArgs* args) {
  seen->bases.push_back(args->index_base);
  for (int64_t r = 0; r < args->rows; ++r) {
    for (int64_t i = 0; i < args->inner; ++i) {
      const char* out = static_cast<const char*>(args->pointers[1]) + r * args->row_strides[1];
      const float* first = reinterpret_cast<const float*>(args->pointers[0]);
      seen->counts[reinterpret_cast<const float*>(out) + i - first]++;
    }
  }
}

TEST(LaunchTest, UnitsCoverEachPointOnce) {
  const std::vector<std::vector<Shape>> cases = {
      {{100}, {100}},  {{2, 3, 4, 5}, {2, 1, 4, 5}},
      {{7, 33}, {33}}, {{3, 2, 40}, {2, 1}},
      {{5}, {5}},      {{2, 0, 3}, {3}},
  };
  for (const auto& c : cases) {
    const Planned p = Plan(Sum(1), {c[0]}, {c[1]});
    ASSERT_TRUE(p.status.ok());
    const int64_t units = NumUnits(Axis::kNone, p.launch);
    std::vector<float> out(c[0].num_elements() + 1);
    // Operand 0's pointer is moved too; only the output's position is looked at.
    Launch launch = p.launch;
    launch.layouts[0].row = launch.layouts[0].inner = 0;
    for (int64_t& stride : launch.layouts[0].outer) stride = 0;
    void* pointers[] = {out.data(), out.data()};
    for (int64_t step : {int64_t{1}, int64_t{2}, units + 1}) {
      Seen now{std::vector<int>(out.size(), 0), {}};
      seen = &now;
      for (int64_t u = 0; u < units; u += step) {
        RunUnits(&Note, Axis::kNone, launch, pointers, u, std::min(u + step, units));
      }
      now.counts.pop_back();
      EXPECT_THAT(now.counts, testing::Each(1)) << c[0].ToString() << " by " << step;
    }
  }
}

TEST(LaunchTest, PartsOfInnerKnowTheirIndex) {
  std::vector<float> data(50);
  void* pointers[] = {data.data(), data.data()};
  Launch launch{.inner = 50, .layouts = {{.inner = 0}, {.inner = 4}}};
  Seen now{std::vector<int>(50, 0), {}};
  seen = &now;
  EXPECT_EQ(NumUnits(Axis::kNone, launch), 4);
  RunUnits(&Note, Axis::kNone, launch, pointers, 1, 3);
  EXPECT_THAT(now.bases, ElementsAre(16));
  EXPECT_EQ(std::accumulate(now.counts.begin(), now.counts.end(), 0), 32);
}

}  // namespace
}  // namespace duet::loop
