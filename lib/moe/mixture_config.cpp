#include "moe/mixture_config.h"

#include "data/selection.h"

namespace hardmoe {

void MixtureConfig::describe(Fields& f) {
  f.add("base_share", base_share,
        "a in a·base + (1-a)·expert: the base's share of a mixture's answer, which costs only its "
        "classifier head; 0: the expert alone; -1: fitted on the split 'selection'");
  f.add_enum("mix", mix, mix_names,
             "what is averaged of base and expert, and of several models: logarithms of "
             "probabilities, or probabilities");
  f.add_enum("embedding", embedding, embedding_kinds,
             "an image's row of the unified embedding, which a shared decoder reads: the expert's "
             "feature; a·base + (1-a)·expert; both, one after the other");
}

void check_mixture_config(const MixtureConfig& config) {
  if (config.fits_share() || (config.base_share >= 0 && config.base_share <= 1)) return;
  fail_usage("mixture.base_share: expected 0 to 1, or -1 to fit it, found {}", config.base_share);
}

void check_share_is_fitted_elsewhere(const MixtureConfig& config, const std::string& evaluated) {
  if (!config.fits_share() || evaluated != selection_split) return;
  fail_usage(
      "mixture.base_share: -1 fits it on the split '{}', which is evaluated (eval.split, --split); "
      "give a value from 0 to 1, or evaluate another split",
      selection_split);
}

}  // namespace hardmoe
