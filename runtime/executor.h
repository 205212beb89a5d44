// Executor: runs instances of one plan, making them as new shapes come.
#ifndef DUET_RUNTIME_EXECUTOR_H_
#define DUET_RUNTIME_EXECUTOR_H_

#include <atomic>
#include <cstdint>
#include <list>
#include <memory>
#include <mutex>
#include <vector>

#include "absl/status/statusor.h"
#include "runtime/instance.h"
#include "runtime/plan.h"

namespace duet::runtime {

// The memory of one run of an instance: an arena, tables of pointers and tensors into it.
class Frame {
 public:
  explicit Frame(const Instance& instance);
  ~Frame();
  Frame(const Frame&) = delete;
  Frame& operator=(const Frame&) = delete;

 private:
  friend class FrameRun;
  std::vector<void*> pointers_;
  std::vector<Tensor> tensors_, dynamic_;
  Storage* arena_ = nullptr;
};

// An instance with frames that wait for the next run.
class Runnable {
 public:
  explicit Runnable(std::shared_ptr<const Instance> instance) : instance_(std::move(instance)) {}
  ~Runnable() { delete spare_.load(std::memory_order_acquire); }
  const Instance& instance() const { return *instance_; }

  // Feeds have been checked and match the instance.
  absl::Status Run(absl::Span<const Tensor> feeds, std::vector<Tensor>* results);

 private:
  std::unique_ptr<Frame> Take();
  void Return(std::unique_ptr<Frame> frame);

  const std::shared_ptr<const Instance> instance_;
  // One frame, for the usual case of one run at a time; more of them behind the lock.
  std::atomic<Frame*> spare_{nullptr};
  std::mutex mutex_;
  std::vector<std::unique_ptr<Frame>> more_;
};

// Thread safe; concurrent runs share nothing but instances.
class Executor {
 public:
  explicit Executor(std::shared_ptr<const Plan> plan) : plan_(std::move(plan)) {}
  const Plan& plan() const { return *plan_; }

  // The values of the plan's fetches. A failed run leaves no trace but the assignments that ran
  // before it failed.
  absl::StatusOr<std::vector<Tensor>> Run(absl::Span<const Tensor> feeds);

  // The kernels of the most recently used instance in the order they run, each with the nodes it
  // computes and their source lines: "Tanh, Mul (train.cc:12, train.cc:14)".
  std::vector<std::string> DescribeKernels();

 private:
  absl::StatusOr<std::shared_ptr<Runnable>> Find(absl::Span<const Tensor> feeds);

  const std::shared_ptr<const Plan> plan_;
  std::mutex mutex_;
  std::list<std::shared_ptr<Runnable>> instances_;  // most recently used first
};

}  // namespace duet::runtime

#endif  // DUET_RUNTIME_EXECUTOR_H_
