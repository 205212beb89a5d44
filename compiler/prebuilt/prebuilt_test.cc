#include "compiler/prebuilt/prebuilt.h"

#include <map>

#include "compiler/llvm/emitter.h"
#include "compiler/llvm/kernel_testing.h"
#include "compiler/prebuilt/common_programs.h"
#include "core/execute.h"
#include "core/ops/register.h"
#include "core/strings.h"
#include "gtest/gtest.h"

namespace duet::compiler {
namespace {

TEST(PrebuiltTest, TheTableIsInOrderAndComplete) {
  for (size_t i = 1; i < kNumPrebuiltKernels; ++i) {
    EXPECT_LT(std::string(kPrebuiltKernels[i - 1].key), kPrebuiltKernels[i].key);
  }
  const std::vector<loop::Program> programs = CommonPrograms();
  EXPECT_EQ(programs.size(), kNumPrebuiltKernels);
  for (const loop::Program& p : programs) EXPECT_NE(FindPrebuilt(ToString(p)), nullptr);
  EXPECT_EQ(FindPrebuilt(""), nullptr);
  EXPECT_EQ(FindPrebuilt("program none(f32 unit) -> (0)\n0: f32 load 1\n"), nullptr);
}

TEST(PrebuiltTest, EveryElementwiseOpAndReductionIsThere) {
  RegisterAllOps();
  for (const OpDef* op : AllOps()) {
    if (op->family == Family::kReduction) {
      const loop::Body body =
          ReductionBody(op->reduce, kFloat32, loop::Axis::kInner, op->reduce_mean);
      loop::Program p{body, {loop::Stride::kUnit}};
      if (op->reduce_mean) p.inner.push_back(loop::Stride::kZero);
      EXPECT_NE(FindPrebuilt(ToString(p)), nullptr) << op->name;
    }
    if (op->family != Family::kElementwise || op->inputs.size() != 1) continue;
    if (op->has_call_types || op->type_attrs.empty()) continue;
    const bool floating = op->type_attrs[0].allowed.Contains(kFloat32);
    if (!floating || !op->attrs.empty()) continue;
    const DType output = op->outputs[0].type_attr.empty() ? op->outputs[0].type : kFloat32;
    const loop::Program p{ElementwiseBody(*op, {}, {{kFloat32}}, output), {loop::Stride::kUnit}};
    EXPECT_NE(FindPrebuilt(ToString(p)), nullptr) << op->name;
  }
}

// What the build made and what the compiler makes here give the same bits.
TEST(PrebuiltTest, BitsAreTheCompilers) {
  const std::vector<loop::Program> programs = CommonPrograms();
  llvm_backend::JitEngine& engine = llvm_backend::JitEngine::Get();
  std::vector<llvm_backend::KernelSource> sources;
  for (size_t i = 0; i < programs.size(); ++i) sources.push_back({&programs[i], Str("k", i)});
  auto object = CompileKernels(engine, sources);
  ASSERT_TRUE(object.ok()) << object.status();
  auto code = engine.Load(*object);
  ASSERT_TRUE(code.ok()) << code.status();
  for (size_t i = 0; i < programs.size(); ++i) {
    llvm_backend::Rng rng(i);
    llvm_backend::KernelRun run(programs[i], 3, 107, rng);
    run.Run(FindPrebuilt(ToString(programs[i])));
    const auto prebuilt = run.TakeOutputs();
    run.Run(code->Function<void(const loop::KernelArgs*)>(sources[i].symbol));
    EXPECT_EQ(prebuilt, run.TakeOutputs()) << ToString(programs[i]);
  }
}

}  // namespace
}  // namespace duet::compiler
