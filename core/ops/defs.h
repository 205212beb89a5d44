// The definitions of ops that other rooms ask for by function, because no trait tells them apart:
// what a rewrite rule matches or makes. Everything else is found by its traits (core/op_def.h).
#ifndef DUET_CORE_OPS_DEFS_H_
#define DUET_CORE_OPS_DEFS_H_

#include "core/op_def.h"

namespace duet::ops {

// Leaves.
const OpDef& ConstOp();
const OpDef& PlaceholderOp();
const OpDef& FillOp();
const OpDef& RangeOp();
const OpDef& ShapeOfOp();

// Elementwise.
const OpDef& NegOp();
const OpDef& AbsOp();
const OpDef& SquareOp();
const OpDef& SqrtOp();
const OpDef& RsqrtOp();
const OpDef& ExpOp();
const OpDef& LogOp();
const OpDef& ReluOp();
const OpDef& AddOp();
const OpDef& SubOp();
const OpDef& MulOp();
const OpDef& DivOp();
const OpDef& FloorDivOp();
const OpDef& FloorModOp();
const OpDef& PowOp();
const OpDef& MaximumOp();
const OpDef& MinimumOp();
const OpDef& LogicalNotOp();
const OpDef& LogicalAndOp();
const OpDef& LogicalOrOp();
const OpDef& SelectOp();
const OpDef& CastOp();
const OpDef& ZerosLikeOp();
const OpDef& OnesLikeOp();

// Reductions and products.
const OpDef& SumOp();
const OpDef& MeanOp();
const OpDef& MaxOp();
const OpDef& MinOp();
const OpDef& ProdOp();
const OpDef& MatMulOp();

// Views and movement.
const OpDef& IdentityOp();
const OpDef& StopGradientOp();
const OpDef& ReshapeOp();
const OpDef& TransposeOp();
const OpDef& ExpandDimsOp();
const OpDef& SqueezeOp();
const OpDef& BroadcastToOp();
const OpDef& SliceOp();
const OpDef& ConcatOp();

// Parts of gradients, made only by them.
const OpDef& SumToShapeOp();  // (x, like) -> x summed to like's shape
const OpDef& SliceGradOp();   // (g, begin, like) -> zeros of like's shape with g at begin
const OpDef&
GatherGradOp();  // (g, indices, axis, like) -> rows of g added into zeros of like's shape
const OpDef& CheckedLabelsOp();  // (labels, logits) -> labels, all in [0, classes)

}  // namespace duet::ops

#endif  // DUET_CORE_OPS_DEFS_H_
