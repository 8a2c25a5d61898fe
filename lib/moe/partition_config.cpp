#include "moe/partition_config.h"

#include <algorithm>

#include "base/error.h"
#include "base/text.h"

namespace hardmoe {
namespace {

const std::vector<std::string>& method_names() {
  static const std::vector<std::string> names = {"kmeans", "random", "top-tag"};
  return names;
}

}  // namespace

void PartitionConfig::describe(Fields& f) {
  f.add_enum("method", method, method_names(),
             "balanced k-means on the embedding, or a control: random, top-tag");
  f.add("experts", experts, "parts, and experts to train");
  f.add("pca", pca,
        "dimensions of the embedding kept, fewer where the rest is rounding; 0: no PCA");
  f.add("whiten", whiten, "scale each kept dimension to unit variance");
  f.add("tolerance", tolerance,
        "parts within (1 ± this)·images/experts, as far as whole numbers and equal embeddings "
        "allow; 0: plain k-means");
  f.add("iterations", iterations, "k-means iterations at most");
  f.add_enum("search", search, {"automatic", "exact", "near"},
             "which centroids of k-means an image is compared with: exact: all; near: those of "
             "the nearest groups, in far less time, of which about one image in a thousand misses "
             "its nearest (partition.json tells: agreement); automatic: exact up to 4096");
  f.add("fine", fine, "centroids of k-means, grouped into experts; 0: one an expert");
  f.add("memory", memory_limit,
        "what the fit may take, such as 1G (at least about 150M); empty: half of the machine's");
  f.add("checkpoint_seconds", checkpoint_seconds, "between saves of an unfinished fit");
  f.add_section("reroute", reroute, "moving images to the experts that do best (--reroute)");
}

Json partition_identity(PartitionConfig& config) {
  Json identity = config_json(fields_of(config));
  identity.erase("memory");
  identity.erase("checkpoint_seconds");
  if (config.search == KMeansSearch::automatic)
    identity.erase("search");  // as before there was one
  identity.erase("reroute");   // an input of re-routing alone
  return identity;
}

void check_partition_config(const PartitionConfig& config) {
  if (config.experts < 1 || config.experts > 65535) {
    fail_usage("partition.experts: expected 1 to 65535, found {}", config.experts);
  }
  if (config.pca < 0) {
    fail_usage("partition.pca: expected 0 (none) or more dimensions, found {}", config.pca);
  }
  if (!(config.tolerance >= 0)) {
    fail_usage("partition.tolerance: expected 0 or more, found {}", config.tolerance);
  }
  if (config.fine != 0 && (config.fine < config.experts || config.fine > 65535)) {
    fail_usage("partition.fine: expected 0 or from {} (the experts) to 65535, found {}",
               config.experts, config.fine);
  }
  if (config.fine != 0 && config.method != PartitionMethod::kmeans) {
    fail_usage("partition.fine: is for method kmeans, found method {}",
               partition_method_name(config.method));
  }
  if (!config.memory_limit.empty()) parse_bytes(config.memory_limit, "partition.memory");
  if (config.iterations < 1) {
    fail_usage("partition.iterations: expected 1 or more, found {}", config.iterations);
  }
}

std::string partition_method_name(PartitionMethod method) {
  return method_names().at(static_cast<size_t>(method));
}

PartitionMethod parse_partition_method(const std::string& name, const std::string& where) {
  const auto& names = method_names();
  const auto found = std::find(names.begin(), names.end(), name);
  if (found == names.end()) {
    fail("{}: unknown method '{}'; expected {}", where, name, join(names, ", "));
  }
  return static_cast<PartitionMethod>(found - names.begin());
}

}  // namespace hardmoe
