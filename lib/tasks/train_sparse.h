// moe-train-sparse: a data set → a network with sparsely-gated layers of experts.
#pragma once

#include <string>

#include "tasks/config.h"

namespace hardmoe {

/// What moe-train-sparse is to do.
struct TrainSparseTask {
  std::string dataset;  ///< folder of moe-ingest
  std::string out;      ///< folder of the model
  bool force = false;   ///< see Stage::Options::force
};

/// Returns the model that is trained: the configuration's, with sparse.layer in it, less what has no
/// effect there, of which it warns. Throws Error(usage) if the two do not go together.
ModelConfig sparse_model(const Config& config);

/// Trains the network unless it is done; returns and throws as train_base().
std::string train_sparse(const TrainSparseTask& task, Config& config);

}  // namespace hardmoe
