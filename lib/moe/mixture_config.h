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

/// The split on which shares and temperatures are fitted, where a dataset has it.
inline constexpr const char* selection_split = "selection";

/// Throws Error(usage) that says how to make the split `selection`. `why`: what needs it;
/// `otherwise`: what else would help, if anything.
[[noreturn]] void fail_without_selection(const std::string& why, const std::string& otherwise = {});

}  // namespace hardmoe
