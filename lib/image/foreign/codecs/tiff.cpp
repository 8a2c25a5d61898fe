// The first page of a TIFF by libtiff, which turns all its kinds (bilevel to 16 bits, palettes,
// CMYK, YCbCr, strips, tiles, planes …) into RGBA.
#include <tiffio.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <memory>
#include <mutex>
#include <string>

#include "image/codec.h"
#include "image/foreign/codecs/codecs.h"

namespace hardmoe {
namespace {

/// libtiff's first complaint of this thread's file.
thread_local std::string complaint;

void on_error(const char* where, const char* format, va_list arguments) {
  if (!complaint.empty()) return;
  char text[160];
  std::vsnprintf(text, sizeof text, format, arguments);
  complaint = text;
  static_cast<void>(where);  // the file's name, which is the caller's to tell, or a function's
}

struct Reader {
  EncodedBytes file;
  size_t at = 0;
};

Reader& reader_of(thandle_t handle) { return *static_cast<Reader*>(handle); }

tmsize_t read(thandle_t handle, void* to, tmsize_t wanted) {
  Reader& reader = reader_of(handle);
  const size_t rest = reader.at < reader.file.size ? reader.file.size - reader.at : 0;
  const size_t count = std::min(rest, static_cast<size_t>(std::max<tmsize_t>(0, wanted)));
  std::memcpy(to, reader.file.data + (rest > 0 ? reader.at : 0), count);
  reader.at += count;
  return static_cast<tmsize_t>(count);
}

tmsize_t refuse_to_write(thandle_t, void*, tmsize_t) { return 0; }

toff_t seek(thandle_t handle, toff_t offset, int whence) {
  Reader& reader = reader_of(handle);
  const size_t base = whence == SEEK_CUR ? reader.at : whence == SEEK_END ? reader.file.size : 0;
  reader.at = base + static_cast<size_t>(offset);
  return reader.at;
}

int close(thandle_t) { return 0; }
toff_t size_of(thandle_t handle) { return reader_of(handle).file.size; }

int map(thandle_t handle, void** base, toff_t* size) {
  const EncodedBytes& file = reader_of(handle).file;
  *base = const_cast<uint8_t*>(file.data);
  *size = file.size;
  return 1;
}

void unmap(thandle_t, void*, toff_t) {}

struct Close {
  void operator()(TIFF* tiff) const { TIFFClose(tiff); }
};

/// Frees what TIFFRGBAImageBegin took.
struct RgbaImage : TIFFRGBAImage {
  RgbaImage() : TIFFRGBAImage{} {}
  ~RgbaImage() { TIFFRGBAImageEnd(this); }
  RgbaImage(const RgbaImage&) = delete;
  RgbaImage& operator=(const RgbaImage&) = delete;
};

bool complain(DecodeReason& reason) {
  return fail_with(reason, complaint.empty() ? "libtiff gives no reason" : complaint.c_str());
}

}  // namespace

bool read_tiff(EncodedBytes file, RgbTarget target, DecodeReason& reason) try {
  // One for the process. Set anew each time, because OpenCV sets its own when it is first used.
  static std::mutex setting;
  {
    const std::lock_guard lock(setting);
    TIFFSetErrorHandler(on_error);
    TIFFSetWarningHandler(nullptr);
  }
  complaint.clear();
  Reader reader{file};
  const std::unique_ptr<TIFF, Close> tiff(TIFFClientOpen(
      "TIFF", "r", &reader, read, refuse_to_write, seek, close, size_of, map, unmap));
  if (tiff == nullptr) return complain(reason);
  char text[1024] = {};
  constexpr int stop_at_damage = 1;
  RgbaImage image;
  if (TIFFRGBAImageOK(tiff.get(), text) == 0 ||
      TIFFRGBAImageBegin(&image, tiff.get(), stop_at_damage, text) == 0) {
    return fail_with(reason, text);
  }
  if (image.width != target.width || image.height != target.height) {
    return fail_with(reason, "it decodes to another size than its header says");
  }
  image.orientation = image.req_orientation = ORIENTATION_TOPLEFT;
  // What says no more of a fourth sample than that there is one.
  uint16_t extra_count = 0;
  uint16_t* extra = nullptr;
  const bool has_extra =
      TIFFGetField(tiff.get(), TIFFTAG_EXTRASAMPLES, &extra_count, &extra) == 1 && extra_count > 0;
  const bool opacity = has_extra && extra[0] != EXTRASAMPLE_UNSPECIFIED;
  // libtiff multiplies colours by their opacity, but not gray.
  const bool gray = image.photometric <= PHOTOMETRIC_MINISBLACK;
  const bool multiplied = !gray || (has_extra && extra[0] == EXTRASAMPLE_ASSOCALPHA);
  const size_t count = static_cast<size_t>(image.width) * image.height;
  const auto raster = std::make_unique_for_overwrite<uint32_t[]>(count);
  if (TIFFRGBAImageGet(&image, raster.get(), image.width, image.height) == 0 ||
      !complaint.empty()) {
    return complain(reason);
  }
  for (size_t i = 0; i < count; ++i) {
    const uint32_t pixel = raster[i];
    const uint32_t alpha = opacity ? TIFFGetA(pixel) : 255;
    uint8_t* rgb = target.pixels + 3 * i;
    const uint32_t colors[] = {TIFFGetR(pixel), TIFFGetG(pixel), TIFFGetB(pixel)};
    for (int c = 0; c < 3; ++c) {
      rgb[c] = multiplied ? static_cast<uint8_t>(std::min(255U, colors[c] + 255 - alpha))
                          : over_white(static_cast<int>(colors[c]), static_cast<int>(alpha));
    }
  }
  return true;
} catch (const std::exception& error) {
  return fail_with(reason, error.what());
}

}  // namespace hardmoe
