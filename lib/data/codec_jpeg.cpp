#include <csetjmp>
#include <cstdio>
#include <cstring>
// <cstdio> first: jpeglib.h needs FILE and size_t.
#include <jpeglib.h>

#include <jerror.h>

#include <cstdlib>
#include <vector>

#include "base/error.h"
#include "data/codec.h"

namespace hardmoe {
namespace {

/// libjpeg reports through callbacks and leaves by longjmp, which runs no destructors: the
/// functions below that call setjmp hold plain data only.
struct JpegErrors {
  jpeg_error_mgr manager;
  jmp_buf leave;
  char message[JMSG_LENGTH_MAX] = {};
  bool truncated = false;

  JpegErrors() {
    jpeg_std_error(&manager);
    manager.error_exit = [](j_common_ptr info) {
      auto* self = reinterpret_cast<JpegErrors*>(info->err);
      info->err->format_message(info, self->message);
      std::longjmp(self->leave, 1);
    };
    manager.output_message = [](j_common_ptr) {};
    manager.emit_message = [](j_common_ptr info, int level) {
      if (level >= 0) return;
      // Other warnings (stray bytes between markers, odd versions) leave the picture whole.
      const int code = info->err->msg_code;
      if (code == JWRN_JPEG_EOF || code == JWRN_HIT_MARKER) {
        reinterpret_cast<JpegErrors*>(info->err)->truncated = true;
      }
    };
  }
};

struct JpegReader {
  jpeg_decompress_struct info = {};
  JpegErrors errors;
  JpegReader() { info.err = &errors.manager; }
  ~JpegReader() { jpeg_destroy_decompress(&info); }
  JpegReader(const JpegReader&) = delete;
  JpegReader& operator=(const JpegReader&) = delete;
};

bool begin(JpegReader& reader, std::span<const std::byte> bytes) {
  if (setjmp(reader.errors.leave) != 0) return false;
  auto& info = reader.info;
  jpeg_create_decompress(&info);
  jpeg_mem_src(&info, reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size());
  jpeg_save_markers(&info, JPEG_APP0 + 1, 0xFFFF);
  jpeg_read_header(&info, TRUE);
  const bool four = info.jpeg_color_space == JCS_CMYK || info.jpeg_color_space == JCS_YCCK;
  info.out_color_space = four ? JCS_CMYK : JCS_RGB;
  return true;
}

/// Inks multiply what they let through. Adobe's files, nearly all there are, store 255 − ink.
void cmyk_to_rgb(const uint8_t* cmyk, int64_t width, bool inverted, uint8_t* rgb) {
  for (int64_t x = 0; x < width; ++x, cmyk += 4, rgb += 3) {
    const int black = inverted ? cmyk[3] : 255 - cmyk[3];
    for (int c = 0; c < 3; ++c) {
      const int ink = inverted ? cmyk[c] : 255 - cmyk[c];
      rgb[c] = static_cast<uint8_t>((ink * black + 127) / 255);
    }
  }
}

/// `scratch`: one row of CMYK, or null for RGB.
bool read_rows(JpegReader& reader, uint8_t* pixels, uint8_t* scratch) {
  if (setjmp(reader.errors.leave) != 0) return false;
  auto& info = reader.info;
  jpeg_start_decompress(&info);
  const int64_t width = info.output_width;
  while (info.output_scanline < info.output_height) {
    uint8_t* row = pixels + 3 * width * static_cast<int64_t>(info.output_scanline);
    JSAMPROW target = scratch != nullptr ? scratch : row;
    jpeg_read_scanlines(&info, &target, 1);
    if (scratch != nullptr) cmyk_to_rgb(scratch, width, info.saw_Adobe_marker != 0, row);
  }
  jpeg_finish_decompress(&info);
  return true;
}

struct JpegWriter {
  jpeg_compress_struct info = {};
  JpegErrors errors;
  unsigned char* bytes = nullptr;
  unsigned long count = 0;
  JpegWriter() { info.err = &errors.manager; }
  ~JpegWriter() {
    jpeg_destroy_compress(&info);
    std::free(bytes);
  }
  JpegWriter(const JpegWriter&) = delete;
  JpegWriter& operator=(const JpegWriter&) = delete;
};

bool write_rows(JpegWriter& writer, const uint8_t* pixels, JDIMENSION width, JDIMENSION height,
                int quality) {
  if (setjmp(writer.errors.leave) != 0) return false;
  auto& info = writer.info;
  jpeg_create_compress(&info);
  jpeg_mem_dest(&info, &writer.bytes, &writer.count);
  info.image_width = width;
  info.image_height = height;
  info.input_components = 3;
  info.in_color_space = JCS_RGB;
  jpeg_set_defaults(&info);
  jpeg_set_quality(&info, quality, TRUE);
  jpeg_start_compress(&info, TRUE);
  while (info.next_scanline < height) {
    auto* row = const_cast<JSAMPROW>(pixels + size_t{3} * width * info.next_scanline);
    jpeg_write_scanlines(&info, &row, 1);
  }
  jpeg_finish_compress(&info);
  return true;
}

}  // namespace

StoredImage decode_jpeg(std::span<const std::byte> bytes) {
  JpegReader reader;
  if (!begin(reader, bytes)) fail("damaged JPEG: {}", reader.errors.message);
  const auto& info = reader.info;
  check_pixels(info.image_width, info.image_height);
  StoredImage image;
  for (auto marker = info.marker_list; marker != nullptr; marker = marker->next) {
    constexpr size_t lead = 6;  // "Exif\0\0", then a TIFF structure
    if (marker->data_length <= lead || std::memcmp(marker->data, "Exif\0\0", lead) != 0) continue;
    image.orientation =
        exif_orientation(std::as_bytes(std::span(marker->data + lead, marker->data_length - lead)));
    break;
  }
  image.pixels = Tensor(DType::u8, {info.image_height, info.image_width, 3});
  std::vector<uint8_t> scratch;
  if (info.out_color_space == JCS_CMYK) scratch.resize(size_t{4} * info.image_width);
  if (!read_rows(reader, image.pixels.as<uint8_t>().data(),
                 scratch.empty() ? nullptr : scratch.data())) {
    fail("damaged JPEG: {}", reader.errors.message);
  }
  if (reader.errors.truncated) fail("truncated JPEG: part of the picture is missing");
  return image;
}

std::string encode_jpeg(const Tensor& image, int quality) {
  JpegWriter writer;
  if (!write_rows(writer, image.as<uint8_t>().data(), static_cast<JDIMENSION>(image.size(1)),
                  static_cast<JDIMENSION>(image.size(0)), quality)) {
    fail("writing a JPEG: {}", writer.errors.message);
  }
  return {reinterpret_cast<const char*>(writer.bytes), writer.count};
}

}  // namespace hardmoe
