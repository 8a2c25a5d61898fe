#include <fmt/format.h>

#include "draw/charts.h"
#include "report/sections.h"
#include "report/statistics.h"

namespace hardmoe {
namespace {

Calibration calibration(const RunContents& contents, const std::vector<ImageAnswer>& answers) {
  const Split& split = contents.run.dataset->split(contents.run.config.eval.split);
  std::vector<float> probability;
  std::vector<bool> right;
  for (size_t i = 0; i < answers.size(); ++i) {
    probability.push_back(answers[i].probability);
    right.push_back(answers[i].is_right(split.tags(contents.sample->items[i])));
  }
  return calibration_of(probability, right);
}

Line line_of(const char* name, const Calibration& calibration, int series) {
  Line line{name, {}, series, Line::Style::solid, true};
  for (const CalibrationBin& bin : calibration.bins) {
    if (bin.images >= 10) line.points.push_back({bin.probability, bin.right});
  }
  return line;
}

}  // namespace

void add_calibration(const RunContents& contents, Page& page) {
  page.heading(3, "Calibration");
  if (contents.sample == nullptr) return page.note(contents.no_sample);
  const Calibration base = calibration(contents, contents.sample->base);
  const Calibration mixture = calibration(contents, contents.sample->mixture);
  LineChart chart{{"calibration",
                   "How often the likeliest tag is right over the probability it is given; dashed: "
                   "as often as it says."},
                  {"probability of the likeliest tag", ScaleKind::linear, 0, 1},
                  {"share that is right", ScaleKind::linear, 0, 1},
                  {{"", {{0, 0}, {1, 1}}, -1, Line::Style::dashed},
                   line_of("base", base, 0),
                   line_of("mixture", mixture, 1)}};
  page.drawings({draw(chart)});
  std::vector<std::vector<std::string>> rows = {
      {"probability", "images, base", "right, base", "images, mixture", "right, mixture"}};
  for (size_t b = 0; b < base.bins.size(); ++b) {
    const CalibrationBin &of_base = base.bins[b], &of_mixture = mixture.bins[b];
    const auto right = [](const CalibrationBin& bin) {
      return bin.images == 0 ? std::string("–") : fmt::format("{:.2f}", bin.right);
    };
    rows.push_back({fmt::format("{:.1f}–{:.1f}", 0.1 * static_cast<double>(b),
                                0.1 * static_cast<double>(b + 1)),
                    std::to_string(of_base.images), right(of_base),
                    std::to_string(of_mixture.images), right(of_mixture)});
  }
  page.table(fmt::format("Expected calibration error: base {:.3f}, mixture {:.3f}",
                         base.expected_error, mixture.expected_error),
             rows);
  if (contents.run.config.base.loss == LossKind::softmax) {
    page.note(
        "With the softmax loss an image's k tags share one probability, so that where images have "
        "several tags the likeliest one is right more often than it says.");
  }
}

}  // namespace hardmoe
