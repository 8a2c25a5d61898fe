#include "image/contact_sheet.h"

#include <algorithm>
#include <cstring>

namespace hardmoe {

Tensor contact_sheet(const std::vector<Tensor>& tiles, int64_t columns, int64_t gap,
                     int64_t gap_before) {
  const auto filled =
      std::ranges::find_if(tiles, [](const Tensor& tile) { return tile.elements() > 0; });
  if (filled == tiles.end()) return {};
  const int64_t size = filled->size(0);
  const int64_t rows = (std::ssize(tiles) + columns - 1) / columns;
  const int64_t wide = gap_before > 0 ? 2 * gap : 0;
  const int64_t height = rows * size + (rows - 1) * gap;
  const int64_t width = columns * size + (columns - 1) * gap + wide;
  Tensor sheet = Tensor::uninitialized(DType::u8, {height, width, 3});
  const auto pixels = sheet.as<uint8_t>();
  std::ranges::fill(pixels, uint8_t{128});
  for (int64_t i = 0; i < std::ssize(tiles); ++i) {
    const Tensor& tile = tiles[static_cast<size_t>(i)];
    if (tile.elements() == 0) continue;
    const int64_t column = i % columns, top = i / columns * (size + gap);
    const int64_t left = column * (size + gap) + (column >= gap_before ? wide : 0);
    const auto source = tile.as<uint8_t>();
    for (int64_t y = 0; y < size; ++y) {
      std::memcpy(pixels.data() + ((top + y) * width + left) * 3, source.data() + y * size * 3,
                  static_cast<size_t>(size * 3));
    }
  }
  return sheet;
}

}  // namespace hardmoe
