#include <csetjmp>
#include <cstdio>
#include <cstring>
// <cstdio> first: jpeglib.h needs FILE and size_t.
#include <jpeglib.h>

#include <jerror.h>

#include "data/codec_jpeg.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>

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
  reader.errors.truncated = false;
  if (setjmp(reader.errors.leave) != 0) return false;
  auto& info = reader.info;
  if (info.mem == nullptr) {
    jpeg_create_decompress(&info);
    jpeg_save_markers(&info, JPEG_APP0 + 1, 0xFFFF);
  } else {
    jpeg_abort_decompress(&info);
  }
  jpeg_mem_src(&info, reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size());
  jpeg_read_header(&info, TRUE);
  const bool four = info.jpeg_color_space == JCS_CMYK || info.jpeg_color_space == JCS_YCCK;
  info.out_color_space = four ? JCS_CMYK : JCS_RGB;
  return true;
}

int orientation_of(const jpeg_decompress_struct& info) {
  for (auto marker = info.marker_list; marker != nullptr; marker = marker->next) {
    constexpr size_t lead = 6;  // "Exif\0\0", then a TIFF structure
    if (marker->data_length <= lead || std::memcmp(marker->data, "Exif\0\0", lead) != 0) continue;
    return exif_orientation(
        std::as_bytes(std::span(marker->data + lead, marker->data_length - lead)));
  }
  return 1;
}

/// Gets ready to read the output columns [left, left + width) at 1/reduction; widened here to whole
/// blocks.
bool start(JpegReader& reader, unsigned reduction, JDIMENSION& left, JDIMENSION& width) {
  if (setjmp(reader.errors.leave) != 0) return false;
  auto& info = reader.info;
  info.scale_num = 1;
  info.scale_denom = reduction;
  jpeg_start_decompress(&info);
  // Chroma is interpolated between neighbours, and beside the cut there are none: two columns more.
  const JDIMENSION end = std::min(left + width + 2, info.output_width);
  left = std::max(left, JDIMENSION{2}) - 2;
  width = end - left;
  if (width < info.output_width) jpeg_crop_scanline(&info, &left, &width);
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

/// Reads `height` rows from row `top` on. `scratch`: one row of CMYK, or null for RGB.
bool read_rows(JpegReader& reader, JDIMENSION top, JDIMENSION height, uint8_t* pixels,
               uint8_t* scratch) {
  if (setjmp(reader.errors.leave) != 0) return false;
  auto& info = reader.info;
  const size_t stride = size_t{3} * info.output_width;
  if (top > 0) jpeg_skip_scanlines(&info, top);
  while (info.output_scanline < top + height) {
    constexpr JDIMENSION most = 16;
    JSAMPROW rows[most];
    const JDIMENSION wanted =
        scratch != nullptr ? 1 : std::min(most, top + height - info.output_scanline);
    uint8_t* row = pixels + stride * (info.output_scanline - top);
    for (JDIMENSION i = 0; i < wanted; ++i) rows[i] = row + stride * i;
    if (scratch != nullptr) rows[0] = scratch;
    jpeg_read_scanlines(&info, rows, wanted);
    if (scratch != nullptr)
      cmyk_to_rgb(scratch, info.output_width, info.saw_Adobe_marker != 0, row);
  }
  if (info.output_scanline == info.output_height) jpeg_finish_decompress(&info);
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

struct JpegDecoder::State {
  JpegReader reader;
  std::vector<uint8_t> scratch;

  [[noreturn]] void refuse() const { fail("damaged JPEG: {}", reader.errors.message); }

  void read(JDIMENSION top, JDIMENSION height, uint8_t* pixels) {
    const auto& info = reader.info;
    const bool four = info.out_color_space == JCS_CMYK;
    if (four) scratch.resize(size_t{4} * info.output_width);
    if (!read_rows(reader, top, height, pixels, four ? scratch.data() : nullptr)) refuse();
    if (reader.errors.truncated) fail("truncated JPEG: part of the picture is missing");
  }
};

JpegDecoder::JpegDecoder() : state_(std::make_unique<State>()) {}
JpegDecoder::~JpegDecoder() = default;

ImageHeader JpegDecoder::open(std::span<const std::byte> bytes) {
  if (!begin(state_->reader, bytes)) state_->refuse();
  const auto& info = state_->reader.info;
  check_pixels(info.image_width, info.image_height);
  return {info.image_height, info.image_width, orientation_of(info)};
}

DecodedPart JpegDecoder::read(const Region& region, int reduction, std::vector<uint8_t>& memory) {
  State& s = *state_;
  const auto& info = s.reader.info;
  const auto ceiling = [&](int64_t length) { return (length + reduction - 1) / reduction; };
  const auto top = static_cast<JDIMENSION>(region.top / reduction);
  const auto height = static_cast<JDIMENSION>(ceiling(region.top + region.height)) - top;
  const auto first = static_cast<JDIMENSION>(region.left / reduction);
  const auto columns = static_cast<JDIMENSION>(ceiling(region.left + region.width)) - first;
  JDIMENSION left = first;
  JDIMENSION width = columns;
  if (!start(s.reader, static_cast<unsigned>(reduction), left, width)) s.refuse();
  memory.resize(size_t{3} * info.output_width * height);
  s.read(top, height, memory.data());
  const double unit = reduction;
  return {
      {memory.data() + size_t{3} * (first - left), height, columns, int64_t{3} * info.output_width},
      {static_cast<double>(region.top) / unit - top,
       static_cast<double>(region.left) / unit - first, static_cast<double>(region.height) / unit,
       static_cast<double>(region.width) / unit}};
}

Tensor JpegDecoder::read_whole() {
  State& s = *state_;
  const auto& info = s.reader.info;
  JDIMENSION left = 0;
  JDIMENSION width = info.image_width;
  if (!start(s.reader, 1, left, width)) s.refuse();
  Tensor pixels(DType::u8, {info.image_height, info.image_width, 3});
  s.read(0, info.image_height, pixels.as<uint8_t>().data());
  return pixels;
}

StoredImage decode_jpeg(std::span<const std::byte> bytes) {
  JpegDecoder decoder;
  const ImageHeader header = decoder.open(bytes);
  return {decoder.read_whole(), header.orientation};
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
