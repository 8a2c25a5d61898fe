#include <png.h>

#include <algorithm>
#include <cstring>
#include <vector>

#include "base/error.h"
#include "base/signals.h"
#include "image/codec.h"
#include "image/image_metadata.h"

namespace hardmoe {
namespace {

/// libpng leaves by longjmp, which runs no destructors: functions that call setjmp hold plain data.
struct PngErrors {
  char message[160] = {};
};

void on_error(png_structp png, png_const_charp message) {
  auto* errors = static_cast<PngErrors*>(png_get_error_ptr(png));
  std::strncpy(errors->message, message, sizeof errors->message - 1);
  png_longjmp(png, 1);
}

void on_warning(png_structp, png_const_charp) {}

struct PngReader {
  PngErrors errors;
  png_structp png;
  png_infop info;
  std::span<const std::byte> rest;
  OnSignal on_signal;

  PngReader(std::span<const std::byte> bytes, OnSignal signal)
      : png(png_create_read_struct(PNG_LIBPNG_VER_STRING, &errors, on_error, on_warning)),
        info(png != nullptr ? png_create_info_struct(png) : nullptr),
        rest(bytes),
        on_signal(signal) {
    if (info == nullptr) throw std::bad_alloc();
  }
  ~PngReader() { png_destroy_read_struct(&png, &info, nullptr); }
  PngReader(const PngReader&) = delete;
  PngReader& operator=(const PngReader&) = delete;

  [[noreturn]] void refuse() const {
    if (on_signal == OnSignal::stop) throw_if_interrupted();
    fail("damaged PNG: {}", errors.message);
  }
};

void read_bytes(png_structp png, png_bytep target, size_t count) {
  auto* reader = static_cast<PngReader*>(png_get_io_ptr(png));
  if (count > reader->rest.size()) png_error(png, "the file ends too early");
  if (reader->on_signal == OnSignal::stop && interrupted()) png_error(png, "interrupted");
  std::memcpy(target, reader->rest.data(), count);
  reader->rest = reader->rest.subspan(count);
}

bool begin(PngReader& reader) {
  if (setjmp(png_jmpbuf(reader.png)) != 0) return false;
  png_set_read_fn(reader.png, &reader, read_bytes);
  png_set_user_limits(reader.png, 1U << 28, 1U << 28);  // check_pixels is the real limit
  // Colour profiles, texts, EXIF …: passed over without memory for them, or for unpacking them.
  png_set_keep_unknown_chunks(reader.png, PNG_HANDLE_CHUNK_NEVER, nullptr, -1);
  png_read_info(reader.png, reader.info);
  return true;
}

/// Asks for 8-bit RGB, or RGBA where there is transparency of any kind; of an interlaced picture
/// for its passes one by one.
bool set_transforms(PngReader& reader) {
  if (setjmp(png_jmpbuf(reader.png)) != 0) return false;
  png_set_expand(reader.png);
  png_set_scale_16(reader.png);
  png_set_gray_to_rgb(reader.png);
  png_read_update_info(reader.png, reader.info);
  return true;
}

/// Where a pass of an interlaced picture (or all of another) puts its pixels.
struct Pass {
  size_t top, left, down, right;  ///< the first one's place, and steps from one to the next
};

Pass pass_of(PngReader& reader, int pass) {
  if (png_get_interlace_type(reader.png, reader.info) == PNG_INTERLACE_NONE) return {0, 0, 1, 1};
  return {static_cast<size_t>(PNG_PASS_START_ROW(pass)),
          static_cast<size_t>(PNG_PASS_START_COL(pass)), size_t{1} << PNG_PASS_ROW_SHIFT(pass),
          size_t{1} << PNG_PASS_COL_SHIFT(pass)};
}

/// A row of `count` RGB or RGBA pixels to every `step`th pixel of `rgb`.
void place_row(const uint8_t* from, bool alpha, size_t count, size_t step, uint8_t* rgb) {
  for (size_t i = 0; i < count; ++i, from += alpha ? 4 : 3, rgb += 3 * step) {
    for (int c = 0; c < 3; ++c) rgb[c] = alpha ? over_white(from[c], from[3]) : from[c];
  }
}

/// `scratch`: a row of RGBA.
bool read_rows(PngReader& reader, uint8_t* pixels, uint8_t* scratch) {
  if (setjmp(png_jmpbuf(reader.png)) != 0) return false;
  const size_t width = png_get_image_width(reader.png, reader.info);
  const size_t height = png_get_image_height(reader.png, reader.info);
  const bool alpha = png_get_channels(reader.png, reader.info) == 4;
  const bool interlaced = png_get_interlace_type(reader.png, reader.info) != PNG_INTERLACE_NONE;
  for (int number = 0; number < (interlaced ? PNG_INTERLACE_ADAM7_PASSES : 1); ++number) {
    const Pass pass = pass_of(reader, number);
    if (pass.left >= width) continue;  // libpng has no rows of such a pass
    const size_t count = (width - pass.left + pass.right - 1) / pass.right;
    for (size_t y = pass.top; y < height; y += pass.down) {
      uint8_t* row = pixels + 3 * (width * y + pass.left);
      const bool direct = !alpha && !interlaced;
      png_read_row(reader.png, direct ? row : scratch, nullptr);
      if (!direct) place_row(scratch, alpha, count, pass.right, row);
      if (reader.on_signal == OnSignal::stop && interrupted()) png_error(reader.png, "interrupted");
    }
  }
  png_read_end(reader.png, nullptr);
  return true;
}

struct PngWriter {
  PngErrors errors;
  png_structp png;
  png_infop info;
  std::string bytes;

  PngWriter()
      : png(png_create_write_struct(PNG_LIBPNG_VER_STRING, &errors, on_error, on_warning)),
        info(png != nullptr ? png_create_info_struct(png) : nullptr) {
    if (info == nullptr) throw std::bad_alloc();
  }
  ~PngWriter() { png_destroy_write_struct(&png, &info); }
  PngWriter(const PngWriter&) = delete;
  PngWriter& operator=(const PngWriter&) = delete;
};

bool write_rows(PngWriter& writer, const uint8_t* pixels, uint32_t width, uint32_t height,
                bool gray) {
  if (setjmp(png_jmpbuf(writer.png)) != 0) return false;
  const auto append = [](png_structp png, png_bytep bytes, size_t count) {
    static_cast<std::string*>(png_get_io_ptr(png))->append(reinterpret_cast<char*>(bytes), count);
  };
  png_set_write_fn(writer.png, &writer.bytes, append, [](png_structp) {});
  png_set_IHDR(writer.png, writer.info, width, height, 8,
               gray ? PNG_COLOR_TYPE_GRAY : PNG_COLOR_TYPE_RGB, PNG_INTERLACE_NONE,
               PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
  png_write_info(writer.png, writer.info);
  const size_t row = size_t{gray ? 1U : 3U} * width;
  for (uint32_t y = 0; y < height; ++y) png_write_row(writer.png, pixels + row * y);
  png_write_end(writer.png, nullptr);
  return true;
}

}  // namespace

StoredImage decode_png(std::span<const std::byte> bytes, OnSignal on_signal) {
  PngReader reader(bytes, on_signal);
  if (!begin(reader)) reader.refuse();
  const int64_t width = png_get_image_width(reader.png, reader.info);
  const int64_t height = png_get_image_height(reader.png, reader.info);
  check_pixels(width, height);
  // libpng keeps two rows of up to 8 bytes a pixel.
  check_decode_memory((3 * height + 20) * width, "a PNG", width, height);
  if (!set_transforms(reader)) reader.refuse();
  Tensor pixels = Tensor::uninitialized(DType::u8, {height, width, 3});
  std::vector<uint8_t> scratch(static_cast<size_t>(4 * width));
  if (!read_rows(reader, pixels.as<uint8_t>().data(), scratch.data())) reader.refuse();
  return {std::move(pixels), std::max(1, image_orientation(bytes))};
}

std::string encode_png(const Tensor& image) {
  PngWriter writer;
  if (!write_rows(writer, image.as<uint8_t>().data(), static_cast<uint32_t>(image.size(1)),
                  static_cast<uint32_t>(image.size(0)), image.size(2) == 1)) {
    fail("writing a PNG: {}", writer.errors.message);
  }
  return std::move(writer.bytes);
}

}  // namespace hardmoe
