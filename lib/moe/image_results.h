// What an evaluation found for each image, beside its means: images.npy, from which evaluations are
// compared image by image (train/bootstrap.h). Not for scores of an image's tags: those are not
// kept.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "base/json.h"
#include "tensor/tensor.h"

namespace hardmoe {

/// The results of N images.
struct ImageResults {
  std::vector<std::string> columns;  ///< C names: "tags LRAP", "tags P@1", …, "truth P@1", …
  /// N×C float32; row i is image i of the split. NaN where an image has no labels of that kind, and
  /// in the whole row of an image that was not evaluated; the mean of a column without its NaN is
  /// the metric.
  Tensor values;
  std::vector<uint16_t> experts;  ///< N: the expert an image was routed to; empty for one model
};

/// Writes images.npy (and experts.npy, if there are experts); returns the files' names.
std::vector<std::string> save_image_results(const std::filesystem::path& folder,
                                            const ImageResults& results);
/// Returns what metrics.json says of these files, as its field "images".
Json image_results_json(const ImageResults& results);

/// Reads the results in a folder of moe-eval --out. Throws Error(usage) if it has none, Error if a
/// file differs from what was recorded or its columns from their names.
ImageResults load_image_results(const std::filesystem::path& folder);

/// Returns column `name`, N values. Throws Error(usage), which `where` begins, naming the columns
/// there are.
std::vector<float> image_column(const ImageResults& results, const std::string& name,
                                const std::string& where);

/// Returns the names of what save_image_results() may write, for Stage::Options::writes.
std::vector<std::string> image_result_files();

}  // namespace hardmoe
