// How images are divided among experts: the partition: section of a configuration.
#pragma once

#include <string>

#include "base/config.h"
#include "cluster/kmeans.h"
#include "moe/reroute_config.h"

namespace hardmoe {

/// How experts get their images.
enum class PartitionMethod {
  kmeans,   ///< balanced k-means on the base's embedding (Gross et al. 2017, §3, with balance)
  random,   ///< control: equal parts at random
  top_tag,  ///< control: by the image's most frequent tag, tags packed into equal parts
};

/// The settings of a partition.
struct PartitionConfig {
  PartitionMethod method = PartitionMethod::kmeans;
  int experts = 4;
  int pca = 64;             ///< dimensions kept; 0: no PCA
  bool whiten = true;       ///< scale each kept dimension to unit variance
  double tolerance = 0.05;  ///< parts within (1 ± tolerance)·N/experts; 0: plain k-means
  int iterations = 25;
  KMeansSearch search = KMeansSearch::automatic;  ///< how an image's centroid is found
  int fine = 0;  ///< centroids of k-means, which are then grouped into experts; 0: one an expert
  /// Memory the fit may use, such as "1G"; "": half of the machine's. Does not change the result.
  std::string memory_limit = {};
  double checkpoint_seconds = 10;  ///< between saves of an unfinished fit
  RerouteConfig reroute = {};      ///< for a partition made from an earlier one's experts only
  void describe(Fields& f);
};

/// Returns the settings that shape the result.
Json partition_identity(PartitionConfig& config);

/// Throws Error(usage) naming a setting that is impossible whatever the embedding.
void check_partition_config(const PartitionConfig& config);

/// Returns "kmeans", "random" or "top-tag", as in configurations and files.
std::string partition_method_name(PartitionMethod method);
/// Returns the method of that name. Throws Error naming `where` for any other name.
PartitionMethod parse_partition_method(const std::string& name, const std::string& where);

}  // namespace hardmoe
