#include "compiler/llvm/jit.h"

#include <cmath>
#include <cstdint>
#include <cstring>
#include <functional>
#include <initializer_list>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "compiler/llvm/jit_internal.h"
#include "llvm/ADT/SmallVector.h"
#include "llvm/Analysis/TargetTransformInfo.h"
#include "llvm/Config/llvm-config.h"
#include "llvm/ExecutionEngine/RTDyldMemoryManager.h"
#include "llvm/ExecutionEngine/RuntimeDyld.h"
#include "llvm/ExecutionEngine/SectionMemoryManager.h"
#include "llvm/IR/LegacyPassManager.h"
#include "llvm/IR/Verifier.h"
#include "llvm/MC/TargetRegistry.h"
#include "llvm/Object/ObjectFile.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/raw_ostream.h"
#include "llvm/Target/TargetMachine.h"
#include "llvm/Target/TargetOptions.h"
#include "llvm/TargetParser/Host.h"
#include "llvm/Transforms/Scalar.h"

extern "C" {
void LLVMInitializeX86TargetInfo();
void LLVMInitializeX86Target();
void LLVMInitializeX86TargetMC();
void LLVMInitializeX86AsmPrinter();
}

namespace duet::compiler::llvm_backend {
namespace {

constexpr char kTriple[] = "x86_64-unknown-linux-gnu";

// The features that code generation for kernels makes use of, each with the level that needs it.
struct Feature {
  const char* name;
  JitOptions::Level level;
};
constexpr JitOptions::Level kAvx2 = JitOptions::Level::kAvx2;
constexpr JitOptions::Level kAvx512 = JitOptions::Level::kAvx512;
constexpr JitOptions::Level kHost = JitOptions::Level::kHost;
constexpr Feature kFeatures[] = {
    {"avx", kAvx2},          {"avx2", kAvx2},       {"avx512bf16", kHost},
    {"avx512bitalg", kHost}, {"avx512bw", kAvx512}, {"avx512cd", kAvx512},
    {"avx512dq", kAvx512},   {"avx512f", kAvx512},  {"avx512fp16", kHost},
    {"avx512ifma", kHost},   {"avx512vbmi", kHost}, {"avx512vbmi2", kHost},
    {"avx512vl", kAvx512},   {"avx512vnni", kHost}, {"avx512vpopcntdq", kHost},
    {"avxvnni", kHost},      {"bmi", kAvx2},        {"bmi2", kAvx2},
    {"cx16", kAvx2},         {"f16c", kAvx2},       {"fma", kAvx2},
    {"fxsr", kAvx2},         {"gfni", kHost},       {"lzcnt", kAvx2},
    {"movbe", kAvx2},        {"popcnt", kAvx2},     {"sahf", kAvx2},
    {"sse3", kAvx2},         {"sse4.1", kAvx2},     {"sse4.2", kAvx2},
    {"ssse3", kAvx2},
};

std::set<std::string> ChooseFeatures(const JitOptions& options) {
  std::set<std::string> found;
  llvm::StringMap<bool> host = llvm::sys::getHostCPUFeatures();
  for (const Feature& feature : kFeatures) {
    if (feature.level > options.level) continue;
    if (options.cross || host.lookup(feature.name)) found.insert(feature.name);
  }
  return found;
}

bool HasAll(const std::set<std::string>& features, std::initializer_list<const char*> names) {
  for (const char* name : names) {
    if (features.count(name) == 0) return false;
  }
  return true;
}

void InitializeTargets() {
  static std::once_flag once;
  std::call_once(once, [] {
    LLVMInitializeX86TargetInfo();
    LLVMInitializeX86Target();
    LLVMInitializeX86TargetMC();
    LLVMInitializeX86AsmPrinter();
  });
}

// Resolves the few symbols that kernels may use.
class Resolver final : public llvm::LegacyJITSymbolResolver {
 public:
  llvm::JITSymbol findSymbol(const std::string& name) override {
    static const std::map<std::string, void*> kAllowed = {
        {"fma",
         reinterpret_cast<void*>(static_cast<double (*)(double, double, double)>(&std::fma))},
        {"fmaf", reinterpret_cast<void*>(static_cast<float (*)(float, float, float)>(&::fmaf))},
        // Exact by definition, so the same bits wherever they come from.
        {"floor", reinterpret_cast<void*>(static_cast<double (*)(double)>(&std::floor))},
        {"floorf", reinterpret_cast<void*>(static_cast<float (*)(float)>(&::floorf))},
        {"fmod", reinterpret_cast<void*>(static_cast<double (*)(double, double)>(&std::fmod))},
        {"fmodf", reinterpret_cast<void*>(static_cast<float (*)(float, float)>(&::fmodf))},
        {"memcpy", reinterpret_cast<void*>(&std::memcpy)},
        {"memset", reinterpret_cast<void*>(&std::memset)},
    };
    auto it = kAllowed.find(name);
    if (it == kAllowed.end()) return nullptr;
    return {reinterpret_cast<uint64_t>(it->second), llvm::JITSymbolFlags::Exported};
  }
  llvm::JITSymbol findSymbolInLogicalDylib(const std::string&) override { return nullptr; }
};

// Kernels do not throw, so nothing registers their unwind tables.
class MemoryManager final : public llvm::SectionMemoryManager {
 public:
  void registerEHFrames(uint8_t*, uint64_t, size_t) override {}
  void deregisterEHFrames() override {}
};

}  // namespace

struct CompiledModule::Image {
  MemoryManager memory;
  std::map<std::string, void*, std::less<>> symbols;
};

void* CompiledModule::Find(std::string_view symbol) const {
  auto it = image_->symbols.find(symbol);
  return it == image_->symbols.end() ? nullptr : it->second;
}

struct JitEngine::Impl {
  std::set<std::string> features;
  std::string key;
  std::string cpu;
  std::string feature_string;
  const llvm::Target* target = nullptr;
  std::optional<llvm::DataLayout> layout;

  std::mutex mutex;
  std::vector<std::unique_ptr<llvm::TargetMachine>> idle_machines;  // one each concurrent compile
  std::vector<std::unique_ptr<CompiledModule::Image>> images;

  std::unique_ptr<llvm::TargetMachine> TakeMachine() {
    {
      std::lock_guard<std::mutex> lock(mutex);
      if (!idle_machines.empty()) {
        auto machine = std::move(idle_machines.back());
        idle_machines.pop_back();
        return machine;
      }
    }
    llvm::TargetOptions options;
    options.AllowFPOpFusion = llvm::FPOpFusion::Strict;
    return std::unique_ptr<llvm::TargetMachine>(target->createTargetMachine(
        kTriple, cpu, feature_string, options, llvm::Reloc::PIC_, llvm::CodeModel::Small,
        llvm::CodeGenOptLevel::Default, /*JIT=*/true));
  }
  void GiveBack(std::unique_ptr<llvm::TargetMachine> machine) {
    std::lock_guard<std::mutex> lock(mutex);
    idle_machines.push_back(std::move(machine));
  }
};

JitEngine& JitEngine::Get() {
  static JitEngine* engine = new JitEngine;
  return *engine;
}

JitEngine::JitEngine(const JitOptions& options) : impl_(std::make_unique<Impl>()) {
  InitializeTargets();
  Impl& i = *impl_;
  i.features = ChooseFeatures(options);
  // Names a scheduling model and the tuning that goes with it; the features are given in full.
  i.cpu = "x86-64";
  if (HasAll(i.features, {"avx2", "fma", "bmi2"})) i.cpu = "x86-64-v3";
  if (HasAll(i.features, {"avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"})) {
    i.cpu = "x86-64-v4";
  }
  for (const Feature& feature : kFeatures) {
    bool has = i.features.count(feature.name) > 0;
    absl::StrAppend(&i.feature_string, has ? "+" : "-", feature.name, ",");
  }
  absl::StrAppend(&i.feature_string, "-prefer-256-bit");
  i.key = absl::StrCat("x86_64;", absl::StrJoin(i.features, ","), ";emitter=", kEmitterVersion,
                       ";llvm=", LLVM_VERSION_STRING);
  std::string error;
  i.target = llvm::TargetRegistry::lookupTarget(kTriple, error);
  auto machine = i.TakeMachine();
  i.layout = machine->createDataLayout();
  i.GiveBack(std::move(machine));
}

JitEngine::~JitEngine() = default;

const std::string& JitEngine::target_key() const { return impl_->key; }

int JitEngine::vector_bytes() const {
  if (HasAll(impl_->features, {"avx512f", "avx512bw", "avx512dq"})) return 64;
  return impl_->features.count("avx") ? 32 : 16;
}

absl::StatusOr<CompiledModule> JitEngine::Load(std::string_view object) {
  llvm::MemoryBufferRef buffer(llvm::StringRef(object.data(), object.size()), "kernel");
  auto file = llvm::object::ObjectFile::createELFObjectFile(buffer);
  if (!file) {
    return absl::DataLossError(
        absl::StrCat("not an object file: ", llvm::toString(file.takeError())));
  }
  auto image = std::make_unique<CompiledModule::Image>();
  Resolver resolver;
  llvm::RuntimeDyld linker(image->memory, resolver);
  auto info = linker.loadObject(**file);
  if (info != nullptr && !linker.hasError()) linker.finalizeWithMemoryManagerLocking();
  if (linker.hasError()) {
    return absl::DataLossError(
        absl::StrCat("object code cannot be loaded: ", linker.getErrorString().str()));
  }
  for (const auto& [name, symbol] : linker.getSymbolTable()) {
    image->symbols.emplace(name.str(), reinterpret_cast<void*>(symbol.getAddress()));
  }
  CompiledModule result(image.get());
  std::lock_guard<std::mutex> lock(impl_->mutex);
  impl_->images.push_back(std::move(image));
  return result;
}

IrModule NewModule(JitEngine& jit, std::string_view name) {
  IrModule ir;
  ir.context = std::make_unique<llvm::LLVMContext>();
  ir.context->setDiscardValueNames(true);
  ir.module =
      std::make_unique<llvm::Module>(llvm::StringRef(name.data(), name.size()), *ir.context);
  ir.module->setTargetTriple(kTriple);
  ir.module->setDataLayout(*jit.impl().layout);
  return ir;
}

absl::StatusOr<std::string> CompileToObject(JitEngine& jit, IrModule ir) {
  std::string error;
  llvm::raw_string_ostream error_stream(error);
  if (llvm::verifyModule(*ir.module, &error_stream)) {
    return absl::InternalError(absl::StrCat("invalid LLVM module: ", error));
  }
  std::unique_ptr<llvm::TargetMachine> machine = jit.impl().TakeMachine();
  llvm::SmallVector<char, 0> bytes;
  llvm::raw_svector_ostream stream(bytes);
  llvm::legacy::PassManager passes;
  passes.add(llvm::createTargetTransformInfoWrapperPass(machine->getTargetIRAnalysis()));
  passes.add(llvm::createSROAPass());
  passes.add(llvm::createEarlyCSEPass());
  passes.add(llvm::createLICMPass());
  passes.add(llvm::createCFGSimplificationPass());
  llvm::MCContext* mc = nullptr;
  bool failed = machine->addPassesToEmitMC(passes, mc, stream, /*DisableVerify=*/true);
  if (!failed) passes.run(*ir.module);
  jit.impl().GiveBack(std::move(machine));
  if (failed) return absl::InternalError("LLVM has no code generator for this target");
  return std::string(bytes.begin(), bytes.end());
}

absl::StatusOr<CompiledModule> CompileAndLoad(JitEngine& jit, IrModule ir) {
  absl::StatusOr<std::string> object = CompileToObject(jit, std::move(ir));
  if (!object.ok()) return object.status();
  return jit.Load(*object);
}

}  // namespace duet::compiler::llvm_backend
