// Duet's side of the benchmark table. Prints lines of `name<TAB>value<TAB>threads`; times are
// seconds an op. `duet_bench first_op` is run in a process of its own, to time a cold start.

#include <chrono>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <string>

#include "duet.h"
#include "tools/bench/peers/measure.h"
#include "tools/bench/programs.h"

namespace duet::bench {
namespace {

using Clock = std::chrono::steady_clock;

double Since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

void Print(const char* name, double value, int threads = 1) {
  std::printf("%s\t%.4g\t%d\n", name, value, threads);
  std::fflush(stdout);
}

SessionOptions Threads(int n) {
  SessionOptions options;
  options.num_threads = n;
  return options;
}

Tensor Ramp(int64_t n) { return Cast(FloorMod(Range(0, n, 1), 4096), kFloat32) / 2048.0f - 1.0f; }

void Eager(int threads) {
  const Tensor a = Constant({{1.0f, 2.0f}, {3.0f, 4.0f}}),
               b = Constant({{5.0f, 6.0f}, {7.0f, 8.0f}});
  Measure("add_2x2", threads, [&] { const Tensor c = a + b; });
  {
    // The tape keeps what it hears; it is emptied now and then, as a training step does.
    GradientTape tape(GradientTape::kPersistent);
    tape.Watch(a);
    int64_t calls = 0;
    Measure("add_2x2_recorded", threads, [&] {
      const Tensor c = a + b;
      if (++calls % 64 == 0) {
        tape.Reset();
        tape.Watch(a);
      }
    });
  }
  const Tensor x = Ramp(1 << 20);
  Measure("chain6_1m_eager", threads, [&] { const Tensor y = Chain6(x); });
  const Tensor big = Ramp(1 << 24), other = big * 0.5f;
  Measure("add_16m", threads, [&] { const Tensor c = big + other; });
  const Tensor m = Reshape(Ramp(1000 * 1000), {1000, 1000});
  Measure("matmul_1000", threads, [&] { const Tensor c = MatMul(m, m); });
}

void Fused(int threads) {
  const Tensor x = Ramp(1 << 20);
  Function chain([](const Tensor& t) { return Chain6(t); }, Threads(threads));
  Measure("chain6_1m", threads, [&] { const Tensor y = chain(x); });
}

// A thousand scalar additions, each its own kernel.
void ScalarChain() {
  Graph graph;
  Tensor x, y;
  {
    const GraphScope scope(graph);
    x = Placeholder(kFloat32, {}, "x");
    y = x;
    for (int i = 0; i < 1000; ++i) y = y + x;
  }
  SessionOptions options = Threads(1);
  options.disabled_passes = {"fusion", "simplify", "cse"};
  Session session(graph, options);
  const Session::Feeds feeds = {{x, Constant(1.0f)}};
  const std::vector<TensorRef> fetches = {y};
  Measure("scalar_chain_1000_per_node", 1, [&] { (void)session.Run(feeds, fetches); });
}

void TinyRun() {
  Graph graph;
  Tensor x, y;
  {
    const GraphScope scope(graph);
    x = Placeholder(kFloat32, {}, "x");
    y = x + 1.0f;
  }
  Session session(graph, Threads(1));
  const Session::Feeds feeds = {{x, Constant(1.0f)}};
  const std::vector<TensorRef> fetches = {y};
  Measure("session_run_tiny", 1, [&] { (void)session.Run(feeds, fetches); });
}

void Training(int threads) {
  const Tensor images = RandomUniform({32, 784}, kFloat32, 3) - 0.5f;
  const Tensor labels = FloorMod(Range(0, 32, 1), 10);
  {
    Mlp mlp(784, 128, 10);
    Function step([&](const Tensor& i, const Tensor& l) { return mlp.Step(i, l); },
                  Threads(threads));
    Measure("mlp_step_784_128_10_b32", threads, [&] { (void)step(images, labels); });
    if (threads == 1) {
      const SessionStats stats = step.stats();
      Print("memory_mlp_planned_over_liveness",
            static_cast<double>(stats.planned_bytes) / static_cast<double>(stats.liveness_bytes));
      Measure("mlp_step_784_128_10_b32_eager", threads, [&] { (void)mlp.Step(images, labels); });
    }
  }
  const Tensor x = Ramp(2000), y = x * 3.0f + 2.0f;
  Linear linear;
  Function step([&](const Tensor& a, const Tensor& b) { return linear.Step(a, b); },
                Threads(threads));
  Measure("linear_step_2000", threads, [&] { (void)step(x, y); });
  if (threads == 1) {
    Measure("linear_step_2000_eager", threads, [&] { (void)linear.Step(x, y); });
  }
}

// Compiles what no cache holds, or, in a second process, loads it from the disk. One other kernel
// goes first, so that the compiler's own start (about 0.4 ms, once a process) is not counted as the
// kernel's.
void Compile(const char* suffix) {
  {
    const Tensor x = Ramp(1 << 10);
    Function first([](const Tensor& t) { return Exp(t * 0.5f) - t; }, Threads(1));
    (void)first(x);
    Function chain([](const Tensor& t) { return Chain6(t); }, Threads(1));
    (void)chain(x);
    const std::string name = std::string("compile_chain6") + suffix;
    Print(name.c_str(), chain.stats().compile_seconds);
    Print((name + "_kernels_compiled").c_str(),
          static_cast<double>(chain.stats().kernels_compiled));
  }
  Mlp digits(64, 32, 10);
  const Tensor images = RandomUniform({32, 64}, kFloat32, 3);
  const Tensor labels = FloorMod(Range(0, 32, 1), 10);
  Function step([&](const Tensor& i, const Tensor& l) { return digits.Step(i, l); }, Threads(1));
  const auto start = Clock::now();
  (void)step(images, labels);
  const std::string name = std::string("compile_digits_step") + suffix;
  Print(name.c_str(), Since(start));
  Print((name + "_kernels_compiled").c_str(), static_cast<double>(step.stats().kernels_compiled));
}

// A graph with an unknown batch size, run with a new one.
void NewBatch() {
  Function predict([w = RandomNormal({64, 10}, kFloat32, 4)](const Tensor& x) {
    return Softmax(Tanh(MatMul(x, w)) + 1.0f);
  });
  const Graph graph = predict.Concrete({TensorSpec(kFloat32, {-1, 64}, "x")});
  Session session(graph, Threads(1));
  const auto run = [&](int64_t batch) {
    auto out = session.Run({{"x", RandomUniform({batch, 64}, kFloat32, 5)}}, {"result0:0"});
    if (!out.ok()) std::fprintf(stderr, "%s\n", out.status().ToString().c_str());
  };
  run(8);
  const int64_t before = session.stats().kernels_compiled;
  for (int64_t batch : {1, 7, 32, 100}) run(batch);
  Print("new_batch_compilations", static_cast<double>(session.stats().kernels_compiled - before));
}

int Main(int argc, char** argv) {
  const std::string what = argc > 1 ? argv[1] : "";
  const auto start = Clock::now();
  if (what == "first_op") {
    const Tensor c = Constant({1.0f, 2.0f}) + Constant({3.0f, 4.0f});
    Print("first_eager_op", Since(start));
    return c.data<float>()[1] == 6.0f ? 0 : 1;
  }
  if (what == "compile_cold" || what == "compile_cached") {
    Compile(what == "compile_cold" ? "_cold" : "_cached");
    return 0;
  }
  if (what == "threads2") {
    Eager(2);
    Fused(2);
    Training(2);
    return 0;
  }
  Eager(1);
  Fused(1);
  ScalarChain();
  TinyRun();
  Training(1);
  NewBatch();
  return 0;
}

}  // namespace
}  // namespace duet::bench

int main(int argc, char** argv) { return duet::bench::Main(argc, argv); }
