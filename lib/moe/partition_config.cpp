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
             "kmeans: balanced, on the embedding; controls: random, top-tag");
  f.add("experts", experts, "parts, and experts to train");
  f.add("pca", pca, "dimensions of the embedding kept, at most all of them; 0: no PCA");
  f.add("whiten", whiten, "scale each kept dimension to unit variance");
  f.add("tolerance", tolerance, "parts within (1 ± this)·images/experts; 0: plain k-means");
  f.add("iterations", iterations, "k-means iterations at most");
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
