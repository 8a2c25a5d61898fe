#include "ingest/sources/compressed.h"

#include <bzlib.h>
#include <zlib.h>
#include <zstd.h>
#include <zstd_errors.h>

#include <algorithm>
#include <memory>
#include <vector>

#include "base/error.h"
#include "base/files.h"
#include "base/signals.h"

namespace hardmoe {
namespace fs = std::filesystem;
namespace {

using Take = std::function<bool(std::string_view)>;
constexpr size_t piece_bytes = size_t{1} << 18;
// The bytes given to zlib and bzip2 at once, whose counters have 32 bits.
constexpr size_t input_bytes = size_t{1} << 24;
// Lists shrink to a tenth or less; only data made for it unpacks to much more than this.
constexpr size_t always_unpacked = size_t{1} << 26, largest_ratio = 256;
constexpr int largest_window_log = 27;

[[noreturn]] void fail_damaged(const fs::path& file, const char* kind, std::string_view why) {
  fail("{}: damaged {} file: {}; fetch it again", file.string(), kind, why);
}

/// Frees a stream's memory, however the scope is left.
template <class Stream, int (*End)(Stream*)>
struct StreamHolder {
  Stream stream = {};
  ~StreamHolder() { End(&stream); }
};

bool unpack_gzip(std::string_view packed, const fs::path& file, const Take& take) {
  StreamHolder<z_stream, inflateEnd> holder;
  z_stream& stream = holder.stream;
  if (inflateInit2(&stream, 15 + 16) != Z_OK) throw std::bad_alloc();  // a gzip header, any window
  std::vector<char> piece(piece_bytes);
  bool in_member = false;
  for (size_t at = 0; at < packed.size();) {
    const auto count = static_cast<uInt>(std::min(packed.size() - at, input_bytes));
    stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(packed.data() + at));
    stream.avail_in = count;
    stream.next_out = reinterpret_cast<Bytef*>(piece.data());
    stream.avail_out = static_cast<uInt>(piece.size());
    const int state = inflate(&stream, Z_NO_FLUSH);
    if (state != Z_OK && state != Z_STREAM_END) {
      // Some archivers append zeros after the last member.
      if (!in_member && packed.find_first_not_of('\0', at) == std::string_view::npos) return true;
      fail_damaged(file, "gzip", stream.msg != nullptr ? stream.msg : "it makes no sense");
    }
    at += count - stream.avail_in;
    in_member = state != Z_STREAM_END;
    if (!take({piece.data(), piece.size() - stream.avail_out})) return false;
    if (!in_member) inflateReset(&stream);
  }
  // Output that did not fit the piece is still in the stream.
  while (in_member) {
    stream.next_out = reinterpret_cast<Bytef*>(piece.data());
    stream.avail_out = static_cast<uInt>(piece.size());
    const int state = inflate(&stream, Z_NO_FLUSH);
    if (state == Z_BUF_ERROR) fail_damaged(file, "gzip", "it is truncated");
    if (state != Z_OK && state != Z_STREAM_END) fail_damaged(file, "gzip", "it makes no sense");
    in_member = state != Z_STREAM_END;
    if (!take({piece.data(), piece.size() - stream.avail_out})) return false;
  }
  return true;
}

bool unpack_bzip2(std::string_view packed, const fs::path& file, const Take& take) {
  std::vector<char> piece(piece_bytes);
  for (size_t at = 0; at < packed.size();) {  // several streams, as parallel packers write
    StreamHolder<bz_stream, BZ2_bzDecompressEnd> holder;
    bz_stream& stream = holder.stream;
    if (BZ2_bzDecompressInit(&stream, 0, 0) != BZ_OK) throw std::bad_alloc();
    for (int state = BZ_OK; state != BZ_STREAM_END;) {
      const auto count = static_cast<unsigned>(std::min(packed.size() - at, input_bytes));
      stream.next_in = const_cast<char*>(packed.data() + at);
      stream.avail_in = count;
      stream.next_out = piece.data();
      stream.avail_out = static_cast<unsigned>(piece.size());
      state = BZ2_bzDecompress(&stream);
      if (state != BZ_OK && state != BZ_STREAM_END) {
        fail_damaged(file, "bzip2", "its blocks or checksums are wrong");
      }
      at += count - stream.avail_in;
      const size_t made = piece.size() - stream.avail_out;
      if (state == BZ_OK && made == 0 && at == packed.size()) {
        fail_damaged(file, "bzip2", "it is truncated");
      }
      if (!take({piece.data(), made})) return false;
    }
  }
  return true;
}

bool unpack_zstd(std::string_view packed, const fs::path& file, const Take& take) {
  const std::unique_ptr<ZSTD_DStream, decltype(&ZSTD_freeDStream)> stream(ZSTD_createDStream(),
                                                                          ZSTD_freeDStream);
  if (stream == nullptr) throw std::bad_alloc();
  ZSTD_DCtx_setParameter(stream.get(), ZSTD_d_windowLogMax, largest_window_log);
  std::vector<char> piece(piece_bytes);
  ZSTD_inBuffer input{packed.data(), packed.size(), 0};
  while (true) {
    ZSTD_outBuffer output{piece.data(), piece.size(), 0};
    const size_t state = ZSTD_decompressStream(stream.get(), &output, &input);
    if (ZSTD_getErrorCode(state) == ZSTD_error_frameParameter_windowTooLarge) {
      fail(
          "{}: unpacking it takes more than the {} MiB that are allowed; unpack it first (zstd -d "
          "--long=31)",
          file.string(), 1 << (largest_window_log - 20));
    }
    if (ZSTD_isError(state) != 0) fail_damaged(file, "zstd", ZSTD_getErrorName(state));
    if (output.pos > 0 && !take({piece.data(), output.pos})) return false;
    if (input.pos < input.size || output.pos == output.size) continue;
    if (state != 0) fail_damaged(file, "zstd", "it is truncated");
    return true;
  }
}

bool is_gzip(std::string_view head) { return head.starts_with("\x1F\x8B"); }
bool is_zstd(std::string_view head) { return head.starts_with("\x28\xB5\x2F\xFD"); }
bool is_bzip2(std::string_view head) { return head.starts_with("BZh"); }

std::string_view text_of(const MappedFile& map) {
  return {reinterpret_cast<const char*>(map.bytes().data()), map.bytes().size()};
}

}  // namespace

bool is_compressed(const fs::path& file) {
  const MappedFile map(file);
  const auto text = text_of(map);
  return is_gzip(text) || is_zstd(text) || is_bzip2(text);
}

void read_unpacked(const fs::path& file, const Take& taker) {
  const MappedFile map(file);
  const auto text = text_of(map);
  const size_t most = std::max(text.size() * largest_ratio, always_unpacked);
  size_t unpacked = 0;
  const auto take = [&](std::string_view piece) {
    throw_if_interrupted();
    unpacked += piece.size();
    if (unpacked > most) {
      fail(
          "{}: unpacks to more than {} times its size, which no list does; if it is one, unpack it "
          "first",
          file.string(), largest_ratio);
    }
    return taker(piece);
  };
  if (is_gzip(text)) {
    unpack_gzip(text, file, take);
  } else if (is_zstd(text)) {
    unpack_zstd(text, file, take);
  } else if (is_bzip2(text)) {
    unpack_bzip2(text, file, take);
  } else {
    for (size_t at = 0; at < text.size(); at += piece_bytes) {
      if (!take(text.substr(at, piece_bytes))) return;
    }
  }
}

std::string read_head(const fs::path& file, size_t count) {
  std::string head;
  read_unpacked(file, [&](std::string_view piece) {
    head += piece.substr(0, count - head.size());
    return head.size() < count;
  });
  return head;
}

}  // namespace hardmoe
