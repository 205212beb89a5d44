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

constexpr int kPrograms = 600;
constexpr int kCalls = 3;
const OwnKernelCache own_cache;

class UpdateProgram {
 public:
  explicit UpdateProgram(uint64_t seed) : seed_(seed) {
    std::mt19937_64 random(seed);
    const auto one_of = [&](std::vector<int64_t> sizes) { return sizes[random() % sizes.size()]; };
    rows_ = one_of({1, 3, 12, 40, 64, 100});
    columns_ = one_of({1, 5, 33, 64, 128});
    depth_ = one_of({0, 1, 32, 70, 300});
    for (int i = 0; i < 3; ++i) {
      variables_.emplace_back(Values({rows_, columns_}, i), Str("v", i));
    }
  }

  std::vector<Tensor> Inputs(int call) const {
    return {Values({depth_, rows_}, 10 + call), Values({depth_, columns_}, 20 + call),
            Values({rows_, rows_}, 30 + call), Values({columns_}, 40 + call)};
  }

  // The same calls every time: they depend on the seed alone.
  std::vector<Tensor> Step(const Tensor& a, const Tensor& b, const Tensor& square,
                           const Tensor& bias) {
    std::mt19937_64 random(seed_ + 1);
    std::vector<Tensor> values = {variables_[0].Read()};
    const auto any = [&]() -> const Tensor& {
      // The last values most often, as programs do.
      const size_t back = random() % 3 != 0 ? random() % 2 : random() % values.size();
      return values[values.size() - 1 - std::min(back, values.size() - 1)];
    };
    const auto variable = [&]() -> Variable& { return variables_[random() % variables_.size()]; };
    const int64_t actions = 4 + static_cast<int64_t>(random() % 12);
    for (int64_t i = 0; i < actions; ++i) {
      switch (random() % 16) {
        case 0:
          values.push_back(variable().Read());
          break;
        case 1:
        case 2:
          values.push_back(MatMul(a, b, /*transpose_a=*/true));
          break;
        case 3:
          values.push_back(MatMul(square, any()));
          break;
        case 4:
          values.push_back(Tanh(any() * 0.5f + bias));
          break;
        case 5:
          values.push_back(any() * 0.9f + any());
          break;
        case 6:
          values.push_back(Relu(any()) - variable().Read());
          break;
        case 7:
          variable().Assign(any());
          break;
        case 8:
          variable().AssignAdd(any());
          break;
        case 9:
          variable().AssignSub(any() * 0.01f);
          break;
        case 10:
          variable().AssignSub(MatMul(a, b, /*transpose_a=*/true) * 0.1f);
          break;
        case 11: {  // one read, used here and there, after and before the assignment
          Variable &first = variable(), &second = variable();
          const Tensor read = first.Read();
          const Tensor gradient = MatMul(square, random() % 2 == 0 ? read : any());
          if (random() % 4 == 0) first.Assign(any());
          first.Assign(read * 0.9f + gradient);
          if (random() % 2 == 0) second.AssignSub((first - read) * 0.1f);
          if (random() % 4 == 0) values.push_back(read);
          break;
        }
        case 12:
          variable().AssignAdd(Transpose(MatMul(b, a, /*transpose_a=*/true), {1, 0}));
          break;
        default: {  // momentum, or two moments
          Variable &first = variable(), &second = variable(), &weight = variable();
          const Tensor gradient = random() % 2 == 0 ? any() : MatMul(a, b, /*transpose_a=*/true);
          first.Assign(first * 0.9f + gradient);
          if (random() % 2 == 0) second.Assign(second * 0.5f + gradient * gradient);
          weight.AssignSub(first * 0.1f);
          if (random() % 4 == 0) values.push_back(gradient);
          break;
        }
      }
    }
    return {values.back(), any(), Tanh(any())};
  }

  const std::vector<Variable>& variables() const { return variables_; }

 private:
  static Tensor Values(const Shape& shape, int64_t seed) {
    return RandomUniform(shape, kFloat32, seed + 1) - 0.5f;
  }

  const uint64_t seed_;
  int64_t rows_, columns_, depth_;
  std::vector<Variable> variables_;
};

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
  const auto step = [&](const Tensor& a, const Tensor& b, const Tensor& c, const Tensor& d) {
    return program.Step(a, b, c, d);
  };
  Function recorded(step, options);
  Outcome outcome;
  const auto keep = [&](const Tensor& t) {
    outcome.values.push_back(Constant(t.ToVector<float>(), t.shape()));
  };
  std::vector<Tensor> held, copies;
  for (int call = 0; call < kCalls; ++call) {
    const std::vector<Tensor> in = program.Inputs(call);
    const std::vector<Tensor> out =
        mode.records ? recorded(in[0], in[1], in[2], in[3]) : step(in[0], in[1], in[2], in[3]);
    for (const Tensor& t : out) keep(t);
    for (const Variable& v : program.variables()) {
      keep(v.Read());
      if (mode.holds) {
        held.push_back(v.Read());
        copies.push_back(outcome.values.back());
      }
    }
    if (mode.holds) {
      held.insert(held.end(), out.begin(), out.end());
      copies.insert(copies.end(), out.begin(), out.end());
      for (size_t i = copies.size() - out.size(); i < copies.size(); ++i) {
        copies[i] = Constant(copies[i].ToVector<float>(), copies[i].shape());
      }
    }
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
