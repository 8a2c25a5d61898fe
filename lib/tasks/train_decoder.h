// moe-train-decoder: the experts → one decoding layer over all of them.
#pragma once

#include <string>
#include <vector>

#include "tasks/config.h"

namespace hardmoe {

/// What moe-train-decoder is to do.
struct TrainDecoderTask {
  std::string dataset;                   ///< folder of moe-ingest
  std::string base, partition, experts;  ///< the mixture's folders
  std::vector<std::string> features;     ///< the external embedding the partition was made of,
                                         ///< or its rows of decoder.split
  std::string out;                       ///< folder of the decoder
  bool force = false;                    ///< see Stage::Options::force
};

/// Writes the unified embedding of the images of decoder.split (SPLIT.npy) and the linear layer
/// trained on it (decoder.safetensors) unless that is done, and returns the results as a line of
/// JSON: images, steps, loss (null without a step), seconds, training_flops (of embedding, too). Throws as train_base() does;
/// Error(usage) also if the folders do not belong together.
std::string train_decoder(const TrainDecoderTask& task, Config& config);

}  // namespace hardmoe
