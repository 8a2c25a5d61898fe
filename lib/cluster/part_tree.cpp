#include "cluster/part_tree.h"

#include <algorithm>
#include <limits>
#include <numeric>

#include "base/threads.h"
#include "cluster/kernels.h"
#include "tensor/tensor.h"

namespace hardmoe {
namespace {

/// Returns each row's nearest other row, the lower one of equals.
std::vector<int32_t> nearest_others(MatrixView rows) {
  std::vector<int32_t> nearest(static_cast<size_t>(rows.rows));
  const auto squared_distance = supported_kernels()[0].squared_distance;
  parallel_for(rows.rows, 16, [&](int64_t begin, int64_t end) {
    for (int64_t a = begin; a < end; ++a) {
      float least = std::numeric_limits<float>::infinity();
      int64_t found = a == 0 ? 1 : 0;
      for (int64_t b = 0; b < rows.rows; ++b) {
        const float square = squared_distance(rows.row(a), rows.row(b), rows.cols);
        if (b == a || !(square < least)) continue;
        least = square;
        found = b;
      }
      nearest[static_cast<size_t>(a)] = static_cast<int32_t>(found);
    }
  });
  return nearest;
}

/// Returns a number from 0 for each node, equal for nodes that are joined directly or indirectly.
std::vector<int32_t> joined(const std::vector<int32_t>& with) {
  std::vector<int32_t> lead(with.size());
  std::iota(lead.begin(), lead.end(), 0);
  const auto find = [&](int32_t node) {
    while (lead[static_cast<size_t>(node)] != node) {
      int32_t& up = lead[static_cast<size_t>(node)];
      up = lead[static_cast<size_t>(up)];
      node = up;
    }
    return node;
  };
  for (size_t node = 0; node < with.size(); ++node) {
    const int32_t one = find(static_cast<int32_t>(node)), other = find(with[node]);
    lead[static_cast<size_t>(std::max(one, other))] = std::min(one, other);
  }
  int32_t count = 0;
  std::vector<int32_t> number(with.size());
  for (size_t node = 0; node < with.size(); ++node) {  // a leader is the lowest node it leads
    const auto first = static_cast<size_t>(find(static_cast<int32_t>(node)));
    number[node] = first == node ? count++ : number[first];
  }
  return number;
}

}  // namespace

PartTree join_near_parts(MatrixView centres) {
  const int64_t depth = centres.cols;
  PartTree tree;
  tree.parts.assign(static_cast<size_t>(centres.rows), 1);
  Tensor level(DType::f32, {centres.rows, depth});
  std::copy_n(centres.data, level.elements(), level.as<float>().data());
  for (size_t first = 0; tree.nodes() - first > 1;) {  // `first` is the level's first node
    const MatrixView below = matrix_view(level);
    const std::vector<int32_t> number = joined(nearest_others(below));
    const int64_t count = *std::max_element(number.begin(), number.end()) + 1;
    const size_t next = tree.nodes();
    tree.parts.resize(next + static_cast<size_t>(count));
    std::vector<double> sums(static_cast<size_t>(count * depth));
    for (size_t i = 0; i < number.size(); ++i) {
      const auto to = static_cast<size_t>(number[i]);
      const int32_t parts = tree.parts[first + i];
      tree.parent.push_back(static_cast<int32_t>(next + to));
      tree.parts[next + to] += parts;
      const float* row = below.row(static_cast<int64_t>(i));
      for (size_t d = 0; d < static_cast<size_t>(depth); ++d) {
        sums[to * static_cast<size_t>(depth) + d] += double{row[d]} * parts;
      }
    }
    Tensor above(DType::f32, {count, depth});
    float* mean = above.as<float>().data();
    for (size_t i = 0; i < sums.size(); ++i) {
      mean[i] = static_cast<float>(sums[i] / tree.parts[next + i / static_cast<size_t>(depth)]);
    }
    level = std::move(above);
    first = next;
  }
  return tree;
}

}  // namespace hardmoe
