#include "compiler/llvm/jit.h"

#include <cmath>
#include <cstdint>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "compiler/llvm/jit_internal.h"
#include "compiler/llvm/vector_math_testing.h"
#include "gtest/gtest.h"
#include "llvm/IR/IRBuilder.h"

namespace duet::compiler::llvm_backend {
namespace {

std::string CompileAdd(JitEngine& jit) {
  IrModule ir = NewModule(jit, "add");
  EmitLoop(ir, "add", /*is_double=*/false, 16, 2,
           [](llvm::IRBuilder<>& b, auto& v) { return b.CreateFAdd(v[0], v[1]); });
  absl::StatusOr<std::string> object = CompileToObject(jit, std::move(ir));
  EXPECT_TRUE(object.ok()) << object.status();
  return *object;
}

void ExpectAdds(const CompiledModule& code) {
  auto* add = code.Function<BinaryLoop<float>>("add");
  ASSERT_NE(add, nullptr);
  std::vector<float> x(64, 1.5f), y(64, 2.0f), out(64);
  add(x.data(), y.data(), out.data(), 64);
  EXPECT_EQ(out, std::vector<float>(64, 3.5f));
}

TEST(Jit, CompilesAndLoads) {
  JitEngine& jit = JitEngine::Get();
  std::string object = CompileAdd(jit);
  absl::StatusOr<CompiledModule> code = jit.Load(object);
  ASSERT_TRUE(code.ok()) << code.status();
  object.assign(object.size(), '\0');  // the bytes may go
  ExpectAdds(*code);
  EXPECT_EQ(code->Find("subtract"), nullptr);
}

TEST(Jit, SameModuleGivesSameBytes) {
  EXPECT_EQ(CompileAdd(JitEngine::Get()), CompileAdd(JitEngine::Get()));
}

TEST(Jit, TargetKeyNamesFeaturesAndVersions) {
  JitEngine host;
  EXPECT_EQ(host.target_key(), JitEngine::Get().target_key());
  EXPECT_NE(host.target_key().find(";emitter="), std::string::npos);
  EXPECT_NE(host.target_key().find(";llvm=19"), std::string::npos);
  JitEngine plain({.level = JitOptions::Level::kSse2});
  EXPECT_EQ(plain.target_key().find("avx"), std::string::npos);
  EXPECT_EQ(plain.vector_bytes(), 16);
}

TEST(Jit, LowerLevelsRun) {
  for (auto level : {JitOptions::Level::kSse2, JitOptions::Level::kAvx2}) {
    JitEngine jit({.level = level});
    absl::StatusOr<CompiledModule> code = jit.Load(CompileAdd(jit));
    ASSERT_TRUE(code.ok()) << code.status();
    ExpectAdds(*code);
  }
}

// Without FMA instructions the code calls fmaf, which has to be found.
TEST(Jit, CallsFmaOfTheProcess) {
  JitEngine jit({.level = JitOptions::Level::kSse2});
  auto* loop = CompileUnary<float>(jit, MathFn::kExp, 4);
  std::vector<float> x(4, 1.0f), out(4);
  loop(x.data(), out.data(), 4);
  EXPECT_EQ(out[3], std::exp(1.0f));
}

// Whole vectors of the widest registers are loaded and stored under a mask, not lane by lane.
TEST(Jit, MaskedAccessIsNotScalarised) {
  JitEngine& jit = JitEngine::Get();
  if (jit.vector_bytes() < 32) GTEST_SKIP() << "needs AVX";
  IrModule ir = NewModule(jit, "masked");
  llvm::IRBuilder<> b(*ir.context);
  auto* type = llvm::FixedVectorType::get(b.getFloatTy(), 16);
  auto* f = llvm::Function::Create(
      llvm::FunctionType::get(b.getVoidTy(), {b.getPtrTy(), b.getPtrTy(), b.getInt32Ty()}, false),
      llvm::Function::ExternalLinkage, "copy", *ir.module);
  f->setDoesNotThrow();
  b.SetInsertPoint(llvm::BasicBlock::Create(*ir.context, "", f));
  llvm::SmallVector<llvm::Constant*> lanes;
  for (int i = 0; i < 16; ++i) lanes.push_back(b.getInt32(i));
  llvm::Value* mask =
      b.CreateICmpULT(llvm::ConstantVector::get(lanes), b.CreateVectorSplat(16, f->getArg(2)));
  llvm::Value* x = b.CreateMaskedLoad(type, f->getArg(0), llvm::Align(4), mask,
                                      llvm::Constant::getNullValue(type));
  b.CreateMaskedStore(x, f->getArg(1), llvm::Align(4), mask);
  b.CreateRetVoid();
  absl::StatusOr<std::string> object = CompileToObject(jit, std::move(ir));
  ASSERT_TRUE(object.ok()) << object.status();
  EXPECT_LT(object->size(), 1500u);
  absl::StatusOr<CompiledModule> code = jit.Load(*object);
  ASSERT_TRUE(code.ok()) << code.status();
  std::vector<float> in(16, 1.0f), out(16, 0.0f);
  code->Function<void(const float*, float*, int32_t)>("copy")(in.data(), out.data(), 5);
  EXPECT_EQ(out[4], 1.0f);
  EXPECT_EQ(out[5], 0.0f);
}

TEST(Jit, RejectsWhatIsNotAnObject) {
  JitEngine& jit = JitEngine::Get();
  const std::string object = CompileAdd(jit);
  EXPECT_FALSE(jit.Load("").ok());
  EXPECT_FALSE(jit.Load("not an object file").ok());
  EXPECT_FALSE(jit.Load(std::string_view(object).substr(0, 100)).ok());
  EXPECT_FALSE(jit.Load(std::string_view(object).substr(0, object.size() / 2)).ok());
}

TEST(Jit, RejectsOtherUndefinedSymbols) {
  JitEngine& jit = JitEngine::Get();
  IrModule ir = NewModule(jit, "system");
  EmitLoop(ir, "call", /*is_double=*/false, 1, 1, [&](llvm::IRBuilder<>& b, auto& v) {
    auto system = ir.module->getOrInsertFunction("system", b.getFloatTy(), b.getFloatTy());
    return b.CreateCall(system, {v[0]});
  });
  absl::StatusOr<CompiledModule> code = CompileAndLoad(jit, std::move(ir));
  ASSERT_FALSE(code.ok());
  EXPECT_NE(code.status().message().find("system"), std::string::npos) << code.status();
}

TEST(Jit, ReportsInvalidIr) {
  JitEngine& jit = JitEngine::Get();
  IrModule ir = NewModule(jit, "invalid");
  llvm::IRBuilder<> b(*ir.context);
  auto* f = llvm::Function::Create(llvm::FunctionType::get(b.getVoidTy(), false),
                                   llvm::Function::ExternalLinkage, "f", *ir.module);
  llvm::BasicBlock::Create(*ir.context, "", f);  // no terminator
  EXPECT_FALSE(CompileToObject(jit, std::move(ir)).ok());
}

TEST(Jit, ThreadsCompileAndLoadAtOnce) {
  JitEngine& jit = JitEngine::Get();
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 5; ++i) {
        absl::StatusOr<CompiledModule> code = jit.Load(CompileAdd(jit));
        ASSERT_TRUE(code.ok()) << code.status();
        ExpectAdds(*code);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
}

}  // namespace
}  // namespace duet::compiler::llvm_backend
