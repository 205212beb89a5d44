// The program that README.md quotes.
#include <iostream>

#include "duet.h"

using namespace duet;  // NOLINT: short on purpose

int main() {
  Tensor x = RandomNormal({100, 3}, kFloat32, /*seed=*/1);
  Tensor y = MatMul(x, Constant({{1.5f}, {-2.0f}, {0.5f}}));
  Variable w(Zeros({3, 1}), "w");

  auto step = [&](const Tensor& x, const Tensor& y) {
    GradientTape tape;
    Tensor loss = Mean(Square(MatMul(x, w) - y));
    w.AssignSub(tape.Gradient(loss, w) * 0.1f);
    return loss;
  };
  std::cout << "now:      " << step(x, y) << "\n";  // each op runs as it is called

  w.Assign(Zeros({3, 1}));
  Function recorded(step);  // the same lines, recorded once, fused and compiled
  std::cout << "recorded: " << recorded(x, y) << "\n";

  for (int i = 0; i < 100; ++i) recorded(x, y);
  std::cout << w.Read().ValueString() << "\n";  // close to 1.5, -2 and 0.5
}
