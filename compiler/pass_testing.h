// What the tests of passes share: graphs from text, passes run on them, and a device for kernels.
#ifndef DUET_COMPILER_PASS_TESTING_H_
#define DUET_COMPILER_PASS_TESTING_H_

#include <string>
#include <string_view>
#include <vector>

#include "compiler/pass.h"
#include "compiler/provider.h"
#include "compiler/verify.h"
#include "core/device.h"
#include "core/execute.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace duet::compiler {

// The graph of `text`, with feeds, fetches ("x", "x:0") and targets (node names).
inline PassInput Parse(std::string_view text, const std::vector<std::string>& feeds,
                       const std::vector<std::string>& fetches,
                       const std::vector<std::string>& targets = {}) {
  PassInput input;
  auto graph = Graph::FromText(text);
  EXPECT_TRUE(graph.ok()) << graph.status() << "\n" << text;
  if (!graph.ok()) return input;
  input.graph = *graph;
  const auto find = [&](const std::string& name) {
    auto o = graph->FindOutput(name);
    EXPECT_TRUE(o.ok()) << o.status();
    return o.ok() ? *o : NodeOutput{};
  };
  for (const std::string& f : feeds) input.feeds.push_back(find(f));
  for (const std::string& f : fetches) input.fetches.push_back(find(f));
  for (const std::string& t : targets) input.targets.push_back(graph->Find(t));
  return input;
}

inline PassInput RunPass(PassFn pass, const PassInput& input, const PassOptions& options = {}) {
  auto result = pass(input, options);
  EXPECT_TRUE(result.ok()) << result.status();
  if (!result.ok()) return input;
  EXPECT_TRUE(VerifyGraph(*result).ok()) << VerifyGraph(*result) << "\n" << result->graph.ToText();
  EXPECT_TRUE(VerifyEnds(input, *result).ok()) << VerifyEnds(input, *result);
  return *result;
}

// `text` as the printer writes it, so that an expected graph may leave out types.
inline std::string Canonical(std::string_view text) {
  auto graph = Graph::FromText(text);
  EXPECT_TRUE(graph.ok()) << graph.status() << "\n" << text;
  return graph.ok() ? graph->ToText() : "";
}

inline std::vector<std::string> FetchNames(const PassInput& input) {
  std::vector<std::string> names;
  for (NodeOutput o : input.fetches) names.push_back(input.graph.OutputName(o));
  return names;
}

// Runs the parts of composite ops.
class RunsNow final : public Interpreter {
 public:
  void Run(const OpCall& call, absl::Span<const ValueSpec> specs,
           absl::Span<Tensor> outputs) override {
    const absl::Status status = ExecuteOp(call, specs, outputs);
    if (!status.ok()) ThrowError(status, call.op.public_name, call.location);
  }
  bool recording() const override { return false; }
};

// A CPU without threads, so that these tests need nothing of the runtime.
class PlainDevice final : public Device {
 public:
  static void Install() {
    static auto* device = new PlainDevice();
    RegisterCpuDevice(device);
    static auto* interpreter = new RunsNow();
    SetDefaultInterpreter(interpreter);
  }
  std::string name() const override { return "/device:CPU:0"; }
  KernelProvider& kernels() override { return DefaultProvider(); }
  void RunLoop(loop::KernelFn fn, loop::Axis axis, const loop::Launch& launch,
               absl::Span<void* const> pointers, int) override {
    loop::RunUnits(fn, axis, launch, pointers, 0, loop::NumUnits(axis, launch));
  }
  void Gemm(const GemmArgs& args, int) override {
    if (args.dtype == kFloat32) Product<float>(args);
    if (args.dtype == kFloat64) Product<double>(args);
  }

 private:
  template <class T>
  static void Product(const GemmArgs& g) {
    const auto *a = static_cast<const T*>(g.a), *b = static_cast<const T*>(g.b);
    for (int64_t i = 0; i < g.m; ++i) {
      for (int64_t j = 0; j < g.n; ++j) {
        T sum = 0;
        for (int64_t p = 0; p < g.k; ++p) {
          sum += a[g.transpose_a ? p * g.m + i : i * g.k + p] *
                 b[g.transpose_b ? j * g.k + p : p * g.n + j];
        }
        static_cast<T*>(g.c)[i * g.n + j] = sum;
      }
    }
  }
};

}  // namespace duet::compiler

#endif  // DUET_COMPILER_PASS_TESTING_H_
