#include <fmt/format.h>

#include <algorithm>

#include "draw/charts.h"
#include "report/sections.h"
#include "report/statistics.h"

namespace hardmoe {
namespace {

Picture long_tail(const Vocabulary& vocabulary) {
  Line line{"", {}, 0};
  double next = 1;  // ranks at equal ratios: a thousand points would look the same
  for (int64_t rank = 1; rank <= vocabulary.size(); ++rank) {
    if (static_cast<double>(rank) < next && rank != vocabulary.size()) continue;
    next = std::max(next * 1.03, static_cast<double>(rank) + 0.5);
    line.points.push_back({static_cast<double>(rank),
                           static_cast<double>(vocabulary.counts[static_cast<size_t>(rank - 1)])});
  }
  return draw(LineChart{{"long-tail",
                         "The long tail: training images that have a tag, over the "
                         "tag's rank."},
                        {"rank of the tag", ScaleKind::logarithmic},
                        {"training images", ScaleKind::logarithmic},
                        {line}});
}

std::vector<PlotPoint> points_of(const FrequencyBins& bins) {
  std::vector<PlotPoint> points;
  for (const FrequencyBin& bin : bins.bins()) {
    points.push_back({std::sqrt(bin.from * bin.to),
                      static_cast<double>(bin.hits) / static_cast<double>(bin.cases)});
  }
  return points;
}

/// Precision of what a network says, and recall of what images have, by the tag's count.
struct ByFrequency {
  FrequencyBins precision, recall;
};

ByFrequency by_frequency(const RunView& run, const AnsweredSample& sample,
                         const std::vector<ImageAnswer>& answers) {
  const Split& split = run.dataset->split(run.config.eval.split);
  const auto& counts = run.dataset->vocabulary().counts;
  ByFrequency found;
  for (size_t i = 0; i < answers.size(); ++i) {
    const auto own = split.tags(sample.items[i]);
    for (size_t t = 0; t < 5 && answers[i].top[t] >= 0; ++t) {
      const int32_t tag = answers[i].top[t];
      found.precision.add(counts[static_cast<size_t>(tag)],
                          std::ranges::find(own, tag) != own.end());
    }
    for (const int32_t tag : own) {
      found.recall.add(counts[static_cast<size_t>(tag)], answers[i].has(tag));
    }
  }
  return found;
}

}  // namespace

void add_tags(const RunContents& contents, Page& page) {
  const RunView& run = contents.run;
  page.heading(3, "Frequent and rare tags");
  if (!run.dataset) return page.note("No tags are shown: " + run.no_dataset);
  std::vector<Picture> pictures = {long_tail(run.dataset->vocabulary())};
  if (contents.sample != nullptr) {
    const ByFrequency base = by_frequency(run, *contents.sample, contents.sample->base);
    const ByFrequency mixture = by_frequency(run, *contents.sample, contents.sample->mixture);
    const Axis x{"training images with the tag", ScaleKind::logarithmic};
    const auto lines = [](const FrequencyBins& of_base, const FrequencyBins& of_mixture) {
      return std::vector<Line>{{"base", points_of(of_base), 0, Line::Style::solid, true},
                               {"mixture", points_of(of_mixture), 1, Line::Style::solid, true}};
    };
    pictures.push_back(
        draw(LineChart{{"precision-by-frequency",
                        "Of the five likeliest tags of each image, the share that it "
                        "has, by the tag's count in training."},
                       x,
                       {"precision", ScaleKind::linear, 0, 0.1},
                       lines(base.precision, mixture.precision)}));
    pictures.push_back(
        draw(LineChart{{"recall-by-frequency",
                        "Of images' own tags, the share among their ten likeliest, by the "
                        "tag's count in training."},
                       x,
                       {"recall at 10", ScaleKind::linear, 0, 0.1},
                       lines(base.recall, mixture.recall)}));
  } else {
    page.note(contents.no_sample);
  }
  page.drawings(pictures);
  if (contents.sample != nullptr) {
    page.note(
        fmt::format("Precision and recall: {} images of {}; counts in ranges that double, "
                    "those with fewer than 20 cases left out.",
                    contents.sample->items.size(), run.config.eval.split));
  }
}

}  // namespace hardmoe
