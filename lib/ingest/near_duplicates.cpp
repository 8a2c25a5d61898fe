#include "ingest/near_duplicates.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <numbers>
#include <numeric>

#include "base/signals.h"
#include "image/resize.h"

namespace hardmoe {
namespace {

constexpr int side = 32;
constexpr int frequencies = 8;
constexpr float flat = 1;  // more than rounding leaves in a picture of one colour

/// Returns cos(π (2x + 1) f / 2·side), frequency by frequency.
std::array<std::array<float, side>, frequencies> cosines() {
  std::array<std::array<float, side>, frequencies> table;
  for (size_t f = 0; f < table.size(); ++f) {
    for (size_t x = 0; x < side; ++x) {
      table[f][x] = static_cast<float>(
          std::cos(std::numbers::pi * static_cast<double>((2 * x + 1) * f) / (2.0 * side)));
    }
  }
  return table;
}

/// Disjoint sets that can be joined, each represented by its smallest member.
class Groups {
 public:
  explicit Groups(size_t count) : first_(count) { std::iota(first_.begin(), first_.end(), 0U); }

  uint32_t find(uint32_t member) {
    while (first_[member] != member) {
      first_[member] = first_[first_[member]];
      member = first_[member];
    }
    return member;
  }

  void join(uint32_t a, uint32_t b) {
    a = find(a);
    b = find(b);
    first_[std::max(a, b)] = std::min(a, b);
  }

 private:
  std::vector<uint32_t> first_;
};

/// Returns a hash cut into `blocks` blocks, with the chosen ones moved to its top bits.
class Permutation {
 public:
  Permutation(uint32_t chosen, int blocks) {
    for (const bool wanted : {true, false}) {
      for (int block = 0; block < blocks; ++block) {
        if (((chosen >> block & 1U) != 0) != wanted) continue;
        const int begin = 64 * block / blocks;
        const int end = 64 * (block + 1) / blocks;
        const int width = end - begin;
        parts_.push_back({begin, width});
        if (wanted) key_bits_ += width;
      }
    }
  }

  uint64_t operator()(uint64_t hash) const {
    uint64_t result = 0;
    for (const auto& [begin, width] : parts_) {
      result = result << width | (hash >> begin & ((uint64_t{1} << width) - 1));
    }
    return result;
  }

  int key_bits() const { return key_bits_; }

 private:
  struct Part {
    int begin, width;
  };
  std::vector<Part> parts_;
  int key_bits_ = 0;
};

struct Entry {
  uint64_t hash;
  uint32_t number;
};

void sort_by_hash(std::vector<Entry>& entries) {
  std::sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) {
    return a.hash != b.hash ? a.hash < b.hash : a.number < b.number;
  });
}

/// Joins entries at most `distance` bits apart, among those whose leading bits agree.
void join_runs(const std::vector<Entry>& entries, int key_bits, int distance, Groups& groups) {
  const int shift = 64 - key_bits;
  for (size_t begin = 0; begin < entries.size();) {
    size_t end = begin + 1;
    while (end < entries.size() && entries[end].hash >> shift == entries[begin].hash >> shift) {
      ++end;
    }
    for (size_t i = begin; i < end; ++i) {
      if (i % 1024 == 0) throw_if_interrupted();
      for (size_t j = i + 1; j < end; ++j) {
        if (std::popcount(entries[i].hash ^ entries[j].hash) <= distance) {
          groups.join(entries[i].number, entries[j].number);
        }
      }
    }
    begin = end;
  }
}

}  // namespace

uint64_t perceptual_hash(const Tensor& image) {
  static const auto table = cosines();
  std::array<uint8_t, 3 * side * side> small;
  const PixelView view = view_of(image);
  const Box all{0, 0, static_cast<double>(view.height), static_cast<double>(view.width)};
  Resizer().resize(view, all, side, side, Mirror::no, small.data());
  // Transform rows first (side × frequencies), then columns.
  std::array<std::array<float, frequencies>, side> rows{};
  for (size_t y = 0; y < side; ++y) {
    for (size_t x = 0; x < side; ++x) {
      const uint8_t* rgb = &small[3 * (side * y + x)];
      const auto gray = static_cast<float>(299 * rgb[0] + 587 * rgb[1] + 114 * rgb[2]) / 1000.0F;
      for (size_t f = 0; f < frequencies; ++f) rows[y][f] += gray * table[f][x];
    }
  }
  std::array<float, frequencies * frequencies> low{};
  for (size_t v = 0; v < frequencies; ++v) {
    for (size_t y = 0; y < side; ++y) {
      for (size_t u = 0; u < frequencies; ++u) {
        low[frequencies * v + u] += rows[y][u] * table[v][y];
      }
    }
  }
  low[0] = 0;
  auto sorted = low;
  std::nth_element(sorted.begin(), sorted.begin() + sorted.size() / 2, sorted.end());
  const float median = sorted[sorted.size() / 2];
  uint64_t hash = 0;
  for (size_t i = 0; i < low.size(); ++i) hash |= uint64_t{low[i] > median + flat} << i;
  return hash;
}

std::vector<uint32_t> group_near_duplicates(const std::vector<uint64_t>& hashes, int distance) {
  Groups groups(hashes.size());
  std::vector<Entry> entries;
  entries.reserve(hashes.size());
  for (size_t i = 0; i < hashes.size(); ++i) {
    entries.push_back({hashes[i], static_cast<uint32_t>(i)});
  }
  // Join equal hashes first, so that one of each remains.
  sort_by_hash(entries);
  size_t kept = 0;
  for (size_t i = 0; i < entries.size(); ++i) {
    if (kept > 0 && entries[kept - 1].hash == entries[i].hash) {
      groups.join(entries[kept - 1].number, entries[i].number);
    } else {
      entries[kept++] = entries[i];
    }
  }
  entries.resize(kept);
  if (distance > 0 && kept > 1) {
    // Hashes that near agree in m − distance of m blocks. Choose enough blocks that the agreeing
    // ones are about as long as the count's bits, so that few others agree in them by chance.
    const int wanted = static_cast<int>(std::bit_width(kept));
    int blocks = distance + 1;
    while (64 * (blocks - distance) / blocks < wanted && blocks < 16) ++blocks;
    std::vector<Entry> permuted(entries.size());
    for (uint32_t chosen = 0; chosen < uint32_t{1} << blocks; ++chosen) {
      if (std::popcount(chosen) != blocks - distance) continue;
      const Permutation permutation(chosen, blocks);
      for (size_t i = 0; i < entries.size(); ++i) {
        permuted[i] = {permutation(entries[i].hash), entries[i].number};
      }
      sort_by_hash(permuted);
      join_runs(permuted, permutation.key_bits(), distance, groups);
    }
  }
  std::vector<uint32_t> first(hashes.size());
  for (size_t i = 0; i < first.size(); ++i) first[i] = groups.find(static_cast<uint32_t>(i));
  return first;
}

}  // namespace hardmoe
