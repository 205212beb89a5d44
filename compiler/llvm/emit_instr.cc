#include "compiler/llvm/emit_instr.h"

#include <string_view>

#include "core/error.h"
#include "llvm/ADT/APFloat.h"
#include "llvm/IR/Constants.h"
#include "llvm/IR/DerivedTypes.h"
#include "llvm/IR/Intrinsics.h"

namespace duet::compiler::llvm_backend {
namespace {

using llvm::Value;
using loop::Code;

llvm::Type* Widen(llvm::Type* scalar, int lanes) {
  return lanes == 1 ? scalar : llvm::FixedVectorType::get(scalar, lanes);
}

int LanesOf(Value* v) {
  auto* type = llvm::dyn_cast<llvm::FixedVectorType>(v->getType());
  return type == nullptr ? 1 : static_cast<int>(type->getNumElements());
}

class Emitter {
 public:
  Emitter(llvm::IRBuilder<>& b, DType dtype, Value* x)
      : b_(b), dtype_(dtype), lanes_(LanesOf(x)), type_(x->getType()) {}

  Value* Number(double value) {
    return EmitConstant(b_.getContext(), dtype_, loop::Scalar::Of(dtype_, value).bits, lanes_);
  }
  Value* Less(Value* x, Value* y) {
    if (IsFloating(dtype_)) return b_.CreateFCmpOLT(x, y);
    return dtype_ == kUInt8 ? b_.CreateICmpULT(x, y) : b_.CreateICmpSLT(x, y);
  }
  Value* LessEqual(Value* x, Value* y) {
    if (IsFloating(dtype_)) return b_.CreateFCmpOLE(x, y);
    return dtype_ == kUInt8 ? b_.CreateICmpULE(x, y) : b_.CreateICmpSLE(x, y);
  }
  Value* Equal(Value* x, Value* y) {
    return IsFloating(dtype_) ? b_.CreateFCmpOEQ(x, y) : b_.CreateICmpEQ(x, y);
  }
  Value* NotEqual(Value* x, Value* y) {
    return IsFloating(dtype_) ? b_.CreateFCmpUNE(x, y) : b_.CreateICmpNE(x, y);
  }
  Value* IsNan(Value* x) { return b_.CreateFCmpUNO(x, x); }

  Value* Neg(Value* x) { return IsFloating(dtype_) ? b_.CreateFNeg(x) : b_.CreateNeg(x); }
  Value* Abs(Value* x) {
    if (IsFloating(dtype_)) return b_.CreateUnaryIntrinsic(llvm::Intrinsic::fabs, x);
    if (dtype_ == kUInt8) return x;
    return b_.CreateBinaryIntrinsic(llvm::Intrinsic::abs, x, b_.getFalse());
  }
  // NaN and the zeros fall through both compares.
  Value* Sign(Value* x) {
    Value* zero = Number(0);
    Value* positive = b_.CreateSelect(Less(zero, x), Number(1), x);
    if (dtype_ == kUInt8) return positive;
    return b_.CreateSelect(Less(x, zero), Number(-1), positive);
  }
  Value* Floor(Value* x) { return b_.CreateUnaryIntrinsic(llvm::Intrinsic::floor, x); }

  // x stays unless y is larger or NaN; a NaN x is never smaller.
  Value* Max(Value* x, Value* y) {
    Value* take = Less(x, y);
    if (IsFloating(dtype_)) take = b_.CreateOr(take, IsNan(y));
    return b_.CreateSelect(take, y, x);
  }
  Value* Min(Value* x, Value* y) {
    Value* take = Less(y, x);
    if (IsFloating(dtype_)) take = b_.CreateOr(take, IsNan(y));
    return b_.CreateSelect(take, y, x);
  }

  // A divisor for which the division instruction is defined. min / 1 is min, what min / -1 wraps
  // to.
  Value* SafeDivisor(Value* x, Value* y) {
    Value* unsafe = Equal(y, Number(0));
    if (dtype_ != kUInt8) {
      Value* minus_one = llvm::Constant::getAllOnesValue(type_);
      Value* smallest =
          EmitConstant(b_.getContext(), dtype_, uint64_t{1} << (8 * SizeOf(dtype_) - 1), lanes_);
      unsafe = b_.CreateOr(unsafe, b_.CreateAnd(Equal(x, smallest), Equal(y, minus_one)));
    }
    return b_.CreateSelect(unsafe, Number(1), y);
  }
  // x / safe toward zero. CPUs have no vectors of integer quotients, but the quotient of two
  // integers of up to 32 bits is at least 2^-31 of itself away from the next integer, so rounding
  // it to float64 does not carry it there.
  Value* Quotient(Value* x, Value* safe) {
    if (dtype_ == kInt64) return b_.CreateSDiv(x, safe);
    llvm::Type* wide = Widen(dtype_ == kUInt8 ? b_.getFloatTy() : b_.getDoubleTy(), lanes_);
    llvm::Type* whole = Widen(b_.getInt32Ty(), lanes_);
    if (dtype_ == kUInt8) {
      x = b_.CreateZExt(x, whole);
      safe = b_.CreateZExt(safe, whole);
    }
    Value* q = b_.CreateFDiv(b_.CreateSIToFP(x, wide), b_.CreateSIToFP(safe, wide));
    q = b_.CreateFPToSI(q, whole);
    return dtype_ == kUInt8 ? b_.CreateTrunc(q, type_) : q;
  }
  Value* ZeroIfDivisorIsZero(Value* y, Value* result) {
    return b_.CreateSelect(Equal(y, Number(0)), Number(0), result);
  }
  Value* IntegerDiv(Value* x, Value* y) {
    return ZeroIfDivisorIsZero(y, Quotient(x, SafeDivisor(x, y)));
  }
  // Whether a truncated division is one above the floor.
  Value* NeedsFloor(Value* remainder, Value* y) {
    Value* signs = b_.CreateXor(remainder, y);
    return b_.CreateAnd(NotEqual(remainder, Number(0)), Less(signs, Number(0)));
  }
  Value* IntegerFloorDiv(Value* x, Value* y) {
    Value* safe = SafeDivisor(x, y);
    Value* q = Quotient(x, safe);
    if (dtype_ != kUInt8) {
      Value* r = b_.CreateSub(x, b_.CreateMul(q, safe));
      q = b_.CreateSelect(NeedsFloor(r, safe), b_.CreateSub(q, Number(1)), q);
    }
    return ZeroIfDivisorIsZero(y, q);
  }
  Value* IntegerFloorMod(Value* x, Value* y) {
    Value* safe = SafeDivisor(x, y);
    Value* r = b_.CreateSub(x, b_.CreateMul(Quotient(x, safe), safe));
    if (dtype_ != kUInt8) r = b_.CreateSelect(NeedsFloor(r, safe), b_.CreateAdd(r, safe), r);
    return ZeroIfDivisorIsZero(y, r);
  }
  Value* FloatingFloorMod(Value* x, Value* y) {
    Value* zero = Number(0);
    Value* r = b_.CreateFRem(x, y);
    Value* signs = b_.CreateXor(Less(r, zero), Less(y, zero));
    Value* adjust = b_.CreateAnd(b_.CreateFCmpUNE(r, zero), signs);
    return b_.CreateSelect(adjust, b_.CreateFAdd(r, y), r);
  }

  // By squaring, until no lane has a bit of its exponent left.
  Value* IntegerPow(Value* x, Value* y) {
    Value* zero = Number(0);
    Value* exponent = dtype_ == kUInt8 ? y : b_.CreateSelect(Less(y, zero), zero, y);
    llvm::BasicBlock* before = b_.GetInsertBlock();
    llvm::Function* f = before->getParent();
    auto* step = llvm::BasicBlock::Create(b_.getContext(), "", f);
    auto* after = llvm::BasicBlock::Create(b_.getContext(), "", f);
    b_.CreateBr(step);
    b_.SetInsertPoint(step);
    llvm::PHINode* result = b_.CreatePHI(type_, 2);
    llvm::PHINode* base = b_.CreatePHI(type_, 2);
    llvm::PHINode* left = b_.CreatePHI(type_, 2);
    Value* odd = NotEqual(b_.CreateAnd(left, Number(1)), zero);
    Value* new_result = b_.CreateSelect(odd, b_.CreateMul(result, base), result);
    Value* new_base = b_.CreateMul(base, base);
    Value* new_left = b_.CreateLShr(left, Number(1));
    result->addIncoming(Number(1), before);
    base->addIncoming(x, before);
    left->addIncoming(exponent, before);
    result->addIncoming(new_result, step);
    base->addIncoming(new_base, step);
    left->addIncoming(new_left, step);
    Value* all = lanes_ == 1 ? new_left : b_.CreateOrReduce(new_left);
    b_.CreateCondBr(b_.CreateIsNull(all), after, step);
    b_.SetInsertPoint(after);
    return new_result;
  }

 private:
  llvm::IRBuilder<>& b_;
  const DType dtype_;
  const int lanes_;
  llvm::Type* const type_;
};

Value* EmitCast(llvm::IRBuilder<>& b, DType from, DType to, Value* x) {
  if (from == to) return x;
  llvm::Type* type = ValueType(b.getContext(), to, LanesOf(x));
  Emitter e(b, from, x);
  if (to == kBool) return e.NotEqual(x, e.Number(0));
  const bool is_unsigned = from == kBool || from == kUInt8;
  if (IsFloating(from)) {
    if (IsFloating(to)) return b.CreateFPCast(x, type);
    const auto id = to == kUInt8 ? llvm::Intrinsic::fptoui_sat : llvm::Intrinsic::fptosi_sat;
    return b.CreateIntrinsic(id, {type, x->getType()}, {x});
  }
  if (IsFloating(to)) return is_unsigned ? b.CreateUIToFP(x, type) : b.CreateSIToFP(x, type);
  return is_unsigned ? b.CreateZExtOrTrunc(x, type) : b.CreateSExtOrTrunc(x, type);
}

Value* EmitArithmetic(llvm::IRBuilder<>& b, Code code, DType dtype, Value* x, Value* y) {
  Emitter e(b, dtype, x);
  const bool floating = IsFloating(dtype);
  switch (code) {
    case Code::kAdd:
      return floating ? b.CreateFAdd(x, y) : b.CreateAdd(x, y);
    case Code::kSub:
      return floating ? b.CreateFSub(x, y) : b.CreateSub(x, y);
    case Code::kMul:
      return floating ? b.CreateFMul(x, y) : b.CreateMul(x, y);
    case Code::kDiv:
      return floating ? b.CreateFDiv(x, y) : e.IntegerDiv(x, y);
    case Code::kFloorDiv:
      return floating ? e.Floor(b.CreateFDiv(x, y)) : e.IntegerFloorDiv(x, y);
    case Code::kFloorMod:
      return floating ? e.FloatingFloorMod(x, y) : e.IntegerFloorMod(x, y);
    case Code::kMax:
      return e.Max(x, y);
    case Code::kMin:
      return e.Min(x, y);
    case Code::kLess:
      return e.Less(x, y);
    case Code::kLessEqual:
      return e.LessEqual(x, y);
    case Code::kEqual:
      return e.Equal(x, y);
    case Code::kNotEqual:
      return e.NotEqual(x, y);
    case Code::kAnd:
      return b.CreateAnd(x, y);
    case Code::kOr:
      return b.CreateOr(x, y);
    default:
      return nullptr;
  }
}

Value* EmitUnary(llvm::IRBuilder<>& b, Code code, DType dtype, Value* x) {
  Emitter e(b, dtype, x);
  switch (code) {
    case Code::kNeg:
      return e.Neg(x);
    case Code::kAbs:
      return e.Abs(x);
    case Code::kSign:
      return e.Sign(x);
    case Code::kFloor:
      return e.Floor(x);
    case Code::kNot:
      return b.CreateNot(x);
    case Code::kIsNan:
      return e.IsNan(x);
    default:
      return nullptr;
  }
}

Value* EmitMath(llvm::IRBuilder<>& b, const Target& target, Code code, Value* x) {
  switch (code) {
    case Code::kSqrt:
      return target.UnaryMath(b, MathFn::kSqrt, x);
    case Code::kRsqrt:
      return target.UnaryMath(b, MathFn::kRsqrt, x);
    case Code::kExp:
      return target.UnaryMath(b, MathFn::kExp, x);
    case Code::kLog:
      return target.UnaryMath(b, MathFn::kLog, x);
    case Code::kLog1p:
      return target.UnaryMath(b, MathFn::kLog1p, x);
    case Code::kTanh:
      return target.UnaryMath(b, MathFn::kTanh, x);
    case Code::kSigmoid:
      return target.UnaryMath(b, MathFn::kSigmoid, x);
    default:
      return nullptr;
  }
}

// Sets the flags of arithmetic for its life. Mathematical functions are emitted outside of one:
// they rely on the order of operations.
class FlagsScope {
 public:
  FlagsScope(llvm::IRBuilder<>& b, const EmitOptions& options) : guard_(b) {
    if (!options.fast_math) return;
    llvm::FastMathFlags flags;
    flags.setAllowContract(true);
    flags.setAllowReassoc(true);
    flags.setAllowReciprocal(true);
    flags.setNoSignedZeros(true);
    b.setFastMathFlags(flags);
  }

 private:
  llvm::IRBuilder<>::FastMathFlagGuard guard_;
};

}  // namespace

llvm::Type* ValueType(llvm::LLVMContext& context, DType dtype, int lanes) {
  llvm::Type* scalar =
      dtype == kBool ? llvm::Type::getInt1Ty(context) : MemoryType(context, dtype, 1);
  return Widen(scalar, lanes);
}

llvm::Type* MemoryType(llvm::LLVMContext& context, DType dtype, int lanes) {
  llvm::Type* scalar = dtype == kFloat32   ? llvm::Type::getFloatTy(context)
                       : dtype == kFloat64 ? llvm::Type::getDoubleTy(context)
                                           : llvm::Type::getIntNTy(context, 8 * SizeOf(dtype));
  return Widen(scalar, lanes);
}

llvm::Constant* EmitConstant(llvm::LLVMContext& context, DType dtype, uint64_t bits, int lanes) {
  llvm::Type* type = ValueType(context, dtype, lanes);
  if (dtype == kBool) return llvm::ConstantInt::get(type, bits & 1);
  const llvm::APInt integer(8 * SizeOf(dtype), bits);
  if (!IsFloating(dtype)) return llvm::ConstantInt::get(type, integer);
  const auto& semantics =
      dtype == kFloat32 ? llvm::APFloat::IEEEsingle() : llvm::APFloat::IEEEdouble();
  return llvm::ConstantFP::get(type, llvm::APFloat(semantics, integer));
}

llvm::Value* EmitInstr(llvm::IRBuilder<>& b, const Target& target, const EmitOptions& options,
                       const loop::Instr& instr, DType operand, llvm::Value* x, llvm::Value* y,
                       llvm::Value* z) {
  if (Value* math = EmitMath(b, target, instr.code, x)) return math;
  if (instr.code == Code::kPow) {
    return IsFloating(operand) ? target.Pow(b, x, y) : Emitter(b, operand, x).IntegerPow(x, y);
  }
  FlagsScope flags(b, options);
  if (instr.code == Code::kSelect) return b.CreateSelect(x, y, z);
  if (instr.code == Code::kCast) return EmitCast(b, operand, instr.dtype, x);
  Value* result = y == nullptr ? EmitUnary(b, instr.code, operand, x)
                               : EmitArithmetic(b, instr.code, operand, x, y);
  InternalCheck(result != nullptr, "the emitter does not know an instruction of a loop program");
  return result;
}

llvm::Value* EmitReduceStep(llvm::IRBuilder<>& b, const EmitOptions& options, loop::Reduce reduce,
                            DType dtype, llvm::Value* x, llvm::Value* y) {
  FlagsScope flags(b, options);
  switch (reduce) {
    case loop::Reduce::kSum:
      return EmitArithmetic(b, Code::kAdd, dtype, x, y);
    case loop::Reduce::kProd:
      return EmitArithmetic(b, Code::kMul, dtype, x, y);
    case loop::Reduce::kMax:
      return EmitArithmetic(b, Code::kMax, dtype, x, y);
    case loop::Reduce::kMin:
      return EmitArithmetic(b, Code::kMin, dtype, x, y);
  }
  return x;
}

Values EmitFor(llvm::IRBuilder<>& b, llvm::Value* begin, llvm::Value* end, int64_t step,
               const Values& initial,
               llvm::function_ref<Values(llvm::Value* i, const Values& values)> body) {
  llvm::BasicBlock* before = b.GetInsertBlock();
  llvm::Function* f = before->getParent();
  auto* loop = llvm::BasicBlock::Create(b.getContext(), "", f);
  b.CreateCondBr(b.CreateICmpSLT(begin, end), loop, before);  // completed below
  b.SetInsertPoint(loop);
  llvm::PHINode* i = b.CreatePHI(begin->getType(), 2);
  i->addIncoming(begin, before);
  Values current;
  for (Value* v : initial) {
    llvm::PHINode* phi = b.CreatePHI(v->getType(), 2);
    phi->addIncoming(v, before);
    current.push_back(phi);
  }
  Values next = body(i, current);
  Value* next_i = b.CreateAdd(i, llvm::ConstantInt::get(i->getType(), step));
  llvm::BasicBlock* latch = b.GetInsertBlock();
  auto* after = llvm::BasicBlock::Create(b.getContext(), "", f);
  b.CreateCondBr(b.CreateICmpSLT(next_i, end), loop, after);
  before->getTerminator()->setSuccessor(1, after);
  i->addIncoming(next_i, latch);
  b.SetInsertPoint(after);
  Values result;
  for (size_t k = 0; k < initial.size(); ++k) {
    llvm::cast<llvm::PHINode>(current[k])->addIncoming(next[k], latch);
    llvm::PHINode* phi = b.CreatePHI(initial[k]->getType(), 2);
    phi->addIncoming(initial[k], before);
    phi->addIncoming(next[k], latch);
    result.push_back(phi);
  }
  return result;
}

Values EmitIf(llvm::IRBuilder<>& b, llvm::Value* condition, const Values& initial,
              llvm::function_ref<Values()> body) {
  llvm::BasicBlock* before = b.GetInsertBlock();
  llvm::Function* f = before->getParent();
  auto* then = llvm::BasicBlock::Create(b.getContext(), "", f);
  b.SetInsertPoint(then);
  Values inside = body();
  llvm::BasicBlock* last = b.GetInsertBlock();
  auto* after = llvm::BasicBlock::Create(b.getContext(), "", f);
  b.CreateBr(after);
  b.SetInsertPoint(before);
  b.CreateCondBr(condition, then, after);
  b.SetInsertPoint(after);
  Values result;
  for (size_t k = 0; k < initial.size(); ++k) {
    llvm::PHINode* phi = b.CreatePHI(initial[k]->getType(), 2);
    phi->addIncoming(initial[k], before);
    phi->addIncoming(inside[k], last);
    result.push_back(phi);
  }
  return result;
}

}  // namespace duet::compiler::llvm_backend
