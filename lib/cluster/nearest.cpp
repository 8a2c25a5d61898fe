#include "cluster/nearest.h"

#include <algorithm>
#include <limits>

#include "base/threads.h"

namespace hardmoe {

CentroidTable::CentroidTable(MatrixView centroids, std::span<const float> prices)
    : panels_(centroids.cols, centroids.rows),
      bias_(static_cast<size_t>(panels_.padded_columns()), std::numeric_limits<float>::infinity()) {
  for (int64_t c = 0; c < centroids.rows; ++c) {
    const float* row = centroids.row(c);
    panels_.set_column(c, row, -2);
    double norm = 0;
    for (int64_t d = 0; d < centroids.cols; ++d) norm += double{row[d]} * double{row[d]};
    const auto i = static_cast<size_t>(c);
    bias_[i] = static_cast<float>(prices.empty() ? norm : norm + double{prices[i]});
  }
}

int64_t CentroidTable::block_rows() const {
  constexpr int64_t scores = 65536, tile_rows = 48;  // 48: a multiple of every tile's rows
  return std::clamp<int64_t>(scores / stride() / tile_rows, 1, 10) * tile_rows;
}

void CentroidTable::score(MatrixView points, float* scores) const {
  panels_.multiply(points.data, points.cols, 1, points.rows, bias_.data(), scores);
}

void CentroidTable::nearest(const float* scores, int64_t rows, int32_t* index) const {
  panels_.kernels().nearest(scores, rows, stride(), index);
}

void assign(MatrixView points, const CentroidTable& table, std::span<uint16_t> assignment) {
  const int64_t block = table.block_rows();
  parallel_for(points.rows, block, [&](int64_t begin, int64_t end) {
    std::vector<float> scores(static_cast<size_t>(block * table.stride()));
    std::vector<int32_t> index(static_cast<size_t>(block));
    for (int64_t first = begin; first < end; first += block) {
      const int64_t rows = std::min(block, end - first);
      table.score(points.slice(first, first + rows), scores.data());
      table.nearest(scores.data(), rows, index.data());
      std::copy_n(index.begin(), rows, assignment.begin() + first);
    }
  });
}

}  // namespace hardmoe
