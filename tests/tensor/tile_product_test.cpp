#include "tensor/tile_product.h"

#include <gtest/gtest.h>

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

/// What the header says, with the sum in double precision.
void expect_product(const TileLevel& level, TileProduct p, const std::vector<float>& start) {
  for (int64_t r = 0; r < p.rows; ++r) {
    for (int64_t c = 0; c < p.columns; ++c) {
      double sum = start[static_cast<size_t>(r * p.start_stride + c)];
      for (int64_t d = 0; d < p.depth; ++d) {
        sum += double{p.a[r * p.row_stride + d * p.depth_stride]} * double{p.b[d * p.b_stride + c]};
      }
      EXPECT_NEAR(p.out[r * p.out_stride + c], sum, 2e-5)
          << level.name << " rows " << p.rows << " columns " << p.columns;
    }
  }
}

TEST(TileProduct, MatchesTheSumsWrittenOut) {
  const int64_t depth = 19, apart = 210;
  for (const TileLevel& level : tile_levels()) {
    for (int64_t columns = level.lanes; columns <= 3 * level.columns; columns += level.lanes) {
      for (const int64_t rows : {1, 5, 6, 17, 40}) {
        for (const bool turned : {false, true}) {  // a row by row, or column by column
          for (const int64_t start_stride : {int64_t{0}, apart}) {
            const auto a = normal_values(rows * depth, 1), b = normal_values(depth * apart, 2);
            const auto start = normal_values(rows * apart, 3);
            std::vector<float> out(static_cast<size_t>(rows * apart), 7.0F);
            const TileProduct product = {.a = a.data(),
                                         .row_stride = turned ? 1 : depth,
                                         .depth_stride = turned ? rows : 1,
                                         .b = b.data(),
                                         .b_stride = apart,
                                         .start = start.data(),
                                         .start_stride = start_stride,
                                         .out = out.data(),
                                         .out_stride = apart,
                                         .rows = rows,
                                         .columns = columns,
                                         .depth = depth};
            level.product(product);
            expect_product(level, product, start);
            for (int64_t r = 0; r < rows; ++r) {  // nothing beside the columns is touched
              ASSERT_EQ(out[static_cast<size_t>(r * apart + columns)], 7.0F);
            }
          }
        }
      }
    }
  }
}

TEST(TileProduct, AddsToWhatIsThere) {
  const int64_t rows = 13, columns = 96, depth = 8;
  const auto a = normal_values(rows * depth, 1), b = normal_values(depth * columns, 2);
  const auto before = normal_values(rows * columns, 3);
  for (const TileLevel& level : tile_levels()) {
    std::vector<float> out = before;
    const TileProduct product = {a.data(), depth,      1,       b.data(), columns, out.data(),
                                 columns,  out.data(), columns, rows,     columns, depth};
    level.product(product);
    expect_product(level, product, before);
  }
}

}  // namespace
}  // namespace hardmoe
