#include "run/summary.h"

#include <algorithm>

#include "base/files.h"
#include "base/recorded.h"
#include "base/stage.h"
#include "base/text.h"

namespace hardmoe {
namespace fs = std::filesystem;
namespace {

struct Row {
  const char* name;
  const char* evaluation;  ///< folder under eval/
};
constexpr Row rows[] = {{"base", "base"},
                        {"base, trained as long", "longer"},
                        {"mixture, local decoders", "local"},
                        {"mixture, shared decoder", "shared"}};

}  // namespace

Json pipeline_summary(const Config& config, const fs::path& out) {
  const auto seconds = [&](const fs::path& folder) {
    // A stage's seconds begin at its last resumption; training's include all of them.
    const Json record = read_stage_record(folder / "stage.json");
    const double whole = json_get<double>(record, "seconds", folder.string());
    return std::max(whole, record.at("results").value("seconds", 0.0));
  };
  const double base = seconds(out / "base");
  double mixture = base + seconds(out / "partition");
  if (config.run.embedding.empty()) mixture += seconds(out / "embedding");
  for (int k = 0; k < config.partition.experts; ++k) {
    mixture += seconds(out / "experts" / std::to_string(k));
  }
  Json summary = Json::array();
  for (const auto& [name, evaluation] : rows) {
    const fs::path folder = out / "eval" / evaluation;
    if (std::string(evaluation) == "longer" && !config.run.controls) continue;
    Json row = {{"name", name}};
    row.update(stage_results(folder, "moe-eval"));
    row["training_seconds"] = evaluation == std::string("base")     ? base
                              : evaluation == std::string("longer") ? base + seconds(out / "longer")
                              : evaluation == std::string("local")
                                  ? mixture
                                  : mixture + seconds(out / "decoder");
    summary.push_back(std::move(row));
  }
  return summary;
}

std::string summary_table(const Json& summary) {
  std::string text;
  for (const char* labels : {"tags", "truth"}) {
    std::vector<std::vector<std::string>> table = {{fmt::format("against {}", labels), "P@1", "P@5",
                                                    "R@10", "parameters", "FLOPs an image",
                                                    "seconds"}};
    for (const auto& row : summary) {
      if (!row.contains(labels)) continue;
      const Json& metrics = row[labels];
      const auto share = [&](const char* key) {
        const Json& value = metrics[key];
        return value.is_null() ? metric_text(0, 0) : metric_text(value.get<double>(), 1);
      };
      table.push_back({row["name"], share("P@1"), share("P@5"), share("R@10"),
                       human_count(row["parameters"].get<double>()),
                       human_count(row["flops_per_image"].get<double>()),
                       fmt::format("{:.0f}", row["training_seconds"].get<double>())});
    }
    if (table.size() == 1) continue;
    if (!text.empty()) text += '\n';
    text += format_table(table);
  }
  const bool own = std::any_of(summary.begin(), summary.end(),
                               [](const Json& row) { return row.contains("routed_by"); });
  if (own) text += "mixtures: parameters and FLOPs without what made run.embedding\n";
  return text;
}

}  // namespace hardmoe
