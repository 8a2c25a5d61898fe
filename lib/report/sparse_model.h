// A model with layers of experts (moe-train-sparse) as a report shows it: how well it answers and at
// what cost, how its experts are used, and what they have become.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "base/json.h"
#include "data/dataset.h"
#include "engine/engine.h"
#include "report/page.h"
#include "train/model_folder.h"

namespace hardmoe {

/// A folder of moe-train-sparse.
struct SparseModel {
  std::filesystem::path folder;
  std::string name;  ///< for people: the folder's, or its whole path where two are called the same
  Model model;
  Json results;  ///< of its training
  std::optional<Dataset> dataset;
};

/// Returns whether the folder is a stage of moe-train-sparse, finished or not.
bool is_sparse_model(const std::filesystem::path& folder);

/// Opens a finished one. `dataset`: the folder of its dataset; empty: nothing is shown of images.
/// Throws Error(usage) if its training is not finished, or if it was trained on another dataset.
SparseModel open_sparse_model(const std::filesystem::path& folder,
                              const std::filesystem::path& dataset);

/// Adds the model to the page: learning, the use of its experts by epoch, and of the dataset's split
/// `val` quality, use, the mutual information of experts and tags, and the map of tags × experts.
void add_sparse_model(const SparseModel& shown, Engine& engine, Page& page);

}  // namespace hardmoe
