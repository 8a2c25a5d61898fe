#include "engine/cuda/plan_choice.h"

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstring>

#include "base/error.h"
#include "base/log.h"
#include "base/random.h"
#include "gpu/memory.h"

namespace hardmoe::cuda {
namespace {

/// Returns a megabyte of numbers from -1 to 1 of a width of 4 bytes, or 2: bfloat16. Not zeros, for
/// which a GPU takes less power, and so less time, than for a network's numbers.
std::vector<std::byte> random_numbers(int64_t width) {
  constexpr int64_t bytes = int64_t{1} << 20;
  std::vector<std::byte> numbers(static_cast<size_t>(bytes));
  Random random(1, RandomUse::noise);
  for (int64_t at = 0; at < bytes; at += width) {
    // A bfloat16 is the upper half of a float.
    const uint32_t bits = std::bit_cast<uint32_t>(2 * random.uniform() - 1) >> (8 * (4 - width));
    std::memcpy(numbers.data() + at, &bits, static_cast<size_t>(width));
  }
  return numbers;
}

/// Arrays to try plans on.
class Trial {
 public:
  Trial(Gpu& gpu, const ConvRequest& request, int64_t workspace_bytes, const TrialOptions& options)
      : gpu_(&gpu),
        options_(options),
        start_(gpu, EventKind::timing),
        end_(gpu, EventKind::timing) {
    const int64_t width = request.precision == Precision::bf16 ? 2 : 4;
    const ConvShape& s = request.shape;
    const std::vector<std::byte> numbers = random_numbers(width);
    take(width * s.x_elements(), numbers, arrays_.x);
    take(4 * s.weight_elements(), numbers, arrays_.weights);  // float32 where they are written
    take(width * s.y_elements(), numbers, arrays_.y);
    take(4 * s.out_channels, {}, arrays_.sum);
    take(4 * s.out_channels, {}, arrays_.squares);
    take(workspace_bytes, {}, arrays_.workspace);
    if (!ready_) return;
    take(options.flushed_bytes, {}, flushed_);
    ready_ = true;  // it can do without
  }
  /// Returns whether the GPU had room.
  bool ready() const { return ready_; }

  /// Returns the seconds of the plan's fastest run. Throws Error if it fails.
  double seconds(const ConvPlan& plan) const {
    const Stream stream = gpu_->compute();
    plan.run(arrays_);  // loads its code
    double best = 0;
    for (int i = 0; i < options_.runs; ++i) {
      if (flushed_ != nullptr) gpu_->zero(flushed_, options_.flushed_bytes, stream);
      gpu_->record(start_.get(), stream);
      plan.run(arrays_);
      gpu_->record(end_.get(), stream);
      gpu_->synchronize(end_.get());
      const double seconds = gpu_->seconds_between(start_.get(), end_.get());
      best = i == 0 ? seconds : std::min(best, seconds);
    }
    return best;
  }

 private:
  /// Takes memory and fills it with the numbers again and again, or with zeros if there are none.
  template <class T>
  void take(int64_t bytes, const std::vector<std::byte>& numbers, T*& pointer) {
    if (!ready_ || bytes == 0) return;
    void* memory = gpu_->allocate(bytes);
    ready_ = memory != nullptr;
    if (!ready_) return;
    memory_.emplace_back(*gpu_, memory, bytes, false);
    pointer = static_cast<T*>(memory);
    if (numbers.empty()) return gpu_->zero(memory, bytes, gpu_->compute());
    auto* to = static_cast<std::byte*>(memory);
    int64_t filled = std::min(bytes, std::ssize(numbers));
    gpu_->upload(to, numbers.data(), filled);
    while (filled < bytes) {
      const int64_t more = std::min(filled, bytes - filled);
      gpu_->copy(to + filled, to, more, gpu_->compute());
      filled += more;
    }
  }

  Gpu* gpu_;
  TrialOptions options_;
  OwnedEvent start_, end_;
  std::vector<Memory> memory_;
  ConvArrays arrays_;
  void* flushed_ = nullptr;
  bool ready_ = true;
};

}  // namespace

std::optional<PlanChoice> fastest_plan(Gpu& gpu, const ConvRequest& request,
                                       const std::vector<std::shared_ptr<const ConvPlan>>& plans,
                                       const TrialOptions& options) {
  if (plans.empty()) return std::nullopt;
  int64_t workspace = 0;
  for (const auto& plan : plans) workspace = std::max(workspace, plan->workspace_bytes());
  const Trial trial(gpu, request, workspace, options);
  if (!trial.ready()) return PlanChoice{};
  std::optional<PlanChoice> best;
  for (size_t number = 0; number < plans.size(); ++number) {
    try {
      const double seconds = trial.seconds(*plans[number]);
      if (!best || seconds < best->seconds) best = {number, seconds, true};
    } catch (const Error& error) {
      log_warning("a convolution plan is left out: {}", error.what());
    }
  }
  return best;
}

}  // namespace hardmoe::cuda
