#include "cluster/kernels.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "base/random.h"

namespace hardmoe {
namespace {

std::vector<float> normal_values(int64_t count, uint64_t stream) {
  std::vector<float> values(static_cast<size_t>(count));
  Random random(5, RandomUse::test, stream);
  for (float& value : values) value = random.normal();
  return values;
}

TEST(Kernels, ProductMatchesTheSumsWrittenOut) {
  for (const Kernels& kernels : supported_kernels()) {
    for (const int64_t columns : {1, 7, 8, 16, 33, 64, 70, 130}) {
      for (const int64_t rows : {1, 5, 17}) {
        const int64_t depth = 19;
        const auto a = normal_values(rows * depth, 1), b = normal_values(columns * depth, 2);
        PackedMatrix packed(depth, columns, kernels);
        for (int64_t c = 0; c < columns; ++c) packed.set_column(c, b.data() + c * depth, -2);
        std::vector<float> bias(static_cast<size_t>(packed.padded_columns()), 0.5F);
        std::vector<float> out(static_cast<size_t>(rows * packed.padded_columns()));
        packed.multiply(a.data(), depth, 1, rows, bias.data(), out.data());
        for (int64_t r = 0; r < rows; ++r) {
          for (int64_t c = 0; c < packed.padded_columns(); ++c) {
            double sum = 0.5;
            for (int64_t d = 0; c < columns && d < depth; ++d) {
              sum -= 2.0 * double{a[static_cast<size_t>(r * depth + d)]} *
                     double{b[static_cast<size_t>(c * depth + d)]};
            }
            EXPECT_NEAR(out[static_cast<size_t>(r * packed.padded_columns() + c)], sum, 2e-5)
                << kernels.level.name << " rows " << rows << " columns " << columns;
          }
        }
      }
    }
  }
}

TEST(Kernels, NearestIsTheFirstLeastColumn) {
  for (const Kernels& kernels : supported_kernels()) {
    const int64_t columns = 48, rows = 60;
    auto scores = normal_values(rows * columns, 3);
    for (float& score : scores) score = std::round(score * 2);  // many ties
    std::vector<int32_t> index(static_cast<size_t>(rows));
    kernels.nearest(scores.data(), rows, columns, index.data());
    for (int64_t r = 0; r < rows; ++r) {
      const auto row = scores.begin() + r * columns;
      EXPECT_EQ(index[static_cast<size_t>(r)], std::min_element(row, row + columns) - row)
          << kernels.level.name << " row " << r;
    }
  }
}

TEST(Kernels, SquaredDistanceMatchesTheSumWrittenOut) {
  for (const Kernels& kernels : supported_kernels()) {
    for (const int64_t depth : {1, 3, 16, 63, 64, 200}) {
      const auto a = normal_values(depth, 1), b = normal_values(depth, 2);
      double sum = 0;
      for (size_t d = 0; d < a.size(); ++d) sum += std::pow(double{a[d]} - double{b[d]}, 2);
      EXPECT_NEAR(kernels.squared_distance(a.data(), b.data(), depth), sum, 1e-5 * (1 + sum))
          << kernels.level.name << " depth " << depth;
    }
  }
}

}  // namespace
}  // namespace hardmoe
