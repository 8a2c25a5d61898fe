#include "search/tag_direction.h"

#include <algorithm>

#include "base/error.h"
#include "base/text.h"
#include "cluster/unit_rows.h"
#include "ingest/vocabulary.h"

namespace hardmoe {

std::vector<float> tag_direction(const OpenedNetworks& opened, const std::string& tag) {
  if (opened.mixture && !opened.mixture->decoder) {
    fail_usage(
        "--tag {}: these experts have heads of their own, by which a tag lies elsewhere for each; "
        "name networks with a shared decoder (--row shared)",
        tag);
  }
  const auto& tags = opened.vocabulary.tags;
  auto at = std::ranges::find(tags, tag);
  if (at == tags.end()) at = std::ranges::find(tags, clean_tag(tag));  // as moe-ingest reads them
  if (at == tags.end()) {
    const std::string nearest = nearest_name(tag, tags);
    fail_usage("--tag {}: the networks have learned no such tag{}; their tags.tsv lists them", tag,
               nearest.empty() ? "" : fmt::format(" (did you mean {}?)", nearest));
  }
  const StateDict& weights = opened.mixture ? *opened.mixture->decoder : opened.model->weights;
  const Tensor& rows = weights.at("fc.weight");
  std::vector<float> direction(static_cast<size_t>(rows.size(1)));
  write_unit_rows(matrix_view(rows).slice(at - tags.begin(), at - tags.begin() + 1),
                  direction.data());
  return direction;
}

}  // namespace hardmoe
