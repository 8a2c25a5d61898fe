#include <csetjmp>
#include <cstdio>
// <cstdio> first: jpeglib.h needs FILE and size_t.
#include <jpeglib.h>

#include <jerror.h>

#include "image/codec_jpeg.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>

#include "base/error.h"
#include "base/signals.h"
#include "image/image_metadata.h"

namespace hardmoe {
namespace {

/// Why libjpeg was left.
enum class JpegEnd { error, truncated, scans, interrupted };

/// libjpeg reports through callbacks and leaves by longjmp, which runs no destructors: the
/// functions below that call setjmp hold plain data only.
struct JpegErrors {
  jpeg_error_mgr manager;
  jmp_buf leave;
  char message[JMSG_LENGTH_MAX] = {};
  JpegEnd end = JpegEnd::error;

  JpegErrors() {
    jpeg_std_error(&manager);
    manager.error_exit = [](j_common_ptr info) {
      info->err->format_message(info, reinterpret_cast<JpegErrors*>(info->err)->message);
      stop(info, JpegEnd::error);
    };
    manager.output_message = [](j_common_ptr) {};
    manager.emit_message = [](j_common_ptr info, int level) {
      if (level >= 0) return;
      // Other warnings (stray bytes between markers, odd versions) leave the picture whole. What is
      // missing would be gray, and take as long as a picture.
      const int code = info->err->msg_code;
      if (code == JWRN_JPEG_EOF || code == JWRN_HIT_MARKER) stop(info, JpegEnd::truncated);
    };
  }

  [[noreturn]] static void stop(j_common_ptr info, JpegEnd end) {
    auto* self = reinterpret_cast<JpegErrors*>(info->err);
    self->end = end;
    std::longjmp(self->leave, 1);
  }
};

/// Asked by libjpeg every few rows, also while it gathers the scans of a progressive picture.
struct JpegWatch {
  jpeg_progress_mgr manager = {};
  OnSignal on_signal = OnSignal::finish;
  int scans = 1;  ///< that the picture may have

  JpegWatch() {
    manager.progress_monitor = [](j_common_ptr info) {
      const auto* self = reinterpret_cast<JpegWatch*>(info->progress);
      if (reinterpret_cast<j_decompress_ptr>(info)->input_scan_number > self->scans) {
        JpegErrors::stop(info, JpegEnd::scans);
      }
      if (self->on_signal == OnSignal::stop && interrupted()) {
        JpegErrors::stop(info, JpegEnd::interrupted);
      }
    };
  }
};

struct JpegReader {
  jpeg_decompress_struct info = {};
  JpegErrors errors;
  JpegWatch watch;
  JpegReader() { info.err = &errors.manager; }
  ~JpegReader() { jpeg_destroy_decompress(&info); }
  JpegReader(const JpegReader&) = delete;
  JpegReader& operator=(const JpegReader&) = delete;
};

bool begin(JpegReader& reader, std::span<const std::byte> bytes) {
  if (setjmp(reader.errors.leave) != 0) return false;
  auto& info = reader.info;
  if (info.mem == nullptr) {
    jpeg_create_decompress(&info);
    info.progress = &reader.watch.manager;
  } else {
    jpeg_abort_decompress(&info);
  }
  jpeg_mem_src(&info, reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size());
  jpeg_read_header(&info, TRUE);
  const bool four = info.jpeg_color_space == JCS_CMYK || info.jpeg_color_space == JCS_YCCK;
  info.out_color_space = four ? JCS_CMYK : JCS_RGB;
  return true;
}

/// Pictures of several scans are gathered as coefficients before there are pixels.
int64_t coefficient_bytes(jpeg_decompress_struct& info) {
  int64_t blocks = 0;
  if (jpeg_has_multiple_scans(&info) == FALSE) return 0;
  for (int i = 0; i < info.num_components; ++i) {
    const auto& component = info.comp_info[i];
    blocks += static_cast<int64_t>(component.width_in_blocks + 4) *
              static_cast<int64_t>(component.height_in_blocks + 4);
  }
  return blocks * static_cast<int64_t>(sizeof(JBLOCK));
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

/// Inks multiply what they let through. Files store 255 − ink, as Adobe does: those without Adobe's
/// marker are read so, too, by Pillow, OpenCV and torchvision.
void cmyk_to_rgb(const uint8_t* cmyk, int64_t width, uint8_t* rgb) {
  for (int64_t x = 0; x < width; ++x, cmyk += 4, rgb += 3) {
    for (int c = 0; c < 3; ++c) rgb[c] = static_cast<uint8_t>((cmyk[c] * cmyk[3] + 127) / 255);
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
    if (scratch != nullptr) cmyk_to_rgb(scratch, info.output_width, row);
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

  [[noreturn]] void refuse() const {
    switch (reader.errors.end) {
      case JpegEnd::truncated:
        fail("truncated JPEG: part of the picture is missing");
      case JpegEnd::scans:
        fail("a JPEG of more than {} scans, the limit for its {}×{} pixels", reader.watch.scans,
             reader.info.image_width, reader.info.image_height);
      case JpegEnd::interrupted:
        throw_if_interrupted();
        [[fallthrough]];
      case JpegEnd::error:
        break;
    }
    fail("damaged JPEG: {}", reader.errors.message);
  }

  void read(JDIMENSION top, JDIMENSION height, uint8_t* pixels) {
    const auto& info = reader.info;
    const bool four = info.out_color_space == JCS_CMYK;
    if (four) scratch.resize(size_t{4} * info.output_width);
    if (!read_rows(reader, top, height, pixels, four ? scratch.data() : nullptr)) refuse();
  }
};

JpegDecoder::JpegDecoder(OnSignal on_signal) : state_(std::make_unique<State>()) {
  state_->reader.watch.on_signal = on_signal;
}
JpegDecoder::~JpegDecoder() = default;

ImageHeader JpegDecoder::open(std::span<const std::byte> bytes) {
  if (!begin(state_->reader, bytes)) state_->refuse();
  auto& info = state_->reader.info;
  const int64_t width = info.image_width;
  const int64_t height = info.image_height;
  check_pixels(width, height);
  check_decode_memory(coefficient_bytes(info) + 3 * width * height, "a progressive JPEG", width,
                      height);
  state_->reader.watch.scans =
      static_cast<int>(std::min<int64_t>(max_scans, max_scan_pixels / (width * height)));
  return {height, width, std::max(1, image_orientation(bytes))};
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
  Tensor pixels = Tensor::uninitialized(DType::u8, {info.image_height, info.image_width, 3});
  s.read(0, info.image_height, pixels.as<uint8_t>().data());
  return pixels;
}

StoredImage decode_jpeg(std::span<const std::byte> bytes, OnSignal on_signal) {
  JpegDecoder decoder(on_signal);
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
