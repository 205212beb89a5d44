// Training of a small classifier, written once and run in both modes.
#ifndef DUET_EXAMPLES_DIGITS_TRAINING_H_
#define DUET_EXAMPLES_DIGITS_TRAINING_H_

#include <ostream>
#include <vector>

#include "duet.h"
#include "examples/digits_data.h"

namespace duet::examples {

// The network: pixels to a score for each digit. Weights are w1, b1, w2, b2: variables while
// training, values when it is exported.
Tensor Logits(const Tensor& images, const std::vector<Tensor>& weights);
// The digit with the highest score.
Tensor Predict(const Tensor& logits);

enum class Mode { kEager, kRecorded };

struct TrainingOptions {
  int epochs = 40;
  int report_every = 5;  // epochs
  int64_t seed = 1;
};

struct Training {
  std::vector<float> losses;      // one a step
  std::vector<Tensor> weights;    // at the end
  float accuracy = 0;             // on the held-out rows
  double first_step_seconds = 0;  // with recording, planning and compiling
  double step_seconds = 0;        // median of the others
  int64_t peak_bytes = 0;         // of all tensors alive at one time
  SessionStats stats;             // of the recorded step
};

// Minibatch gradient descent with momentum. Prints loss and accuracy every few epochs.
Training Train(const Digits& digits, Mode mode, const TrainingOptions& options,
               std::ostream& progress);

// The network as a graph that needs nothing else: the weights are constants in it.
struct InferenceGraph {
  Graph graph;
  Tensor images;         // float32[?,64], to be fed
  Tensor probabilities;  // float32[?,10]
  Tensor predictions;    // int64[?]
};
InferenceGraph RecordInference(const std::vector<Tensor>& weights);

// True if both have the same bits, shape and dtype.
bool SameBits(const Tensor& a, const Tensor& b);
// True if the two went through the same losses to the same weights.
bool SameBits(const Training& a, const Training& b);

}  // namespace duet::examples

#endif  // DUET_EXAMPLES_DIGITS_TRAINING_H_
