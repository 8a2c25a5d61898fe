// Compares evaluated systems image by image: means over seeds, and the difference of each to the
// first with an interval (train/bootstrap.h).
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "base/json.h"
#include "train/bootstrap.h"

namespace hardmoe {

/// A system: one evaluation a seed.
struct EvaluatedSystem {
  std::string name;
  std::vector<std::filesystem::path> evaluations;  ///< S folders of moe-eval --out
};

/// What one metric says of M systems.
struct MetricComparison {
  std::string column;                 ///< such as "tags P@1" (moe/image_results.h)
  std::vector<Estimate> means;        ///< M
  std::vector<Estimate> differences;  ///< M − 1: each other system less the first
};

/// Returns a comparison for each of `columns`; none given: P@1, P@5 and R@10 against each kind of
/// label that all have. Seed s of a system is paired with seed s of the first. Throws Error(usage)
/// if systems have unequally many evaluations, were evaluated on other images, or lack a column.
std::vector<MetricComparison> compare_systems(const std::vector<EvaluatedSystem>& systems,
                                              std::vector<std::string> columns = {},
                                              const BootstrapOptions& options = {});

/// Returns an object by column: for each system "name", "mean", "standard_error" (null of one
/// seed), "low", "high", "images", "seeds", and but for the first "difference" with the same.
Json comparison_json(const std::vector<EvaluatedSystem>& systems,
                     const std::vector<MetricComparison>& comparisons);
/// Returns a table for people for each metric.
std::string comparison_text(const std::vector<EvaluatedSystem>& systems,
                            const std::vector<MetricComparison>& comparisons);

}  // namespace hardmoe
