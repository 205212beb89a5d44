// Mathematical functions as sequences of LLVM instructions.
//
// A function is emitted in line, for a value of type float, double or a fixed vector of either. The
// sequence of operations depends on the element type alone, never on the number of lanes, so a
// vector body and a scalar tail of one loop give the same bits, and so do machines with different
// vector widths. Only IEEE operations (add, subtract, multiply, divide, sqrt, fma), integer
// operations, compares and selects are used: no branch, no table, no library call, no fast-math
// flag; and, with AVX-512, instructions that give the same bits as several of those. On a processor
// without FMA instructions `llvm.fma` becomes a call of fma or fmaf, which is slow and gives the
// same bits.
//
// Accuracy: at most 2 ULP of the correctly rounded result, over all inputs for float (verified
// exhaustively, see docs/accuracy.md) and over sampled and special inputs for double. NaN,
// infinities, signed zeros, and subnormal inputs and results follow C99. The processor must be in
// its default mode (round to nearest, subnormals kept).
//
//   llvm::IRBuilder<> b(block);
//   llvm::Value* y = EmitUnaryMath(b, MathFn::kExp, x);  // x: <16 x float>
//
// Do not put fast-math flags on the builder: the algorithms rely on the order of operations.
#ifndef DUET_COMPILER_LLVM_VECTOR_MATH_H_
#define DUET_COMPILER_LLVM_VECTOR_MATH_H_

#include "llvm/IR/IRBuilder.h"

namespace duet::compiler::llvm_backend {

enum class MathFn { kExp, kExpm1, kLog, kLog1p, kTanh, kSigmoid, kSqrt, kRsqrt };

// Every MathFn, for tests and tables.
inline constexpr MathFn kAllMathFns[] = {MathFn::kExp,   MathFn::kExpm1, MathFn::kLog,
                                         MathFn::kLog1p, MathFn::kTanh,  MathFn::kSigmoid,
                                         MathFn::kSqrt,  MathFn::kRsqrt};

// "exp", "log1p", ...
const char* MathFnName(MathFn fn);

struct MathOptions {
  // The code is for a processor with AVX-512 (F and DQ): its instructions may take the place of
  // several operations where they give the same bits.
  bool avx512 = false;
};

// Emits fn(x). `x` is float, double, or a fixed vector of one of them.
llvm::Value* EmitUnaryMath(llvm::IRBuilder<>& b, MathFn fn, llvm::Value* x,
                           const MathOptions& options = {});

// Emits x to the power y with all special cases of C99. `x` and `y` have one type, as above.
llvm::Value* EmitPow(llvm::IRBuilder<>& b, llvm::Value* x, llvm::Value* y);

}  // namespace duet::compiler::llvm_backend

#endif  // DUET_COMPILER_LLVM_VECTOR_MATH_H_
