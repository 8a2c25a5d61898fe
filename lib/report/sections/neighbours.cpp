#include <fmt/format.h>

#include <algorithm>

#include "cluster/cosine_distance.h"
#include "cluster/matrix_view.h"
#include "data/thumbnails.h"
#include "report/sections.h"

namespace hardmoe {
namespace {

constexpr int tile = 96;
constexpr size_t shown = 4;

struct Neighbour {
  double distance = 0;  ///< by cosine_distance()
  size_t image = 0;
};

/// Returns the images nearest to one; only of other experts if `across`.
std::vector<Neighbour> nearest_to(const AnsweredSample& sample, size_t query, bool across) {
  const MatrixView rows = matrix_view(sample.unified);
  const float* asked = rows.row(static_cast<int64_t>(query));
  std::vector<Neighbour> found;
  for (size_t i = 0; i < sample.items.size(); ++i) {
    if (i == query || (across && sample.experts[i] == sample.experts[query])) continue;
    const float* row = rows.row(static_cast<int64_t>(i));
    found.push_back({cosine_distance(asked, row, rows.cols), i});
  }
  const auto kept = std::min(shown, found.size());
  std::partial_sort(found.begin(), found.begin() + static_cast<int64_t>(kept), found.end(),
                    [](const Neighbour& a, const Neighbour& b) {
                      return std::pair(a.distance, a.image) < std::pair(b.distance, b.image);
                    });
  found.resize(kept);
  return found;
}

/// Returns typical images: of experts in turn the one of the median loss.
std::vector<size_t> queries_of(const AnsweredSample& sample, int64_t experts, int64_t count) {
  std::vector<size_t> queries;
  const int64_t used = std::min(experts, count);
  for (int64_t q = 0; q < used; ++q) {
    const int64_t expert = experts * q / used;
    std::vector<size_t> own;
    for (size_t i = 0; i < sample.items.size(); ++i) {
      if (sample.experts[i] == expert) own.push_back(i);
    }
    if (own.empty()) continue;
    std::ranges::stable_sort(own, {}, [&](size_t i) { return sample.mixture[i].loss; });
    queries.push_back(own[own.size() / 2]);
  }
  return queries;
}

}  // namespace

void add_neighbours(const RunContents& contents, Page& page) {
  page.heading(3, "Neighbours across experts");
  if (contents.sample == nullptr) return page.note(contents.no_sample);
  const RunView& run = contents.run;
  const AnsweredSample& sample = *contents.sample;
  const Split& split = run.dataset->split(run.config.eval.split);
  page.text(
      "An image, the nearest ones to it in the unified embedding, and the nearest of those that "
      "other experts embed. Where experts share one space, the latter show the same things.");
  const auto add_gallery = [&](const std::vector<Neighbour>& found, size_t query) {
    std::vector<int64_t> items;
    for (const Neighbour& neighbour : found) items.push_back(sample.items[neighbour.image]);
    const auto images = thumbnails(split, items, tile);
    std::vector<Page::Captioned> figures;
    for (size_t i = 0; i < found.size(); ++i) {
      const std::string expert = fmt::format("expert {}", sample.experts[found[i].image]);
      figures.push_back(
          {images[i],
           {found[i].image == query ? "query" : fmt::format("cosine {:.2f}", 1 - found[i].distance),
            expert, tags_text(run, split.tags(items[i]), 4)}});
    }
    page.gallery(figures);
  };
  const auto queries = queries_of(sample, run.partition->gater.experts, contents.budget.queries);
  for (size_t q = 0; q < queries.size(); ++q) {
    page.heading(4, fmt::format("Query {}", q + 1));
    auto nearest = nearest_to(sample, queries[q], false);
    nearest.insert(nearest.begin(), {0, queries[q]});
    add_gallery(nearest, queries[q]);
    const auto across = nearest_to(sample, queries[q], true);
    if (across.empty()) continue;
    page.note("Nearest of other experts:");
    add_gallery(across, queries[q]);
  }
}

}  // namespace hardmoe
