// How images are given to experts: the partition: section of a configuration.
#pragma once

#include <string>

#include "base/config.h"

namespace hardmoe {

enum class PartitionMethod {
  kmeans,   ///< balanced k-means on the base's embedding (Gross et al. 2017, §3, with balance)
  random,   ///< control: equal parts by chance
  top_tag,  ///< control: by the image's most frequent tag, tags packed into equal parts
};

struct PartitionConfig {
  PartitionMethod method = PartitionMethod::kmeans;
  int experts = 4;
  int pca = 64;             ///< dimensions kept; 0: no PCA
  bool whiten = true;       ///< scale each kept dimension to unit variance
  double tolerance = 0.05;  ///< parts within (1 ± tolerance)·N/experts; 0: plain k-means
  int iterations = 25;
  int fine = 0;  ///< centroids of k-means, grouped into experts; 0: one an expert
  /// What the fit may take, "" for half of the machine's; the result does not depend on it.
  std::string memory = {};
  double checkpoint_seconds = 10;  ///< the fit is saved this often, and when interrupted
  void describe(Fields& f);
};

/// The settings that shape the result.
Json partition_identity(PartitionConfig& config);

/// Throws Error(usage) naming a setting that no embedding could meet.
void check_partition_config(const PartitionConfig& config);

/// "kmeans", "random" or "top-tag", as configurations and files have it.
std::string partition_method_name(PartitionMethod method);
/// Throws Error naming `where` for any other word.
PartitionMethod parse_partition_method(const std::string& name, const std::string& where);

}  // namespace hardmoe
