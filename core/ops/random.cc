// Random tensors from the counter-based generator of core/philox.h.
#include <mutex>
#include <random>

#include "core/ops/families.h"
#include "core/ops/infer_util.h"
#include "core/ops/ops.h"
#include "core/philox.h"

namespace duet {
namespace {

// The process's generator: a key, and a count of the draws made. Draw n under a key is the stream
// (key, n), so a draw depends on its place in the program's order alone.
class Generator {
 public:
  struct Stream {
    uint64_t seed, seed2;
  };
  void Reset(uint64_t seed) {
    const std::lock_guard lock(mutex_);
    key_ = seed;
    draws_ = 0;
  }
  Stream Next() {
    const std::lock_guard lock(mutex_);
    return {key_, ++draws_};
  }
  static Generator& Get() {
    static auto* generator = new Generator();
    return *generator;
  }

 private:
  Generator() {
    std::random_device device;
    key_ = uint64_t{device()} << 32 | device();
  }
  std::mutex mutex_;
  uint64_t key_;
  uint64_t draws_ = 0;
};

Generator::Stream StreamFor(const Attrs& attrs) {
  const int64_t seed = attrs.Get<int64_t>("seed"), seed2 = attrs.Get<int64_t>("seed2");
  if (seed == 0 && seed2 == 0) return Generator::Get().Next();
  return {static_cast<uint64_t>(seed), static_cast<uint64_t>(seed2)};
}

absl::Status InferRandom(InferContext& c) {
  DUET_ASSIGN_OR_RETURN(Shape shape, HostShape(c, 0, "shape"));
  c.AddOutput(c.attrs().Get<DType>("dtype"), std::move(shape));
  return absl::OkStatus();
}

template <bool normal>
absl::Status RandomKernel(KernelContext& c) {
  Tensor& out = c.outputs[0];
  const Generator::Stream stream = StreamFor(c.attrs);
  VisitDType(out.dtype(), [&](auto zero) {
    using T = decltype(zero);
    if constexpr (std::is_floating_point_v<T>) {
      auto* data = static_cast<T*>(out.mutable_raw_data());
      if constexpr (normal) {
        FillNormal(data, stream.seed, stream.seed2, 0, out.num_elements());
      } else {
        FillUniform(data, stream.seed, stream.seed2, 0, out.num_elements());
      }
    }
  });
  return absl::OkStatus();
}

OpDef Random(std::string name, std::string wire, KernelFunction kernel, std::string doc,
             std::vector<OpExample> examples) {
  return Opaque(std::move(name),
                {.inputs = {{.name = "shape", .type_attr = "T", .host = true}},
                 .outputs = {{.name = "output", .type_attr = "dtype"}},
                 .type_attrs = {{"T", kIndexTypes}, {"dtype", kFloatingTypes, false}},
                 .attrs = {{"seed", int64_t{0}}, {"seed2", int64_t{0}}},
                 .infer = InferRandom,
                 .kernel = kernel,
                 .random = true,
                 .doc = std::move(doc),
                 .examples = std::move(examples),
                 .wire = std::move(wire)});
}

Tensor CallRandom(const OpDef& op, const Ints& shape, DType dtype, int64_t seed, Location loc) {
  if (!IsFloating(dtype)) {
    Refuse(Invalid("found dtype ", Name(dtype), ", expected float32 or float64"), op.public_name,
           loc);
  }
  const Tensor sizes = shape.AsTensor();
  return Dispatch1(op, Attrs{{"dtype", dtype}, {"seed", seed}, {"seed2", int64_t{0}}}, {&sizes, 1},
                   loc);
}

}  // namespace

void SetRandomSeed(uint64_t seed) { Generator::Get().Reset(seed); }

DUET_OP(RandomUniform,
        Random("RandomUniform", "", RandomKernel<false>,
               "Random numbers, uniform in [0, 1). With a seed that is not 0 every execution gives "
               "the same; with seed 0 they come from the process's generator.",
               {{"ShapeOf(RandomUniform({2, 3}))", "[2 3]"}}));
Tensor RandomUniform(const Ints& shape, DType dtype, int64_t seed, std::source_location loc) {
  return CallRandom(ops::RandomUniformOp(), shape, dtype, seed, loc);
}

DUET_OP(
    RandomNormal,
    Random("RandomNormal", "RandomStandardNormal", RandomKernel<true>,
           "Random numbers with mean 0 and standard deviation 1, normally distributed. Seeds as "
           "in RandomUniform.",
           {{"ShapeOf(RandomNormal({2, 3}))", "[2 3]"}}));
Tensor RandomNormal(const Ints& shape, DType dtype, int64_t seed, std::source_location loc) {
  return CallRandom(ops::RandomNormalOp(), shape, dtype, seed, loc);
}

}  // namespace duet
