// Shape rules: known sizes, unknown sizes, unknown host values, and what they refuse.
#include "core/ops/defs.h"
#include "core/ops/ops.h"
#include "core/ops/ops_testing.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace duet {
namespace {

using ::testing::HasSubstr;

TestInput F32(Shape s) { return {kFloat32, std::move(s)}; }
TestInput I32(Shape s) { return {kInt32, std::move(s)}; }
Tensor Vec(std::vector<int32_t> v) {
  const auto n = static_cast<int64_t>(v.size());
  return Constant(v, {n});
}

TEST(InferElementwise, Broadcasts) {
  EXPECT_EQ(InferText(ops::AddOp(), {}, {F32({2, 1}), F32({3})}), "float32[2,3]");
  EXPECT_EQ(InferText(ops::AddOp(), {}, {F32({-1, 10}), F32({10})}), "float32[?,10]");
  EXPECT_EQ(InferText(ops::AddOp(), {}, {F32({-1}), F32({5})}), "float32[5]");
  EXPECT_EQ(InferText(ops::AddOp(), {}, {F32({-1}), F32({1})}), "float32[?]");
  EXPECT_EQ(InferText(ops::AddOp(), {}, {F32({0}), F32({1})}), "float32[0]");
  EXPECT_EQ(InferText(ops::AddOp(), {}, {F32({2, 3}), F32({4})}),
            "shapes [2,3] and [4] do not broadcast: sizes must be equal or 1, counted from the "
            "right");
  EXPECT_EQ(InferText(ops::SelectOp(), {}, {{kBool, Shape({2, 1})}, F32({3}), F32({})}),
            "float32[2,3]");
  EXPECT_EQ(InferText(*FindOp("Less"), {}, {F32({2}), F32({})}), "bool[2]");
}

TEST(InferElementwise, RefusesMixedDTypes) {
  EXPECT_EQ(InferText(ops::AddOp(), {}, {F32({2}), I32({2})}),
            "inputs must have one dtype, found float32[2] and int32[2]; convert one of them with "
            "Cast");
  EXPECT_EQ(InferText(*FindOp("Exp"), {}, {I32({2})}),
            "x must be one of float32, float64, found int32");
}

TEST(InferReduction, DropsOrKeepsAxes) {
  const OpDef& sum = ops::SumOp();
  EXPECT_EQ(InferText(sum, {}, {F32({2, 3, 4}), Vec({1})}), "float32[2,4]");
  EXPECT_EQ(InferText(sum, {{"keep_dims", true}}, {F32({2, -1, 4}), Vec({-1, 0})}),
            "float32[1,?,1]");
  EXPECT_EQ(InferText(sum, {}, {F32({2, 3}), Vec({})}), "float32[2,3]");
  EXPECT_EQ(InferText(sum, {}, {F32({2, 3, 4}), I32({2})}), "float32[?]");
  EXPECT_EQ(InferText(sum, {{"keep_dims", true}}, {F32({2, 3}), I32({-1})}), "float32[?,?]");
  EXPECT_EQ(InferText(sum, {}, {F32({2, 3}), I32({-1})}),
            "the rank of the result is not known: reduction_indices has shape [?] and no value "
            "while recording; give it a known length");
  EXPECT_EQ(InferText(sum, {}, {F32({2, 3}), Vec({2})}),
            "axis is 2, expected a value in [-2, 2) for a tensor of rank 2");
  EXPECT_EQ(InferText(sum, {}, {F32({2, 3}), Vec({1, -1})}), "axis 1 is given twice");
}

TEST(InferReshape, FindsTheOpenSize) {
  const OpDef& op = ops::ReshapeOp();
  EXPECT_EQ(InferText(op, {}, {F32({2, 6}), Vec({3, -1})}), "float32[3,4]");
  EXPECT_EQ(InferText(op, {}, {F32({-1, 6}), Vec({3, -1})}), "float32[3,?]");
  EXPECT_EQ(InferText(op, {}, {F32({0, 6}), Vec({6, -1})}), "float32[6,0]");
  EXPECT_EQ(InferText(op, {}, {F32({1}), Vec({})}), "float32[]");
  EXPECT_EQ(InferText(op, {}, {F32({2, 3}), I32({2})}), "float32[?,?]");
}

TEST(InferReshape, RefusesWhatDoesNotFit) {
  const OpDef& op = ops::ReshapeOp();
  EXPECT_EQ(InferText(op, {}, {F32({2, 3}), Vec({4})}),
            "a tensor of shape [2,3] has 6 elements, which do not fit shape [4]");
  EXPECT_EQ(InferText(op, {}, {F32({2, 3}), Vec({4, -1})}),
            "a tensor of shape [2,3] has 6 elements, which do not fit shape [4,?]");
  EXPECT_EQ(InferText(op, {}, {F32({2, 3}), Vec({-1, -1})}),
            "found shape [?,?] with more than one -1; give all sizes but one");
  EXPECT_EQ(InferText(op, {}, {F32({0}), Vec({0, -1})}),
            "the size for -1 in shape [0,?] is not determined: the other sizes hold no element; "
            "give all sizes");
  EXPECT_THAT(InferText(op, {}, {F32({0}), Vec({-2})}), HasSubstr("negative size -2"));
  const Tensor huge = Constant(std::vector<int64_t>{int64_t{1} << 40, int64_t{1} << 40}, {2});
  EXPECT_THAT(InferText(op, {}, {F32({0}), huge}), HasSubstr("more elements than memory"));
}

TEST(InferMatMul, ChecksInnerSizes) {
  const OpDef& op = ops::MatMulOp();
  EXPECT_EQ(InferText(op, {}, {F32({2, 3}), F32({3, 4})}), "float32[2,4]");
  EXPECT_EQ(InferText(op, {{"transpose_a", true}}, {F32({3, -1}), F32({3, 4})}), "float32[?,4]");
  EXPECT_EQ(InferText(op, {}, {F32({0, 0}), F32({0, 4})}), "float32[0,4]");
  EXPECT_EQ(InferText(op, {}, {F32({2, 3}), F32({4, 3})}),
            "found shapes [2,3] and [4,3], whose inner sizes 3 and 4 differ; they fit with "
            "transpose_b=true");
  EXPECT_EQ(InferText(op, {}, {F32({3, 2}), F32({3, 4})}),
            "found shapes [3,2] and [3,4], whose inner sizes 2 and 3 differ; they fit with "
            "transpose_a=true");
  EXPECT_EQ(InferText(op, {}, {F32({2, 3}), F32({4, 5})}),
            "found shapes [2,3] and [4,5], whose inner sizes 3 and 4 differ");
  EXPECT_THAT(InferText(op, {}, {F32({2}), F32({2, 3})}), HasSubstr("expected two matrices"));
}

TEST(InferViews, SizesAndPositions) {
  EXPECT_EQ(InferText(ops::TransposeOp(), {}, {F32({2, -1, 4}), Vec({2, 0, 1})}), "float32[4,2,?]");
  EXPECT_EQ(InferText(ops::TransposeOp(), {}, {F32({2, 3}), Vec({0, 0})}),
            "perm names dimension 0 twice");
  EXPECT_EQ(InferText(ops::TransposeOp(), {}, {F32({2, 3}), Vec({0})}),
            "perm has 1 elements, expected one for each dimension of shape [2,3]");
  EXPECT_EQ(InferText(ops::ExpandDimsOp(), {}, {F32({2, 3}), Constant(-1)}), "float32[2,3,1]");
  EXPECT_EQ(InferText(ops::ExpandDimsOp(), {}, {F32({2, 3}), Constant(3)}),
            "axis is 3, expected a value in [-3, 3) for a tensor of rank 3");
  EXPECT_EQ(InferText(ops::SqueezeOp(), {}, {F32({1, 3, 1})}), "float32[3]");
  EXPECT_EQ(
      InferText(ops::SqueezeOp(), {{"squeeze_dims", std::vector<int64_t>{0}}}, {F32({-1, 3, 1})}),
      "float32[3,1]");
  EXPECT_EQ(InferText(ops::SqueezeOp(), {{"squeeze_dims", std::vector<int64_t>{1}}}, {F32({1, 3})}),
            "dimension 1 of shape [1,3] has size 3, expected 1");
  EXPECT_THAT(InferText(ops::SqueezeOp(), {}, {F32({-1})}), HasSubstr("name the axes"));
  EXPECT_EQ(InferText(ops::BroadcastToOp(), {}, {F32({3, 1}), Vec({2, 3, 4})}), "float32[2,3,4]");
  EXPECT_EQ(InferText(ops::BroadcastToOp(), {}, {F32({3}), Vec({2})}),
            "shape [3] does not broadcast to [2]: sizes must be equal or 1, counted from the "
            "right");
  EXPECT_EQ(InferText(ops::SliceOp(), {}, {F32({5, -1}), Vec({1, 2}), Vec({-1, 3})}),
            "float32[4,3]");
  EXPECT_EQ(InferText(ops::SliceOp(), {}, {F32({5}), Vec({6}), Vec({-1})}),
            "dimension 0 of shape [5] has no part that begins at 6 with size -1");
  EXPECT_EQ(InferText(ops::SliceOp(), {}, {F32({5}), Vec({3}), Vec({3})}),
            "dimension 0 of shape [5] has no part that begins at 3 with size 3");
  EXPECT_EQ(InferText(ops::SliceOp(), {}, {F32({5}), Vec({5}), Vec({0})}), "float32[0]");
}

TEST(InferIndexing, SizesAndErrors) {
  const OpDef& concat = ops::ConcatOp();
  EXPECT_EQ(InferText(concat, {}, {F32({2, 3}), F32({-1, 3}), Constant(0)}), "float32[?,3]");
  EXPECT_EQ(InferText(concat, {}, {F32({2, -1}), F32({4, 3}), Constant(-2)}), "float32[6,3]");
  EXPECT_EQ(InferText(concat, {}, {F32({2, 3}), F32({2, 4}), Constant(0)}),
            "found shapes [2,3] and [2,4] (input 1), expected equal sizes except along axis 0");
  EXPECT_EQ(InferText(concat, {}, {F32({}), Constant(0)}),
            "scalars have no axis to join along; use ExpandDims first");
  const OpDef& gather = *FindOp("GatherV2");
  EXPECT_EQ(InferText(gather, {}, {F32({5, 7}), I32({2, 3}), Constant(1)}), "float32[5,2,3]");
  EXPECT_EQ(
      InferText(gather, {{"batch_dims", int64_t{1}}}, {F32({5, 7}), I32({5, 3}), Constant(1)}),
      "float32[5,3]");
  EXPECT_EQ(InferText(gather, {}, {F32({}), I32({2}), Constant(0)}),
            "params is a scalar, expected a tensor with an axis");
  const OpDef& argmax = *FindOp("ArgMax");
  EXPECT_EQ(InferText(argmax, {}, {F32({2, 3}), Constant(1)}), "int64[2]");
  EXPECT_EQ(InferText(argmax, {}, {F32({2, 0}), Constant(1)}),
            "axis 1 of shape [2,0] is empty and has no largest element");
  EXPECT_EQ(InferText(argmax, {{"output_type", kFloat32}}, {F32({2}), Constant(0)}),
            "attribute output_type must be one of int32, int64, found float32");
  const OpDef& onehot = *FindOp("OneHot");
  EXPECT_EQ(InferText(onehot, {}, {I32({2}), Constant(4), F32({}), F32({})}), "float32[2,4]");
  EXPECT_EQ(InferText(onehot, {{"axis", int64_t{0}}}, {I32({2}), I32({}), F32({}), F32({})}),
            "float32[?,2]");
  EXPECT_EQ(InferText(onehot, {}, {I32({2}), Constant(-1), F32({}), F32({})}),
            "depth is -1, expected 0 or more");
  EXPECT_EQ(InferText(ops::FillOp(), {}, {Vec({2, -1}), F32({})}),
            "shape [2,-1] has the negative size -1");
  EXPECT_EQ(InferText(ops::RangeOp(), {}, {Constant(0), Constant(10), Constant(3)}), "int32[4]");
  EXPECT_EQ(InferText(ops::RangeOp(), {}, {Constant(0), I32({}), Constant(3)}), "int32[?]");
  EXPECT_EQ(InferText(ops::RangeOp(), {}, {Constant(0), Constant(10), Constant(0)}),
            "delta is 0, expected another number");
  EXPECT_EQ(InferText(ops::RangeOp(), {}, {Constant(0), Constant(10), Constant(-1)}),
            "from 0 in steps of -1 never reaches 10; change the sign of delta");
}

TEST(InferLoss, ChecksRows) {
  const OpDef& op = *FindOp("SparseSoftmaxCrossEntropyWithLogits");
  EXPECT_EQ(InferText(op, {}, {F32({-1, 10}), I32({4})}), "float32[4] float32[4,10]");
  EXPECT_EQ(InferText(op, {}, {F32({3, 10}), I32({4})}),
            "found labels of shape [4] beside logits of shape [3,10], expected one label a row: "
            "[3]");
  EXPECT_EQ(InferText(op, {}, {F32({3}), I32({3})}),
            "found logits of shape [3], expected [rows, classes]; use Reshape");
}

TEST(InferVariables, TheHandleCarriesTheShape) {
  const OpDef& read = ResourceOp(ResourceUse::kRead);
  EXPECT_EQ(InferText(read, {{"dtype", kFloat32}}, {{kResource, Shape({2, 3})}}), "float32[2,3]");
  const OpDef& assign = ResourceOp(ResourceUse::kAssign);
  EXPECT_EQ(InferText(assign, {{"dtype", kFloat32}}, {{kResource, Shape({2, 3})}, F32({2, 3})}),
            "");
  EXPECT_EQ(
      InferText(assign, {{"dtype", kFloat32}}, {{kResource, Shape({2, 3})}, F32({3})}),
      "the variable is float32[2,3], found a value of float32[3]; a variable keeps its dtype and "
      "shape: Cast, Reshape or BroadcastTo the value");
}

// Every op takes its own outputs' number of inputs and refuses others; none of them crashes on
// scalars.
TEST(InferAll, RefusesAWrongNumberOfInputs) {
  for (const OpDef* op : AllOps()) {
    if (op->inputs.empty()) continue;
    Attrs attrs;
    if (!FillDefaults(*op, &attrs).ok()) continue;
    EXPECT_THAT(InferText(*op, {}, {}), HasSubstr("inputs, found 0")) << op->name;
  }
}

}  // namespace
}  // namespace duet
