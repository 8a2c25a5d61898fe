#include <fmt/format.h>

#include <algorithm>
#include <numeric>
#include <optional>

#include "base/threads.h"
#include "cluster/cpu/backend.h"
#include "cluster/cpu/prefetch.h"
#include "cluster/cpu/screen.h"
#include "cluster/kernels.h"
#include "cluster/nearest.h"

namespace hardmoe::cpu {
namespace {

/// Rows [begin, end) of `order`, all of one part.
struct Piece {
  uint16_t part;
  int64_t begin, end;
};

/// A block's rows by part, ascending in each, cut into pieces that one thread each adds up.
struct RowsByPart {
  std::vector<int32_t> order;
  std::vector<Piece> pieces;
};

RowsByPart sort_rows(std::span<const uint16_t> parts, std::span<const int64_t> sizes) {
  constexpr int64_t piece_rows = 512;
  RowsByPart sorted;
  std::vector<int64_t> next(sizes.size());
  std::exclusive_scan(sizes.begin(), sizes.end(), next.begin(), int64_t{0});
  for (size_t c = 0; c < sizes.size(); ++c) {
    for (int64_t begin = 0; begin < sizes[c]; begin += piece_rows) {
      sorted.pieces.push_back({static_cast<uint16_t>(c), next[c] + begin,
                               next[c] + std::min(begin + piece_rows, sizes[c])});
    }
  }
  sorted.order.resize(parts.size());
  for (size_t i = 0; i < parts.size(); ++i) {
    sorted.order[static_cast<size_t>(next[parts[i]]++)] = static_cast<int32_t>(i);
  }
  return sorted;
}

/// Adds each part's points and Σ ‖z − c‖². In the order of rows within pieces, and of pieces.
void add_sums(MatrixView points, MatrixView centroids, const RowsByPart& sorted,
              PassTotals& totals) {
  const Kernels& kernels = supported_kernels()[0];
  const auto pieces = static_cast<int64_t>(sorted.pieces.size());
  const auto starts_part = [&](int64_t p) {
    return p == 0 || sorted.pieces[static_cast<size_t>(p)].part !=
                         sorted.pieces[static_cast<size_t>(p) - 1].part;
  };
  // A part's first piece is added to the totals themselves; those after it wait here.
  std::vector<double> waiting(sorted.order.size() / 512 * static_cast<size_t>(points.cols));
  std::vector<double*> target;
  double* free = waiting.data();
  for (int64_t p = 0; p < pieces; ++p) {
    if (starts_part(p)) {
      target.push_back(totals.sums.data() +
                       sorted.pieces[static_cast<size_t>(p)].part * points.cols);
    } else {
      target.push_back(free);
      free += points.cols;
    }
  }
  constexpr int64_t ahead = 2;  // rows lie scattered: they are fetched before they are needed
  std::vector<double> inertia(sorted.pieces.size());
  parallel_for(pieces, 1, [&](int64_t begin, int64_t end) {
    for (auto p = static_cast<size_t>(begin); p < static_cast<size_t>(end); ++p) {
      const Piece& piece = sorted.pieces[p];
      const float* centroid = centroids.row(piece.part);
      for (int64_t i = piece.begin; i < piece.end; ++i) {
        if (i + ahead < static_cast<int64_t>(sorted.order.size())) {
          prefetch(points.row(sorted.order[static_cast<size_t>(i + ahead)]), points.cols);
        }
        const float* point = points.row(sorted.order[static_cast<size_t>(i)]);
        add_to_sums(point, points.cols, target[p]);
        // From the difference itself: the score has lost digits to ‖z‖².
        inertia[p] += double{kernels.squared_distance(point, centroid, points.cols)};
      }
    }
  });
  for (int64_t p = 0; p < pieces; ++p) {
    totals.inertia += inertia[static_cast<size_t>(p)];
    if (starts_part(p)) continue;
    double* sums = totals.sums.data() + sorted.pieces[static_cast<size_t>(p)].part * points.cols;
    for (int64_t d = 0; d < points.cols; ++d) sums[d] += target[static_cast<size_t>(p)][d];
  }
}

/// Each point's part, as CentroidTable has it.
void find_parts(MatrixView points, const Screen& screen, std::span<uint16_t> parts) {
  const int64_t block = screen.block_rows();
  parallel_for(points.rows, block, [&](int64_t begin, int64_t end) {
    Candidates found;
    for (int64_t first = begin; first < end; first += block) {
      const int64_t last = std::min(end, first + block);
      const int64_t next = std::min(end, last + block) - last;
      screen.find(points.slice(first, last), 0, found, {points.row(last), next, points.cols});
      const std::span<const uint16_t> centroids = found.centroid;
      size_t from = 0;
      for (int64_t i = first; i < last; ++i) {
        const auto to = static_cast<size_t>(found.last[static_cast<size_t>(i - first)]);
        const auto candidates = centroids.subspan(from, to - from);
        parts[static_cast<size_t>(i)] =
            candidates.size() == 1 ? candidates[0] : screen.choose(points.row(i), candidates);
        from = to;
      }
    }
  });
}

}  // namespace

std::string ClusterCpu::describe() const {
  return fmt::format("CPU, {} threads", compute_threads());
}

int64_t ClusterCpu::block_rows(int64_t cols) const {
  constexpr int64_t bytes = int64_t{16} << 20;
  return std::clamp<int64_t>(bytes / (cols * static_cast<int64_t>(sizeof(float))), 1024, 65536);
}

std::unique_ptr<Points> ClusterCpu::load(MatrixView rows) { return std::make_unique<Points>(rows); }

void ClusterCpu::assign(const Points& points, const PricedCentroids& rule,
                        std::span<uint16_t> assignment, PassTotals& totals) {
  // Few enough rows that they are still in the cache when they are added up, and enough for each
  // part to have a good many.
  constexpr int64_t least_rows = 2048, rows_a_part = 32;
  const MatrixView all = points.view();
  const auto levels = integer_levels();
  std::optional<Screen> screen;
  if (!levels.empty()) screen.emplace(rule.centroids, rule.prices, levels[0]);
  const int64_t step = std::max(least_rows, rows_a_part * rule.centroids.rows);
  for (int64_t first = 0; first < all.rows; first += step) {
    const MatrixView rows = all.slice(first, std::min(all.rows, first + step));
    std::vector<uint16_t> found(static_cast<size_t>(rows.rows));
    if (screen) {
      find_parts(rows, *screen, found);
    } else {
      hardmoe::assign(rows, CentroidTable(rule.centroids, rule.prices), found);
    }
    std::vector<int64_t> sizes(totals.sizes.size());
    uint16_t* assigned = assignment.data() + first;
    for (size_t i = 0; i < found.size(); ++i) {
      ++sizes[found[i]];
      totals.moved += found[i] != assigned[i] ? 1 : 0;
      assigned[i] = found[i];
    }
    for (size_t c = 0; c < sizes.size(); ++c) totals.sizes[c] += sizes[c];
    add_sums(rows, rule.centroids, sort_rows(found, sizes), totals);
  }
}

}  // namespace hardmoe::cpu
