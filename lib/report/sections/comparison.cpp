#include <fmt/format.h>

#include <set>

#include "base/text.h"
#include "draw/charts.h"
#include "report/row_precisions.h"
#include "report/sections.h"
#include "train/metrics.h"

namespace hardmoe {
namespace {

std::string short_json(const Json& value) {
  return value.is_string() ? value.get<std::string>() : value.dump();
}

/// Returns the settings that are not the same in all runs, a row each.
std::vector<std::vector<std::string>> different_settings(const std::vector<RunView>& runs) {
  std::vector<std::vector<ConfigKey>> keys;
  for (const RunView& run : runs) {
    Config config = run.config;
    keys.push_back(config_keys(fields_of(config)));
  }
  std::vector<std::vector<std::string>> rows;
  for (size_t i = 0; i < keys[0].size(); ++i) {
    if (keys[0][i].value.is_null()) continue;  // a section
    std::vector<std::string> row = {keys[0][i].path};
    bool same = true;
    for (const auto& of_run : keys) {
      row.push_back(short_json(of_run[i].value));
      same = same && of_run[i].value == keys[0][i].value;
    }
    if (!same) rows.push_back(std::move(row));
  }
  return rows;
}

void add_settings(const std::vector<RunView>& runs, Page& page) {
  auto rows = different_settings(runs);
  if (rows.empty()) return page.text("Their configurations are the same.");
  std::vector<std::string> heading = {"setting"};
  for (const RunView& run : runs) heading.push_back(run.name);
  rows.insert(rows.begin(), std::move(heading));
  page.table("What differs in their configurations", rows, TableCells::texts);
}

std::string imbalance(const RunView& run) {
  return run.partition ? fmt::format("{:.2f}", run.partition->imbalance) : "–";
}

/// `comparable`: the runs were evaluated on the same images.
void add_results(const std::vector<RunView>& runs, const std::string& labels, bool comparable,
                 Page& page) {
  std::vector<std::vector<std::string>> lines = {{"run, network", "P@1", "P@5", "R@10",
                                                  "mixture ahead, P@1", "FLOPs an image",
                                                  "training FLOPs", "largest part ÷ mean"}};
  PointChart chart{{"runs-quality-against-cost-" + labels,
                    "P@1 against " + labels +
                        " of each run's base and mixtures, and what training "
                        "them cost; a colour a run; bars: 95% intervals."},
                   {"training FLOPs", ScaleKind::logarithmic},
                   {"P@1"}};
  for (size_t r = 0; r < runs.size(); ++r) {
    const RowPrecisions precisions = precisions_of(runs[r], labels);
    for (const Json& row : runs[r].summary["table"]) {
      if (row["labels"] != labels) continue;
      const std::string key = row["key"], name = row["name"];
      const bool mixture = key == "local" || key == "shared";
      lines.push_back({runs[r].name + ": " + name, metric_of(row, "P@1"), metric_of(row, "P@5"),
                       metric_of(row, "R@10"), interval_of(row, "lead"),
                       count_of(row["flops_per_image"]), count_of(row["training_flops"]),
                       mixture ? imbalance(runs[r]) : ""});
      if (!(mixture || key == "base") || !row["P@1"].is_number() ||
          !row["training_flops"].is_number() || row["training_flops"] <= 0) {
        continue;
      }
      const MeanOfImages& precision = precisions.at(key);
      chart.marks.push_back({runs[r].name + ": " + key, row["training_flops"], precision.mean,
                             PlotPoint{precision.low, precision.high}, static_cast<int>(r)});
    }
  }
  if (lines.size() == 1) return;
  page.table("Results against " + labels, lines);
  if (comparable && !chart.marks.empty()) page.drawings({draw(chart)});
}

}  // namespace

void add_comparison(const std::vector<RunView>& runs, Page& page) {
  page.heading(2, "The runs side by side");
  std::set<std::string> datasets, splits;
  for (const RunView& run : runs) {
    if (run.dataset) datasets.insert(run.dataset->fingerprint());
    splits.insert(run.config.eval.split);
  }
  const bool comparable = datasets.size() <= 1 && splits.size() == 1;
  if (!comparable) {
    page.text(fmt::format(
        "The runs were evaluated on different {}, so that their figures do not compare; there is "
        "no chart of them.",
        datasets.size() > 1 ? "data sets" : "splits (eval.split)"));
  }
  add_settings(runs, page);
  for (const std::string labels : {"tags", "truth"}) add_results(runs, labels, comparable, page);
}

}  // namespace hardmoe
