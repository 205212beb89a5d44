// Random programs that read, assign and update variables give the same bits now and recorded: with
// fusion or without, with one thread or several, whether or not somebody holds the values of
// before. What is in place then, and on which panels, is the business of runtime/step_updates.cc.
//
//   DUET_TEST_SEED=417 random_updates_test      one program

#include <algorithm>
#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "core/strings.h"
#include "duet.h"
#include "gtest/gtest.h"
#include "tests/test_environment.h"

namespace duet::testing {
namespace {

constexpr int kPrograms = 1500;
constexpr int kCalls = 3;
const OwnKernelCache own_cache;

Tensor Values(const Shape& shape, DType dtype, int64_t seed) {
  const Tensor values = RandomUniform(shape, kFloat32, seed + 1) * 8.0f - 4.0f;
  return dtype == kFloat32 ? values : Cast(values, dtype);
}

class UpdateProgram {
 public:
  explicit UpdateProgram(uint64_t seed) : seed_(seed) {
    std::mt19937_64 random(seed);
    const auto one_of = [&](std::vector<int64_t> sizes) { return sizes[random() % sizes.size()]; };
    m_ = one_of({1, 3, 12, 40, 100, 130});
    n_ = random() % 4 == 0 ? m_ : one_of({1, 5, 16, 33, 64, 128});
    k_ = one_of({0, 1, 16, 70, 300});
    dtype_ = std::vector<DType>{kFloat32, kFloat32, kFloat64, kInt32, kInt64}[random() % 5];
    transpose_a_ = random() % 2 == 0;
    transpose_b_ = random() % 2 == 0;
    for (int i = 0; i < 4; ++i) variables_.emplace_back(Random({m_, n_}, i), Str("v", i));
    variables_.emplace_back(variables_[0].Read(), "shares_a_value");
    variables_.emplace_back(Random({n_, m_}, 5), "turned");
    variables_.emplace_back(Random({m_ * n_}, 6), "flat");
    variables_.emplace_back(Random({1, n_}, 7), "row");
    const DType other = dtype_ == kFloat64 ? kFloat32 : kFloat64;
    variables_.emplace_back(Values({m_, n_}, other, 8), "other_dtype");
  }

  std::vector<Tensor> Inputs(int call) const {
    return {Random(transpose_a_ ? Shape({k_, m_}) : Shape({m_, k_}), 10 + call),
            Random(transpose_b_ ? Shape({n_, k_}) : Shape({k_, n_}), 20 + call)};
  }

  // The same calls every time: they depend on the seed alone. Values are [m, n].
  std::vector<Tensor> Step(const Tensor& x, const Tensor& y) {
    std::mt19937_64 random(seed_ + 1);
    Variable &turned = variables_[5], &flat = variables_[6], &row = variables_[7],
             &other = variables_[8];
    std::vector<Tensor> values = {variables_[0].Read()};
    const auto choose = [&](uint64_t count) { return random() % count; };
    const auto any = [&]() -> Tensor {
      // The last values most often, as programs do.
      const size_t back = choose(3) != 0 ? choose(3) : choose(values.size());
      return values[values.size() - 1 - std::min<size_t>(back, values.size() - 1)];
    };
    const auto variable = [&]() -> Variable& { return variables_[choose(5)]; };
    const auto product = [&] { return MatMul(x, y, transpose_a_, transpose_b_); };
    const auto turn = [](const Tensor& t) { return Transpose(t, {1, 0}); };
    const Tensor two = Cast(Constant(2), dtype_), three = Cast(Constant(3), dtype_);
    const uint64_t actions = 3 + choose(16);
    for (uint64_t i = 0; i < actions; ++i) {
      switch (choose(28)) {
        case 0:
          values.push_back(variable().Read());
          break;
        case 1:
          values.push_back(product());
          break;
        case 2:
          values.push_back(any() * two + any());
          break;
        case 3:
          variable().Assign(any());
          break;
        case 4:
          variable().AssignSub(any());
          break;
        case 5:
          variable().AssignAdd(any() * three - any());
          break;
        case 6:
          variable().AssignSub(product() * two);
          break;
        // Other shapes and types of what is computed.
        case 7:
          values.push_back(Reshape(Reshape(any(), {n_, m_}), {m_, n_}));
          break;
        case 8:
          turned.Assign(Reshape(any(), {n_, m_}));
          break;
        case 9:
          flat.AssignSub(Reshape(any(), {m_ * n_}));
          break;
        case 10:
          turned.AssignAdd(turn(choose(2) == 0 ? any() : product()));
          break;
        case 11:
          values.push_back(choose(2) == 0 ? turn(turned) : Reshape(flat, {m_, n_}));
          break;
        case 12:
          other.Assign(other * Cast(two, other.dtype()) + Cast(product(), other.dtype()));
          break;
        case 13:
          other.AssignSub(Cast(any(), other.dtype()));
          break;
        case 14:
          row.Assign(row * two + Sum(any(), {0}, /*keep_dims=*/true));
          break;
        case 15:
          values.push_back(any() + row);
          break;
        case 16:
          values.push_back(MatMul(any(), MatMul(turn(any()), any())));
          break;
        case 17: {
          const Tensor p = product(), q = Reshape(p, {m_ * n_});
          flat.AssignSub(q);
          if (choose(2) == 0) values.push_back(Reshape(Reshape(q, {n_, m_}), {m_, n_}));
          break;
        }
        case 18: {
          const Tensor p = product(), t = p * two, q = Identity(t);
          variable().AssignSub(t);
          variable().AssignAdd(q);
          if (choose(2) == 0) values.push_back(Sum(q, {1}, /*keep_dims=*/true) + t);
          break;
        }
        case 19: {  // several updates by one product
          const Tensor p = product();
          variable().AssignSub(p);
          variable().AssignAdd(p);
          variable().Assign(variable() + p);
          break;
        }
        case 20: {  // of itself, after an assignment in place
          Variable& v = variable();
          v.Assign(v * two + any());
          choose(2) == 0 ? v.AssignSub(v * three) : v.Assign(v - three);
          break;
        }
        case 21: {  // one read, used before and after the assignment
          Variable &v = variable(), &w = variable();
          const Tensor read = v.Read();
          const Tensor p = choose(3) == 0 ? any() : product();
          const Tensor gradient = choose(3) == 0 ? p + read : p;
          if (choose(4) == 0) v.Assign(any());
          v.Assign(read * two + gradient);
          if (choose(2) == 0) w.AssignSub(v - read);
          if (choose(4) == 0) values.push_back(read);
          break;
        }
        case 22: {  // several results of one product, assigned with an update between
          Variable &v = variable(), &w = variable(), &u = variable();
          const Tensor of_v = v.Read(), of_w = w.Read();
          const Tensor p = product() * two;
          const Tensor next_v = of_v * two + p, next_w = of_w * three + p, left = of_v - p * of_w;
          if (choose(3) == 0) u.AssignSub(left);
          w.Assign(next_w);
          if (choose(2) == 0) u.AssignSub((w - of_v) * two);
          if (choose(3) == 0) {
            flat.AssignSub(Reshape(next_w, {m_ * n_}) * Reshape(of_v, {m_ * n_}));
          }
          v.Assign(next_v);
          if (choose(2) == 0) u.AssignAdd(v - of_w);
          break;
        }
        case 23: {  // one read that a second variable shares, without a product
          Variable &v = variable(), &w = variable();
          const Tensor read = v.Read();
          if (choose(2) == 0) w.Assign(read);
          const Tensor t = any() * three;
          const Tensor next_v = read * two + t, next_w = read * three + t;
          v.Assign(next_v);
          if (choose(2) == 0) values.push_back(v.Read());
          w.Assign(next_w);
          break;
        }
        default: {  // momentum, or two moments
          Variable &first = variable(), &second = variable(), &weight = variable();
          const Tensor gradient = choose(2) == 0 ? any() : product();
          first.Assign(first * two + gradient);
          if (choose(2) == 0) second.Assign(second * three + gradient * gradient);
          weight.AssignSub(first * two);
          if (choose(4) == 0) values.push_back(gradient);
          break;
        }
      }
    }
    return {values.back(), any(), Reshape(any(), {m_ * n_})};
  }

  const std::vector<Variable>& variables() const { return variables_; }

 private:
  Tensor Random(const Shape& shape, int64_t seed) const { return Values(shape, dtype_, seed); }

  const uint64_t seed_;
  int64_t m_, n_, k_;
  DType dtype_;
  bool transpose_a_, transpose_b_;
  std::vector<Variable> variables_;
};

Tensor Copy(const Tensor& t) {
  Tensor copy = Tensor::Allocate(t.dtype(), t.shape());
  std::memcpy(copy.mutable_raw_data(), t.raw_data(), t.byte_size());
  return copy;
}

bool SameBits(const Tensor& x, const Tensor& y) {
  return x.shape() == y.shape() && std::memcmp(x.raw_data(), y.raw_data(), x.byte_size()) == 0;
}

struct Mode {
  const char* name;
  bool records = true, fuses = true, holds = false;
  int threads = 1;
};

struct Outcome {
  std::vector<Tensor> values;  // results and variables, after each call
  std::string explained;
};

Outcome RunProgram(uint64_t seed, const Mode& mode) {
  UpdateProgram program(seed);
  SessionOptions options;
  options.num_threads = mode.threads;
  if (!mode.fuses) options.disabled_passes = {"fusion"};
  const auto step = [&](const Tensor& x, const Tensor& y) { return program.Step(x, y); };
  Function recorded(step, options);
  Outcome outcome;
  std::vector<Tensor> held, copies;
  const auto keep = [&](const Tensor& t) {
    outcome.values.push_back(Copy(t));
    if (!mode.holds) return;
    held.push_back(t);
    copies.push_back(outcome.values.back());
  };
  for (int call = 0; call < kCalls; ++call) {
    const std::vector<Tensor> in = program.Inputs(call);
    const std::vector<Tensor> out = mode.records ? recorded(in[0], in[1]) : step(in[0], in[1]);
    for (const Tensor& t : out) keep(t);
    for (const Variable& v : program.variables()) keep(v.Read());
  }
  for (size_t i = 0; i < held.size(); ++i) {
    EXPECT_TRUE(SameBits(held[i], copies[i])) << "a value that was held changed, " << mode.name;
  }
  if (mode.records) outcome.explained = recorded.Explain();
  return outcome;
}

const Mode kModes[] = {
    {.name = "recorded"},
    {.name = "recorded, values held", .holds = true},
    {.name = "recorded, 3 threads", .threads = 3},
    {.name = "without fusion", .fuses = false},
    {.name = "now, values held", .records = false, .holds = true},
};

TEST(RandomUpdatesTest, AllModesAgree) {
  const int64_t one = FromEnvironment("DUET_TEST_SEED", -1);
  int in_place = 0, on_panels = 0;
  for (int64_t i = one >= 0 ? one : 0; i < (one >= 0 ? one + 1 : kPrograms) && !HasFailure(); ++i) {
    NameCase(Str("DUET_TEST_SEED=", i));
    const auto seed = static_cast<uint64_t>(i);
    const Outcome expected = RunProgram(seed, {.name = "now", .records = false});
    for (const Mode& mode : kModes) {
      const Outcome found = RunProgram(seed, mode);
      ASSERT_EQ(found.values.size(), expected.values.size());
      for (size_t v = 0; v < found.values.size(); ++v) {
        EXPECT_TRUE(SameBits(found.values[v], expected.values[v]))
            << "value " << v << ", " << mode.name << ", DUET_TEST_SEED=" << i << "\n"
            << found.explained;
      }
      if (mode.fuses && mode.records) {
        in_place += found.explained.find(", Assign") != std::string::npos;
        const size_t product = found.explained.find("    MatMul");
        const size_t update = found.explained.find("AssignSub", product);
        on_panels += product != std::string::npos && update != std::string::npos &&
                     update < found.explained.find('\n', product);
      }
    }
  }
  if (one >= 0) return;
  // The programs are of the kind that they are for.
  EXPECT_GT(in_place, kPrograms / 10);
  EXPECT_GT(on_panels, kPrograms / 10);
}

}  // namespace
}  // namespace duet::testing
