// The k experts of each row: y has the gates of the k largest values (of equal ones those of the lower
// numbers), and 0 elsewhere. Attributes: k; softmax: 1, gates are the softmax over the k values
// (Shazeer et al. 2017, equation 3), 0, they are the values themselves (Riquelme et al. 2021, whose x
// is a softmax already); 1 if missing.
//
// Hard constraints (Pavlitska et al. 2022) mask, in training only, the experts that got too much in
// the batches before: as if their values were −∞ for the whole batch. If all would be masked, none
// is; if fewer than k are left, rows have fewer gates. With Imp_i the sum of an expert's gates over the
// batch's B rows, attribute constraint is
//
//   1, relative: NAME.running_i is the sum over batches of (Imp_i − B/E)/(B/E), and an expert is masked
//      while it is above the limit (if missing, 0.5);
//   2, mean: NAME.running_i is the mean over batches of Imp_i/B, and an expert is masked while it is
//      above 1/E + limit (if missing, 0.3);
//
// and 0, which is meant if it is missing, masks nobody. NAME.steps counts the batches. Both are running
// statistics: saved with the weights, changed in training only.
#pragma once

#include "engine/both_engines.h"
#include "engine/ops/operator.h"

namespace hardmoe {

enum class Constraint { none, relative, mean };

struct TopK {
  static constexpr const char* type = "top_k";
  static constexpr size_t reads = 1;
  static constexpr bool keeps_channels = true;

  int k = 1;
  bool softmax = true;
  Constraint constraint = Constraint::none;
  float limit = 0;

  static TopK from(Attributes& attributes);
  /// Returns the number of NAME.running above which an expert is masked.
  HARDMOE_BOTH_ENGINES float threshold(int experts) const {
    return constraint == Constraint::mean ? 1 / static_cast<float>(experts) + limit : limit;
  }
  /// Returns NAME.running of an expert after a batch, the `steps`-th, in which its gates sum to `sum`.
  HARDMOE_BOTH_ENGINES float moved_on(float running, float steps, float sum, int64_t rows,
                                      int experts) const {
    const float share = sum / static_cast<float>(rows);
    if (constraint == Constraint::mean) return running + (share - running) / steps;
    return running + (share * static_cast<float>(experts) - 1);
  }
  ValueType output(const std::string& name, InputTypes inputs) const;
  std::vector<ParameterSpec> parameters(const std::string& name, InputTypes inputs) const;
  double flops(InputTypes) const { return 0; }
  void plan_forward(NodePlan& plan) const;
  void plan_backward(NodePlan& plan) const;
};

namespace cpu {
std::unique_ptr<Layer> make_layer(const TopK& op, LayerBuilder& builder);
}
namespace cuda {
std::unique_ptr<Layer> make_layer(const TopK& op, LayerBuilder& builder);
}

}  // namespace hardmoe
