// An allocation that fails in a step that updates variables in place leaves each of them as it was.
#include <cstdlib>
#include <new>
#include <thread>
#include <utility>
#include <vector>

#include "duet.h"
#include "gtest/gtest.h"

namespace {

thread_local int calls_to_failure = -1;  // -1: none fails

bool Fails() { return calls_to_failure >= 0 && calls_to_failure-- == 0; }

}  // namespace

// NOLINTBEGIN: all allocations of this program, those of the library too.
void* operator new(size_t size) {
  void* p = Fails() ? nullptr : std::malloc(size > 0 ? size : 1);
  if (p == nullptr) throw std::bad_alloc();
  return p;
}
void* operator new(size_t size, const std::nothrow_t&) noexcept {
  return Fails() ? nullptr : std::malloc(size > 0 ? size : 1);
}
void operator delete(void* p) noexcept { std::free(p); }
void operator delete(void* p, size_t) noexcept { std::free(p); }
// NOLINTEND

namespace duet {
namespace {

// With so many operands that the arguments of a kernel would not fit a small array either.
TEST(UpdateMemoryTest, AllOfTheOldRowsOrAllOfTheNew) {
  std::vector<Tensor> more;
  for (int i = 0; i < 18; ++i) more.push_back(RandomUniform({400, 33}, kFloat32, 10 + i));
  const Tensor x = RandomUniform({400, 20}, kFloat32, 1), y = RandomUniform({20, 33}, kFloat32, 2);
  for (int threads : {1, 3}) {
    for (bool holds : {false, true}) {
      Variable v(Zeros({400, 33}), "v"), w(Zeros({400, 33}), "w");
      const auto body = [&](const Tensor& a, const Tensor& b) {
        Tensor next = v * 1.5f + MatMul(a, b);
        for (const Tensor& t : more) next = next + t;
        v.Assign(next);
        w.AssignSub(v * 0.1f);
        return a;
      };
      SessionOptions options;
      options.num_threads = threads;
      Function step(body, options);
      step(x, y);
      int failures = 0;
      for (int nth = 0; nth < 40; ++nth) {
        const std::vector<float> old_v = v.Read().ToVector<float>();
        const std::vector<float> old_w = w.Read().ToVector<float>();
        Tensor held;
        if (holds) held = v.Read();
        bool failed = false;
        // A thread of its own has no memory put by from earlier calls.
        std::thread([&] {
          calls_to_failure = nth;
          try {
            step(x, y);
          } catch (const std::exception&) {
            failed = true;
          }
          calls_to_failure = -1;
        }).join();
        failures += failed;
        // What fails after the update, as a result is made, leaves the new values.
        const bool updated = v.Read().data<float>()[0] != old_v[0];
        ASSERT_TRUE(updated || failed);
        for (const auto& [variable, old] : {std::pair(&v, &old_v), std::pair(&w, &old_w)}) {
          const Tensor now = variable->Read();
          const auto data = now.data<float>();
          for (size_t i = 0; i < data.size(); ++i) {
            ASSERT_EQ(data[i] != (*old)[i], updated) << nth << ", element " << i;
          }
        }
      }
      EXPECT_GT(failures, 2);
    }
  }
}

}  // namespace
}  // namespace duet
