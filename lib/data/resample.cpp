#include "data/resample.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <unordered_map>

#include "base/random.h"

namespace hardmoe {

std::vector<int64_t> resampled(const Split& split, std::vector<int64_t> items, Sampling sampling,
                               uint64_t seed) {
  if (sampling == Sampling::natural) return items;
  if (items.empty()) {
    items.resize(static_cast<size_t>(split.size()));
    std::iota(items.begin(), items.end(), int64_t{0});
  }
  std::unordered_map<int32_t, int64_t> counts;
  int64_t all = 0;
  for (const int64_t item : items) {
    for (const int32_t tag : split.tags(item)) ++counts[tag];
    all += static_cast<int64_t>(split.tags(item).size());
  }
  const double mean =
      static_cast<double>(all) / static_cast<double>(std::max<size_t>(counts.size(), 1));
  std::vector<int64_t> copies;
  for (const int64_t item : items) {
    double factor = 1;
    for (const int32_t tag : split.tags(item)) {
      const double rarity = mean / static_cast<double>(counts.at(tag));
      factor = std::max(factor, sampling == Sampling::uniform ? rarity : std::sqrt(rarity));
    }
    Random random(seed, RandomUse::resample, static_cast<uint64_t>(item));
    const double whole = std::floor(factor);
    const bool one_more = random.uniform_double() < factor - whole;
    copies.insert(copies.end(), static_cast<size_t>(whole) + (one_more ? 1 : 0), item);
  }
  return copies;
}

}  // namespace hardmoe
