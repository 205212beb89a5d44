// What LibTorch, run eagerly, takes for the programs that Duet's benchmarks time.

#include <torch/torch.h>

#include <cstdint>
#include <vector>

#include "tools/bench/peers/measure.h"

namespace {

using duet::bench::Measure;
using torch::Tensor;

void AddSmall(int threads) {
  const Tensor a = torch::rand({2, 2}), b = torch::rand({2, 2});
  {
    torch::NoGradGuard no_grad;
    Measure("add_2x2", threads, [&] { Tensor c = a + b; });
  }
  const Tensor w = torch::rand({2, 2}, torch::requires_grad());
  Measure("add_2x2_recorded", threads, [&] { Tensor c = w + b; });
}

void Elementwise(int threads) {
  torch::NoGradGuard no_grad;
  const Tensor x = torch::rand({1 << 20}) * 2 - 1;
  Measure("chain6_1m", threads, [&] {
    const Tensor t1 = x * 1.5;
    const Tensor t2 = t1 + 0.25;
    const Tensor t3 = torch::tanh(t2);
    const Tensor t4 = t3 * x;
    const Tensor t5 = torch::sigmoid(t4);
    const Tensor t6 = t5 - x;
  });
  const Tensor a = torch::rand({1 << 24}), b = torch::rand({1 << 24});
  Measure("add_16m", threads, [&] { Tensor c = a + b; });
}

void MatMul(int threads) {
  torch::NoGradGuard no_grad;
  const Tensor a = torch::rand({1000, 1000}), b = torch::rand({1000, 1000});
  Measure("matmul_1000", threads, [&] { Tensor c = torch::mm(a, b); });
}

// 784-128-10, ReLU, softmax cross entropy, batch 32, SGD with momentum.
void MlpStep(int threads) {
  torch::nn::Sequential model(torch::nn::Linear(784, 128), torch::nn::ReLU(),
                              torch::nn::Linear(128, 10));
  torch::optim::SGD optimizer(model->parameters(), torch::optim::SGDOptions(1e-4).momentum(0.9));
  const Tensor x = torch::rand({32, 784}) - 0.5;
  const Tensor labels = torch::randint(10, {32}, torch::kInt64);
  Measure("mlp_step_784_128_10_b32", threads, [&] {
    optimizer.zero_grad();
    torch::nn::functional::cross_entropy(model->forward(x), labels).backward();
    optimizer.step();
  });
}

// y = 3 x + 2 + noise, 2,000 points: mean squared error, its gradient, one step of descent.
void LinearStep(int threads) {
  const Tensor x = torch::randn({2000});
  const Tensor y = x * 3 + 2 + torch::randn({2000});
  Tensor w = torch::full({}, 5.0, torch::requires_grad());
  Tensor b = torch::zeros({}, torch::requires_grad());
  Measure("linear_step_2000", threads, [&] {
    const Tensor error = x * w + b - y;
    const Tensor loss = torch::mean(error * error);
    const std::vector<Tensor> gradients = torch::autograd::grad({loss}, {w, b});
    torch::NoGradGuard no_grad;
    w -= 0.01 * gradients[0];
    b -= 0.01 * gradients[1];
  });
}

}  // namespace

int main() {
  for (int threads : {1, 2}) {
    torch::set_num_threads(threads);
    AddSmall(threads);
    Elementwise(threads);
    MatMul(threads);
    MlpStep(threads);
    LinearStep(threads);
  }
  return 0;
}
