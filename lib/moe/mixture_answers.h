// Asks a mixture's networks about a set of images: the base first, which routes them, then each
// expert on the images it is a choice for; and keeps the answers. Not for metrics: see
// moe/evaluation.h.
#pragma once

#include <functional>
#include <optional>
#include <span>
#include <vector>

#include "moe/mixture_networks.h"
#include "moe/routing.h"
#include "moe/unified_embedding.h"
#include "train/score_rows.h"

namespace hardmoe {

/// Where N images go, and what base and experts said of them.
struct AnsweredImages {
  ExpertChoices choices;                 ///< N×n
  std::optional<ScoreRows> base_logits;  ///< N×V, if they were asked for
  ScoreRows logits;                      ///< of each choice, V
  std::vector<size_t> row_of;            ///< N×n: the row of `logits`
  Tensor embedding;  ///< N×D (N×2D): rows of the unified embedding, by the first choice; if asked
};

/// How images are routed.
struct RoutingOptions {
  int64_t top_experts = 1;
  bool use_prices = true;
  bool base_logits = false;  ///< keep the base's, which routing computes anyway
  bool embedding = false;    ///< keep the rows of the unified embedding
};

/// Returns the choices of the rows at `positions`.
ExpertChoices select(const ExpertChoices& choices, const std::vector<size_t>& positions);

/// A mixture's networks on an engine.
class MixtureAnswers {
 public:
  /// Both must outlive this. `batch`: see MixtureNetworks.
  MixtureAnswers(Engine& engine, const Mixture& mixture, Precision precision, int64_t batch = 128);

  /// Routes all images of the set, by the mixture's router if it has one, and asks each one's
  /// experts. `external`: as for find_routing_features().
  AnsweredImages answer(const ImageSet& images, const std::optional<EmbeddingInput>& external,
                        const RoutingOptions& options);

  /// Receives an answer: the position in `items`, which of the choices it is, its logits (V).
  using Visit = std::function<void(size_t row, size_t choice, std::span<const float> logits)>;

  /// Visits the answers for `items`, expert by expert. `choices`: of these items.
  void visit(const std::vector<int64_t>& items, const ExpertChoices& choices,
             const AnsweredImages& answered, const Visit& visit) const;

  int64_t tags() const { return mixture_.base.card.tags; }
  const Mixture& mixture() const { return mixture_; }

 private:
  /// Returns the logits of the rows of one batch, of images `items`, by a decoder that also reads
  /// the base's features (N×D).
  std::span<const float> combined_scores(std::span<const float> features,
                                         std::span<const size_t> items, const Tensor& base);

  const Mixture& mixture_;
  MixtureNetworks networks_;
  std::optional<DecoderScores> decoder_;  ///< of features from base and expert; else in `fc`
};

}  // namespace hardmoe
