// Evaluating a single network or a mixture: ranking metrics against the images' tags, and against
// their clean truth where the data has it; for each expert's images and in all.
#pragma once

#include <string>
#include <vector>

#include "moe/routing.h"
#include "train/inference_precision.h"
#include "train/metrics.h"

namespace hardmoe {

struct EvalConfig {
  std::string split = "val";
  int top_experts = 1;     ///< experts asked an image, weighted by softmax(−d²/T)
  double temperature = 0;  ///< T; 0: fitted on every tenth image, which is then left out
  InferencePrecision precision = InferencePrecision::training;
  bool use_prices = true;  ///< route by argmin d² + price as in the fit; false: by distance alone
  void describe(Fields& f);
};

/// Metrics of one kind of label.
struct LabelMetrics {
  std::string labels;  ///< "tags" or "truth"
  RankingMetrics all;
  std::vector<RankingMetrics>
      by_expert;  ///< K, of the images whose first expert it is; empty for one network
};

struct Evaluation {
  std::vector<LabelMetrics> labels;
  std::vector<int64_t> expert_images;  ///< K: images routed to each expert first
  double temperature = 0;              ///< T used; 0 where one expert answers
  Cost cost;
  bool own_embedding = false;  ///< what made it is not in `cost`
};

/// Throws Error(usage) for settings that a mixture of `experts` cannot meet.
void check_eval_config(const EvalConfig& config, int64_t experts);

/// `loss`: what the model was trained with.
Evaluation evaluate_model(Engine& engine, const Model& model, LossKind loss, const Split& split,
                          Precision precision);

/// Throws Error(usage) as check_eval_config does.
/// `own`: what routes the images, of find_routing_features.
Evaluation evaluate_mixture(Engine& engine, const Mixture& mixture, const Split& split,
                            const std::optional<EmbeddingInput>& own, const EvalConfig& config,
                            Precision precision);

Json evaluation_json(const Evaluation& evaluation);
/// The reverse, but for expert_images. Throws Error naming `where` and the field that is not so.
Evaluation parse_evaluation(const Json& json, const std::string& where);
/// Tables for people: one for each kind of label.
std::string evaluation_text(const Evaluation& evaluation);

}  // namespace hardmoe
