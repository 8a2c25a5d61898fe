// The first picture of a GIF by giflib (GIF89a, CompuServe 1990).
#include <gif_lib.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <vector>

#include "image/foreign/codecs/codecs.h"

namespace hardmoe {
namespace {

int take_bytes(GifFileType* gif, GifByteType* to, int wanted) {
  auto* rest = static_cast<EncodedBytes*>(gif->UserData);
  const size_t count = std::min(rest->size, static_cast<size_t>(std::max(0, wanted)));
  std::memcpy(to, rest->data, count);
  rest->data += count;
  rest->size -= count;
  return static_cast<int>(count);
}

struct Close {
  void operator()(GifFileType* gif) const { DGifCloseFile(gif, nullptr); }
};

/// Reads blocks up to the first picture's descriptor; `transparent`: the colour that is none, or
/// -1.
bool find_picture(GifFileType* gif, int& transparent) {
  transparent = -1;
  for (;;) {
    GifRecordType record = UNDEFINED_RECORD_TYPE;
    if (DGifGetRecordType(gif, &record) == GIF_ERROR) return false;
    if (record == IMAGE_DESC_RECORD_TYPE) return DGifGetImageDesc(gif) != GIF_ERROR;
    if (record != EXTENSION_RECORD_TYPE) return false;
    int code = 0;
    GifByteType* block = nullptr;
    if (DGifGetExtension(gif, &code, &block) == GIF_ERROR) return false;
    if (code == GRAPHICS_EXT_FUNC_CODE && block != nullptr) {
      GraphicsControlBlock control;
      if (DGifExtensionToGCB(block[0], block + 1, &control) != GIF_ERROR) {
        transparent = control.TransparentColor;
      }
    }
    while (block != nullptr) {
      if (DGifGetExtensionNext(gif, &block) == GIF_ERROR) return false;
    }
  }
}

}  // namespace

bool read_gif(EncodedBytes file, RgbTarget target, DecodeReason& reason) try {
  EncodedBytes rest = file;
  int error = 0;
  const std::unique_ptr<GifFileType, Close> gif(DGifOpen(&rest, take_bytes, &error));
  if (gif == nullptr) return fail_with(reason, "its header is damaged or ends too early");
  int transparent = -1;
  if (!find_picture(gif.get(), transparent)) {
    return fail_with(reason, "it ends, or is damaged, before its first picture");
  }
  const GifImageDesc& place = gif->Image;
  const ColorMapObject* colors = place.ColorMap != nullptr ? place.ColorMap : gif->SColorMap;
  if (colors == nullptr) return fail_with(reason, "it has no palette");
  if (place.Width < 1 || place.Height < 1 || place.Left < 0 || place.Top < 0 ||
      place.Left + place.Width > target.width || place.Top + place.Height > target.height) {
    return fail_with(reason, "its first picture lies outside its canvas");
  }
  std::fill_n(target.pixels, 3 * target.width * target.height, uint8_t{255});
  std::vector<GifPixelType> row(static_cast<size_t>(place.Width));
  // Interlaced rows come in four passes (GIF89a, appendix E).
  constexpr int starts[] = {0, 4, 2, 1}, steps[] = {8, 8, 4, 2};
  for (int pass = 0; pass < (place.Interlace ? 4 : 1); ++pass) {
    const int step = place.Interlace ? steps[pass] : 1;
    for (int y = place.Interlace ? starts[pass] : 0; y < place.Height; y += step) {
      if (DGifGetLine(gif.get(), row.data(), place.Width) == GIF_ERROR) {
        return fail_with(reason, "it ends, or is damaged, within its first picture");
      }
      uint8_t* rgb = target.pixels + 3 * (target.width * (place.Top + y) + place.Left);
      for (int x = 0; x < place.Width; ++x, rgb += 3) {
        const int index = row[static_cast<size_t>(x)];
        if (index == transparent) continue;
        if (index >= colors->ColorCount) {
          return fail_with(reason, "a pixel's colour is not in its palette");
        }
        const GifColorType& color = colors->Colors[index];
        rgb[0] = color.Red;
        rgb[1] = color.Green;
        rgb[2] = color.Blue;
      }
    }
  }
  return true;
} catch (const std::exception& error) {
  return fail_with(reason, error.what());
}

}  // namespace hardmoe
