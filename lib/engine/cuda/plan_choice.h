// Chooses among the plans that there are for a convolution by running each of them. Knows no library:
// cudnn.cpp makes the plans, tests pretend some.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "engine/cuda/conv_plan.h"

namespace hardmoe::cuda {

/// Version of how plans are listed and measured; part of the keys of kept plans, so that what an
/// earlier version chose is chosen anew.
inline constexpr int plan_choice_version = 2;

/// Plans that are built for a request, of each way to compute it. PyTorch measures 10.
inline constexpr int most_tried = 12;

/// How plans are measured.
struct TrialOptions {
  int runs = 4;  ///< of each plan, after one that loads its code; the fastest counts
  /// Bytes written before each run, so that it finds nothing in caches, as in a step: twice the
  /// largest second-level cache there is.
  int64_t flushed_bytes = int64_t{256} << 20;
};

/// A plan's place among those given, and what it took.
struct PlanChoice {
  size_t number = 0;
  double seconds = 0;     ///< 0 where nothing was measured
  bool measured = false;  ///< false: the GPU has no room for arrays to run plans on
};

/// Returns the fastest of the plans, run on random numbers; the first, unmeasured, where the GPU has
/// no room. A plan that fails is left out with a warning; nothing if all fail or there is none.
std::optional<PlanChoice> fastest_plan(Gpu& gpu, const ConvRequest& request,
                                       const std::vector<std::shared_ptr<const ConvPlan>>& plans,
                                       const TrialOptions& options = {});

}  // namespace hardmoe::cuda
