// mixture.yaml: what makes a folder a packed mixture, and how its networks' answers become one. The
// networks lie beside it in base/, partition/, experts/K/, and where there are any decoder/ and
// router/.
#pragma once

#include <filesystem>
#include <string>

#include "base/config.h"
#include "base/format_number.h"
#include "engine/spec.h"
#include "moe/mixture_config.h"

namespace hardmoe {

/// The format of mixture.yaml, and of a packed mixture as a whole.
inline constexpr FileFormat mixture_format{"mixture", 1};
inline constexpr const char* mixture_card_name = "mixture.yaml";

/// How several networks' answers become one.
struct AnswerSettings {
  int top_experts = 1;     ///< experts that answer for an image
  double temperature = 0;  ///< T of their weights; 0: not known, and needed for several
  bool use_prices = true;  ///< the gater routes by d² + price
  double base_share = 0;   ///< the base's share of the answer, from 0 to 1
  Mix mix = Mix::geometric;
  Precision precision = Precision::fp32;  ///< of convolutions, where the device has it
  void describe(Fields& f);
};

/// The contents of mixture.yaml.
struct MixtureCard {
  std::string format = format_text(mixture_format);
  std::string row;  ///< its key among the rows of the run it is of
  int64_t experts = 0;
  int64_t tags = 0;
  bool shared_decoder = false, router = false;  ///< what lies beside base, partition and experts
  AnswerSettings answer;
  void describe(Fields& f);
};

/// Reads FOLDER/mixture.yaml. Throws Error naming it if its format is newer than this version;
/// Error(usage) naming the line of an invalid value.
MixtureCard load_mixture_card(const std::filesystem::path& folder);
/// Writes FOLDER/mixture.yaml.
void save_mixture_card(const std::filesystem::path& folder, MixtureCard card);

}  // namespace hardmoe
