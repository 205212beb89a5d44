// The instructions of loop programs as LLVM instructions, for scalars and vectors alike.
#ifndef DUET_COMPILER_LLVM_EMIT_INSTR_H_
#define DUET_COMPILER_LLVM_EMIT_INSTR_H_

#include "compiler/llvm/target.h"
#include "core/loop/program.h"
#include "llvm/ADT/STLFunctionalExtras.h"
#include "llvm/ADT/SmallVector.h"
#include "llvm/IR/IRBuilder.h"

namespace duet::compiler::llvm_backend {

// The type of a computed value (a bool is an i1) and of an element in memory (a bool is an i8, 0 or
// 1); a vector if `lanes` is over 1.
llvm::Type* ValueType(llvm::LLVMContext& context, DType dtype, int lanes);
llvm::Type* MemoryType(llvm::LLVMContext& context, DType dtype, int lanes);

// A constant of `dtype` with the given bits (loop::Scalar::bits).
llvm::Constant* EmitConstant(llvm::LLVMContext& context, DType dtype, uint64_t bits, int lanes);

// The value of `instr`, whose operands have the values a, b, c and the type `operand` (for kSelect:
// that of b and c). Not for kLoad, kConst, kIndexInner, kReduce. Never traps, whatever the
// operands, so lanes beyond the end of the data may hold anything. May add basic blocks.
llvm::Value* EmitInstr(llvm::IRBuilder<>& b, const Target& target, const EmitOptions& options,
                       const loop::Instr& instr, DType operand, llvm::Value* x, llvm::Value* y,
                       llvm::Value* z);

// One step of a reduction; `x` came first.
llvm::Value* EmitReduceStep(llvm::IRBuilder<>& b, const EmitOptions& options, loop::Reduce reduce,
                            DType dtype, llvm::Value* x, llvm::Value* y);

// for (i = begin; i < end; i += step) values = body(i, values); gives the last values.
using Values = llvm::SmallVector<llvm::Value*, 4>;
Values EmitFor(llvm::IRBuilder<>& b, llvm::Value* begin, llvm::Value* end, int64_t step,
               const Values& initial,
               llvm::function_ref<Values(llvm::Value* i, const Values& values)> body);

// if (condition) values = body(); gives body's values or the initial ones.
Values EmitIf(llvm::IRBuilder<>& b, llvm::Value* condition, const Values& initial,
              llvm::function_ref<Values()> body);

}  // namespace duet::compiler::llvm_backend

#endif  // DUET_COMPILER_LLVM_EMIT_INSTR_H_
