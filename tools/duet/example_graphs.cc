#include "tools/duet/example_graphs.h"

#include "duet.h"

namespace duet::tool {
namespace {

MadeGraph MakeElementwiseChain() {
  Graph graph;
  GraphScope scope(graph);
  const Tensor x = Placeholder(kFloat32, {-1, 1024}, "x");
  const Tensor y = Placeholder(kFloat32, {1024}, "y");
  const Tensor z = Sqrt(Square(Tanh(x * y + 0.5f)) + Exp(-Abs(x))) * Sigmoid(y);
  return {graph, {z.name()}};
}

MadeGraph MakeSoftmax() {
  Graph graph;
  GraphScope scope(graph);
  const Tensor x = Placeholder(kFloat32, {-1, 1000}, "x");
  const Tensor y = Softmax(x * 2.0f);
  return {graph, {y.name()}};
}

// 784-128-10, its loss and the gradient of its first weights.
MadeGraph MakeMlp() {
  const Tensor w1 = RandomNormal({784, 128}, kFloat32, /*seed=*/1) * 0.05f;
  const Tensor w2 = RandomNormal({128, 10}, kFloat32, /*seed=*/2) * 0.1f;
  Graph graph;
  GraphScope scope(graph);
  const Tensor images = Placeholder(kFloat32, {-1, 784}, "images");
  const Tensor labels = Placeholder(kInt32, {-1}, "labels");
  GradientTape tape;
  tape.Watch(w1);
  const Tensor logits = MatMul(Relu(MatMul(images, w1)), w2);
  const Tensor loss = Mean(SparseSoftmaxCrossEntropyWithLogits(logits, labels));
  const Tensor gradient = tape.Gradient(loss, w1), probabilities = Softmax(logits);
  return {graph, {loss.name(), gradient.name(), probabilities.name()}};
}

}  // namespace

const std::vector<ExampleGraph>& ExampleGraphs() {
  static const auto* graphs = new std::vector<ExampleGraph>{
      {"elementwise_chain", "ten elementwise ops with a broadcast", MakeElementwiseChain},
      {"softmax", "rows of 1,000 logits", MakeSoftmax},
      {"mlp", "a 784-128-10 classifier, forward and backward", MakeMlp},
  };
  return *graphs;
}

}  // namespace duet::tool
