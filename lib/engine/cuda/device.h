// What the programs on one GPU share: the GPU itself and who plans for it.
#pragma once

#include <memory>

#include "engine/cuda/conv_plan.h"
#include "engine/cuda/linear_plan.h"

namespace hardmoe::cuda {

struct Device {
  explicit Device(int number)
      : gpu(number), convolutions(make_conv_planner(gpu)), linears(make_linear_planner(gpu)) {}
  Gpu gpu;
  std::unique_ptr<ConvPlanner> convolutions;
  std::unique_ptr<LinearPlanner> linears;
};

}  // namespace hardmoe::cuda
