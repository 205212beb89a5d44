// The part of the just-in-time compiler that speaks LLVM, for emitters.
//
//   IrModule ir = NewModule(jit, "kernels");
//   ... fill ir.module with functions ...
//   absl::StatusOr<std::string> object = CompileToObject(jit, std::move(ir));
#ifndef DUET_COMPILER_LLVM_JIT_INTERNAL_H_
#define DUET_COMPILER_LLVM_JIT_INTERNAL_H_

#include <memory>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "compiler/llvm/jit.h"
#include "llvm/IR/LLVMContext.h"
#include "llvm/IR/Module.h"

namespace duet::compiler::llvm_backend {

// A module and the context that owns its types, in an order in which they may be destroyed.
struct IrModule {
  std::unique_ptr<llvm::LLVMContext> context;
  std::unique_ptr<llvm::Module> module;
};

// An empty module for the target of `jit`.
IrModule NewModule(JitEngine& jit, std::string_view name);

// A few cheap passes (none changes a floating-point result), then code generation. An error names
// what LLVM's verifier found. May be called by several threads at once, each with its own module.
absl::StatusOr<std::string> CompileToObject(JitEngine& jit, IrModule ir);

// CompileToObject and Load.
absl::StatusOr<CompiledModule> CompileAndLoad(JitEngine& jit, IrModule ir);

}  // namespace duet::compiler::llvm_backend

#endif  // DUET_COMPILER_LLVM_JIT_INTERNAL_H_
