// Loops over arrays around one function of vector_math.h, for its tests and measurements.
#ifndef DUET_COMPILER_LLVM_VECTOR_MATH_TESTING_H_
#define DUET_COMPILER_LLVM_VECTOR_MATH_TESTING_H_

#include <cmath>
#include <cstdint>
#include <limits>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>

#include "compiler/llvm/jit.h"
#include "compiler/llvm/jit_internal.h"
#include "compiler/llvm/vector_math.h"
#include "llvm/IR/DerivedTypes.h"
#include "llvm/IR/Function.h"
#include "llvm/IR/IRBuilder.h"

namespace duet::compiler::llvm_backend {

// out[i] = fn(in[i]), n a multiple of the number of lanes.
template <typename T>
using UnaryLoop = void(const T* in, T* out, int64_t n);
template <typename T>
using BinaryLoop = void(const T* x, const T* y, T* out, int64_t n);

// Adds `void name(ptr x 1..arity, ptr out, i64 n)` whose body works on `lanes` elements at a time;
// `body` maps the loaded operands to the result.
template <typename Body>
void EmitLoop(IrModule& ir, const std::string& name, bool is_double, int lanes, int arity,
              Body body) {
  llvm::IRBuilder<> b(*ir.context);
  llvm::Type* scalar = is_double ? b.getDoubleTy() : b.getFloatTy();
  llvm::Type* type = lanes == 1 ? scalar : llvm::FixedVectorType::get(scalar, lanes);
  llvm::SmallVector<llvm::Type*> params(arity + 1, b.getPtrTy());
  params.push_back(b.getInt64Ty());
  auto* f = llvm::Function::Create(llvm::FunctionType::get(b.getVoidTy(), params, false),
                                   llvm::Function::ExternalLinkage, name, *ir.module);
  f->setDoesNotThrow();
  f->addFnAttr("min-legal-vector-width", "512");
  auto* entry = llvm::BasicBlock::Create(*ir.context, "", f);
  auto* loop = llvm::BasicBlock::Create(*ir.context, "", f);
  auto* done = llvm::BasicBlock::Create(*ir.context, "", f);
  b.SetInsertPoint(entry);
  llvm::Value* n = f->getArg(arity + 1);
  b.CreateCondBr(b.CreateICmpEQ(n, b.getInt64(0)), done, loop);
  b.SetInsertPoint(loop);
  llvm::PHINode* i = b.CreatePHI(b.getInt64Ty(), 2);
  i->addIncoming(b.getInt64(0), entry);
  llvm::Align align(sizeof(float));
  llvm::SmallVector<llvm::Value*> values;
  for (int a = 0; a < arity; ++a) {
    values.push_back(b.CreateAlignedLoad(type, b.CreateGEP(scalar, f->getArg(a), i), align));
  }
  b.CreateAlignedStore(body(b, values), b.CreateGEP(scalar, f->getArg(arity), i), align);
  llvm::Value* next = b.CreateAdd(i, b.getInt64(lanes));
  i->addIncoming(next, loop);
  b.CreateCondBr(b.CreateICmpEQ(next, n), done, loop);
  b.SetInsertPoint(done);
  b.CreateRetVoid();
}

template <typename T>
UnaryLoop<T>* CompileUnary(JitEngine& jit, MathFn fn, int lanes) {
  IrModule ir = NewModule(jit, "test");
  EmitLoop(ir, "loop", std::is_same_v<T, double>, lanes, 1, [&](llvm::IRBuilder<>& b, auto& v) {
    return EmitUnaryMath(b, fn, v[0], {.avx512 = jit.vector_bytes() == 64});
  });
  absl::StatusOr<CompiledModule> code = CompileAndLoad(jit, std::move(ir));
  if (!code.ok()) throw std::runtime_error(code.status().ToString());
  return code->Function<UnaryLoop<T>>("loop");
}

template <typename T>
BinaryLoop<T>* CompilePow(JitEngine& jit, int lanes) {
  IrModule ir = NewModule(jit, "test");
  EmitLoop(ir, "loop", std::is_same_v<T, double>, lanes, 2,
           [&](llvm::IRBuilder<>& b, auto& v) { return EmitPow(b, v[0], v[1]); });
  absl::StatusOr<CompiledModule> code = CompileAndLoad(jit, std::move(ir));
  if (!code.ok()) throw std::runtime_error(code.status().ToString());
  return code->Function<BinaryLoop<T>>("loop");
}

// The function in a wider type, as a reference: `Wide` is double for float and long double for
// double.
template <typename Wide>
Wide ReferenceMath(MathFn fn, Wide x) {
  switch (fn) {
    case MathFn::kExp:
      return std::exp(x);
    case MathFn::kExpm1:
      return std::expm1(x);
    case MathFn::kLog:
      return std::log(x);
    case MathFn::kLog1p:
      return std::log1p(x);
    case MathFn::kTanh:
      return std::tanh(x);
    case MathFn::kSigmoid:
      return x < 0 ? std::exp(x) / (1 + std::exp(x)) : 1 / (1 + std::exp(-x));
    case MathFn::kSqrt:
      return std::sqrt(x);
    case MathFn::kRsqrt:
      return 1 / std::sqrt(x);
  }
  return std::numeric_limits<Wide>::quiet_NaN();
}

// |result - reference| in units of the last place of T at the reference; 0 for NaN that should be
// NaN, infinite where only one is NaN or the sign of a zero is wrong. An infinite result counts as
// the power of two beyond the largest finite number.
template <typename T, typename Wide>
double UlpError(T result, Wide reference) {
  if (std::isnan(reference) || std::isnan(result)) {
    return std::isnan(reference) && std::isnan(result) ? 0.0
                                                       : std::numeric_limits<double>::infinity();
  }
  if (reference == Wide(result)) {
    return std::signbit(reference) == std::signbit(result)
               ? 0.0
               : std::numeric_limits<double>::infinity();
  }
  constexpr int kMaxExponent = std::numeric_limits<T>::max_exponent;
  constexpr int kMinExponent = std::numeric_limits<T>::min_exponent - 1;
  const Wide limit = std::ldexp(Wide(1), kMaxExponent);
  Wide value = std::isinf(result) ? std::copysign(limit, Wide(result)) : Wide(result);
  if (std::abs(reference) > limit) reference = std::copysign(limit, reference);
  int exponent = std::max(reference == 0 ? kMinExponent : std::ilogb(reference), kMinExponent);
  exponent = std::min(exponent, kMaxExponent - 1);
  Wide ulp = std::ldexp(Wide(1), exponent - (std::numeric_limits<T>::digits - 1));
  return static_cast<double>(std::abs(value - reference) / ulp);
}

}  // namespace duet::compiler::llvm_backend

#endif  // DUET_COMPILER_LLVM_VECTOR_MATH_TESTING_H_
