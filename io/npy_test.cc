#include "io/npy.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdio>
#include <cstring>
#include <fstream>
#include <random>

#include "core/file.h"
#include "core/strings.h"
#include "duet.h"

namespace duet {
namespace {

using ::testing::ElementsAre;
using ::testing::EndsWith;
using ::testing::HasSubstr;

std::string PathOf(std::string_view name) { return Str(::testing::TempDir(), "/", name); }

// A file with the given header text, padded as NumPy pads it, and data.
std::string NpyBytes(std::string header, std::string_view data, int version = 1) {
  const size_t prefix = version == 1 ? 10 : 12;
  header.append(63 - (prefix + header.size()) % 64, ' ');
  header += '\n';
  std::string bytes = "\x93NUMPY";
  bytes += static_cast<char>(version);
  bytes += '\0';
  for (size_t i = 0; i < prefix - 8; ++i) bytes += static_cast<char>(header.size() >> (8 * i));
  return Str(bytes, header, data);
}

absl::StatusOr<Tensor> ReadBytes(std::string_view bytes) {
  const std::string path = PathOf("bytes.npy");
  std::remove(path.c_str());  // some file systems sync a file that is cut to nothing and written
  std::ofstream(path, std::ios::binary) << bytes;
  return ReadNpy(path);
}

template <class T>
std::string Raw(std::vector<T> values) {
  return std::string(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T));
}

// The message of the error that reading gives, which must have the code.
std::string ErrorOf(std::string_view bytes, absl::StatusCode code) {
  const absl::StatusOr<Tensor> tensor = ReadBytes(bytes);
  EXPECT_FALSE(tensor.ok());
  EXPECT_EQ(tensor.status().code(), code) << tensor.status();
  return std::string(tensor.status().message());
}

TEST(NpyTest, RoundTripsEveryTypeAndShape) {
  const std::string path = PathOf("round_trip.npy");
  for (DType dtype : {kFloat32, kFloat64, kInt32, kInt64, kUInt8, kBool}) {
    for (const Shape& shape : {Shape{}, Shape{0}, Shape{1}, Shape{3}, Shape{2, 3}, Shape{2, 0, 5},
                               Shape{2, 3, 4, 5}, Shape{1, 1, 1, 1, 1, 1, 1, 7}}) {
      Tensor tensor = Tensor::Allocate(dtype, shape);
      auto* bytes = static_cast<unsigned char*>(tensor.mutable_raw_data());
      for (size_t i = 0; i < tensor.byte_size(); ++i) bytes[i] = dtype == kBool ? i % 2 : i * 37;
      ASSERT_TRUE(WriteNpy(tensor, path).ok());
      const absl::StatusOr<Tensor> again = ReadNpy(path);
      ASSERT_TRUE(again.ok()) << again.status();
      ASSERT_EQ(again->dtype(), dtype);
      ASSERT_EQ(again->shape(), shape);
      ASSERT_EQ(std::memcmp(again->raw_data(), tensor.raw_data(), tensor.byte_size()), 0);
    }
  }
}

TEST(NpyTest, WritesTheBytesThatNumpyWrites) {
  const std::string path = PathOf("bytes_written.npy");
  ASSERT_TRUE(WriteNpy(Constant(std::vector<float>{1, 2, 3}, {3}), path).ok());
  EXPECT_EQ(
      *ReadFile(path, 1000),
      NpyBytes("{'descr': '<f4', 'fortran_order': False, 'shape': (3,), }", Raw<float>({1, 2, 3})));
  ASSERT_TRUE(WriteNpy(Constant({{true, false}, {false, true}}), path).ok());
  EXPECT_EQ(*ReadFile(path, 1000),
            NpyBytes("{'descr': '|b1', 'fortran_order': False, 'shape': (2, 2), }",
                     std::string("\1\0\0\1", 4)));
  ASSERT_TRUE(WriteNpy(Constant(7), path).ok());
  EXPECT_EQ(*ReadFile(path, 1000),
            NpyBytes("{'descr': '<i4', 'fortran_order': False, 'shape': (), }", Raw<int>({7})));
}

TEST(NpyTest, ReadsEveryVersionAndSpelling) {
  const std::string data = Raw<double>({1.5, -2});
  for (int version : {1, 2, 3}) {
    const auto tensor = ReadBytes(
        NpyBytes("{'descr': '<f8', 'fortran_order': False, 'shape': (2,), }", data, version));
    ASSERT_TRUE(tensor.ok()) << tensor.status();
    EXPECT_THAT(tensor->ToVector<double>(), ElementsAre(1.5, -2));
  }
  for (const char* header :
       {"{'shape':(2,),'descr':'=f8','fortran_order':False}",
        "{\"descr\": \"<f8\", \"fortran_order\": True, \"shape\": (2L,)}",
        " { 'fortran_order' : False,\n'shape' : ( 1 , 2 , ) , 'descr' : '<f8' } "}) {
    const auto tensor = ReadBytes(NpyBytes(header, data));
    ASSERT_TRUE(tensor.ok()) << header << ": " << tensor.status();
    EXPECT_THAT(tensor->ToVector<double>(), ElementsAre(1.5, -2));
  }
}

TEST(NpyTest, TransposesFortranOrder) {
  const auto matrix =
      ReadBytes(NpyBytes("{'descr': '<i4', 'fortran_order': True, 'shape': (2, 3), }",
                         Raw<int32_t>({0, 3, 1, 4, 2, 5})));
  ASSERT_TRUE(matrix.ok()) << matrix.status();
  EXPECT_EQ(matrix->ValueString(), "[[0 1 2]\n [3 4 5]]");
  std::vector<int64_t> values;
  for (int64_t k = 0; k < 4; ++k) {
    for (int64_t j = 0; j < 3; ++j) {
      for (int64_t i = 0; i < 2; ++i) values.push_back(100 * i + 10 * j + k);
    }
  }
  const auto cube = ReadBytes(
      NpyBytes("{'descr': '<i8', 'fortran_order': True, 'shape': (2, 3, 4), }", Raw(values)));
  ASSERT_TRUE(cube.ok()) << cube.status();
  EXPECT_EQ(cube->shape(), Shape({2, 3, 4}));
  const std::vector<int64_t> read = cube->ToVector<int64_t>();
  for (int64_t n = 0; n < 24; ++n) EXPECT_EQ(read[n], 100 * (n / 12) + 10 * (n / 4 % 3) + n % 4);
  EXPECT_TRUE(
      ReadBytes(NpyBytes("{'descr': '<i8', 'fortran_order': True, 'shape': (2, 0), }", "")).ok());
}

TEST(NpyTest, AnyByteIsABool) {
  const auto tensor = ReadBytes(NpyBytes(
      "{'descr': '|b1', 'fortran_order': False, 'shape': (4,), }", std::string("\0\1\2\xff", 4)));
  ASSERT_TRUE(tensor.ok()) << tensor.status();
  EXPECT_EQ(std::memcmp(tensor->raw_data(), "\0\1\1\1", 4), 0);
}

TEST(NpyTest, SaysWhatItDoesNotRead) {
  const auto header = [](std::string_view descr) {
    return NpyBytes(Str("{'descr': ", descr, ", 'fortran_order': False, 'shape': (0,), }"), "");
  };
  const auto unsupported = absl::StatusCode::kUnimplemented;
  EXPECT_THAT(ErrorOf(header("'|O'"), unsupported), HasSubstr("elements of type '|O'"));
  EXPECT_THAT(ErrorOf(header("'<f2'"), unsupported), EndsWith("convert the array with astype"));
  EXPECT_THAT(ErrorOf(header("'<c8'"), unsupported), HasSubstr("'<c8'"));
  EXPECT_THAT(ErrorOf(header("'>f4'"), unsupported), HasSubstr("big-endian elements '>f4'"));
  EXPECT_THAT(ErrorOf(header("[('a', '<f4')]"), unsupported), HasSubstr("structured array"));
  std::string version = header("'<f4'");
  version[6] = 4;
  EXPECT_THAT(ErrorOf(version, unsupported), HasSubstr(".npy version 4.0; read are 1.0 to 3.0"));
  EXPECT_EQ(ReadNpy(PathOf("none.npy")).status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(ReadNpy(::testing::TempDir()).status().code(), absl::StatusCode::kInvalidArgument);
}

TEST(NpyTest, RefusesDamagedHeaders) {
  const char* kBad[] = {
      "",
      "[]",
      "{",
      "{'descr': '<f4', 'fortran_order': False}",
      "{'descr': '<f4', 'fortran_order': False, 'shape': (2,)} x",
      "{'descr': '<f4', 'descr': '<f4', 'fortran_order': False, 'shape': (2,)}",
      "{'descr': '<f4', 'fortran_order': False, 'shape': (2,), 'more': 1}",
      "{'descr': '<f4', 'fortran_order': 0, 'shape': (2,)}",
      "{'descr': 4, 'fortran_order': False, 'shape': (2,)}",
      "{'descr': '<f4",
      "{'descr': '<f4' 'fortran_order': False, 'shape': (2,)}",
      "{'descr': '<f4', 'fortran_order': False, 'shape': (2)}",
      "{'descr': '<f4', 'fortran_order': False, 'shape': (-2,)}",
      "{'descr': '<f4', 'fortran_order': False, 'shape': (1 2)}",
      "{'descr': '<f4', 'fortran_order': False, 'shape': [2]}",
      "{'descr': '<f4', 'fortran_order': False, 'shape': (2,}",
      "{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999,)}",
      "{'descr': '<f4', 'fortran_order': False, 'shape': (4611686018427387904, 4)}",
      "{'descr': '<f4', 'fortran_order': False, 'shape': (4611686018427387904, 4, 0)}",
  };
  for (const char* header : kBad) {
    EXPECT_THAT(ErrorOf(NpyBytes(header, Raw<float>({1, 2})), absl::StatusCode::kDataLoss),
                HasSubstr("damaged .npy header: "))
        << header;
  }
  std::string ranks = "{'descr': '|u1', 'fortran_order': False, 'shape': (";
  for (int i = 0; i < 255; ++i) ranks += "1, ";
  EXPECT_THAT(ErrorOf(NpyBytes(ranks + ")}", "x"), absl::StatusCode::kDataLoss),
              HasSubstr("more than 254 dimensions"));
  EXPECT_THAT(ErrorOf(NpyBytes(std::string(20'000, ' '), "", 2), absl::StatusCode::kDataLoss),
              HasSubstr("at most 10000 are read"));
}

TEST(NpyTest, ChecksSizesAgainstTheFileBeforeTakingMemory) {
  const int64_t before = GetMemoryStats().peak;
  EXPECT_THAT(
      ErrorOf(
          NpyBytes("{'descr': '<f4', 'fortran_order': True, 'shape': (1099511627776,)}", "1234"),
          absl::StatusCode::kDataLoss),
      HasSubstr("float32[1099511627776] takes 4398046511104 bytes, and 4 follow the header"));
  EXPECT_EQ(GetMemoryStats().peak, before);
}

TEST(NpyTest, EveryTruncationIsDataLoss) {
  const std::string whole = NpyBytes("{'descr': '<i4', 'fortran_order': False, 'shape': (2, 3), }",
                                     Raw<int32_t>({0, 3, 1, 4, 2, 5}), 2);
  ASSERT_TRUE(ReadBytes(whole).ok());
  for (size_t n = 0; n < whole.size(); ++n) {
    ErrorOf(std::string_view(whole).substr(0, n), absl::StatusCode::kDataLoss);
  }
  ErrorOf(whole + "x", absl::StatusCode::kDataLoss);
}

TEST(NpyTest, MutationsNeverCrash) {
  std::mt19937 random(1);
  const std::string whole = NpyBytes("{'descr': '<i4', 'fortran_order': True, 'shape': (2, 3), }",
                                     Raw<int32_t>({0, 3, 1, 4, 2, 5}));
  const std::string_view letters = "{}()[]'\":,<>|=-0123456789TFLbfiu \n";
  int read = 0;
  for (int i = 0; i < 3000; ++i) {
    std::string bytes = whole;
    for (int n = 1 + static_cast<int>(random() % 3); n > 0; --n) {
      const size_t at = random() % 72;
      bytes[at] = random() % 2 ? letters[random() % letters.size()] : static_cast<char>(random());
    }
    const absl::StatusOr<Tensor> tensor = ReadBytes(bytes);
    if (!tensor.ok()) continue;
    ++read;
    EXPECT_EQ(tensor->byte_size(), 24u);
  }
  EXPECT_LT(read, 1500);
}

TEST(NpyTest, WritesOnlyValues) {
  const std::string path = PathOf("not_written.npy");
  EXPECT_EQ(WriteNpy(Tensor(), path).code(), absl::StatusCode::kInvalidArgument);
  Graph graph;
  Tensor symbol;
  {
    GraphScope scope(graph);
    symbol = Placeholder(kFloat32, {2}, "x");
  }
  EXPECT_THAT(std::string(WriteNpy(symbol, path).message()), HasSubstr("has no elements to write"));
  EXPECT_EQ(ReadNpy(path).status().code(), absl::StatusCode::kNotFound);
}

}  // namespace
}  // namespace duet
