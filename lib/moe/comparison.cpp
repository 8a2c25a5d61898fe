#include "moe/comparison.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "base/json_field.h"
#include "base/stage.h"
#include "base/text.h"
#include "moe/image_results.h"

namespace hardmoe {
namespace fs = std::filesystem;
namespace {

/// The results of a system's seeds.
using SeedResults = std::vector<ImageResults>;

/// Throws Error(usage) unless both evaluations are of the same images.
void require_same_images(const fs::path& first, const fs::path& other) {
  const Json a = stage_inputs(first, "moe-eval"), b = stage_inputs(other, "moe-eval");
  const auto value = [](const Json& inputs, const char* key, const fs::path& folder) {
    return json_get_or(inputs, key, std::string(), (folder / "stage.json").string());
  };
  for (const char* key : {"dataset", "split"}) {
    if (value(a, key, first) == value(b, key, other)) continue;
    fail_usage("{}: evaluated on another {} than {}; compare evaluations of the same images",
               other.string(), key, first.string());
  }
}

std::vector<SeedResults> load(const std::vector<EvaluatedSystem>& systems) {
  if (systems.empty()) fail_usage("nothing to compare; give folders of moe-eval --out");
  const EvaluatedSystem& first = systems[0];
  std::vector<SeedResults> loaded;
  for (const auto& system : systems) {
    if (system.evaluations.empty()) fail_usage("{}: names no evaluation", system.name);
    if (system.evaluations.size() != first.evaluations.size()) {
      fail_usage("{} has {} evaluations, {} has {}; give as many seeds of each", first.name,
                 first.evaluations.size(), system.name, system.evaluations.size());
    }
    SeedResults& seeds = loaded.emplace_back();
    for (const auto& folder : system.evaluations) {
      require_same_images(first.evaluations[0], folder);
      seeds.push_back(load_image_results(folder));
    }
  }
  return loaded;
}

/// P@1, P@5 and R@10 of each kind of label that all have.
std::vector<std::string> usual_columns(const std::vector<SeedResults>& systems) {
  std::vector<std::string> columns;
  for (const char* kind : {"tags", "truth"}) {
    for (const char* metric : {"P@1", "P@5", "R@10"}) {
      const std::string name = fmt::format("{} {}", kind, metric);
      const auto has = [&](const ImageResults& results) {
        return std::ranges::find(results.columns, name) != results.columns.end();
      };
      if (std::ranges::all_of(systems,
                              [&](const auto& seeds) { return std::ranges::all_of(seeds, has); })) {
        columns.push_back(name);
      }
    }
  }
  return columns;
}

SeedColumns columns_of(const EvaluatedSystem& system, const SeedResults& seeds,
                       const std::string& column) {
  SeedColumns values;
  for (size_t s = 0; s < seeds.size(); ++s) {
    values.push_back(image_column(seeds[s], column, system.evaluations[s].string()));
  }
  return values;
}

/// Throws Error(usage) if a quantity has no value of any image in some seed.
void require_values(const SeedColumns& values, const std::string& column, const std::string& name) {
  for (const auto& seed : values) {
    if (std::ranges::any_of(seed, [](float v) { return !std::isnan(v); })) continue;
    fail_usage("{}: no image has a value of '{}'; leave that column out", name, column);
  }
}

Json estimate_json(const Estimate& estimate) {
  const bool one = std::isnan(estimate.standard_error);
  return {{"mean", estimate.mean},
          {"standard_error", one ? Json(nullptr) : Json(estimate.standard_error)},
          {"low", estimate.low},
          {"high", estimate.high},
          {"images", estimate.images},
          {"seeds", estimate.seeds}};
}

std::string error_text(const Estimate& estimate) {
  return std::isnan(estimate.standard_error) ? "–" : fmt::format("{:.4f}", estimate.standard_error);
}

}  // namespace

std::vector<MetricComparison> compare_systems(const std::vector<EvaluatedSystem>& systems,
                                              std::vector<std::string> columns,
                                              const BootstrapOptions& options) {
  const std::vector<SeedResults> results = load(systems);
  if (columns.empty()) columns = usual_columns(results);
  std::vector<SeedColumns> quantities;  // by column: M systems, then M − 1 differences
  for (const auto& column : columns) {
    const size_t first = quantities.size();
    for (size_t m = 0; m < systems.size(); ++m) {
      quantities.push_back(columns_of(systems[m], results[m], column));
      require_values(quantities.back(), column, systems[m].name);
    }
    for (size_t m = 1; m < systems.size(); ++m) {
      quantities.push_back(difference(quantities[first + m], quantities[first]));
      require_values(quantities.back(), column, systems[m].name + " beside " + systems[0].name);
    }
  }
  const auto estimates = bootstrap(quantities, options);
  std::vector<MetricComparison> comparisons;
  auto next = estimates.begin();
  for (const auto& column : columns) {
    const auto differences = next + std::ssize(systems);
    const auto end = differences + std::ssize(systems) - 1;
    comparisons.push_back({column, {next, differences}, {differences, end}});
    next = end;
  }
  return comparisons;
}

Json comparison_json(const std::vector<EvaluatedSystem>& systems,
                     const std::vector<MetricComparison>& comparisons) {
  Json json = Json::object();
  for (const auto& [column, means, differences] : comparisons) {
    for (size_t m = 0; m < systems.size(); ++m) {
      Json row = {{"name", systems[m].name}};
      row.update(estimate_json(means[m]));
      if (m > 0) row["difference"] = estimate_json(differences[m - 1]);
      json[column].push_back(std::move(row));
    }
  }
  return json;
}

std::string comparison_text(const std::vector<EvaluatedSystem>& systems,
                            const std::vector<MetricComparison>& comparisons) {
  std::string text;
  for (const auto& [column, means, differences] : comparisons) {
    std::vector<std::vector<std::string>> rows = {
        {column, "mean", "s.e.", "difference", "s.e.", "low", "high", "images"}};
    for (size_t m = 0; m < systems.size(); ++m) {
      rows.push_back({systems[m].name, fmt::format("{:.4f}", means[m].mean), error_text(means[m])});
      if (m == 0) {
        rows.back().insert(rows.back().end(), {"", "", "", ""});
      } else {
        const Estimate& d = differences[m - 1];
        for (const auto& cell : {fmt::format("{:+.4f}", d.mean), error_text(d),
                                 fmt::format("{:+.4f}", d.low), fmt::format("{:+.4f}", d.high)}) {
          rows.back().push_back(cell);
        }
      }
      rows.back().push_back(std::to_string(m == 0 ? means[0].images : differences[m - 1].images));
    }
    if (!text.empty()) text += '\n';
    text += format_table(rows);
  }
  return text;
}

}  // namespace hardmoe
