#include "cluster/price_search.h"

#include <algorithm>
#include <cmath>

#include "tensor/tensor.h"

namespace hardmoe {
namespace {

PartTree tree_of(std::span<const uint16_t> part_of, size_t parts, MatrixView centroids) {
  if (part_of.empty()) return join_near_parts(centroids);
  const auto depth = static_cast<size_t>(centroids.cols);
  std::vector<double> sums(parts * depth), counts(parts);
  for (size_t c = 0; c < part_of.size(); ++c) {
    const float* row = centroids.row(static_cast<int64_t>(c));
    for (size_t d = 0; d < depth; ++d) sums[part_of[c] * depth + d] += double{row[d]};
    ++counts[part_of[c]];
  }
  Tensor centres(DType::f32, {static_cast<int64_t>(parts), centroids.cols});
  float* values = centres.as<float>().data();
  for (size_t p = 0; p < parts; ++p) {
    const double count = std::max(1.0, counts[p]);
    for (size_t d = 0; d < depth; ++d) {
      values[p * depth + d] = static_cast<float>(sums[p * depth + d] / count);
    }
  }
  return join_near_parts(matrix_view(centres));
}

/// Returns each node's longest step: half of the longest reach of the parts below it.
std::vector<float> longest_steps(const PartTree& tree, const PriceReach& reach) {
  std::vector<float> longest(tree.nodes());
  for (size_t n = 0; n < reach.up.size(); ++n) {
    longest[n] = std::max(reach.up[n], reach.down[n]) / 2;
  }
  for (size_t n = 0; n < tree.parent.size(); ++n) {
    float& above = longest[static_cast<size_t>(tree.parent[n])];
    above = std::max(above, longest[n]);
  }
  return longest;
}

}  // namespace

Parts::Parts(std::span<const uint16_t> part_of, int64_t parts, MatrixView centroids,
             std::span<const int64_t> corrections)
    : part_of_(part_of),
      corrections_(corrections),
      count_(static_cast<size_t>(part_of.empty() ? centroids.rows : parts)),
      tree_(tree_of(part_of, count_, centroids)) {}

std::vector<int64_t> Parts::sizes(const Boundary& boundary, std::span<const float> prices) const {
  std::vector<int64_t> of_centroids(corrections_.begin(), corrections_.end());
  of_centroids.resize(prices.size());
  boundary.add_sizes(prices, of_centroids);
  if (part_of_.empty()) return of_centroids;
  std::vector<int64_t> sizes(count_);
  for (size_t c = 0; c < prices.size(); ++c) sizes[of(c)] += of_centroids[c];
  return sizes;
}

SizeRange::SizeRange(double wanted, double tolerance)
    : target(wanted),
      least(static_cast<int64_t>(
          std::min(std::floor(wanted), std::ceil(wanted * (1 - tolerance - rounding))))),
      most(static_cast<int64_t>(
          std::max(std::ceil(wanted), std::floor(wanted * (1 + tolerance + rounding))))) {}

SizeRange SizeRange::around(double target, double tolerance) {
  SizeRange range(target, tolerance);
  range.least = static_cast<int64_t>(std::floor(target * (1 - tolerance)));
  range.most = static_cast<int64_t>(std::ceil(target * (1 + tolerance)));
  return range;
}

SizeRange SizeRange::within(const SizeRange& other) const {
  SizeRange range = *this;
  range.least = std::max(least, other.least);
  range.most = std::min(most, other.most);
  return range;
}

int64_t SizeRange::excess(std::span<const int64_t> sizes) const {
  int64_t sum = 0;
  for (const int64_t size : sizes) sum += std::max({least - size, size - most, int64_t{0}});
  return sum;
}

PriceSearch::PriceSearch(const Parts& parts, const SizeGoal& goal) : parts_(&parts), goal_(goal) {
  constexpr float first_step = 1.0F / 16;
  const size_t nodes = parts.tree().nodes();
  steps_.assign(nodes, first_step);
  signs_.resize(nodes);
}

void PriceSearch::step(std::span<const int64_t> sizes, const std::vector<float>& longest) {
  // The longest step of a part that is twice its target, in units; in proportion for others, so
  // that steps become small near the goal.
  constexpr double units_a_target = 8;
  constexpr float settling = 0.8F;  // shrinks steps that are not needed
  const PartTree& tree = parts_->tree();
  const SizeRange& wanted = goal_.wanted;
  const double dead_zone = std::max(0.5, (static_cast<double>(wanted.most) - wanted.target) / 2);
  std::vector<double> errors;  // in points, by node
  for (const int64_t size : sizes) errors.push_back(static_cast<double>(size) - wanted.target);
  errors.resize(tree.nodes());
  for (size_t n = 0; n < tree.parent.size(); ++n) {
    errors[static_cast<size_t>(tree.parent[n])] += errors[n];
    if (std::abs(errors[n]) <= dead_zone * tree.parts[n]) {
      steps_[n] *= settling;
      continue;
    }
    const int sign = errors[n] > 0 ? 1 : -1;
    if (signs_[n] == sign) steps_[n] = std::min(steps_[n] * 1.3F, longest[n]);
    if (signs_[n] == -sign) steps_[n] *= 0.5F;
    signs_[n] = sign;
    const double most = units_a_target * std::abs(errors[n]) / (wanted.target * tree.parts[n]);
    moves_[n] += static_cast<float>(sign) * std::min(steps_[n], static_cast<float>(most));
  }
}

std::vector<float> PriceSearch::changes(const PriceReach& reach) const {
  const PartTree& tree = parts_->tree();
  std::vector<float> changes = moves_;
  for (size_t n = tree.parent.size(); n-- > 0;) {
    changes[n] += changes[static_cast<size_t>(tree.parent[n])];
  }
  changes.resize(parts_->count());
  for (size_t c = 0; c < changes.size(); ++c) {
    changes[c] = std::clamp(changes[c], -reach.down[c], reach.up[c]);
  }
  return changes;
}

PriceSearch::Result PriceSearch::improve(const Boundary& boundary, const PriceReach& reach,
                                         float unit, int rounds, std::span<float> prices) {
  constexpr float least_step = 1.0F / 1024;         // at the start of a call
  constexpr int patience = 60, patience_held = 12;  // rounds without progress
  const std::vector<float> longest = longest_steps(parts_->tree(), reach);
  const std::vector<float> start(prices.begin(), prices.end());
  std::vector<float> current = start;
  moves_.assign(steps_.size(), 0);
  for (float& step : steps_) step = std::max(step, least_step);
  Result result;
  result.change.resize(parts_->count());
  bool held = false;          // whether a part is at the end of its reach
  int64_t least = INT64_MAX;  // least excess so far
  for (int idle = 0; result.rounds < rounds && idle < (held ? patience_held : patience);
       ++result.rounds, ++idle) {
    std::vector<int64_t> sizes = parts_->sizes(boundary, current);
    const int64_t excess = goal_.wanted.excess(sizes);
    result.within = excess <= goal_.enough && goal_.acceptable.excess(sizes) == 0;
    if (static_cast<double>(excess) < 0.99 * static_cast<double>(least)) idle = 0;
    if (!result.within) step(sizes, longest);
    // While a part is at the end of its reach, also accept what is nearly as good but farther
    // along.
    const bool further = held && static_cast<double>(excess) < 1.05 * static_cast<double>(least);
    least = std::min(least, excess);
    if (excess == least || further || result.within) {
      result.excess = excess;
      result.sizes = std::move(sizes);
      std::copy(current.begin(), current.end(), prices.begin());
    }
    if (result.within) break;
    result.change = changes(reach);
    held = false;
    for (size_t c = 0; c < parts_->count(); ++c) {
      held |= result.change[c] >= reach.up[c] || -result.change[c] >= reach.down[c];
    }
    for (size_t c = 0; c < current.size(); ++c) {
      current[c] = start[c] + result.change[parts_->of(c)] * unit;
    }
  }
  return result;
}

}  // namespace hardmoe
