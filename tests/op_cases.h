// Calls to test an op with, made from its definition: a new op is tested by being registered.
// Families give their shapes; an op with a kernel or shape rule of its own has a row in
// op_cases.cc, and a registered op without one fails the conformance test by name.
#ifndef DUET_TESTS_OP_CASES_H_
#define DUET_TESTS_OP_CASES_H_

#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "core/op_def.h"

namespace duet::testing {

struct OpCase {
  const OpDef* op;
  Attrs attrs;
  std::vector<Tensor> inputs;
  std::vector<bool> host;  // inputs that decide shapes and so stay constants in a graph
  std::string name;        // "Add float32 [2,3] [3]"
};

// Every op that can be called with values alone: all but constants, placeholders and variables.
std::vector<const OpDef*> TestableOps();

// All cases of an op: every combination of dtypes x a table of shapes (rank 0, a size of 0, of 1,
// odd sizes around the vector width, broadcasts). Empty if no row is known for the op.
std::vector<OpCase> CasesFor(const OpDef& op);

// The given integers as elements, converted to the dtype.
Tensor IntTensor(DType dtype, const Shape& shape, const std::vector<int64_t>& values);

// Random elements: reals in [low, high), small integers, bools.
Tensor RandomTensor(DType dtype, const Shape& shape, double low, double high,
                    std::mt19937_64& random);

// The distance of two elements in units in the last place; 0 for equal elements and for two NaNs.
double UlpDistance(float a, float b);
double UlpDistance(double a, double b);

// Whether two tensors are the same: dtype, shape and every bit (any NaN equals any NaN if
// `nan_bits` is false). `why` receives the first difference.
bool SameBits(const Tensor& a, const Tensor& b, std::string* why);
// Whether every element of `a` is within `ulp` of `b`'s (exact for integers).
bool WithinUlp(const Tensor& a, const Tensor& b, double ulp, std::string* why);

}  // namespace duet::testing

#endif  // DUET_TESTS_OP_CASES_H_
