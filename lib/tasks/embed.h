// moe-embed: a data set and a network → the network's features of every image.
#pragma once

#include <string>
#include <vector>

#include "tasks/config.h"
#include "tasks/networks.h"

namespace hardmoe {

struct EmbedTask {
  std::string dataset;  ///< folder of moe-ingest
  NetworkFolders networks;
  std::vector<std::string> splits = {"train"};
  std::string out;     ///< folder of the embedding
  bool force = false;  ///< as Stage::Options::force
};

/// Writes SPLIT.npy of each split (N×D, row i of image i): a single network's pooled features, or a
/// mixture's unified embedding; or finds them done. Returns the results as a line of JSON:
/// dimensions, images of each split, seconds. Throws Error(usage) before `out` is touched for
/// splits that are not in the data set and folders that do not belong together.
std::string embed_images(const EmbedTask& task, Config& config);

}  // namespace hardmoe
