// Giving each training image to exactly one expert.
#pragma once

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
  int pca = 64;              ///< dimensions kept; 0: no PCA
  bool whiten = true;        ///< scale each kept dimension to unit variance
  double tolerance = 0.05;   ///< parts within (1 ± tolerance)·N/experts; 0: plain k-means
  int iterations = 25;
  void describe(Fields& f);
};

}  // namespace hardmoe
