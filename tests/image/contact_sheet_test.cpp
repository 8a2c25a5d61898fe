// Many tiles as one image.
#include "image/contact_sheet.h"

#include <gtest/gtest.h>

namespace hardmoe {
namespace {

Tensor tile_of(uint8_t value) {
  Tensor tile(DType::u8, {2, 2, 3});
  for (uint8_t& pixel : tile.as<uint8_t>()) pixel = value;
  return tile;
}

uint8_t red(const Tensor& sheet, int64_t y, int64_t x) {
  return sheet.as<uint8_t>()[static_cast<size_t>((y * sheet.size(1) + x) * 3)];
}

TEST(ContactSheet, PutsTilesInRowsWithGaps) {
  const Tensor sheet = contact_sheet({tile_of(1), tile_of(2), tile_of(3), {}, tile_of(5)}, 2, 1);
  EXPECT_EQ(sheet.shape(), (Shape{8, 5, 3}));  // three rows of 2 pixels, two gaps
  EXPECT_EQ(red(sheet, 0, 0), 1);
  EXPECT_EQ(red(sheet, 1, 4), 2);
  EXPECT_EQ(red(sheet, 0, 2), 128) << "the gap";
  EXPECT_EQ(red(sheet, 3, 1), 3);
  EXPECT_EQ(red(sheet, 3, 3), 128) << "an image that could not be read";
  EXPECT_EQ(red(sheet, 7, 0), 5);
  EXPECT_EQ(red(sheet, 7, 4), 128) << "no tile";
}

TEST(ContactSheet, HasAWiderGapWhereAskedFor) {
  const Tensor sheet = contact_sheet({tile_of(1), tile_of(2), tile_of(3)}, 3, 1, 1);
  EXPECT_EQ(sheet.shape(), (Shape{2, 10, 3}));
  EXPECT_EQ(red(sheet, 0, 1), 1);
  EXPECT_EQ(red(sheet, 0, 4), 128);
  EXPECT_EQ(red(sheet, 0, 5), 2);
  EXPECT_EQ(red(sheet, 0, 8), 3);
}

TEST(ContactSheet, OfNothingIsEmpty) {
  EXPECT_EQ(contact_sheet({}, 3).elements(), 0);
  EXPECT_EQ(contact_sheet({{}, {}}, 3).elements(), 0);
}

}  // namespace
}  // namespace hardmoe
