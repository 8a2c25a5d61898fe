#include <png.h>

#include <cstring>
#include <vector>

#include "base/error.h"
#include "data/codec.h"

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

  explicit PngReader(std::span<const std::byte> bytes)
      : png(png_create_read_struct(PNG_LIBPNG_VER_STRING, &errors, on_error, on_warning)),
        info(png != nullptr ? png_create_info_struct(png) : nullptr),
        rest(bytes) {
    if (info == nullptr) throw std::bad_alloc();
  }
  ~PngReader() { png_destroy_read_struct(&png, &info, nullptr); }
  PngReader(const PngReader&) = delete;
  PngReader& operator=(const PngReader&) = delete;
};

void read_bytes(png_structp png, png_bytep target, size_t count) {
  auto* reader = static_cast<PngReader*>(png_get_io_ptr(png));
  if (count > reader->rest.size()) png_error(png, "the file ends too early");
  std::memcpy(target, reader->rest.data(), count);
  reader->rest = reader->rest.subspan(count);
}

/// Reads the header and asks for 8-bit RGB, or RGBA where there is transparency of any kind.
bool begin(PngReader& reader) {
  if (setjmp(png_jmpbuf(reader.png)) != 0) return false;
  png_set_read_fn(reader.png, &reader, read_bytes);
  png_set_user_limits(reader.png, 1U << 27, 1U << 27);  // check_pixels is the real limit
  png_read_info(reader.png, reader.info);
  return true;
}

bool set_transforms(PngReader& reader, int* passes) {
  if (setjmp(png_jmpbuf(reader.png)) != 0) return false;
  png_set_expand(reader.png);
  png_set_scale_16(reader.png);
  png_set_gray_to_rgb(reader.png);
  *passes = png_set_interlace_handling(reader.png);
  png_read_update_info(reader.png, reader.info);
  return true;
}

void blend_row(const uint8_t* rgba, size_t width, uint8_t* rgb) {
  for (size_t x = 0; x < width; ++x, rgba += 4, rgb += 3) {
    for (int c = 0; c < 3; ++c) rgb[c] = over_white(rgba[c], rgba[3]);
  }
}

/// `scratch`: RGBA rows (one, or all where interlaced), or null for RGB.
bool read_rows(PngReader& reader, int passes, uint8_t* pixels, uint8_t* scratch) {
  if (setjmp(png_jmpbuf(reader.png)) != 0) return false;
  const size_t width = png_get_image_width(reader.png, reader.info);
  const size_t height = png_get_image_height(reader.png, reader.info);
  for (int pass = 0; pass < passes; ++pass) {
    for (size_t y = 0; y < height; ++y) {
      uint8_t* row = pixels + 3 * width * y;
      uint8_t* target = scratch == nullptr ? row : scratch + (passes > 1 ? 4 * width * y : 0);
      png_read_row(reader.png, target, nullptr);
      if (scratch != nullptr && pass == passes - 1) blend_row(target, width, row);
    }
  }
  png_read_end(reader.png, reader.info);
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

StoredImage decode_png(std::span<const std::byte> bytes) {
  PngReader reader(bytes);
  if (!begin(reader)) fail("damaged PNG: {}", reader.errors.message);
  const int64_t width = png_get_image_width(reader.png, reader.info);
  const int64_t height = png_get_image_height(reader.png, reader.info);
  check_pixels(width, height);
  int passes = 1;
  if (!set_transforms(reader, &passes)) fail("damaged PNG: {}", reader.errors.message);
  StoredImage image{Tensor(DType::u8, {height, width, 3})};
  std::vector<uint8_t> scratch;
  if (png_get_channels(reader.png, reader.info) == 4) {
    scratch.resize(static_cast<size_t>(4 * width * (passes > 1 ? height : 1)));
  }
  if (!read_rows(reader, passes, image.pixels.as<uint8_t>().data(),
                 scratch.empty() ? nullptr : scratch.data())) {
    fail("damaged PNG: {}", reader.errors.message);
  }
  png_uint_32 count = 0;
  png_bytep exif = nullptr;
  if (png_get_eXIf_1(reader.png, reader.info, &count, &exif) != 0) {
    image.orientation = exif_orientation(std::as_bytes(std::span(exif, count)));
  }
  return image;
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
