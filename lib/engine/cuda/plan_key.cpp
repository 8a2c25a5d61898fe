#include "engine/cuda/plan_key.h"

#include <fmt/format.h>

namespace hardmoe::cuda {
namespace {

const char* name_of(ConvPass pass) {
  switch (pass) {
    case ConvPass::forward:
      return "forward";
    case ConvPass::forward_sums:
      return "forward with sums";
    case ConvPass::data_gradient:
      return "data gradient";
    case ConvPass::weight_gradient:
      return "weight gradient";
  }
  return "";
}

}  // namespace

std::string plan_key(const PlanMaker& maker, const ConvRequest& request) {
  const ConvShape& s = request.shape;
  return fmt::format(
      "{}, sm_{}, {} | {} {} | x {}×{}×{}×{} | w {}×{}×{}×{} | y {}×{} | stride {} padding {} | {}",
      maker.device, maker.capability, maker.version, name_of(request.pass),
      hardmoe::name_of(request.precision), s.batch, s.height, s.width, s.channels, s.out_channels,
      s.kernel, s.kernel, s.channels, s.out_height, s.out_width, s.stride, s.padding,
      request.deterministic ? "deterministic" : "fastest");
}

}  // namespace hardmoe::cuda
