// A whole mixture (moe/mixture.h) as nodes of an ONNX graph: what routes, the experts, each for its
// own images, and how their answer is made, as moe-eval does with one expert an image.
#pragma once

#include <string>

#include "export/expert_branches.h"
#include "moe/mixture.h"
#include "moe/mixture_card.h"

namespace hardmoe {

/// The images that a mixture's networks take, float32 N×3×S×S, colours from 0 to 1.
struct MixtureImages {
  std::string images;  ///< of base and experts
  std::string router;  ///< of the router; the same or other views
};

/// What it answers.
struct MixtureValues {
  std::string probabilities;  ///< float32 N×V
  std::string expert;         ///< int64 N
  std::string embedding;      ///< float32 N×D, or N×2D for EmbeddingKind::both
};

/// Throws Error(usage) for mixtures that route by what a graph does not have: by a partition at
/// random, or by an external embedding, unless a router routes.
void check_routing(const Mixture& mixture);

/// Appends the mixture's nodes, and reads its experts one after another. Of `answer` prices, share
/// (as check_mixing() allows, not to be fitted) and mix are heeded. Throws as check_routing() does.
MixtureValues write_mixture(OnnxGraph& graph, const Mixture& mixture, const AnswerSettings& answer,
                            ExpertForm form, const MixtureImages& images);

}  // namespace hardmoe
