#include "data/selection.h"

#include "base/error.h"

namespace hardmoe {

void fail_without_selection(const std::string& need, const std::string& dataset,
                            const std::string& otherwise) {
  fail_usage(
      "{}: needs the split '{}', which {} does not have; make the dataset with moe-ingest "
      "--selection-fraction 0.05{}",
      need, selection_split, dataset, otherwise);
}

const Split& require_selection(const Dataset& dataset, const std::string& need,
                               const std::string& otherwise) {
  if (dataset.has_split(selection_split)) return dataset.split(selection_split);
  fail_without_selection(need, dataset.folder().string(), otherwise);
}

}  // namespace hardmoe
