#include <fmt/format.h>

#include "draw/charts.h"
#include "moe/image_results.h"
#include "report/sections.h"

namespace hardmoe {
namespace {

/// Returns the share of each expert among the images.
std::vector<double> shares(const std::vector<uint16_t>& experts, int64_t count) {
  std::vector<double> found(static_cast<size_t>(count));
  for (const uint16_t expert : experts) found.at(expert) += 100.0;
  for (double& share : found) share /= static_cast<double>(std::max<size_t>(experts.size(), 1));
  return found;
}

}  // namespace

void add_sizes(const RunContents& contents, Page& page) {
  const RunView& run = contents.run;
  page.heading(3, "Sizes of parts");
  if (!run.partition) return page.text("The images are not divided yet.");
  const int64_t count = run.partition->gater.experts;
  const std::string& split = run.config.eval.split;
  BarChart chart{{"sizes", fmt::format("Share of the training images that each expert learns from, "
                                       "and of {}'s images that are routed to it; dashed: equal "
                                       "shares.",
                                       split)},
                 "expert",
                 {},
                 {"share of images, %"},
                 {{"training", shares(run.partition->assignment, count)}},
                 100.0 / static_cast<double>(count)};
  for (int64_t k = 0; k < count; ++k) chart.groups.push_back(std::to_string(k));
  if (const auto folder = run.evaluation("local")) {
    chart.series.push_back({split, shares(load_image_results(*folder).experts, count)});
  }
  page.drawings({draw(chart)});
  const double tolerance = run.partition->config.tolerance;
  std::string note = fmt::format("The largest part is {:.2f} × the mean", run.partition->imbalance);
  note += tolerance > 0 ? fmt::format("; at most {:.2f} × was asked for.", 1 + tolerance)
                        : "; no balance was asked for.";
  page.note(note);
}

}  // namespace hardmoe
