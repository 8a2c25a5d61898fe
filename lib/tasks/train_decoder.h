// moe-train-decoder: the experts → one decoding layer over all of them.
#pragma once

#include <string>
#include <vector>

#include "tasks/config.h"

namespace hardmoe {

struct TrainDecoderTask {
  std::string dataset;                   ///< folder of moe-ingest
  std::string base, partition, experts;  ///< the mixture's folders
  std::vector<std::string> features;  ///< an embedding of one's own that the partition was made of
  std::string out;                    ///< folder of the decoder
  bool force = false;                 ///< as Stage::Options::force
};

/// Writes the unified embedding of the training images (train.npy) and the linear layer trained on
/// it (decoder.safetensors), or finds them done, and returns the results as a line of JSON: images,
/// steps, loss, seconds. Throws as train_base() does; Error(usage) also where the folders do not
/// belong together.
std::string train_decoder(const TrainDecoderTask& task, Config& config);

}  // namespace hardmoe
