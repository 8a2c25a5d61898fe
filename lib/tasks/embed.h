// moe-embed: a data set and a network → the network's features of every image.
#pragma once

#include <string>
#include <vector>

#include "tasks/config.h"
#include "tasks/networks.h"

namespace hardmoe {

/// What moe-embed is to do.
struct EmbedTask {
  std::string dataset;  ///< folder of moe-ingest
  NetworkFolders networks;
  std::string decoder;  ///< of moe-train-decoder, whose unified embedding is meant; may be empty
  std::vector<std::string> splits = {"train"};
  std::string part;    ///< "3/16": only that part of the images; empty: all
  std::string out;     ///< folder of the embedding
  bool force = false;  ///< see Stage::Options::force
};

/// Writes SPLIT.npy for each split (N×D, row i for image i): a single network's pooled features, or
/// a mixture's unified embedding; does nothing if that is done. Of a single network perhaps a part of
/// the rows alone, into a folder of its own in `out` (moe/embedding_parts.h). Returns the results as a
/// line of JSON: dimensions, images of each split, seconds. Throws Error(usage), before it changes
/// `out`, if the data set lacks a split, has fewer images than there are parts, or the folders do not
/// belong together.
std::string embed_images(const EmbedTask& task, Config& config);

}  // namespace hardmoe
