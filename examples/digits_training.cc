#include "examples/digits_training.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstring>
#include <numeric>
#include <random>

#include "absl/strings/str_format.h"

namespace duet::examples {
namespace {

constexpr int64_t kHidden = 32;
constexpr int64_t kBatch = 32;
constexpr float kLearningRate = 0.1f;
constexpr float kMomentum = 0.9f;

double SecondsSince(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

}  // namespace

Tensor Logits(const Tensor& images, const std::vector<Tensor>& weights) {
  const Tensor hidden = Relu(MatMul(images, weights[0]) + weights[1]);
  return MatMul(hidden, weights[2]) + weights[3];
}

Tensor Predict(const Tensor& logits) { return ArgMax(logits, 1); }

Training Train(const Digits& digits, Mode mode, const TrainingOptions& options,
               std::ostream& progress) {
  const int64_t seed = options.seed;
  Variable w1(RandomNormal({kPixels, kHidden}, kFloat32, seed) * std::sqrt(2.0f / kPixels), "w1");
  Variable b1(Zeros({kHidden}), "b1");
  Variable w2(RandomNormal({kHidden, kClasses}, kFloat32, seed + 1) * std::sqrt(2.0f / kHidden),
              "w2");
  Variable b2(Zeros({kClasses}), "b2");
  std::vector<Variable> weights = {w1, b1, w2, b2}, velocities;
  for (const Variable& w : weights)
    velocities.emplace_back(Zeros(w.shape()), w.name() + "/velocity");

  // One step, in either mode: called as it is, it runs each op; as a Function, it is recorded once.
  const auto step = [&](const Tensor& images, const Tensor& labels) {
    GradientTape tape;
    const Tensor logits = Logits(images, {w1, b1, w2, b2});
    const Tensor loss = Mean(SparseSoftmaxCrossEntropyWithLogits(logits, labels));
    const std::vector<Tensor> gradients = tape.Gradient(loss, {w1, b1, w2, b2});
    for (size_t i = 0; i < weights.size(); ++i) {
      velocities[i].Assign(velocities[i] * kMomentum + gradients[i]);
      weights[i].AssignSub(velocities[i] * kLearningRate);
    }
    return loss;
  };
  const auto accuracy = [&](const Tensor& images, const Tensor& labels) {
    return Mean(Cast(Equal(Predict(Logits(images, {w1, b1, w2, b2})), labels), kFloat32));
  };
  const Function recorded_step(step);
  const Function recorded_accuracy(accuracy);
  const bool recorded = mode == Mode::kRecorded;

  Training training;
  ResetPeakMemory();
  const int64_t memory_before = GetMemoryStats().in_use;
  std::vector<int64_t> order(digits.train.labels.num_elements());
  std::iota(order.begin(), order.end(), 0);
  std::mt19937_64 random(seed);
  std::vector<double> seconds;
  for (int epoch = 1; epoch <= options.epochs; ++epoch) {
    std::shuffle(order.begin(), order.end(), random);
    double epoch_loss = 0;
    const int64_t steps = static_cast<int64_t>(order.size()) / kBatch;
    for (int64_t i = 0; i < steps; ++i) {
      const auto begin = order.begin() + i * kBatch;
      const Tensor rows = Constant(std::vector<int64_t>(begin, begin + kBatch), {kBatch});
      const Tensor images = Gather(digits.train.pixels, rows);
      const Tensor labels = Gather(digits.train.labels, rows);

      const auto start = std::chrono::steady_clock::now();
      const Tensor loss = recorded ? recorded_step(images, labels) : step(images, labels);
      seconds.push_back(SecondsSince(start));

      training.losses.push_back(loss.Item<float>());
      epoch_loss += training.losses.back();
    }
    if (epoch == options.epochs || epoch % options.report_every == 0) {
      const Images& test = digits.held_out;
      training.accuracy = (recorded ? recorded_accuracy(test.pixels, test.labels)
                                    : accuracy(test.pixels, test.labels))
                              .Item<float>();
      progress << absl::StrFormat("  epoch %2d  loss %.4f  accuracy %.4f\n", epoch,
                                  epoch_loss / static_cast<double>(steps), training.accuracy);
    }
  }
  training.peak_bytes = GetMemoryStats().peak - memory_before;
  for (const Variable& w : weights) training.weights.push_back(w.Read());
  training.first_step_seconds = seconds[0];
  std::nth_element(seconds.begin() + 1, seconds.begin() + 1 + seconds.size() / 2, seconds.end());
  training.step_seconds = seconds[1 + seconds.size() / 2];
  if (recorded) training.stats = recorded_step.stats();
  return training;
}

InferenceGraph RecordInference(const std::vector<Tensor>& weights) {
  InferenceGraph inference;
  const GraphScope scope(inference.graph);
  inference.images = Placeholder(kFloat32, {-1, kPixels}, "images");
  const Tensor logits = Logits(inference.images, weights);
  inference.probabilities = Identity(Softmax(logits));
  inference.predictions = Identity(Predict(logits));
  return inference;
}

bool SameBits(const Tensor& a, const Tensor& b) {
  return a.dtype() == b.dtype() && a.shape() == b.shape() &&
         std::memcmp(a.raw_data(), b.raw_data(), a.byte_size()) == 0;
}

bool SameBits(const Training& a, const Training& b) {
  return a.losses.size() == b.losses.size() &&
         std::memcmp(a.losses.data(), b.losses.data(), a.losses.size() * sizeof(float)) == 0 &&
         std::equal(a.weights.begin(), a.weights.end(), b.weights.begin(), b.weights.end(),
                    [](const Tensor& x, const Tensor& y) { return SameBits(x, y); });
}

}  // namespace duet::examples
