// The programs of the benchmark table, written once and run eagerly and recorded. The peers in
// peers/ run the same ones.
#ifndef DUET_TOOLS_BENCH_PROGRAMS_H_
#define DUET_TOOLS_BENCH_PROGRAMS_H_

#include <vector>

#include "duet.h"

namespace duet::bench {

// Six elementwise ops.
inline Tensor Chain6(const Tensor& x) {
  const Tensor t1 = x * 1.5f;
  const Tensor t2 = t1 + 0.25f;
  const Tensor t3 = Tanh(t2);
  const Tensor t4 = t3 * x;
  const Tensor t5 = Sigmoid(t4);
  return t5 - x;
}

// A dense network with one hidden layer, trained by SGD with momentum on softmax cross-entropy. The
// benchmark takes many thousands of steps on one batch, so the rate is small and the images are
// centred: else hidden units die, and the velocity of their weights decays to subnormal numbers, on
// which the CPU takes a hundred times as long.
struct Mlp {
  Mlp(int64_t inputs, int64_t hidden, int64_t classes)
      : w1(RandomNormal({inputs, hidden}, kFloat32, 1) * 0.05f, "w1"),
        b1(Zeros({hidden}), "b1"),
        w2(RandomNormal({hidden, classes}, kFloat32, 2) * 0.05f, "w2"),
        b2(Zeros({classes}), "b2") {
    for (const Variable* v : {&w1, &b1, &w2, &b2})
      velocity.emplace_back(Zeros(v->shape()), "velocity");
  }
  Tensor Step(const Tensor& images, const Tensor& labels) {
    GradientTape tape;
    const Tensor hidden = Relu(MatMul(images, w1) + b1);
    const Tensor logits = MatMul(hidden, w2) + b2;
    const Tensor loss = Mean(SparseSoftmaxCrossEntropyWithLogits(logits, labels));
    const std::vector<Tensor> grads = tape.Gradient(loss, {w1, b1, w2, b2});
    Variable* weights[] = {&w1, &b1, &w2, &b2};
    for (size_t i = 0; i < grads.size(); ++i) {
      velocity[i].Assign(velocity[i] * 0.9f + grads[i]);
      weights[i]->AssignSub(velocity[i] * 0.0001f);
    }
    return loss;
  }
  Variable w1, b1, w2, b2;
  std::vector<Variable> velocity;
};

// Fits y = w x + b to points by gradient descent.
struct Linear {
  Linear() : w(Constant(0.0f), "w"), b(Constant(0.0f), "b") {}
  Tensor Step(const Tensor& x, const Tensor& y) {
    GradientTape tape;
    const Tensor loss = Mean(Square(x * w + b - y));
    const std::vector<Tensor> grads = tape.Gradient(loss, {w, b});
    w.AssignSub(grads[0] * 0.01f);
    b.AssignSub(grads[1] * 0.01f);
    return loss;
  }
  Variable w, b;
};

}  // namespace duet::bench

#endif  // DUET_TOOLS_BENCH_PROGRAMS_H_
