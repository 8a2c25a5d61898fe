// Evaluates a single model, several as one, or a mixture: ranking metrics against the images' tags and, if the data
// has it, against their ground truth; for each expert's images and for all. Not for scores of
// single images: see train/inference.h.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "moe/image_results.h"
#include "moe/mixture_config.h"
#include "moe/routing.h"
#include "train/inference_precision.h"
#include "train/metrics.h"

namespace hardmoe {

/// The settings of an evaluation, the eval: section of a configuration.
struct EvalConfig {
  std::string split = "val";
  int top_experts = 1;     ///< experts that answer for an image, weighted by softmax(−d²/T)
  double temperature = 0;  ///< T; 0: fitted (see evaluate_mixture())
  InferencePrecision precision = InferencePrecision::training;
  bool use_prices = true;  ///< route by argmin d² + price, as in the fit; false: by distance alone
  void describe(Fields& f);
};

/// Metrics against one kind of label.
struct LabelMetrics {
  std::string labels;  ///< "tags" or "truth" (ground truth)
  RankingMetrics all;
  std::vector<RankingMetrics> by_expert;  ///< K: of the images routed to each; empty for one model
};

/// How a layer of experts (nn/sparse.h) was used.
struct LayerUse {
  std::string layer;          ///< "layer4"
  std::vector<double> gates;  ///< E: the experts' shares of all images' gates, without noise

  /// Returns the greatest share over the mean one, 1/E.
  double max_over_mean() const;
};

/// The results of an evaluation.
struct Evaluation {
  std::vector<LabelMetrics> labels;
  std::vector<int64_t> expert_images;  ///< K: images routed to each expert first
  std::vector<LayerUse> layers;        ///< of a model that has such; where they were asked for
  double temperature = 0;              ///< T that was used; 0 if one expert answers
  int64_t models = 1;                  ///< that were averaged
  std::optional<double> base_share;    ///< in the answer, or in what the decoder reads
  std::string mix;                     ///< of base and experts, or of models; empty: none
  std::string embedding;               ///< what the decoder reads, if not the expert's feature
  std::string fitted_on;               ///< the split, if shares or temperature were fitted on one
  Cost cost;
  bool external_embedding = false;  ///< routed by one, whose cost is not in `cost`
  bool router = false;              ///< routed by one, whose cost is
  ImageResults images;              ///< of each image of the split
};

/// Throws Error(usage) for settings that are impossible with this number of experts.
void check_eval_config(const EvalConfig& config, int64_t experts);

/// Evaluates a single model. `loss`: the one it was trained with.
Evaluation evaluate_model(Engine& engine, const Model& model, LossKind loss, const Split& split,
                          Precision precision);

/// Throws Error(usage) if a geometric mean is asked of models trained with different losses.
void check_models(const std::vector<Model>& models, Mix mix);

/// Evaluates several models over the same tags as one: the mean of their probabilities, whose cost
/// is the sum. Throws as check_models does.
Evaluation evaluate_models(Engine& engine, const std::vector<Model>& models, const Split& split,
                           Mix mix, Precision precision);

/// Throws Error(usage) if these answers cannot be mixed so: settings that contradict the decoder's,
/// different losses, a share to fit and no split to fit it on. `selection`: the split for it; null:
/// none.
void check_mixing(const Mixture& mixture, const MixtureConfig& mixing, const Split* selection);

/// Evaluates a mixture. `external`: the external embedding that routes the images, from
/// find_routing_features; none: the base's features do. The base's share and the temperature, where
/// they are to be fitted, are fitted on `selection`; where that is null or an external embedding
/// routes, the temperature is fitted on every tenth image, which is then not evaluated. Throws
/// Error(usage) as check_eval_config and check_mixing do.
Evaluation evaluate_mixture(Engine& engine, const Mixture& mixture, const Split& split,
                            const std::optional<EmbeddingInput>& external, const EvalConfig& config,
                            Precision precision, const MixtureConfig& mixing = {},
                            const Split* selection = nullptr);

/// Returns the evaluation as metrics.json has it, but for what single images have.
Json evaluation_json(const Evaluation& evaluation);
/// Parses evaluation_json's result; expert_images and images are not in there. Throws Error naming `where` and
/// the field that is missing or of another type.
Evaluation parse_evaluation(const Json& json, const std::string& where);
/// Returns a table for people, one for each kind of label.
std::string evaluation_text(const Evaluation& evaluation);

}  // namespace hardmoe
