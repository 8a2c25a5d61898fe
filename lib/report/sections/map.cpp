#include <fmt/format.h>

#include <algorithm>

#include "cluster/pca.h"
#include "data/thumbnails.h"
#include "draw/charts.h"
#include "image/codec.h"
#include "report/sections.h"

namespace hardmoe {
namespace {

constexpr int tile = 34, jpeg_quality = 75;

/// The first two principal components of n rows, and their share of the variance.
struct Plane {
  std::vector<PlotPoint> points;
  double share = 0;
};

Plane plane_of(const Tensor& features) {
  const MatrixView rows = matrix_view(features);
  const Pca pca = fit_pca(rows, std::min<int64_t>(2, rows.cols), false);
  const Tensor projected = transform(pca, rows);
  Plane plane;
  const auto values = projected.as<float>();
  const auto width = static_cast<size_t>(projected.size(1));
  for (size_t i = 0; i < static_cast<size_t>(rows.rows); ++i) {
    plane.points.push_back({values[i * width], width > 1 ? values[i * width + 1] : 0.0F});
  }
  for (const double variance : pca.variance) plane.share += variance / pca.total_variance;
  return plane;
}

/// Returns images that lie apart: each the farthest from those before it.
std::vector<size_t> apart(const std::vector<PlotPoint>& points, int64_t count) {
  std::vector<size_t> chosen;
  if (points.empty()) return chosen;
  std::vector<double> distance(points.size(), std::numeric_limits<double>::infinity());
  size_t next = 0;
  while (std::ssize(chosen) < std::min(count, std::ssize(points))) {
    chosen.push_back(next);
    for (size_t i = 0; i < points.size(); ++i) {
      const double x = points[i].x - points[next].x, y = points[i].y - points[next].y;
      distance[i] = std::min(distance[i], x * x + y * y);
    }
    next = static_cast<size_t>(std::ranges::max_element(distance) - distance.begin());
  }
  return chosen;
}

Picture map_of(const RunContents& contents, const Tensor& features, const std::string& name,
               const std::string& what) {
  const AnsweredSample& sample = *contents.sample;
  Plane plane = plane_of(features);
  PointMap map{{name, fmt::format("{} of {} images: the two principal components, {} of the "
                                  "variance; a colour an expert, its number at the median.",
                                  what, sample.items.size(), share_text(plane.share))},
               std::move(plane.points),
               {},
               {}};
  for (const uint16_t expert : sample.experts) map.group_of.push_back(expert);
  for (int64_t k = 0; k < contents.run.partition->gater.experts; ++k) {
    map.groups.push_back(std::to_string(k));
  }
  const auto chosen = apart(map.points, contents.budget.on_map);
  std::vector<int64_t> items;
  for (const size_t i : chosen) items.push_back(sample.items[i]);
  const auto images =
      thumbnails(contents.run.dataset->split(contents.run.config.eval.split), items, tile);
  for (size_t i = 0; i < chosen.size(); ++i) {
    if (images[i].elements() == 0) continue;
    const PlotPoint& at = map.points[chosen[i]];
    map.images.push_back({at.x, at.y, encode_jpeg(images[i], jpeg_quality)});
  }
  return draw(map);
}

}  // namespace

void add_map(const RunContents& contents, Page& page) {
  page.heading(3, "The embedding in the plane");
  if (contents.sample == nullptr) return page.note(contents.no_sample);
  if (contents.sample->items.size() < 3) return page.note("There are too few images for a map.");
  page.drawings({map_of(contents, contents.sample->base_features, "map-of-the-base",
                        "The base's embedding, by which images are routed,"),
                 map_of(contents, contents.sample->unified, "map-of-the-mixture",
                        "The unified embedding, that of each image's expert,")});
}

}  // namespace hardmoe
