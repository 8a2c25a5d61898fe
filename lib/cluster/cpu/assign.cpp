#include <fmt/format.h>

#include <algorithm>
#include <numeric>
#include <optional>

#include "base/threads.h"
#include "cluster/cpu/backend.h"
#include "cluster/cpu/near_screen.h"
#include "cluster/cpu/pass_cache.h"
#include "cluster/cpu/prefetch.h"
#include "cluster/cpu/screen.h"
#include "cluster/kernels.h"
#include "cluster/nearest.h"

namespace hardmoe::cpu {
namespace {

/// Rows order[begin … end), all of one part.
struct Piece {
  uint16_t part;
  int64_t begin, end;
};

/// The rows of a block sorted by part (ascending within each), cut into pieces for threads.
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

/// Adds each part's points and inertia to `totals`, in a fixed order of pieces. `distances` holds
/// the squared distances that are known (negative: unknown).
void add_sums(MatrixView points, MatrixView centroids, const RowsByPart& sorted,
              std::span<const float> distances, PassTotals& totals) {
  const Kernels& kernels = supported_kernels()[0];
  const auto pieces = static_cast<int64_t>(sorted.pieces.size());
  const auto starts_part = [&](int64_t p) {
    return p == 0 || sorted.pieces[static_cast<size_t>(p)].part !=
                         sorted.pieces[static_cast<size_t>(p) - 1].part;
  };
  // A part's first piece is added to the totals directly; sums of later pieces are stored here.
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
  constexpr int64_t ahead = 2;  // prefetch, because the rows are scattered
  std::vector<double> inertia(sorted.pieces.size());
  parallel_for(pieces, 1, [&](int64_t begin, int64_t end) {
    for (auto p = static_cast<size_t>(begin); p < static_cast<size_t>(end); ++p) {
      const Piece& piece = sorted.pieces[p];
      const float* centroid = centroids.row(piece.part);
      for (int64_t i = piece.begin; i < piece.end; ++i) {
        if (i + ahead < static_cast<int64_t>(sorted.order.size())) {
          prefetch(points.row(sorted.order[static_cast<size_t>(i + ahead)]), points.cols);
        }
        const int32_t row = sorted.order[static_cast<size_t>(i)];
        const float* point = points.row(row);
        add_to_sums(point, points.cols, target[p]);
        // Use the difference itself: the score has lost digits to ‖z‖².
        const float known = distances[static_cast<size_t>(row)];
        inertia[p] +=
            double{known >= 0 ? known : kernels.squared_distance(point, centroid, points.cols)};
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

/// A slice of points, with what is known of them and what is found.
struct Slice {
  MatrixView points;
  int64_t first;                     ///< the first point's number among all points
  std::span<const uint16_t> before;  ///< their parts in the previous pass
  std::vector<uint16_t> parts;
  std::vector<float> distances;  ///< squared, to the part's centroid; negative: unknown
};

class CpuPass final : public Pass {
 public:
  CpuPass(const PricedCentroids& rule, CpuPassCache* cache) : rule_(rule), cache_(cache) {
    const auto levels = integer_levels();
    if (levels.empty()) {
      table_.emplace(rule.centroids, rule.prices);
    } else if (rule.tree != nullptr) {
      near_.emplace(rule_, levels[0]);
    } else if (cache == nullptr) {
      screen_.emplace(rule.centroids, rule.prices, levels[0]);
    } else {
      prepare(levels[0]);
    }
  }

  void assign(const Points& points, int64_t first_point, std::span<uint16_t> assignment,
              PassTotals& totals) override {
    // Few enough rows to stay in the cache until they are added up, but enough for each part to
    // have several.
    constexpr int64_t least_rows = 2048, rows_a_part = 32;
    const MatrixView all = points.view();
    const int64_t step = std::max(least_rows, rows_a_part * rule_.centroids.rows);
    for (int64_t first = 0; first < all.rows; first += step) {
      const MatrixView rows = all.slice(first, std::min(all.rows, first + step));
      const auto begin = static_cast<size_t>(first), count = static_cast<size_t>(rows.rows);
      const std::span<uint16_t> assigned = assignment.subspan(begin, count);
      Slice slice{.points = rows,
                  .first = first_point + first,
                  .before = assigned,
                  .parts = std::vector<uint16_t>(count),
                  .distances = std::vector<float>(count, -1)};
      if (near_) {
        near_->assign(rows, slice.parts, slice.distances);
      } else if (screen_) {
        screen_parts(slice);
      } else {
        hardmoe::assign(rows, *table_, slice.parts);
      }
      std::vector<int64_t> sizes(totals.sizes.size());
      for (size_t i = 0; i < count; ++i) {
        ++sizes[slice.parts[i]];
        totals.moved += slice.parts[i] != assigned[i] ? 1 : 0;
        assigned[i] = slice.parts[i];
      }
      for (size_t c = 0; c < sizes.size(); ++c) totals.sizes[c] += sizes[c];
      add_sums(rows, rule_.centroids, sort_rows(slice.parts, sizes), slice.distances, totals);
    }
  }

 private:
  /// Prepares a pass with a cache. The first pass measures the points; the second, or of a settled
  /// cache the first, makes the groups and stores bounds; and later passes use them.
  void prepare(const IntegerLevel& level) {
    CpuPassCache& cache = *cache_;
    const MatrixView centroids = rule_.centroids;
    first_ = cache.middle.empty();
    if (!cache.groups.order.empty()) {
      drift_.emplace(cache, rule_);
    } else if (!first_ || cache.settled) {
      cache.groups = near_groups(centroids, level.columns, cache.most_groups);
    }
    Screen::Options options{.middle = cache.middle};
    if (!cache.groups.order.empty()) options.groups = &cache.groups;
    screen_.emplace(centroids, rule_.prices, level, options);
    cache.middle.assign(screen_->middle().begin(), screen_->middle().end());
    cache.centroids = Tensor(DType::f32, {centroids.rows, centroids.cols});
    std::copy_n(centroids.data, cache.centroids.elements(), cache.centroids.as<float>().data());
    cache.prices.assign(rule_.prices.begin(), rule_.prices.end());
    if (!rule_.prices.empty()) {
      least_price_ = *std::min_element(rule_.prices.begin(), rule_.prices.end());
    }
  }

  /// Finds each point's part, exactly as CentroidTable does.
  void screen_parts(Slice& slice) const {
    // Points are compared with few groups of centroids: more of them are needed to fill a product.
    constexpr int64_t many_rows = 32 * integer_tile_rows;
    const int64_t block = drift_ ? many_rows : screen_->block_rows();
    parallel_for(slice.points.rows, block, [&](int64_t begin, int64_t end) {
      Work work;
      for (int64_t first = begin; first < end; first += block) {
        const int64_t last = std::min(end, first + block);
        work.queries.clear();
        work.bounds.clear();
        for (int64_t row = first; row < last; ++row) add_query(slice, row, work);
        if (work.queries.empty()) continue;
        const int64_t next = std::min(end, last + block) - last;
        screen_->find(slice.points, work.queries, work.found,
                      {slice.points.row(last), next, slice.points.cols});
        settle(slice, work);
      }
    });
  }

  /// The queries of a block, with what was found for them.
  struct Work {
    std::vector<Query> queries;
    std::vector<float> bounds;  ///< for each query and group, where the cache has bounds
    Candidates found;
  };

  /// Adds the query for a point, unless its part certainly stays the same.
  void add_query(Slice& slice, int64_t row, Work& work) const {
    Query query{.row = static_cast<int32_t>(row), .groups = screen_->all_groups()};
    const auto known = static_cast<size_t>(slice.first + row);
    if (drift_) {
      const auto i = static_cast<size_t>(row);
      query.own = slice.before[i];
      query.own_distance = supported_kernels()[0].squared_distance(
          slice.points.row(row), rule_.centroids.row(query.own), slice.points.cols);
      slice.distances[i] = query.own_distance;
      const float score = query.own_distance + screen_->price(static_cast<size_t>(query.own));
      const auto groups = static_cast<size_t>(screen_->groups());
      const size_t begin = work.bounds.size();
      work.bounds.resize(begin + groups);
      float* bounds = work.bounds.data() + begin;
      float* roots = roots_of(slice, row);
      query.groups = drift_->groups(roots, score + screen_->doubt(query.own_distance), bounds);
      if (query.groups == 0) {
        slice.parts[i] = slice.before[i];
        bound_roots(bounds, screen_->groups(), least_price_, roots);
        work.bounds.resize(begin);
        return;
      }
    }
    if (cache_ != nullptr) {
      Measure& measure = cache_->measures[known];
      if (first_) measure = screen_->measure(slice.points.row(row));
      query.measure = measure;
    }
    work.queries.push_back(query);
  }

  void settle(Slice& slice, Work& work) const {
    const auto groups = static_cast<size_t>(screen_->groups());
    size_t from = 0;
    for (size_t n = 0; n < work.queries.size(); ++n) {
      const Query& query = work.queries[n];
      const auto i = static_cast<size_t>(query.row);
      const auto to = static_cast<size_t>(work.found.last[n]);
      const auto candidates = std::span(work.found.centroid).subspan(from, to - from);
      from = to;
      slice.parts[i] = candidates.size() == 1
                           ? candidates[0]
                           : screen_->choose(slice.points.row(query.row), candidates);
      if (slice.parts[i] != query.own) slice.distances[i] = -1;
      if (cache_ == nullptr || cache_->groups.order.empty()) continue;
      float* others = work.found.others.data() + n * groups;
      for (size_t g = 0; drift_ && g < groups; ++g) {
        if ((query.groups >> g & 1U) == 0) {
          others[g] = std::min(others[g], work.bounds[n * groups + g]);
        }
      }
      bound_roots(others, screen_->groups(), least_price_, roots_of(slice, query.row));
    }
  }

  float* roots_of(const Slice& slice, int64_t row) const {
    return cache_->roots.data() + (slice.first + row) * cache_->most_groups;
  }

  PricedCentroids rule_;
  CpuPassCache* cache_;  ///< may be null
  bool first_ = false;   ///< whether this is the cache's first pass
  float least_price_ = 0;
  std::optional<Drift> drift_;
  std::optional<NearScreen> near_;      ///< for a rule with a tree, where integers are supported
  std::optional<Screen> screen_;        ///< for others there
  std::optional<CentroidTable> table_;  ///< elsewhere
};

}  // namespace

std::string ClusterCpu::describe() const {
  return fmt::format("CPU, {} threads", compute_threads());
}

int64_t ClusterCpu::block_rows(int64_t cols) const {
  constexpr int64_t bytes = int64_t{16} << 20;
  return std::clamp<int64_t>(bytes / (cols * static_cast<int64_t>(sizeof(float))), 1024, 65536);
}

std::unique_ptr<Points> ClusterCpu::load(MatrixView rows) { return std::make_unique<Points>(rows); }

bool ClusterCpu::searches_near() const { return !integer_levels().empty(); }

std::unique_ptr<Pass> ClusterCpu::begin_pass(const PricedCentroids& rule, PassCache* cache) {
  return std::make_unique<CpuPass>(rule, static_cast<CpuPassCache*>(cache));
}

std::unique_ptr<PassCache> ClusterCpu::make_pass_cache(int64_t rows, int64_t clusters, bool settled,
                                                       int64_t& bytes) const {
  for (int64_t groups = CpuPassCache::useful_groups(clusters); groups > 1; groups /= 2) {
    const int64_t needed = CpuPassCache::bytes(rows, groups);
    if (needed > bytes) continue;
    bytes -= needed;
    return std::make_unique<CpuPassCache>(rows, groups, settled);
  }
  return nullptr;
}

}  // namespace hardmoe::cpu
