#include "core/tensor.h"

#include <cstring>
#include <limits>
#include <thread>

#include "core/attrs.h"
#include "gtest/gtest.h"

namespace duet {
namespace {

template <class T>
Tensor Make(const Shape& shape, const std::vector<T>& values) {
  Tensor t = Tensor::Allocate(kDTypeOf<T>, shape);
  std::memcpy(t.mutable_raw_data(), values.data(), values.size() * sizeof(T));
  return t;
}

TEST(TensorTest, PrintsAsNumPyDoes) {
  EXPECT_EQ(Make<int32_t>({2, 2}, {2, 3, 4, 5}).ValueString(), "[[2 3]\n [4 5]]");
  EXPECT_EQ(Make<int32_t>({2, 2}, {2, 3, 4, 5}).ToString(),
            "Tensor([[2 3]\n [4 5]], shape=(2, 2), dtype=int32)");
  EXPECT_EQ(Make<int32_t>({}, {7}).ToString(), "Tensor(7, shape=(), dtype=int32)");
  EXPECT_EQ(Make<float>({3}, {1.0f, -0.5f, 2.25f}).ValueString(), "[ 1.   -0.5   2.25]");
  EXPECT_EQ(Make<float>({2}, {1.5e-5f, 1.0f}).ValueString(), "[1.5e-05 1.0e+00]");
  EXPECT_EQ(Make<double>({2}, {1.0 / 3, 2}).ValueString(), "[0.33333333 2.        ]");
  EXPECT_EQ(Make<float>({2}, {std::numeric_limits<float>::quiet_NaN(), 0.5f}).ValueString(),
            "[nan 0.5]");
  EXPECT_EQ(Make<float>({}, {7}).ValueString(), "7.0");
  EXPECT_EQ(Make<int32_t>({2, 1, 2}, {1, 2, 3, 4}).ValueString(), "[[[1 2]]\n\n [[3 4]]]");
  EXPECT_EQ(Make<uint8_t>({2}, {1, 10}).ValueString(), "[ 1 10]");
  EXPECT_EQ(Tensor::Allocate(kFloat32, {0, 3}).ValueString(), "[]");
  EXPECT_EQ(Tensor::Allocate(kFloat32, {2, 0, 3}).ValueString(), "[]");
  EXPECT_EQ(Tensor().ToString(), "Tensor(undefined)");
}

TEST(TensorTest, ReadsOnlyItsOwnType) {
  const Tensor t = Make<float>({1}, {1.5f});
  EXPECT_EQ(t.Item<float>(), 1.5f);
  try {
    const uint32_t line = __LINE__ + 1;
    try {
      (void)t.Item<int32_t>();
    } catch (const Error& e) {
      EXPECT_EQ(e.location().line, line + 1);
      throw;
    }
    FAIL();
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), absl::StatusCode::kInvalidArgument);
    EXPECT_NE(std::string(e.what()).find("the elements are float32, read as int32"),
              std::string::npos)
        << e.what();
  }
}

TEST(TensorTest, UndefinedAndWrongRankAreErrors) {
  EXPECT_THROW((void)Tensor().Item<float>(), Error);
  EXPECT_THROW((void)Tensor().ToBool(), Error);
  EXPECT_THROW((void)Make<int32_t>({1}, {1}).ToBool(), Error);
  EXPECT_THROW((void)Make<int32_t>({2}, {1, 2}).Item<int32_t>(), Error);
  EXPECT_TRUE(Make<int32_t>({}, {3}).ToBool());
  EXPECT_FALSE(Make<float>({}, {-0.0f}).ToBool());
}

TEST(TensorTest, AliasesShareElements) {
  const Tensor big = Tensor::Allocate(kFloat32, {4, 32});
  EXPECT_EQ(big.Alias({128}).raw_data(), big.raw_data());
  EXPECT_TRUE(big.OwnsElementsAlone());
  const Tensor alias = big.Alias({2, 64});
  EXPECT_FALSE(big.OwnsElementsAlone());
  const Tensor small = Make<float>({2}, {1, 2});
  EXPECT_EQ(small.Alias({2, 1}).ToVector<float>(), (std::vector<float>{1, 2}));
}

TEST(AllocatorTest, RecyclesAndCounts) {
  const int64_t before = GetMemoryStats().in_use;
  const void* first = nullptr;
  {
    const Tensor t = Tensor::Allocate(kFloat32, {1 << 20});
    first = t.raw_data();
    EXPECT_EQ(reinterpret_cast<uintptr_t>(first) % 64, 0u);
    EXPECT_GE(GetMemoryStats().in_use, before + (4 << 20));
    EXPECT_LE(GetMemoryStats().in_use, before + (5 << 20));
  }
  EXPECT_EQ(GetMemoryStats().in_use, before);
  EXPECT_EQ(Tensor::Allocate(kFloat32, {1 << 20}).raw_data(), first);
}

TEST(AllocatorTest, RefusesWhatPassesTheLimit) {
  SetMemoryLimit(GetMemoryStats().in_use + (1 << 20));
  try {
    (void)Tensor::Allocate(kFloat64, {1 << 20});
    ADD_FAILURE() << "the limit was passed";
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), absl::StatusCode::kResourceExhausted);
  }
  SetMemoryLimit(0);
  EXPECT_NO_THROW((void)Tensor::Allocate(kFloat64, {1 << 20}));
}

TEST(AllocatorTest, EverySizeHasRoom) {
  for (size_t bytes : {1, 64, 127, 128, 129, 160, 161, 255, 256, 257, 4096, 4097, 131072, 131073}) {
    Storage* s = Storage::Allocate(bytes);
    std::memset(s->data(), 1, bytes);
    s->Unref();
  }
}

TEST(AllocatorTest, BlocksOutliveTheirThread) {
  Tensor t;
  std::thread([&] { t = Make<double>({100}, std::vector<double>(100, 2.0)); }).join();
  EXPECT_EQ(t.data<double>()[99], 2.0);
}

TEST(AttrsTest, EqualityIsByValue) {
  const Attrs a{{"value", Make<float>({2}, {1, 2})}, {"axis", int64_t{1}}};
  const Attrs b{{"axis", int64_t{1}}, {"value", Make<float>({2}, {1, 2})}};
  const Attrs c{{"axis", int64_t{1}}, {"value", Make<float>({2}, {1, 3})}};
  EXPECT_EQ(a, b);
  EXPECT_EQ(a.Hash(), b.Hash());
  EXPECT_FALSE(a == c);
  // 0.0 and -0.0 are different attributes.
  EXPECT_FALSE(AttrEquals(0.0f, -0.0f));
}

TEST(AttrsTest, PrintsExactly) {
  EXPECT_EQ(AttrToString(Make<float>({3}, {0.1f, 1.0f, -0.0f})), "float32[3]{0.1, 1.0, -0.0}");
  EXPECT_EQ(AttrToString(Make<float>({2}, {0.5f, 0.5f})), "float32[2]{0.5 ...}");
  EXPECT_EQ(AttrToString(std::string("a\"b")), R"("a\"b")");
  EXPECT_EQ(AttrToString(std::vector<int64_t>{1, 2}), "[1, 2]");
  EXPECT_EQ(AttrToString(Shape({-1, 2})), "shape[?,2]");
}

}  // namespace
}  // namespace duet
