#include "run/summary.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <set>
#include <string_view>
#include <utility>

#include "base/json_field.h"
#include "base/recorded.h"
#include "base/stage.h"
#include "moe/comparison.h"

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
  const std::string where = (folder / "stage.json").string();
  const Json record = read_stage_record(folder / "stage.json");
  const auto whole = json_get<double>(record, "seconds", where);
  const Json& results = json_object(record, "results", where);
  // A stage's seconds begin at its last resumption; training's include all of them.
  cost.seconds += std::max(whole, json_get_or(results, "seconds", 0.0, where));
  const auto command = json_get<std::string>(record, "command", where);
  const bool trains = command.starts_with("moe-train-") || command == "moe-finetune";
  if (trains && !results.contains("training_flops")) cost.flops.reset();
  if (cost.flops) *cost.flops += json_get_or(results, "training_flops", 0.0, where);
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

/// Throws Error naming `where` and the field if what tables are made of is of another type.
void check_evaluation(const Json& results, const std::string& where) {
  for (const char* labels : {"tags", "truth"}) {
    const bool optional = labels == std::string_view("truth");
    if (optional && !results.contains(labels)) continue;
    const Json& metrics = json_object(results, labels, where);
    if (!metrics.contains("experts")) continue;
    for (const Json& expert : json_list(metrics, "experts", where)) {
      for (const char* count : {"images", "without_tags"}) json_get_or(expert, count, 0.0, where);
    }
  }
}

Json evaluation_of(const Pipeline& pipeline, const RunRow& row) {
  const Json results = stage_results(row.folder, "moe-eval");
  check_evaluation(results, (row.folder / "stage.json").string());
  const Json of_row = {{"name", row.name}, {"key", row.key}, {"seed", row.seed}};
  Json evaluation = of_row;
  evaluation.update(results);
  evaluation.update(of_row);  // whatever the results call so
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

/// A network's evaluations, one a seed.
struct Evaluated {
  std::string key, over;  ///< as RunRow's
  std::vector<const Json*> each;
  std::vector<fs::path> folders;
};

/// Returns the networks that were compared with `labels`, in the order of the table.
std::vector<Evaluated> evaluated_against(const char* labels, const Pipeline& pipeline,
                                         const Json& evaluations) {
  std::vector<Evaluated> networks;
  for (size_t i = 0; i < pipeline.rows.size(); ++i) {
    if (!evaluations[i].contains(labels)) continue;
    const RunRow& row = pipeline.rows[i];
    auto network = std::ranges::find(networks, row.key, &Evaluated::key);
    if (network == networks.end()) network = networks.insert(network, {row.key, row.over, {}, {}});
    network->each.push_back(&evaluations[i]);
    network->folders.push_back(row.folder);
  }
  return networks;
}

/// Returns a row of the table: what a network's evaluations say against `labels`.
Json table_row(const Evaluated& network, const std::string& labels) {
  const Json& first = *network.each.front();
  Json row = {{"key", first["key"]}, {"name", first["name"]}, {"labels", labels}};
  row["seeds"] = network.each.size();
  const auto each = [&](const auto& get) {
    std::vector<Json> values;
    for (const Json* evaluation : network.each) values.push_back(get(*evaluation));
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
  const auto [least, greatest] = expert_shares(network.each);
  row["least_share"] = least;
  row["greatest_share"] = greatest;
  for (const char* lead : {"lead", "lead_low", "lead_high"}) row[lead] = nullptr;
  if (network.over.empty()) return row;
  row["over"] = network.over;
  for (const char* gain : {"gain", "gain_low", "gain_high"}) row[gain] = nullptr;
  return row;
}

/// Returns whether P@1 is known of single images. Earlier versions did not keep them.
bool has_images(const Evaluated& network, const std::string& labels) {
  return std::ranges::all_of(network.each, [&](const Json* evaluation) {
    return evaluation->contains("images") &&
           evaluation->at(labels).value("P@1", Json()).is_number();
  });
}

/// Calls `found(i, difference)` with P@1 of networks[i] less that of the one with `key`, for those
/// of `wanted` for which it is known of single images.
template <class Wanted, class Found>
void compare_with(const std::string& key, const std::vector<Evaluated>& networks,
                  const std::string& labels, const Wanted& wanted, const Found& found) {
  const auto first = std::ranges::find(networks, key, &Evaluated::key);
  if (first == networks.end() || !has_images(*first, labels)) return;
  std::vector<EvaluatedSystem> systems = {{key, first->folders}};
  std::vector<size_t> compared;
  for (size_t i = 0; i < networks.size(); ++i) {
    const Evaluated& other = networks[i];
    if (other.key == key || !wanted(other) || !has_images(other, labels)) continue;
    systems.push_back({other.key, other.folders});
    compared.push_back(i);
  }
  if (compared.empty()) return;
  const auto comparisons = compare_systems(systems, {labels + " P@1"});
  for (size_t i = 0; i < compared.size(); ++i) {
    found(compared[i], comparisons[0].differences[i]);
  }
}

/// Adds to the rows of `networks` by how much the mixture with local decoders is ahead.
void add_leads(const std::vector<Evaluated>& networks, const std::string& labels,
               std::vector<Json>& rows) {
  const auto any = [](const Evaluated&) { return true; };
  compare_with("local", networks, labels, any, [&](size_t i, const Estimate& difference) {
    rows[i]["lead"] = -difference.mean;
    rows[i]["lead_low"] = -difference.high;
    rows[i]["lead_high"] = -difference.low;
  });
}

/// Adds to the rows of levers by how much they are ahead of what a mixture is compared with: base
/// and controls.
void add_lever_leads(const std::vector<Evaluated>& networks, const std::string& labels,
                     std::vector<Json>& rows) {
  const auto is_control = [](const Evaluated& other) {
    return other.over.empty() && other.key != "local" && other.key != "shared" &&
           other.key != "alone";
  };
  for (size_t lever = 0; lever < networks.size(); ++lever) {
    if (networks[lever].over.empty()) continue;
    const auto add = [&](size_t i, const Estimate& difference) {
      const std::string name = "ahead_of_" + networks[i].key;
      rows[lever][name] = -difference.mean;
      rows[lever][name + "_low"] = -difference.high;
      rows[lever][name + "_high"] = -difference.low;
    };
    compare_with(networks[lever].key, networks, labels, is_control, add);
  }
}

/// Adds to the rows of levers by how much they are ahead of the row of the mixture that they
/// change.
void add_gains(const std::vector<Evaluated>& networks, const std::string& labels,
               std::vector<Json>& rows) {
  std::set<std::string> changed;
  for (const Evaluated& network : networks) changed.insert(network.over);
  changed.erase("");
  for (const std::string& over : changed) {
    const auto changes_it = [&](const Evaluated& other) { return other.over == over; };
    compare_with(over, networks, labels, changes_it, [&](size_t i, const Estimate& difference) {
      rows[i]["gain"] = difference.mean;
      rows[i]["gain_low"] = difference.low;
      rows[i]["gain_high"] = difference.high;
    });
  }
}

}  // namespace

Json pipeline_summary(const Pipeline& pipeline) {
  Json evaluations = Json::array(), table = Json::array();
  for (const RunRow& row : pipeline.rows) evaluations.push_back(evaluation_of(pipeline, row));
  for (const char* labels : {"tags", "truth"}) {
    const auto networks = evaluated_against(labels, pipeline, evaluations);
    std::vector<Json> rows;
    for (const Evaluated& network : networks) rows.push_back(table_row(network, labels));
    add_leads(networks, labels, rows);
    add_gains(networks, labels, rows);
    add_lever_leads(networks, labels, rows);
    for (Json& row : rows) table.push_back(std::move(row));
  }
  return {{"evaluations", std::move(evaluations)}, {"table", std::move(table)}};
}

}  // namespace hardmoe
