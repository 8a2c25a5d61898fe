#include "run/summary_table.h"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "base/text.h"
#include "train/metrics.h"

namespace hardmoe {
namespace {

using Lines = std::vector<std::vector<std::string>>;

const char* const missing = "–";

/// Returns "0.705", or with a standard error "0.705 ± 0.004".
std::string metric(const Json& row, const std::string& name) {
  if (!row[name].is_number()) return missing;
  std::string text = metric_text(row[name].get<double>(), 1);
  const Json& error = row[name + "_error"];
  if (error.is_number()) text += fmt::format(" ± {:.3f}", error.get<double>());
  return text;
}

bool is_lever(const Json& row) { return row.contains("over"); }

/// Returns "+0.012 [-0.003, +0.027]": by how much the mixture is ahead of the row, or a lever's row
/// ahead of the mixture.
std::string lead(const Json& row) {
  const std::string of = is_lever(row) ? "gain" : "lead";
  if (!row[of].is_number()) return row["key"] == "local" ? "" : missing;
  return fmt::format("{:+.3f} [{:+.3f}, {:+.3f}]", row[of].get<double>(),
                     row[of + "_low"].get<double>(), row[of + "_high"].get<double>());
}

std::string count(const Json& value) {
  return value.is_number() ? human_count(value.get<double>()) : missing;
}

/// Returns "18–33%", the share of the images that an expert is given; nothing for one network.
std::string share(const Json& row) {
  if (!row["least_share"].is_number()) return "";
  return fmt::format("{:.0f}–{:.0f}%", 100 * row["least_share"].get<double>(),
                     100 * row["greatest_share"].get<double>());
}

/// Returns whether some row has a number at `of`: "lead", or "gain".
bool any(const Json& table, const char* of) {
  return std::ranges::any_of(
      table, [&](const Json& row) { return row.contains(of) && row[of].is_number(); });
}

/// Returns the rows of precision and recall against `labels`, under a heading: those of levers, or
/// all others; nothing but that heading if there are none.
Lines quality(const Json& table, const std::string& labels, bool levers) {
  const bool leads = any(table, levers ? "gain" : "lead");
  Lines lines = {{(levers ? "levers, against " : "against ") + labels, "P@1", "P@5", "R@10"}};
  if (leads) lines[0].emplace_back(levers ? "ahead of mixture, P@1" : "mixture ahead, P@1");
  for (const Json& row : table) {
    if (row["labels"] != labels || is_lever(row) != levers) continue;
    lines.push_back({row["name"], metric(row, "P@1"), metric(row, "P@5"), metric(row, "R@10")});
    if (leads) lines.back().push_back(lead(row));
  }
  return lines;
}

Lines costs(const Json& table) {
  Lines lines = {
      {"cost", "parameters", "FLOPs an image", "training FLOPs", "seconds", "images an expert"}};
  for (const Json& row : table) {
    if (row["labels"] != "tags") continue;
    lines.push_back({row["name"], count(row["parameters"]), count(row["flops_per_image"]),
                     count(row["training_flops"]),
                     fmt::format("{:.0f}", row["training_seconds"].get<double>()), share(row)});
  }
  return lines;
}

/// Returns what the tables leave to be said.
std::string notes(const Json& summary) {
  const Json& table = summary["table"];
  std::string text;
  const auto seeds = table.empty() ? 1 : table[0]["seeds"].get<int>();
  if (seeds > 1) text += fmt::format("±: standard error of the mean over {} seeds\n", seeds);
  const std::string over = seeds > 1 ? "images and seeds" : "images";
  if (any(table, "lead")) {
    text +=
        "mixture ahead: P@1 with local decoders less the row's, 95% interval over " + over + "\n";
  }
  if (any(table, "gain")) {
    text += "ahead of mixture: P@1 less the mixture's with the same decoders, 95% interval over " +
            over + "\n";
  }
  const auto is_external = [](const Json& evaluation) {
    return evaluation.value("routed_by", "") == "features";
  };
  if (std::ranges::any_of(summary["evaluations"], is_external)) {
    text += "mixtures: parameters and FLOPs without what made run.embedding\n";
  }
  return text;
}

}  // namespace

std::string summary_table(const Json& summary) {
  const Json& table = summary["table"];
  std::string text;
  for (const char* labels : {"tags", "truth"}) {
    for (const bool levers : {false, true}) {
      const Lines lines = quality(table, labels, levers);
      if (lines.size() > 1) text += format_table(lines) + '\n';
    }
  }
  return text + format_table(costs(table)) + notes(summary);
}

}  // namespace hardmoe
