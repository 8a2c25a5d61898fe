#include "report/row_precisions.h"

#include "base/stage.h"
#include "moe/image_results.h"

namespace hardmoe {

RowPrecisions precisions_of(const RunView& run, const std::string& labels) {
  RowPrecisions found;
  for (const Json& row : run.summary["table"]) {
    if (row["labels"] != labels || !row["P@1"].is_number()) continue;
    const auto key = row["key"].get<std::string>();
    const double mean = row["P@1"].get<double>();
    MeanOfImages estimate{0, mean, mean, mean};
    const Json& error = row["P@1_error"];
    const auto folder = run.evaluation(key);
    if (error.is_number()) {
      estimate.low -= 1.96 * error.get<double>();
      estimate.high += 1.96 * error.get<double>();
    } else if (folder && stage_results(*folder, "moe-eval").contains("images")) {
      estimate = mean_of_images(
          image_column(load_image_results(*folder), labels + " P@1", folder->string()));
    }
    found[key] = estimate;
  }
  return found;
}

}  // namespace hardmoe
