#include "train/bootstrap.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <span>

#include "base/error.h"
#include "base/random.h"
#include "base/simd.h"
#include "base/threads.h"

namespace hardmoe {
namespace {

constexpr size_t lanes = 16;

/// Returns Σ counts·values. Sums of 4096 in float, of these in double; n is a multiple of `lanes`.
HARDMOE_VECTOR_KERNEL
double weighted_sum(const float* counts, const float* values, size_t n) {
  double total = 0;
  for (size_t block = 0; block < n; block += 4096) {
    float sums[lanes] = {};
    const size_t end = std::min(n, block + 4096);
    for (size_t i = block; i < end; i += lanes) {
      for (size_t j = 0; j < lanes; ++j) sums[j] += counts[i + j] * values[i + j];
    }
    for (const float sum : sums) total += static_cast<double>(sum);
  }
  return total;
}

/// One quantity's values of one seed, padded to whole lanes.
struct Column {
  std::vector<float> values;   ///< 0 where undefined
  std::vector<float> defined;  ///< 1 or 0; empty if all are defined
  double mean = 0;

  Column(const std::vector<float>& given, size_t padded) : values(padded) {
    std::vector<float> finite(padded);
    double sum = 0;
    int64_t count = 0;
    for (size_t i = 0; i < given.size(); ++i) {
      if (std::isnan(given[i])) continue;
      values[i] = given[i];
      finite[i] = 1;
      sum += static_cast<double>(given[i]);
      ++count;
    }
    if (count == 0) fail("bootstrap: a quantity is undefined for all {} images", given.size());
    if (count < std::ssize(given)) defined = std::move(finite);
    mean = sum / static_cast<double>(count);
  }

  /// Returns the mean over `drawn` images; the mean of all if none of these has a value.
  double mean_of(const std::vector<float>& counts, size_t drawn) const {
    const double images = defined.empty()
                              ? static_cast<double>(drawn)
                              : weighted_sum(counts.data(), defined.data(), counts.size());
    if (images == 0) return mean;
    return weighted_sum(counts.data(), values.data(), counts.size()) / images;
  }
};

/// Writes how often each of n images is drawn in n draws. A draw takes the high bits of 32: no
/// image is likelier than another by more than n/2³².
void draw(Random& random, size_t n, std::vector<float>& counts) {
  std::ranges::fill(counts, 0.0F);
  for (size_t i = 0; i < n; ++i) {
    counts[static_cast<size_t>((uint64_t{random.next_u32()} * n) >> 32)] += 1;
  }
}

/// NumPy's percentile (linear) of sorted values; share: 0 … 1.
double percentile(const std::vector<double>& sorted, double share) {
  const double at = share * static_cast<double>(sorted.size() - 1);
  const auto below = static_cast<size_t>(at);
  const size_t above = std::min(below + 1, sorted.size() - 1);
  return sorted[below] + (at - static_cast<double>(below)) * (sorted[above] - sorted[below]);
}

int64_t images_of(const SeedColumns& quantity) {
  int64_t images = 0;
  for (size_t i = 0; i < quantity[0].size(); ++i) {
    images += std::ranges::none_of(quantity, [&](const auto& v) { return std::isnan(v[i]); });
  }
  return images;
}

void require_like(const SeedColumns& a, const SeedColumns& b) {
  if (a.empty() || a[0].empty()) fail("bootstrap: expected at least one seed and one image");
  if (a.size() != b.size()) fail("bootstrap: {} seeds beside {}", a.size(), b.size());
  for (const auto& values : b) {
    if (values.size() == a[0].size()) continue;
    fail("bootstrap: {} images beside {}", a[0].size(), values.size());
  }
}

/// Fills in what needs no resampling.
Estimate of_means(const std::vector<Column>& columns) {
  Estimate estimate;
  const auto seeds = static_cast<double>(columns.size());
  for (const Column& column : columns) estimate.mean += column.mean / seeds;
  double squares = 0;
  for (const Column& column : columns) squares += std::pow(column.mean - estimate.mean, 2);
  estimate.standard_error = columns.size() < 2 ? std::numeric_limits<double>::quiet_NaN()
                                               : std::sqrt(squares / (seeds - 1) / seeds);
  estimate.seeds = std::ssize(columns);
  return estimate;
}

}  // namespace

SeedColumns difference(const SeedColumns& a, const SeedColumns& b) {
  require_like(a, b);
  SeedColumns result = a;
  for (size_t s = 0; s < a.size(); ++s) {
    for (size_t i = 0; i < a[s].size(); ++i) result[s][i] -= b[s][i];
  }
  return result;
}

std::vector<Estimate> bootstrap(const std::vector<SeedColumns>& quantities,
                                const BootstrapOptions& options) {
  if (quantities.empty()) return {};
  if (options.resamples < 1) fail("bootstrap: expected 1 or more resamples");
  for (const auto& quantity : quantities) require_like(quantities[0], quantity);
  const size_t seeds = quantities[0].size(), images = quantities[0][0].size();
  const size_t padded = (images + lanes - 1) / lanes * lanes;
  std::vector<std::vector<Column>> columns(quantities.size());
  for (size_t q = 0; q < quantities.size(); ++q) {
    for (const auto& values : quantities[q]) columns[q].emplace_back(values, padded);
  }
  const auto resamples = static_cast<size_t>(options.resamples);
  std::vector<std::vector<double>> found(quantities.size(), std::vector<double>(resamples));
  parallel_for(options.resamples, 16, [&](int64_t begin, int64_t end) {
    std::vector<float> counts(padded);
    std::vector<double> share(seeds);
    for (auto r = static_cast<size_t>(begin); r < static_cast<size_t>(end); ++r) {
      Random random(options.seed, RandomUse::bootstrap, r);
      std::ranges::fill(share, 0.0);
      for (size_t s = 0; s < seeds; ++s)
        share[random.below(seeds)] += 1.0 / static_cast<double>(seeds);
      draw(random, images, counts);
      for (size_t q = 0; q < columns.size(); ++q) {
        double mean = 0;
        for (size_t s = 0; s < seeds; ++s) {
          if (share[s] > 0) mean += share[s] * columns[q][s].mean_of(counts, images);
        }
        found[q][r] = mean;
      }
    }
  });
  std::vector<Estimate> estimates;
  for (size_t q = 0; q < quantities.size(); ++q) {
    Estimate estimate = of_means(columns[q]);
    std::ranges::sort(found[q]);
    const double outside = (1 - options.confidence) / 2;
    estimate.low = percentile(found[q], outside);
    estimate.high = percentile(found[q], 1 - outside);
    estimate.images = images_of(quantities[q]);
    estimates.push_back(estimate);
  }
  return estimates;
}

}  // namespace hardmoe
