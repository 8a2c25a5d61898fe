// Room for a fixed number of rows in each expert (Riquelme et al. 2021, §2.2): of a group of S rows,
// each with up to k gates that are not 0, an expert keeps as many as capacity_of() says; the gates of
// the others become 0. All rows' first choices are served before any second one, each kind in the order
// of rows; with Batch Priority Routing (§4.1) in the order of the rows' largest gates, largest first. A
// NaN takes no room and stays, so that training reports it.
//
// Attributes: k; factor, the share of an even load that there is room for (1 is just enough); priority:
// bit 1, in training, bit 2, in inference (if missing, 0); group: images of a group in inference (if
// missing, 1), the last of which may be smaller. In training a group is the whole batch.
#pragma once

#include <math.h>

#include "engine/both_engines.h"
#include "engine/ops/operator.h"

namespace hardmoe {

/// Returns the rows of a group of `rows` that each of E experts has room for: ⌈rows·k·factor/E⌉,
/// rounded up to a multiple of 4.
HARDMOE_BOTH_ENGINES int64_t capacity_of(int64_t rows, int k, double factor, int experts) {
  const double even = static_cast<double>(rows * k) * factor / experts;
  return (static_cast<int64_t>(ceil(even)) + 3) / 4 * 4;
}

struct Capacity {
  static constexpr const char* type = "capacity";
  static constexpr size_t reads = 1;
  static constexpr bool keeps_channels = true;

  int k = 1;
  double factor = 1;
  int priority = 0;
  int64_t group = 1;

  static Capacity from(Attributes& attributes);
  bool has_priority(bool training) const { return (priority & (training ? 1 : 2)) != 0; }
  ValueType output(const std::string& name, InputTypes inputs) const;
  std::vector<ParameterSpec> parameters(const std::string&, InputTypes) const { return {}; }
  double flops(InputTypes) const { return 0; }
  void plan_forward(NodePlan& plan) const;
  void plan_backward(NodePlan& plan) const;
};

namespace cpu {
std::unique_ptr<Layer> make_layer(const Capacity& op, LayerBuilder& builder);
}
namespace cuda {
std::unique_ptr<Layer> make_layer(const Capacity& op, LayerBuilder& builder);
}

}  // namespace hardmoe
