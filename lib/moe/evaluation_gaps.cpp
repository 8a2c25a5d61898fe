#include "moe/evaluation_gaps.h"

#include "base/text.h"

namespace hardmoe {

std::vector<std::string> evaluation_gaps(const Evaluation& evaluation, const std::string& split) {
  std::vector<std::string> gaps;
  for (const auto& [labels, all, by_expert] : evaluation.labels) {
    const int64_t images = all.images + all.without_tags;
    if (all.images == 0) {
      gaps.push_back(
          fmt::format("none of the {} images of '{}' has {}, so nothing was measured against {}",
                      images, split, labels, labels));
    } else if (all.without_tags > 0 && labels == "tags") {
      gaps.push_back(
          fmt::format("{} of the {} images of '{}' have no tag of the vocabulary and are left out",
                      all.without_tags, images, split));
    }
  }
  std::vector<std::string> idle;
  for (size_t k = 0; k < evaluation.expert_images.size(); ++k) {
    if (evaluation.expert_images[k] == 0) idle.push_back(std::to_string(k));
  }
  if (!idle.empty()) {
    gaps.push_back(
        fmt::format("no image of '{}' was routed to experts {}, so nothing was measured for "
                    "them",
                    split, join(idle, ", ")));
  }
  return gaps;
}

}  // namespace hardmoe
