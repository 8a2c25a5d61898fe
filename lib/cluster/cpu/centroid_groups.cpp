#include "cluster/cpu/centroid_groups.h"

#include <algorithm>
#include <numeric>
#include <span>

namespace hardmoe::cpu {
namespace {

double squared_distance(const float* a, const float* b, int64_t depth) {
  double sum = 0;
  for (int64_t d = 0; d < depth; ++d)
    sum += (double{a[d]} - double{b[d]}) * (double{a[d]} - double{b[d]});
  return sum;
}

uint16_t farthest_from(uint16_t from, MatrixView centroids, std::span<const uint16_t> members) {
  uint16_t found = from;
  double most = 0;
  for (const uint16_t c : members) {
    const double square = squared_distance(centroids.row(from), centroids.row(c), centroids.cols);
    if (square > most) {
      most = square;
      found = c;
    }
  }
  return found;
}

/// Orders the members of panels [first, first + panels) by groups, and appends the groups' first
/// panels (other than `first`) to `begins`.
void split(MatrixView centroids, int64_t columns, int64_t first, int64_t panels, int64_t groups,
           std::span<uint16_t> members, std::vector<int64_t>& begins) {
  if (groups < 2) return;
  const uint16_t one = farthest_from(members[0], centroids, members);
  const uint16_t other = farthest_from(one, centroids, members);
  std::vector<double> position(static_cast<size_t>(centroids.rows));
  for (const uint16_t c : members) {
    position[c] = squared_distance(centroids.row(one), centroids.row(c), centroids.cols) -
                  squared_distance(centroids.row(other), centroids.row(c), centroids.cols);
  }
  std::stable_sort(members.begin(), members.end(),
                   [&](uint16_t a, uint16_t b) { return position[a] < position[b]; });
  const int64_t left_groups = groups / 2, left_panels = panels * left_groups / groups;
  const auto left = static_cast<size_t>(left_panels * columns);
  split(centroids, columns, first, left_panels, left_groups, members.first(left), begins);
  begins.push_back(first + left_panels);
  split(centroids, columns, first + left_panels, panels - left_panels, groups - left_groups,
        members.subspan(left), begins);
}

}  // namespace

CentroidGroups near_groups(MatrixView centroids, int64_t columns, int64_t most) {
  CentroidGroups groups;
  groups.order.resize(static_cast<size_t>(centroids.rows));
  std::iota(groups.order.begin(), groups.order.end(), uint16_t{0});
  const int64_t panels = (centroids.rows + columns - 1) / columns;
  std::vector<int64_t> begins = {0};
  split(centroids, columns, 0, panels, std::min(most, panels), groups.order, begins);
  for (const int64_t panel : begins) {
    groups.first_column.push_back(static_cast<int32_t>(panel * columns));
  }
  groups.first_column.push_back(static_cast<int32_t>(panels * columns));
  return groups;
}

}  // namespace hardmoe::cpu
