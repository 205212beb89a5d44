// Duet: tensors, ops, variables, gradients, recorded functions, graphs and sessions.
//
//   #include "duet.h"
//   using namespace duet;
//
//   Variable w(Zeros({2, 1}), "w");
//   Function step([&](const Tensor& x, const Tensor& y) {
//     GradientTape tape;
//     Tensor loss = Mean(SquaredDifference(MatMul(x, w), y));
//     w.AssignSub(tape.Gradient(loss, w) * 0.1f);
//     return loss;
//   });
//
// The same calls run at once outside of a Function or GraphScope and are recorded inside. Mistakes
// throw duet::Error with the line of the call; what deployment code calls (ReadGraph, Session::Run)
// returns absl::StatusOr.
#ifndef DUET_DUET_H_
#define DUET_DUET_H_

#include "core/dispatch.h"
#include "core/dtype.h"
#include "core/error.h"
#include "core/ops/ops.h"
#include "core/shape.h"
#include "core/tensor.h"
#include "eager/tape.h"
#include "eager/variable.h"
#include "graph/graph.h"
#include "runtime/function.h"
#include "runtime/session.h"

#endif  // DUET_DUET_H_
