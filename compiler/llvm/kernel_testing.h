// Runs kernels on guarded memory, and makes random loop programs, for tests.
#ifndef DUET_COMPILER_LLVM_KERNEL_TESTING_H_
#define DUET_COMPILER_LLVM_KERNEL_TESTING_H_

#include <sys/mman.h>

#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <memory>
#include <random>
#include <stdexcept>
#include <string>
#include <vector>

#include "core/loop/program.h"

namespace duet::compiler::llvm_backend {

// Memory that ends where a page that may not be touched begins.
class GuardedBuffer {
 public:
  explicit GuardedBuffer(size_t bytes) : bytes_(bytes) {
    constexpr size_t kPage = 4096;
    mapped_ = (bytes + kPage - 1) / kPage * kPage + kPage;
    void* p = mmap(nullptr, mapped_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED) throw std::runtime_error("mmap failed");
    start_ = static_cast<char*>(p);
    mprotect(start_ + mapped_ - kPage, kPage, PROT_NONE);
    data_ = start_ + mapped_ - kPage - bytes;
    std::memset(data_, 0xa5, bytes);
  }
  ~GuardedBuffer() { munmap(start_, mapped_); }
  GuardedBuffer(const GuardedBuffer&) = delete;
  GuardedBuffer& operator=(const GuardedBuffer&) = delete;
  char* data() { return data_; }
  size_t size() const { return bytes_; }

 private:
  size_t bytes_, mapped_;
  char *start_, *data_;
};

using Rng = std::mt19937_64;
inline int64_t Pick(Rng& rng, int64_t n) { return static_cast<int64_t>(rng() % n); }

// A value that is often special.
template <class T>
T RandomValue(Rng& rng) {
  using Limits = std::numeric_limits<T>;
  if constexpr (std::is_same_v<T, bool>) {
    return rng() & 1;
  } else if constexpr (std::is_floating_point_v<T>) {
    const T special[] = {T(0),
                         -T(0),
                         T(1),
                         T(-1),
                         Limits::infinity(),
                         -Limits::infinity(),
                         Limits::quiet_NaN(),
                         Limits::max(),
                         Limits::lowest(),
                         Limits::denorm_min(),
                         Limits::min(),
                         T(2.5),
                         T(-0.5),
                         T(1e10),
                         T(3e9),
                         T(255.5)};
    if (Pick(rng, 4) == 0) return special[Pick(rng, std::size(special))];
    return static_cast<T>(std::ldexp(static_cast<double>(Pick(rng, 2000001) - 1000000) / 1000000,
                                     static_cast<int>(Pick(rng, 12))));
  } else {
    if (Pick(rng, 6) == 0) return Pick(rng, 2) ? Limits::max() : Limits::min();
    if (Pick(rng, 6) == 0) return static_cast<T>(rng());
    return static_cast<T>(Pick(rng, 21) - 10);
  }
}

// Buffers for one execution of a program over rows x inner.
class KernelRun {
 public:
  KernelRun(const loop::Program& program, int64_t rows, int64_t inner, Rng& rng)
      : program_(program), rows_(rows), inner_(inner) {
    const loop::Body& body = program.body;
    const std::vector<bool> reduced = loop::ReducedLevel(body);
    for (size_t k = 0; k < body.operands.size(); ++k) {
      const int64_t size = SizeOf(body.operands[k]);
      const loop::Stride c = program.inner[k];
      const int64_t step = c == loop::Stride::kZero ? 0 : c == loop::Stride::kUnit ? 1 : 3;
      bool row_varies = Pick(rng, 3) != 0;
      if (body.axis == loop::Axis::kRows) row_varies = body.varies[k];
      const int64_t per_row = step * std::max<int64_t>(inner - 1, 0) + 1;
      AddBuffer(size, row_varies ? per_row : 0, step, row_varies ? rows * per_row : per_row);
      VisitDType(body.operands[k], [&](auto t) {
        using T = decltype(t);
        for (size_t i = 0; i < buffers_[k]->size() / sizeof(T); ++i) {
          const T v = RandomValue<T>(rng);
          std::memcpy(buffers_[k]->data() + i * sizeof(T), &v, sizeof(T));
        }
      });
    }
    for (const loop::Output& o : body.outputs) {
      const int64_t size = SizeOf(body.instrs[o.value].dtype);
      if (body.axis == loop::Axis::kRows) {
        AddBuffer(size, 0, 1, inner);
      } else if (reduced[o.value]) {
        AddBuffer(size, 1, 0, rows);
      } else {
        AddBuffer(size, inner, 1, rows * inner);
      }
    }
  }

  void Run(loop::KernelFn fn) { fn(Args().get()); }
  void Interpret() { loop::Interpret(program_, *Args()); }

  // The bytes of the outputs; then they are filled with a pattern again.
  std::vector<std::string> TakeOutputs() {
    std::vector<std::string> result;
    for (size_t k = program_.body.operands.size(); k < buffers_.size(); ++k) {
      result.emplace_back(buffers_[k]->data(), buffers_[k]->size());
      std::memset(buffers_[k]->data(), 0xa5, buffers_[k]->size());
    }
    return result;
  }

  template <class T>
  const T* operand(size_t k) const {
    return reinterpret_cast<const T*>(buffers_[k]->data());
  }

 private:
  void AddBuffer(int64_t size, int64_t row, int64_t step, int64_t count) {
    buffers_.push_back(std::make_unique<GuardedBuffer>(size * std::max<int64_t>(count, 0)));
    pointers_.push_back(buffers_.back()->data());
    row_strides_.push_back(row * size);
    inner_strides_.push_back(step * size);
  }
  std::unique_ptr<loop::KernelArgs> Args() {
    return std::make_unique<loop::KernelArgs>(loop::KernelArgs{
        rows_, inner_, 0, pointers_.data(), row_strides_.data(), inner_strides_.data()});
  }

  const loop::Program& program_;
  int64_t rows_, inner_;
  std::vector<std::unique_ptr<GuardedBuffer>> buffers_;
  std::vector<void*> pointers_;
  std::vector<int64_t> row_strides_, inner_strides_;
};

// Whether two arrays of elements are the same numbers; with `exact` bit for bit but for the payload
// of NaNs, otherwise zeros of both signs are the same too.
inline std::string FirstDifference(DType dtype, const std::string& a, const std::string& b,
                                   bool exact) {
  std::string result;
  VisitDType(dtype, [&](auto t) {
    using T = decltype(t);
    for (size_t i = 0; i < a.size() / sizeof(T) && result.empty(); ++i) {
      T x, y;
      std::memcpy(&x, a.data() + i * sizeof(T), sizeof(T));
      std::memcpy(&y, b.data() + i * sizeof(T), sizeof(T));
      if (x != x && y != y) continue;
      const bool same = exact ? std::memcmp(&x, &y, sizeof(T)) == 0 : x == y;
      if (!same) {
        result =
            "element " + std::to_string(i) + ": " + std::to_string(x) + " and " + std::to_string(y);
      }
    }
  });
  return result;
}

// A program of instructions whose results are exact, so that the interpreter gives the same values:
// no mathematical functions but sqrt, sums and products of integers alone.
class RandomProgram {
 public:
  explicit RandomProgram(uint64_t seed) : rng_(seed) {}

  loop::Program Make() {
    loop::Program program;
    body_ = &program.body;
    body_->axis = static_cast<loop::Axis>(Pick(rng_, 3));
    const bool reduces = body_->axis != loop::Axis::kNone;
    constexpr DType kTypes[] = {kFloat32, kFloat64, kInt32, kInt64, kUInt8, kBool};
    const int64_t operands = 1 + Pick(rng_, 3);
    for (int64_t k = 0; k < operands; ++k) {
      body_->operands.push_back(kTypes[Pick(rng_, 6)]);
      const bool varies = !reduces || Pick(rng_, 4) != 0;
      if (reduces) body_->varies.push_back(varies);
      const bool zero = body_->axis == loop::Axis::kInner && !varies;
      program.inner.push_back(zero ? loop::Stride::kZero
                                   : static_cast<loop::Stride>(Pick(rng_, 3)));
    }
    loop::Builder b(body_);
    for (int64_t k = 0; k < operands; ++k) b.Load(static_cast<int>(k));
    if (Pick(rng_, 3) == 0) b.IndexInner();
    const int64_t count = 2 + Pick(rng_, 12);
    for (int64_t i = 0; i < count; ++i) Add(b);
    AddOutputs();
    return program;
  }

 private:
  int32_t Any() { return static_cast<int32_t>(Pick(rng_, body_->instrs.size())); }
  // Some value of `dtype`: one that is there, or a cast of one.
  int32_t Of(loop::Builder& b, DType dtype) {
    for (int i = 0; i < 4; ++i) {
      const int32_t v = Any();
      if (b.dtype(v) == dtype) return v;
    }
    if (Pick(rng_, 3) == 0) return b.ConstInt(dtype, Pick(rng_, 7) - 3);
    return b.Cast(dtype, Any());
  }
  void Add(loop::Builder& b) {
    using loop::Code;
    const int32_t x = Any();
    const DType t = b.dtype(x);
    if (body_->axis != loop::Axis::kNone && t != kBool && Pick(rng_, 3) == 0) {
      const int first = IsFloating(t) ? 2 : 0;
      b.Reduction(static_cast<loop::Reduce>(first + Pick(rng_, 4 - first)), x);
      return;
    }
    if (Pick(rng_, 8) == 0) {
      b.Select(Of(b, kBool), x, Of(b, t));
      return;
    }
    const int32_t y = Of(b, t);
    if (t == kBool) {
      constexpr Code kCodes[] = {Code::kAnd, Code::kOr, Code::kEqual, Code::kNotEqual};
      if (Pick(rng_, 5) == 0) {
        b.Unary(Code::kNot, x);
      } else {
        b.Binary(kCodes[Pick(rng_, 4)], x, y);
      }
      return;
    }
    if (Pick(rng_, 4) == 0) {
      constexpr Code kInteger[] = {Code::kNeg, Code::kAbs, Code::kSign};
      constexpr Code kFloating[] = {Code::kNeg,   Code::kAbs,  Code::kSign,
                                    Code::kFloor, Code::kSqrt, Code::kIsNan};
      b.Unary(IsFloating(t) ? kFloating[Pick(rng_, 6)] : kInteger[Pick(rng_, 3)], x);
      return;
    }
    constexpr Code kCodes[] = {Code::kAdd,      Code::kSub,      Code::kMul,       Code::kMax,
                               Code::kMin,      Code::kLess,     Code::kLessEqual, Code::kEqual,
                               Code::kNotEqual, Code::kFloorMod, Code::kDiv,       Code::kFloorDiv,
                               Code::kPow};
    // Which of two zeros a maximum over lanes is depends on the order, and a quotient shows it.
    const bool no_division = IsFloating(t) && body_->axis != loop::Axis::kNone;
    b.Binary(kCodes[Pick(rng_, no_division ? 10 : IsFloating(t) ? 12 : 13)], x, y);
  }
  void AddOutputs() {
    const std::vector<bool> reduced = loop::ReducedLevel(*body_);
    const int32_t last = static_cast<int32_t>(body_->instrs.size()) - 1;
    const int64_t count = 1 + Pick(rng_, 2);
    for (int32_t v = last; v >= 0 && static_cast<int64_t>(body_->outputs.size()) < count; --v) {
      if (body_->axis == loop::Axis::kRows && !reduced[v]) continue;
      body_->outputs.push_back({v});
    }
    if (!body_->outputs.empty()) return;
    // kRows and nothing of level kReduced yet.
    loop::Builder b(body_);
    int32_t v = last;
    if (b.dtype(v) == kBool) v = b.Cast(kInt32, v);
    body_->outputs.push_back({b.Reduction(loop::Reduce::kMax, v)});
  }

  Rng rng_;
  loop::Body* body_ = nullptr;
};

}  // namespace duet::compiler::llvm_backend

#endif  // DUET_COMPILER_LLVM_KERNEL_TESTING_H_
