// Where a search finds its networks, dataset and embedding.
#pragma once

#include <string>

#include "search/search.h"
#include "tasks/opened_networks.h"

namespace hardmoe {

/// What was found.
struct SearchSource {
  FoundNetworks networks;  ///< that embed images that are named
  std::string dataset;     ///< folder of moe-ingest
  std::string embedding;   ///< folder of its rows
};

/// Finds the networks that task.run holds: of a run with a shared decoder that row, unless another is
/// named. Where the task does not name them, the dataset is that of the run's configuration, and the
/// embedding the one that was computed in making the row: the decoder's of the unified embedding, the
/// base's features of row base. Throws Error(usage) as find_networks() does, and if there is no
/// dataset or embedding, saying how to make or name one.
SearchSource find_search_source(const SearchTask& task);

/// Throws Error(usage) unless the embedding was made by the opened networks; one by another tool
/// passes.
void require_embedding_by(const SearchSource& source, const OpenedNetworks& opened);

}  // namespace hardmoe
