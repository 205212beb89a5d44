// Trains a classifier of handwritten digits twice from the same source and seed, eagerly and
// recorded; exports it; runs it in a fresh process; and prints one table.
//
//   digits [FILE] [--epochs=N] [--seed=N]       FILE: examples/data/digits.csv.gz
//
// Exits with 1 if a bit differs between the modes, the fresh process predicts anything else, or the
// accuracy on the held-out rows is below 0.95.
#include <algorithm>
#include <iostream>
#include <string>
#include <string_view>

#include "absl/strings/numbers.h"
#include "absl/strings/str_format.h"
#include "core/strings.h"
#include "duet.h"
#include "examples/digits_data.h"
#include "examples/digits_training.h"
#include "examples/fresh_process.h"
#include "io/npy.h"

namespace duet::examples {
namespace {

constexpr float kRequiredAccuracy = 0.95f;

struct Deployed {
  Tensor probabilities, predictions;
};

// What `duet run` computes from the exported graph and the images, all through files.
absl::StatusOr<Deployed> RunInFreshProcess(const InferenceGraph& inference, const Tensor& images) {
  const std::string duet = FindBuilt("tools/duet/duet");
  if (duet.empty()) return absl::NotFoundError("the duet command is not built: //tools/duet");
  const TemporaryFolder folder;
  const std::string graph = folder.File("digits.pb"), input = folder.File("images.npy"),
                    probabilities = folder.File("probabilities.npy"),
                    predictions = folder.File("predictions.npy");
  DUET_RETURN_IF_ERROR(WriteGraph(inference.graph, graph));
  DUET_RETURN_IF_ERROR(WriteNpy(images, input));
  DUET_RETURN_IF_ERROR(RunProgram({duet, "run", graph,                               //
                                   "--feed", inference.images.name() + "=" + input,  //
                                   "--fetch", inference.probabilities.name(),        //
                                   "--fetch", inference.predictions.name(),          //
                                   "--out", probabilities, "--out", predictions},
                                  folder.File("report.txt")));
  Deployed deployed;
  DUET_ASSIGN_OR_RETURN(deployed.probabilities, ReadNpy(probabilities));
  DUET_ASSIGN_OR_RETURN(deployed.predictions, ReadNpy(predictions));
  return deployed;
}

void PrintRow(std::string_view what, const std::string& eager, const std::string& graph) {
  std::cout << absl::StrFormat("%-34s %14s %14s\n", ToAbsl(what), eager, graph);
}
std::string Milliseconds(double seconds) { return absl::StrFormat("%.3f ms", seconds * 1e3); }
std::string Kilobytes(int64_t bytes) {
  return absl::StrFormat("%.1f KiB", static_cast<double>(bytes) / 1024);
}
std::string YesNo(bool yes) { return yes ? "yes" : "no"; }

int Run(const std::string& file, const TrainingOptions& options) {
  const absl::StatusOr<Digits> digits = ReadDigits(file);
  if (!digits.ok()) {
    std::cerr << "digits: " << digits.status().message() << "\n";
    return 1;
  }
  const Images& test = digits->held_out;
  std::cout << digits->train.labels.num_elements() << " digits to train on, "
            << test.labels.num_elements() << " held out\n";
  std::cout << "eager\n";
  const Training eager = Train(*digits, Mode::kEager, options, std::cout);
  std::cout << "recorded\n";
  const Training recorded = Train(*digits, Mode::kRecorded, options, std::cout);
  const bool same_training = SameBits(eager, recorded);

  const absl::StatusOr<Deployed> fresh =
      RunInFreshProcess(RecordInference(recorded.weights), test.pixels);
  if (!fresh.ok()) {
    std::cerr << "digits: " << fresh.status().message() << "\n";
    return 1;
  }
  const Tensor logits = Logits(test.pixels, eager.weights);
  const bool same_predictions = SameBits(fresh->probabilities, Softmax(logits)) &&
                                SameBits(fresh->predictions, Predict(logits));
  const float fresh_accuracy =
      Mean(Cast(Equal(fresh->predictions, test.labels), kFloat32)).Item<float>();

  const SessionStats& stats = recorded.stats;
  std::cout << "\n";
  PrintRow("", "eager", "graph");
  PrintRow("accuracy on held-out rows", absl::StrFormat("%.4f", eager.accuracy),
           absl::StrFormat("%.4f", recorded.accuracy));
  PrintRow("  in a fresh process", "", absl::StrFormat("%.4f", fresh_accuracy));
  PrintRow("time per step", Milliseconds(eager.step_seconds), Milliseconds(recorded.step_seconds));
  PrintRow("first step", Milliseconds(eager.first_step_seconds),
           Milliseconds(recorded.first_step_seconds));
  PrintRow("  passes and planning", "", Milliseconds(stats.plan_seconds));
  PrintRow("  compiling kernels", "", Milliseconds(stats.compile_seconds));
  PrintRow("kernels compiled", "", Str(stats.kernels_compiled));
  PrintRow("  from the cache", "", Str(stats.cache_hits));
  PrintRow("peak memory", Kilobytes(eager.peak_bytes), Kilobytes(recorded.peak_bytes));
  PrintRow("  planned for a step", "", Kilobytes(stats.planned_bytes));
  for (const PassStats& pass : stats.passes) {
    PrintRow("nodes through " + pass.name, "", Str(pass.nodes_before, " -> ", pass.nodes_after));
  }
  PrintRow("bits equal: losses and weights", "", YesNo(same_training));
  PrintRow("bits equal: fresh process", "", YesNo(same_predictions));

  const bool accurate = eager.accuracy >= kRequiredAccuracy && fresh_accuracy >= kRequiredAccuracy;
  if (!accurate) std::cerr << "digits: the accuracy is below " << kRequiredAccuracy << "\n";
  if (!same_training) std::cerr << "digits: the two modes differ\n";
  if (!same_predictions) std::cerr << "digits: the fresh process differs\n";
  return accurate && same_training && same_predictions ? 0 : 1;
}

}  // namespace
}  // namespace duet::examples

int main(int argc, char** argv) {
  std::string file = duet::examples::FindBuilt("examples/data/digits.csv.gz");
  duet::examples::TrainingOptions options;
  for (int i = 1; i < argc; ++i) {
    const std::string_view argument = argv[i];
    const size_t equals = std::min(argument.find('='), argument.size() - 1);
    const std::string_view name = argument.substr(0, equals), value = argument.substr(equals + 1);
    if (!argument.starts_with('-')) {
      file = argument;
    } else if (!(name == "--epochs" && absl::SimpleAtoi(duet::ToAbsl(value), &options.epochs) &&
                 options.epochs > 0) &&
               !(name == "--seed" && absl::SimpleAtoi(duet::ToAbsl(value), &options.seed))) {
      std::cerr << "digits: '" << argument << "'? usage: digits [FILE] [--epochs=N] [--seed=N]\n";
      return 2;
    }
  }
  try {
    return duet::examples::Run(file, options);
  } catch (const std::exception& error) {
    std::cerr << "digits: " << error.what() << "\n";
    return 1;
  }
}
