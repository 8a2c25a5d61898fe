// What a chosen convolution plan depends on, as text: plans are kept under it in memory and on
// disk.
#pragma once

#include <string>

#include "engine/cuda/conv_plan.h"

namespace hardmoe::cuda {

/// What all plans of a planner share.
struct PlanMaker {
  std::string device;  ///< its name
  int capability = 0;
  std::string version;  ///< of cuDNN and of what wrote the plan
};

/// "NVIDIA H100 80GB HBM3, sm_90, cuDNN 9.19.0 | forward bf16 | x 256×56×56×64 | w 64×3×3×64 | …".
/// Two requests have the same key exactly if the same plan serves both.
std::string plan_key(const PlanMaker& maker, const ConvRequest& request);

}  // namespace hardmoe::cuda
