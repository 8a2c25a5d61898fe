// moe-probe: how good an embedding is: by retrieval and by a linear classifier.
#pragma once

#include <string>
#include <vector>

#include "moe/linear_probe.h"
#include "tasks/config.h"

namespace hardmoe {

/// What moe-probe is to do.
struct ProbeTask {
  std::string dataset;                ///< folder of moe-ingest
  std::vector<std::string> features;  ///< .npy files of the rows of eval.split
  std::vector<std::string> train;     ///< of the rows of `train_split`; empty: no linear probe
  std::string train_split = "train";
  std::string assignment;   ///< .npy, uint16: the expert of each image of eval.split; or empty
  std::string labels;       ///< tags or truth; empty: truth where both splits have some
  int64_t neighbours = 10;  ///< k
  ProbeOptions probe;       ///< of the linear classifier
  bool json = false;        ///< return a line of JSON, not text
};

/// Returns retrieval among all images and, if there are experts, across them; and the accuracy of a
/// linear probe if there are training rows. Throws Error(usage) if files do not fit the splits.
std::string probe_embedding(const ProbeTask& task, const Config& config);

}  // namespace hardmoe
