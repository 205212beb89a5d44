// What the emitter must know of the machine it emits for. Everything else about a loop program (the
// meaning of its instructions, levels, the order of reductions) is the same everywhere.
//
// CpuTarget is the one here. A back end for NVPTX overrides these and nothing else:
//   UnaryMath, Pow    the vector_math sequences work there too (they are IEEE operations);
//   libdevice
//                     may take their place under fast_math.
//   address_space     1, where operands and outputs live.
//   kernel_convention ptx_kernel; a kernel is then entered once per thread.
//   HasMaskedMemory   irrelevant there: its loop shape has one lane a thread.
//   EmitLoops         the loop shape: kNone gives one point to a thread (grid-stride), kInner one
//   row
//                     to a block of threads, kRows one inner position to a thread. It evaluates
//                     instructions with EmitInstr as the CPU's loops do.
#ifndef DUET_COMPILER_LLVM_TARGET_H_
#define DUET_COMPILER_LLVM_TARGET_H_

#include "compiler/llvm/vector_math.h"
#include "core/loop/program.h"
#include "llvm/IR/Function.h"
#include "llvm/IR/IRBuilder.h"

namespace duet::compiler::llvm_backend {

struct EmitOptions {
  // Allows contraction and reassociation within the kernel: fewer roundings, other bits.
  bool fast_math = false;
};

class Target {
 public:
  virtual ~Target() = default;

  virtual llvm::Value* UnaryMath(llvm::IRBuilder<>& b, MathFn fn, llvm::Value* x) const {
    return EmitUnaryMath(b, fn, x);
  }
  virtual llvm::Value* Pow(llvm::IRBuilder<>& b, llvm::Value* x, llvm::Value* y) const {
    return EmitPow(b, x, y);
  }
  virtual unsigned address_space() const { return 0; }
  virtual llvm::CallingConv::ID kernel_convention() const { return llvm::CallingConv::C; }
  // Whether a vector of elements of `bytes` bytes can be loaded and stored under a mask.
  virtual bool HasMaskedMemory(int bytes) const = 0;
  // Fills the empty `kernel` with loops over rows and inner.
  virtual void EmitLoops(const loop::Program& program, const EmitOptions& options,
                         llvm::Function* kernel) const = 0;
};

// Loops of vectors of loop::kLanes lanes, which code generation cuts to the CPU's registers.
class CpuTarget final : public Target {
 public:
  // `vector_bytes` is the widest register, JitEngine::vector_bytes().
  explicit CpuTarget(int vector_bytes) : vector_bytes_(vector_bytes) {}

  llvm::Value* UnaryMath(llvm::IRBuilder<>& b, MathFn fn, llvm::Value* x) const override {
    return EmitUnaryMath(b, fn, x, {.avx512 = vector_bytes_ == 64});
  }
  bool HasMaskedMemory(int bytes) const override {
    // AVX has masked moves of 4 and 8 bytes, AVX-512 of all sizes, SSE of none.
    return vector_bytes_ >= 64 || (vector_bytes_ == 32 && bytes >= 4);
  }
  void EmitLoops(const loop::Program& program, const EmitOptions& options,
                 llvm::Function* kernel) const override;

 private:
  int vector_bytes_;
};

}  // namespace duet::compiler::llvm_backend

#endif  // DUET_COMPILER_LLVM_TARGET_H_
