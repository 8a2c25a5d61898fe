#include "run/summary.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <utility>

#include "base/recorded.h"
#include "base/stage.h"

namespace hardmoe {
namespace fs = std::filesystem;
namespace {

const std::vector<std::string> metric_names = {"P@1", "P@5", "R@10"};

/// What the training of something took.
struct TrainingCost {
  double seconds = 0;
  std::optional<double> flops = 0;  ///< none if a stage did not record its own
};

/// Adds the cost of a finished stage.
void add_cost(const fs::path& folder, TrainingCost& cost) {
  const Json record = read_stage_record(folder / "stage.json");
  const double whole = json_get<double>(record, "seconds", folder.string());
  const Json& results = record.at("results");
  // A stage's seconds begin at its last resumption; training's include all of them.
  cost.seconds += std::max(whole, results.value("seconds", 0.0));
  const bool trains = record.at("command").get<std::string>().starts_with("moe-train-");
  if (trains && !results.contains("training_flops")) cost.flops.reset();
  if (cost.flops) *cost.flops += results.value("training_flops", 0.0);
}

/// Returns the cost of all that was made for an evaluation, but for the dataset.
TrainingCost training_cost(const Pipeline& pipeline, const std::string& evaluation) {
  TrainingCost cost;
  for (const size_t number : stages_before(pipeline.stages, evaluation)) {
    const RunStage& stage = pipeline.stages[number];
    if (stage.process.name != "ingest") add_cost(stage.folder, cost);
  }
  return cost;
}

Json evaluation_of(const Pipeline& pipeline, const RunRow& row) {
  Json evaluation = {{"name", row.name}, {"key", row.key}, {"seed", row.seed}};
  evaluation.update(stage_results(row.folder, "moe-eval"));
  const auto [seconds, flops] = training_cost(pipeline, row.evaluation);
  evaluation["training_seconds"] = seconds;
  evaluation["training_flops"] = flops ? Json(*flops) : Json();
  return evaluation;
}

/// Returns the mean of the numbers, null if one is null.
Json mean_of(const std::vector<Json>& values) {
  double sum = 0;
  for (const Json& value : values) {
    if (!value.is_number()) return nullptr;
    sum += value.get<double>();
  }
  return sum / static_cast<double>(values.size());
}

/// Returns the mean's standard error; null for a single value, or if one is null.
Json error_of(const std::vector<Json>& values) {
  const Json mean = mean_of(values);
  if (mean.is_null() || values.size() < 2) return nullptr;
  double squares = 0;
  for (const Json& value : values) {
    const double away = value.get<double>() - mean.get<double>();
    squares += away * away;
  }
  const auto n = static_cast<double>(values.size());
  return std::sqrt(squares / (n - 1) / n);
}

/// Returns the least and the greatest share of the images that an expert of a mixture was given;
/// nulls for a single network.
std::pair<Json, Json> expert_shares(const std::vector<const Json*>& evaluations) {
  double least = 1, greatest = 0;
  for (const Json* evaluation : evaluations) {
    const Json& tags = evaluation->at("tags");
    if (!tags.contains("experts")) return {};
    std::vector<double> images;
    double all = 0;
    for (const Json& expert : tags["experts"]) {
      images.push_back(expert.value("images", 0.0) + expert.value("without_tags", 0.0));
      all += images.back();
    }
    if (all == 0) return {};
    for (const double of_expert : images) {
      least = std::min(least, of_expert / all);
      greatest = std::max(greatest, of_expert / all);
    }
  }
  return {least, greatest};
}

/// Returns a row of the table: what a network's evaluations, one a seed, say against `labels`.
Json table_row(const std::vector<const Json*>& evaluations, const std::string& labels) {
  const Json& first = *evaluations.front();
  Json row = {{"key", first["key"]}, {"name", first["name"]}, {"labels", labels}};
  row["seeds"] = evaluations.size();
  const auto each = [&](const auto& get) {
    std::vector<Json> values;
    for (const Json* evaluation : evaluations) values.push_back(get(*evaluation));
    return values;
  };
  for (const auto& name : metric_names) {
    const auto values = each([&](const Json& e) { return e.at(labels).value(name, Json()); });
    row[name] = mean_of(values);
    row[name + "_error"] = error_of(values);
  }
  for (const char* cost : {"parameters", "flops_per_image", "training_flops", "training_seconds"}) {
    row[cost] = mean_of(each([&](const Json& e) { return e.value(cost, Json()); }));
  }
  row["lead"] = nullptr;
  const auto [least, greatest] = expert_shares(evaluations);
  row["least_share"] = least;
  row["greatest_share"] = greatest;
  return row;
}

}  // namespace

Json pipeline_summary(const Pipeline& pipeline) {
  Json evaluations = Json::array(), table = Json::array();
  for (const RunRow& row : pipeline.rows) evaluations.push_back(evaluation_of(pipeline, row));
  for (const char* labels : {"tags", "truth"}) {
    std::vector<Json> rows;
    for (const RunRow& first : pipeline.rows) {
      if (first.seed != pipeline.rows[0].seed) continue;
      std::vector<const Json*> each;  // seed's
      for (const Json& evaluation : evaluations) {
        if (evaluation["key"] == first.key && evaluation.contains(labels)) {
          each.push_back(&evaluation);
        }
      }
      if (!each.empty()) rows.push_back(table_row(each, labels));
    }
    for (Json& row : rows) table.push_back(std::move(row));
  }
  return {{"evaluations", std::move(evaluations)}, {"table", std::move(table)}};
}

}  // namespace hardmoe
