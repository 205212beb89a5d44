#include "compiler/llvm/emitter.h"

#include <utility>

#include "compiler/llvm/jit_internal.h"
#include "compiler/llvm/target.h"
#include "core/error.h"
#include "llvm/IR/DerivedTypes.h"

namespace duet::compiler::llvm_backend {
namespace {

void EmitKernel(const Target& target, const KernelSource& source, llvm::Module* module) {
  llvm::LLVMContext& context = module->getContext();
  auto* type = llvm::FunctionType::get(llvm::Type::getVoidTy(context),
                                       {llvm::PointerType::getUnqual(context)}, false);
  auto* kernel =
      llvm::Function::Create(type, llvm::Function::ExternalLinkage, source.symbol, module);
  kernel->setVisibility(llvm::GlobalValue::HiddenVisibility);
  kernel->setDoesNotThrow();
  kernel->setCallingConv(target.kernel_convention());
  // Vectors of 64 bytes stay in one register where the CPU has such.
  kernel->addFnAttr("min-legal-vector-width", "512");
  target.EmitLoops(*source.program, {.fast_math = source.fast_math}, kernel);
}

}  // namespace

absl::StatusOr<std::string> CompileKernels(JitEngine& jit, absl::Span<const KernelSource> kernels) {
  for (const KernelSource& kernel : kernels) DUET_RETURN_IF_ERROR(Verify(*kernel.program));
  const CpuTarget target(jit.vector_bytes());
  IrModule ir = NewModule(jit, "kernels");
  for (const KernelSource& kernel : kernels) EmitKernel(target, kernel, ir.module.get());
  return CompileToObject(jit, std::move(ir));
}

}  // namespace duet::compiler::llvm_backend
