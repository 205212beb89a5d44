#include "examples/digits_training.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sstream>

#include "core/file.h"
#include "core/strings.h"
#include "examples/fresh_process.h"

namespace duet::examples {
namespace {

using ::testing::HasSubstr;

Digits ReadData() {
  absl::StatusOr<Digits> digits = ReadDigits(FindBuilt("examples/data/digits.csv.gz"));
  if (!digits.ok()) throw Error(digits.status(), Location());
  return *std::move(digits);
}

TEST(DigitsDataTest, HoldsOutEveryFifthRow) {
  const Digits digits = ReadData();
  EXPECT_EQ(digits.train.pixels.shape(), Shape({1438, 64}));
  EXPECT_EQ(digits.held_out.pixels.shape(), Shape({359, 64}));
  // The file begins with 0 to 9 in order.
  EXPECT_EQ(digits.held_out.labels.ToVector<int64_t>()[0], 4);
  EXPECT_EQ(digits.held_out.labels.ToVector<int64_t>()[1], 9);
  EXPECT_EQ(digits.train.labels.ToVector<int64_t>()[4], 5);
  EXPECT_EQ(Max(digits.train.pixels).Item<float>(), 1.0f);
  EXPECT_EQ(Min(digits.train.pixels).Item<float>(), 0.0f);
}

TEST(DigitsDataTest, RefusesDamagedFiles) {
  const std::string path = Str(::testing::TempDir(), "/digits.csv.gz");
  const auto error = [&](std::string_view bytes) {
    EXPECT_TRUE(WriteFile(path, {bytes}).ok());
    const absl::StatusOr<Digits> digits = ReadDigits(path);
    EXPECT_FALSE(digits.ok());
    return std::string(digits.status().message());
  };
  std::string row;
  for (int i = 0; i < 64; ++i) row += "1,";
  EXPECT_THAT(error(row + "3\n" + row + "10\n"), HasSubstr("digits.csv.gz:2: expected 64 pixels"));
  EXPECT_THAT(error(row + "1,3\n"), HasSubstr(":1: "));
  EXPECT_THAT(error("17," + row.substr(2) + "3\n"), HasSubstr(":1: "));
  EXPECT_THAT(error(row + "3\n"), HasSubstr("too few rows"));
  EXPECT_THAT(error(""), HasSubstr("too few rows"));
  const std::string whole = *ReadFile(FindBuilt("examples/data/digits.csv.gz"), 1 << 20);
  error(std::string_view(whole).substr(0, whole.size() / 2));
  EXPECT_EQ(ReadDigits(path + ".none").status().code(), absl::StatusCode::kNotFound);
}

TEST(DigitsTest, BothModesGoThroughTheSameBits) {
  const Digits digits = ReadData();
  TrainingOptions options;
  options.epochs = 3;
  std::ostringstream progress;
  const Training eager = Train(digits, Mode::kEager, options, progress);
  const Training recorded = Train(digits, Mode::kRecorded, options, progress);
  ASSERT_EQ(eager.losses.size(), 3u * 44);
  EXPECT_TRUE(SameBits(eager, recorded));
  EXPECT_EQ(eager.accuracy, recorded.accuracy);
  EXPECT_GT(eager.accuracy, 0.8f);
  EXPECT_LT(eager.losses.back(), eager.losses.front());

  options.seed = 2;
  EXPECT_FALSE(SameBits(eager, Train(digits, Mode::kEager, options, progress)));
}

TEST(DigitsTest, ExportedGraphPredictsWhatTheNetworkDoes) {
  const Digits digits = ReadData();
  TrainingOptions options;
  options.epochs = 1;
  std::ostringstream progress;
  const Training training = Train(digits, Mode::kRecorded, options, progress);
  const InferenceGraph inference = RecordInference(training.weights);
  const Tensor logits = Logits(digits.held_out.pixels, training.weights);

  const std::string path = Str(::testing::TempDir(), "/inference.pb");
  ASSERT_TRUE(WriteGraph(inference.graph, path).ok());
  const absl::StatusOr<Graph> read = ReadGraph(path);
  ASSERT_TRUE(read.ok()) << read.status();
  for (const Graph& graph : {inference.graph, *read}) {
    Session session(graph);
    const auto results =
        session.Run({{inference.images.name(), digits.held_out.pixels}},
                    {inference.probabilities.name(), inference.predictions.name()});
    ASSERT_TRUE(results.ok()) << results.status();
    EXPECT_TRUE(SameBits((*results)[0], Softmax(logits)));
    EXPECT_TRUE(SameBits((*results)[1], Predict(logits)));
  }
}

TEST(FreshProcessTest, SaysHowAProgramEnded) {
  const TemporaryFolder folder;
  const std::string out = folder.File("out");
  ASSERT_TRUE(RunProgram({"/bin/sh", "-c", "echo $0 $1", "a", "b c"}, out).ok());
  EXPECT_EQ(*ReadFile(out, 100), "a b c\n");
  EXPECT_THAT(std::string(RunProgram({"/bin/sh", "-c", "exit 3"}, out).message()),
              HasSubstr("exited with 3"));
  EXPECT_THAT(std::string(RunProgram({"/bin/sh", "-c", "kill -9 $$"}, out).message()),
              HasSubstr("ended by signal 9"));
  EXPECT_EQ(RunProgram({folder.File("none")}, out).code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(FindBuilt("examples/none"), "");
}

}  // namespace
}  // namespace duet::examples
