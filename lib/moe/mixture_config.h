// The section mixture: how the base's answer and the experts' become one.
#pragma once

#include <string>
#include <vector>

#include "base/config.h"
#include "train/decoder_folder.h"

namespace hardmoe {

/// How the probabilities of several networks are averaged.
enum class Mix {
  geometric,   ///< of logarithms (log-odds where the loss is sigmoid), then normalised
  arithmetic,  ///< of probabilities
};

inline const std::vector<std::string> mix_names = {"geometric", "arithmetic"};

/// The settings of a mixture's answer.
struct MixtureConfig {
  /// a in a·base + (1−a)·expert: 0 is the expert alone, −1 fits a on the split `selection`.
  double base_share = 0;
  Mix mix = Mix::geometric;
  EmbeddingKind embedding = EmbeddingKind::expert;
  void describe(Fields& f);
  bool fits_share() const { return base_share == -1; }
};

/// Throws Error(usage) for a share outside [0, 1] that is not −1.
void check_mixture_config(const MixtureConfig& config);

/// Throws Error(usage) if the share is to be fitted on the split that is evaluated.
void check_share_is_fitted_elsewhere(const MixtureConfig& config, const std::string& evaluated);

}  // namespace hardmoe
