#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"
#include "draw/charts.h"
#include "report/row_precisions.h"
#include "report/sections.h"
#include "train/metrics.h"

namespace hardmoe {
namespace {

/// Returns "twice …", as a factor: "2.0 ×".
std::string factor(const Json& of, const Json& to) {
  if (!of.is_number() || !to.is_number() || to.get<double>() == 0) return "an unknown multiple of";
  return fmt::format("{:.2g} ×", of.get<double>() / to.get<double>());
}

/// Returns the mixture's advantage over one row in a sentence.
std::string verdict(const Json& row, const Json& mixture) {
  const double low = row["lead_low"].get<double>(), high = row["lead_high"].get<double>();
  const char* word = low > 0 ? "better than" : high < 0 ? "worse than" : "level with";
  return fmt::format(
      "{} ‘{}’: {} P@1 (95% interval {} to {}), at {} its FLOPs an image and {} its training "
      "FLOPs.",
      word, row["name"].get<std::string>(), signed_text(row["lead"].get<double>()),
      signed_text(low), signed_text(high),
      factor(mixture["flops_per_image"], row["flops_per_image"]),
      factor(mixture["training_flops"], row["training_flops"]));
}

void add_verdicts(const std::vector<Json>& rows, const std::string& labels, Page& page) {
  const auto mixture =
      std::ranges::find_if(rows, [](const Json& r) { return r["key"] == "local"; });
  if (mixture == rows.end()) {
    return page.text(
        "The mixture with local decoders has not been evaluated yet, so that it cannot be said "
        "whether it is better.");
  }
  std::vector<std::string> sentences;
  for (const Json& row : rows) {
    const std::string key = row["key"];
    const bool of_mixture = key == "shared" || key == "alone" || row.contains("over");
    if (row["lead"].is_number() && !of_mixture) {
      sentences.push_back(verdict(row, *mixture));
    }
  }
  if (sentences.empty()) return;
  page.text("By P@1 against " + labels + ", the mixture with local decoders is");
  page.list(sentences);
}

void add_quality_table(const std::vector<Json>& rows, const std::string& labels, Page& page) {
  std::vector<std::vector<std::string>> lines = {
      {"network", "P@1", "P@5", "R@10", "mixture ahead, P@1", "parameters", "FLOPs an image",
       "training FLOPs", "training seconds"}};
  bool gains = false;
  for (const Json& row : rows) {
    const bool lever = row.contains("over");
    gains = gains || lever;
    lines.push_back({row["name"].get<std::string>() + (lever ? " (lever)" : ""),
                     metric_of(row, "P@1"), metric_of(row, "P@5"), metric_of(row, "R@10"),
                     interval_of(row, "lead"), count_of(row["parameters"]),
                     count_of(row["flops_per_image"]), count_of(row["training_flops"]),
                     row["training_seconds"].is_number()
                         ? fmt::format("{:.0f}", row["training_seconds"].get<double>())
                         : "–"});
  }
  page.table("Quality against " + labels + ", and cost", lines);
  page.note(
      "Mixture ahead: P@1 of the mixture with local decoders less the row's, with the 95% interval "
      "of a paired bootstrap over images (and seeds). FLOPs an image: one forward pass as an image "
      "is evaluated. Training FLOPs and seconds: of all that a row takes, the base included.");
  if (!gains) return;
  std::vector<std::vector<std::string>> levers = {{"lever", "ahead of the mixture, P@1"}};
  for (const Json& row : rows) {
    if (row.contains("over")) levers.push_back({row["name"], interval_of(row, "gain")});
  }
  page.table("What each lever adds to the mixture's row that it changes", levers);
}

Picture cost_chart(const std::vector<Json>& rows, const RowPrecisions& precision, const char* cost,
                   const std::string& cost_name, const std::string& labels) {
  PointChart chart{{"quality-against-" + file_word(cost_name) + "-" + labels,
                    fmt::format("P@1 against {} and {}; bars: 95% intervals.", labels, cost_name)},
                   {cost_name, ScaleKind::logarithmic},
                   {"P@1", ScaleKind::linear}};
  for (const Json& row : rows) {
    const auto found = precision.find(row["key"].get<std::string>());
    if (found == precision.end() || !row[cost].is_number() || row[cost].get<double>() <= 0)
      continue;
    const MeanOfImages& p = found->second;
    const std::string key = row["key"];
    const bool mixture = key == "local" || key == "shared";
    const int series = key == "base" ? 0 : mixture ? 1 : row.contains("over") ? 3 : -1;
    chart.marks.push_back(
        {row["name"], row[cost].get<double>(), p.mean, PlotPoint{p.low, p.high}, series});
  }
  return draw(chart);
}

}  // namespace

void add_answer(const RunContents& contents, Page& page) {
  const RunView& run = contents.run;
  page.heading(3, "Is the mixture better, and at what cost");
  if (run.summary["table"].empty()) {
    return page.text("No evaluation of this run is done yet, so that it cannot be said.");
  }
  for (const std::string labels : {"tags", "truth"}) {
    std::vector<Json> rows;
    for (const Json& row : run.summary["table"]) {
      if (row["labels"] == labels) rows.push_back(row);
    }
    if (rows.empty()) continue;
    add_verdicts(rows, labels, page);
    const auto precision = precisions_of(run, labels);
    page.drawings({cost_chart(rows, precision, "flops_per_image", "FLOPs an image", labels),
                   cost_chart(rows, precision, "training_flops", "training FLOPs", labels)});
    add_quality_table(rows, labels, page);
  }
}

}  // namespace hardmoe
