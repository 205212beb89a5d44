// The public ops. Each is named as its TensorFlow op, less a version suffix, and works the same way
// whether it runs now or is recorded.
//
//   Tensor a = Constant({{1, 2}, {3, 4}});
//   Tensor b = Add(a, 1), c = a * b, m = Mean(Cast(c, kFloat32), {0});
//
// Elementwise ops broadcast as NumPy does: shapes are aligned at the right, and sizes must be equal
// or 1. The tensors of one call have one dtype (Cast converts); a C++ number beside a tensor takes
// the tensor's, and is refused if that cannot hold it. A mistake throws duet::Error with the line
// of the call. Axes count from 0; negative ones from the end.
#ifndef DUET_CORE_OPS_OPS_H_
#define DUET_CORE_OPS_OPS_H_

#include <cstdint>
#include <source_location>
#include <vector>

#include "absl/functional/function_ref.h"
#include "core/dispatch.h"
#include "core/ops/values.h"
#include "core/tensor.h"

namespace duet {

// ---- Making tensors
// -------------------------------------------------------------------------------

// A constant from a number or nested braces: Constant(2), Constant({{1, 2}, {3, 4}}). Whole numbers
// give int32 (int64 if one is of a 64-bit type or needs it), real ones float32, as in TensorFlow;
// bool and uint8_t their own. Ragged braces are an error.
Tensor Constant(const Literal& value, std::source_location loc = std::source_location::current());
// The same in the given dtype; a number that it cannot hold is an error (reals are rounded).
Tensor Constant(const Literal& value, DType dtype,
                std::source_location loc = std::source_location::current());
// The elements of `values`, row-major, under `shape`; the dtype is that of T, so
// std::vector<double> gives float64.
template <class T>
requires(kDTypeOf<T> != kInvalid) Tensor
    Constant(const std::vector<T>& values, const Ints& shape,
             std::source_location loc = std::source_location::current());

// A tensor of `shape` filled with 0, 1, or a scalar.
Tensor Zeros(const Ints& shape, DType dtype = kFloat32,
             std::source_location loc = std::source_location::current());
Tensor Ones(const Ints& shape, DType dtype = kFloat32,
            std::source_location loc = std::source_location::current());
Tensor Fill(const Ints& shape, const Operand& value);

// start, start + delta, ... up to but without limit. Range(n) is 0, 1, ..., n - 1.
Tensor Range(const Operand& limit);
Tensor Range(const Operand& start, const Operand& limit, const Operand& delta = 1);

// Random numbers, uniform in [0, 1) and standard normal; `dtype` is floating. With a seed that is
// not 0 they depend on the seed alone: every execution gives the same. With seed 0 they are drawn
// from the process's generator.
Tensor RandomUniform(const Ints& shape, DType dtype = kFloat32, int64_t seed = 0,
                     std::source_location loc = std::source_location::current());
Tensor RandomNormal(const Ints& shape, DType dtype = kFloat32, int64_t seed = 0,
                    std::source_location loc = std::source_location::current());
// Starts the process's generator anew, so that a program's random numbers are the same in each run.
// Without it they differ from process to process.
void SetRandomSeed(uint64_t seed);

// ---- Elementwise, one tensor
// ------------------------------------------------------------------------

Tensor Neg(const Operand& x);      // -x
Tensor Abs(const Operand& x);      // |x|
Tensor Exp(const Operand& x);      // e^x
Tensor Log(const Operand& x);      // natural logarithm
Tensor Log1p(const Operand& x);    // log(1 + x)
Tensor Sqrt(const Operand& x);     // square root
Tensor Rsqrt(const Operand& x);    // 1 / sqrt(x)
Tensor Square(const Operand& x);   // x * x
Tensor Tanh(const Operand& x);     // hyperbolic tangent
Tensor Sigmoid(const Operand& x);  // 1 / (1 + e^-x)
Tensor Relu(const Operand& x);     // max(x, 0)
Tensor Sign(const Operand& x);     // -1, 0 or 1
Tensor Floor(const Operand& x);    // largest whole number <= x

// ---- Elementwise, two tensors
// -----------------------------------------------------------------------

Tensor Add(const Operand& x, const Operand& y);
Tensor Sub(const Operand& x, const Operand& y);
Tensor Mul(const Operand& x, const Operand& y);
Tensor Div(const Operand& x, const Operand& y);       // floating dtypes; FloorDiv for integers
Tensor FloorDiv(const Operand& x, const Operand& y);  // floor(x / y)
Tensor FloorMod(const Operand& x, const Operand& y);  // x - floor(x / y) * y: the sign of y
Tensor Pow(const Operand& x, const Operand& y);       // x^y
Tensor Maximum(const Operand& x, const Operand& y);
Tensor Minimum(const Operand& x, const Operand& y);
Tensor SquaredDifference(const Operand& x, const Operand& y);  // (x - y)^2

// Comparisons give bool.
Tensor Less(const Operand& x, const Operand& y);
Tensor LessEqual(const Operand& x, const Operand& y);
Tensor Greater(const Operand& x, const Operand& y);
Tensor GreaterEqual(const Operand& x, const Operand& y);
Tensor Equal(const Operand& x, const Operand& y);
Tensor NotEqual(const Operand& x, const Operand& y);

Tensor LogicalAnd(const Operand& x, const Operand& y);  // bool only, as the next two
Tensor LogicalOr(const Operand& x, const Operand& y);
Tensor LogicalNot(const Operand& x);

// t where condition is true, else e.
Tensor Select(const Operand& condition, const Operand& t, const Operand& e);
// x in another dtype. Reals drop their fraction on the way to integers; beyond the range they
// become the nearest end of it, NaN becomes 0. Integers keep their low bits.
Tensor Cast(const Operand& x, DType dtype);

// Equality of tensors is Equal(); operator== is not defined.
inline Tensor operator+(const Operand& x, const Operand& y) { return Add(x, y); }
inline Tensor operator-(const Operand& x, const Operand& y) { return Sub(x, y); }
inline Tensor operator*(const Operand& x, const Operand& y) { return Mul(x, y); }
inline Tensor operator/(const Operand& x, const Operand& y) { return Div(x, y); }
inline Tensor operator%(const Operand& x, const Operand& y) { return FloorMod(x, y); }
inline Tensor operator<(const Operand& x, const Operand& y) { return Less(x, y); }
inline Tensor operator<=(const Operand& x, const Operand& y) { return LessEqual(x, y); }
inline Tensor operator>(const Operand& x, const Operand& y) { return Greater(x, y); }
inline Tensor operator>=(const Operand& x, const Operand& y) { return GreaterEqual(x, y); }
inline Tensor operator-(const Operand& x) { return Neg(x); }

// ---- Reductions
// -------------------------------------------------------------------------------------

// Over `axes` (all by default). With keep_dims the reduced dimensions stay, with size 1. Of no
// elements the sum is 0, the product 1, the largest -inf (for integers the lowest), the mean NaN.
Tensor Sum(const Operand& x, const Axes& axes = {}, bool keep_dims = false);
Tensor Mean(const Operand& x, const Axes& axes = {}, bool keep_dims = false);  // floating dtypes
Tensor Max(const Operand& x, const Axes& axes = {}, bool keep_dims = false);
Tensor Min(const Operand& x, const Axes& axes = {}, bool keep_dims = false);
Tensor Prod(const Operand& x, const Axes& axes = {}, bool keep_dims = false);
// The position of the largest element along `axis`, the first of equal ones; NaN is never the
// largest.
Tensor ArgMax(const Operand& x, int64_t axis, DType output_type = kInt64);

// ---- Products
// -----------------------------------------------------------------------------------------

// The product of two matrices, each transposed first if asked.
Tensor MatMul(const Operand& a, const Operand& b, bool transpose_a = false,
              bool transpose_b = false);

// ---- Shapes
// ---------------------------------------------------------------------------------------------

// The sizes of x as a tensor. (The op is called Shape; so is the class.)
Tensor ShapeOf(const Operand& x, DType out_type = kInt32);
// The same elements, row-major, under another shape; one size may be -1 and follows from the
// others.
Tensor Reshape(const Operand& x, const Ints& shape);
// Dimension i of the result is dimension perm[i] of x; by default the dimensions in reverse order.
Tensor Transpose(const Operand& x, const Ints& perm = {});
// A new dimension of size 1 before dimension `axis` of the result.
Tensor ExpandDims(const Operand& x, int64_t axis);
// Without the given dimensions of size 1; by default without all of them.
Tensor Squeeze(const Operand& x, const std::vector<int64_t>& axes = {});
Tensor BroadcastTo(const Operand& x, const Ints& shape);
// x itself under a new name / the same without a gradient.
Tensor Identity(const Operand& x);
Tensor StopGradient(const Operand& x);
Tensor ZerosLike(const Operand& x);
Tensor OnesLike(const Operand& x);

// ---- Moving elements
// --------------------------------------------------------------------------------------

// The tensors one after another along `axis`: Concat({a, b}, 0).
Tensor Concat(const Operands& values, int64_t axis);
// The block of x that starts at `begin` and has `size`; a size of -1 goes to the end.
Tensor Slice(const Operand& x, const Ints& begin, const Ints& size);
// The slices of `params` along `axis` at the given positions, each in [0, size).
Tensor Gather(const Operand& params, const Operand& indices, int64_t axis = 0);
// A new dimension of size `depth` (last, or at `axis`): on_value at each index, off_value
// elsewhere. An index out of [0, depth) has off_value everywhere.
Tensor OneHot(const Operand& indices, int64_t depth, const Operand& on_value = 1.0f,
              const Operand& off_value = 0.0f, int64_t axis = -1);

// ---- Classification
// ---------------------------------------------------------------------------------------

// Along the last dimension: exp(x) / sum(exp(x)), and its logarithm.
Tensor Softmax(const Operand& logits);
Tensor LogSoftmax(const Operand& logits);
// -LogSoftmax(logits)[i, labels[i]] for each row i. `logits` is [rows, classes], `labels` (int32 or
// int64, each in [0, classes)) is [rows].
Tensor SparseSoftmaxCrossEntropyWithLogits(const Operand& logits, const Operand& labels);

// ---- Implementation of templates
// ----------------------------------------------------------------------------

namespace ops_internal {
// `fill(p)` writes the elements to p; `n` is how many there are.
Tensor ConstantFrom(DType dtype, const Ints& shape, size_t n, absl::FunctionRef<void(void*)> fill,
                    Location loc);
}  // namespace ops_internal

template <class T>
requires(kDTypeOf<T> != kInvalid) Tensor
    Constant(const std::vector<T>& values, const Ints& shape, std::source_location loc) {
  return ops_internal::ConstantFrom(
      kDTypeOf<T>, shape, values.size(),
      [&](void* out) {
        for (size_t i = 0; i < values.size(); ++i) static_cast<T*>(out)[i] = values[i];
      },
      Location(loc));
}

}  // namespace duet

#endif  // DUET_CORE_OPS_OPS_H_
