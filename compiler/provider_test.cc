#include "compiler/provider.h"

#include <filesystem>
#include <fstream>
#include <thread>

#include "compiler/llvm/jit.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace duet::compiler {
namespace {

using loop::Builder;
using loop::Code;
using loop::Program;
using loop::Stride;

Program AddConstant(double c) {
  Program p{.inner = {Stride::kUnit}};
  p.body.operands = {kFloat32};
  Builder b(&p.body);
  const auto x = b.Load(0);
  p.body.outputs = {{b.Binary(Code::kAdd, x, b.Const(kFloat32, c))}};
  return p;
}

float Call(loop::KernelFn fn, float x) {
  float y = -1;
  void* pointers[] = {&x, &y};
  const int64_t strides[] = {4, 4};
  const loop::KernelArgs args{1, 1, 0, pointers, strides, strides};
  fn(&args);
  return y;
}

class ProviderTest : public testing::Test {
 protected:
  ProviderTest()
      : folder_(testing::TempDir() + "/provider_test_" +
                testing::UnitTest::GetInstance()->current_test_info()->name()),
        cache_(Fresh(folder_), 1 << 20) {}
  static std::string Fresh(const std::string& folder) {
    std::filesystem::remove_all(folder);
    return folder;
  }
  Provider Make(Provider::Prebuilt prebuilt = nullptr) {
    return Provider([]() -> llvm_backend::JitEngine& { return llvm_backend::JitEngine::Get(); },
                    &cache_, prebuilt);
  }

  std::string folder_;
  KernelCache cache_;
};

TEST_F(ProviderTest, CompilesOnceThenRemembers) {
  Provider provider = Make();
  const Program p = AddConstant(1), q = AddConstant(2);
  const std::vector<const Program*> programs = {&p, &q, &p};
  auto kernels = provider.GetAll(programs, false);
  ASSERT_TRUE(kernels.ok()) << kernels.status();
  EXPECT_EQ((*kernels)[0], (*kernels)[2]);
  EXPECT_EQ(Call((*kernels)[0], 5), 6);
  EXPECT_EQ(Call((*kernels)[1], 5), 7);
  EXPECT_EQ(provider.stats().compiled, 2);
  ASSERT_TRUE(provider.Get(q).ok());
  EXPECT_EQ(provider.stats().compiled, 2);
  EXPECT_EQ(provider.stats().memory_hits, 1);
  EXPECT_GT(provider.stats().compile_seconds, 0);
}

TEST_F(ProviderTest, ASecondProcessCompilesNothing) {
  const Program p = AddConstant(1), q = AddConstant(2);
  Provider first = Make();
  const std::vector<const Program*> both = {&p, &q};
  ASSERT_TRUE(first.GetAll(both, false).ok());
  Provider second = Make();  // shares only the folder
  auto fn = second.Get(q);
  ASSERT_TRUE(fn.ok());
  EXPECT_EQ(Call(*fn, 5), 7);
  EXPECT_EQ(second.stats().compiled, 0);
  EXPECT_EQ(second.stats().disk_hits, 1);
}

TEST_F(ProviderTest, ADamagedEntryIsCompiledAgain) {
  const Program p = AddConstant(1);
  Provider first = Make();
  ASSERT_TRUE(first.Get(p).ok());
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder_)) {
    if (entry.is_regular_file()) std::filesystem::resize_file(entry.path(), 40);
  }
  Provider second = Make();
  auto fn = second.Get(p);
  ASSERT_TRUE(fn.ok());
  EXPECT_EQ(Call(*fn, 5), 6);
  EXPECT_EQ(second.stats().compiled, 1);
}

// An entry that is whole but not object code is not used either.
TEST_F(ProviderTest, AnEntryThatIsNotObjectCodeIsCompiledAgain) {
  const Program p = AddConstant(1);
  cache_.Put(llvm_backend::JitEngine::Get().target_key() + "\n" + KernelKey(p, false), "not code");
  Provider provider = Make();
  auto fn = provider.Get(p);
  ASSERT_TRUE(fn.ok());
  EXPECT_EQ(Call(*fn, 5), 6);
  EXPECT_EQ(provider.stats().compiled, 1);
}

TEST_F(ProviderTest, FastMathIsAnotherKernel) {
  Provider provider = Make();
  const Program p = AddConstant(1);
  auto exact = provider.Get(p, false), fast = provider.Get(p, true);
  ASSERT_TRUE(exact.ok() && fast.ok());
  EXPECT_NE(*exact, *fast);
  EXPECT_EQ(provider.stats().compiled, 2);
}

void Seven(const loop::KernelArgs* args) { *static_cast<float*>(args->pointers[1]) = 7; }

TEST_F(ProviderTest, PrebuiltKernelsComeFirst) {
  Provider provider = Make([](std::string_view key) -> loop::KernelFn {
    return key == KernelKey(AddConstant(1), false) ? &Seven : nullptr;
  });
  auto fn = provider.Get(AddConstant(1));
  ASSERT_TRUE(fn.ok());
  EXPECT_EQ(Call(*fn, 5), 7);
  EXPECT_EQ(provider.stats().prebuilt_hits, 1);
  EXPECT_EQ(provider.stats().compiled, 0);
}

TEST_F(ProviderTest, AProgramThatDoesNotVerifyIsRefused) {
  Provider provider = Make();
  Program p = AddConstant(1);
  p.body.outputs = {{17}};
  auto fn = provider.Get(p);
  EXPECT_EQ(fn.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(fn.status().message()), testing::HasSubstr("17"));
}

TEST_F(ProviderTest, ConcurrentCallersCompileOnce) {
  Provider provider = Make();
  std::vector<std::thread> threads;
  std::vector<float> results(4);
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] { results[t] = Call(*provider.Get(AddConstant(3)), 5); });
  }
  for (std::thread& t : threads) t.join();
  EXPECT_THAT(results, testing::Each(8.0f));
  EXPECT_EQ(provider.stats().compiled, 1);
}

TEST(DefaultProviderTest, ACommonKernelNeedsNoCompiler) {
  Program p{.inner = {Stride::kUnit, Stride::kUnit}};
  p.body.operands = {kFloat32, kFloat32};
  Builder b(&p.body);
  const auto x = b.Load(0), y = b.Load(1);
  p.body.outputs = {{b.Binary(Code::kMul, x, y)}};
  auto fn = DefaultProvider().Get(p);
  ASSERT_TRUE(fn.ok()) << fn.status();
  float a = 3, c = 5, out = -1;
  void* pointers[] = {&a, &c, &out};
  const int64_t strides[] = {4, 4, 4};
  const loop::KernelArgs args{1, 1, 0, pointers, strides, strides};
  (*fn)(&args);
  EXPECT_EQ(out, 15);
  EXPECT_EQ(DefaultProvider().stats().prebuilt_hits, 1);
  EXPECT_EQ(DefaultProvider().stats().compiled, 0);
}

}  // namespace
}  // namespace duet::compiler
