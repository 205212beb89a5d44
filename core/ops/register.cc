#include "core/ops/register.h"

#include "core/ops/defs.h"

namespace duet {
namespace ops {
const OpDef& RandomUniformOp();
const OpDef& SoftmaxOp();
const OpDef& VarHandleOp();
}  // namespace ops

// One op of each file; the file's others come with it.
void RegisterAllOps() {
  ops::AddOp();            // binary.cc
  ops::SelectOp();         // compare.cc
  ops::SoftmaxOp();        // composite.cc
  ops::ConstOp();          // constant.cc
  ops::MatMulOp();         // contraction.cc
  ops::SumToShapeOp();     // grad_ops.cc
  ops::ConcatOp();         // indexing.cc
  ops::RandomUniformOp();  // random.cc
  ops::SumOp();            // reduce.cc
  ops::NegOp();            // unary.cc
  ops::VarHandleOp();      // variable.cc
  ops::ReshapeOp();        // view.cc
}

}  // namespace duet
