// moe-finetune: experts and their shared decoder → the same, trained further together.
#pragma once

#include <string>

#include "tasks/config.h"

namespace hardmoe {

/// What moe-finetune is to do.
struct FinetuneTask {
  std::string dataset;                            ///< folder of moe-ingest
  std::string base, partition, experts, decoder;  ///< the mixture's folders
  std::string out;                                ///< folder to write
  bool force = false;                             ///< see Stage::Options::force
};

/// Writes OUT/experts/0 … K-1, models that all have the decoder as their classifier head, and
/// OUT/decoder, unless that is done; returns the results as a line of JSON: images, steps, loss,
/// seconds, training_flops. Throws as train_decoder() does.
std::string finetune(const FinetuneTask& task, Config& config);

}  // namespace hardmoe
