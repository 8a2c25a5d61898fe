#include "tensor/npy.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>

#include "base/error.h"
#include "base/text.h"

namespace hardmoe {
namespace {

constexpr std::string_view magic = "\x93NUMPY";
constexpr size_t header_bytes = 128;  // fixed, so that a streamed row count can be filled in later

struct TypeCode {
  DType dtype;
  std::string_view code;
};
constexpr std::array<TypeCode, 7> codes = {{{DType::f32, "<f4"},
                                            {DType::f64, "<f8"},
                                            {DType::f16, "<f2"},
                                            {DType::i64, "<i8"},
                                            {DType::i32, "<i4"},
                                            {DType::u16, "<u2"},
                                            {DType::u8, "|u1"}}};

std::string make_header(DType dtype, const Shape& shape) {
  std::string_view code;
  for (const auto& entry : codes) {
    if (entry.dtype == dtype) code = entry.code;
  }
  if (code.empty()) fail(".npy has no type for {}; convert it first", name_of(dtype));
  std::string extents;
  for (const int64_t extent : shape) extents += fmt::format("{},", extent);
  if (shape.size() > 1) extents.pop_back();
  std::string text =
      fmt::format("{{'descr': '{}', 'fortran_order': False, 'shape': ({}), }}", code, extents);
  if (text.size() > header_bytes - 11) fail(".npy: too many dimensions: {}", to_string(shape));
  text.resize(header_bytes - 11, ' ');
  text += '\n';
  std::string header(magic);
  header += '\x01';
  header += '\0';
  header += static_cast<char>(text.size() & 0xFF);
  header += static_cast<char>(text.size() >> 8);
  return header + text;
}

struct Header {
  DType dtype;
  Shape shape;
  size_t offset;
};

/// Returns the text after `key` up to the end of its value, as NumPy writes headers.
std::string_view value_after(std::string_view text, std::string_view key) {
  const size_t at = text.find(key);
  if (at == std::string_view::npos) return {};
  const std::string_view rest = trim(text.substr(at + key.size()));
  return rest.starts_with(':') ? trim(rest.substr(1)) : std::string_view{};
}

/// Parses `descr`: the type in the header, with what follows it.
[[noreturn]] void refuse_type(std::string_view descr, const std::string& file) {
  if (descr.starts_with('[')) {
    const std::string_view fields = descr.substr(0, descr.find("], '") + 1);
    fail(
        "{}: a structured array {}, expected numbers; save the one field that is meant: "
        "numpy.save(FILE, a['NAME'])",
        file, fields);
  }
  const std::string_view type = descr.substr(0, descr.find(','));
  const std::string_view code = type.size() > 3 ? type.substr(1, type.size() - 2) : type;
  std::string_view remedy = "convert it with a.astype('float32')";
  if (code.size() > 1 && code[1] == 'V') {
    remedy =
        "bytes without a type, which is how bfloat16 is saved: then "
        "a.view(ml_dtypes.bfloat16).astype('float32') has the numbers";
  } else if (code.size() > 1 && code[1] == 'O') {
    remedy = "Python objects; where they are rows of one length, numpy.stack(a).astype('float32')";
  } else if (code.size() > 1 && (code[1] == 'U' || code[1] == 'S')) {
    remedy = "text, not numbers";
  } else if (code.starts_with('>')) {
    remedy = "big-endian; convert it with a.astype('float32')";
  }
  fail("{}: .npy type {}, expected one such as '<f4' or '<f2'; {}", file, type, remedy);
}

/// Parses a header. `bytes`: the file's beginning; `file_bytes`: its size.
Header parse_header(std::string_view bytes, size_t file_bytes, const std::string& file) {
  if (bytes.size() < 12 || !bytes.starts_with(magic)) {
    fail("{}: not a .npy file (it does not begin with \\x93NUMPY)", file);
  }
  const auto byte = [&](size_t i) {
    return static_cast<size_t>(static_cast<unsigned char>(bytes[i]));
  };
  const bool wide = byte(6) >= 2;
  const size_t begin = wide ? 12 : 10;
  const size_t length =
      wide ? byte(8) | byte(9) << 8 | byte(10) << 16 | byte(11) << 24 : byte(8) | byte(9) << 8;
  if (begin + length > bytes.size()) fail("{}: truncated .npy header", file);
  const std::string_view text = bytes.substr(begin, length);
  Header header{DType::f32, {}, begin + length};

  const std::string_view descr = value_after(text, "'descr'");
  bool known = false;
  for (const auto& entry : codes) {
    if (descr.size() > 4 && descr.substr(1, 3) == entry.code && descr[4] == descr[0]) {
      header.dtype = entry.dtype;
      known = true;
    }
  }
  if (!known) refuse_type(descr, file);
  if (!value_after(text, "'fortran_order'").starts_with("False")) {
    fail("{}: .npy in Fortran order; save it with numpy.ascontiguousarray", file);
  }
  std::string_view extents = value_after(text, "'shape'");
  const size_t close = extents.find(')');
  if (!extents.starts_with('(') || close == std::string_view::npos) {
    fail("{}: .npy header has no shape", file);
  }
  for (const auto& part : split(extents.substr(1, close - 1), ',')) {
    const std::string_view digits = trim(part);
    if (digits.empty()) continue;
    int64_t extent = -1;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), extent);
    if (error != std::errc() || end != digits.data() + digits.size() || extent < 0) {
      fail("{}: .npy shape has '{}', expected a number", file, digits);
    }
    header.shape.push_back(extent);
  }
  const size_t available = (file_bytes - header.offset) / size_of(header.dtype);
  size_t wanted = 1;
  for (const int64_t extent : header.shape) {
    if (extent != 0 && wanted > available / static_cast<size_t>(extent)) {
      fail("{}: truncated .npy: its header says {}, the file ends after {} elements", file,
           to_string(header.shape), available);
    }
    wanted *= static_cast<size_t>(extent);
  }
  const size_t surplus = file_bytes - header.offset - wanted * size_of(header.dtype);
  if (surplus > 0) {
    fail("{}: .npy of shape {} is followed by {} bytes that do not belong to it", file,
         to_string(header.shape), surplus);
  }
  if (header.offset % size_of(header.dtype) != 0) {
    fail("{}: .npy data at byte {}, unaligned; save it with numpy.save", file, header.offset);
  }
  return header;
}

std::string_view text_of(const MappedFile& map) {
  return {reinterpret_cast<const char*>(map.bytes().data()), map.bytes().size()};
}

}  // namespace

void save_npy(const std::filesystem::path& file, const Tensor& tensor) {
  AtomicFile output(file);
  output.write(make_header(tensor.dtype(), tensor.shape()));
  output.write(tensor.data(), tensor.bytes());
  output.commit();
}

Tensor load_npy(const std::filesystem::path& file) {
  const MappedFile map(file);
  const Header header = parse_header(text_of(map), map.bytes().size(), file.string());
  Tensor tensor(header.dtype, header.shape);
  std::memcpy(tensor.data(), map.bytes().data() + header.offset, tensor.bytes());
  return tensor;
}

MappedNpy::MappedNpy(const std::filesystem::path& file) : file_(file), map_(file) {
  Header header = parse_header(text_of(map_), map_.bytes().size(), file.string());
  dtype_ = header.dtype;
  shape_ = std::move(header.shape);
  data_ = map_.bytes().data() + header.offset;
}

void MappedNpy::check_type(DType wanted) const {
  if (wanted != dtype_) {
    fail("{}: holds {}, expected {}", file_.string(), name_of(dtype_), name_of(wanted));
  }
}

NpyReader::NpyReader(const std::filesystem::path& file) : file_(file) {
  constexpr size_t most = 65536;  // longest header read; version 1.0 cannot have a longer one
  const InputFile input(file);
  std::string begin(std::min(most, input.size()), '\0');
  input.read_at(0, begin.data(), begin.size());
  Header header = parse_header(begin, input.size(), file.string());
  dtype_ = header.dtype;
  shape_ = std::move(header.shape);
  offset_ = header.offset;
}

void NpyReader::read(const InputFile& file, int64_t first, int64_t count, void* out) const {
  file.read_at(byte_offset(first), out, static_cast<size_t>(count) * size_of(dtype_));
}

MappedPiece NpyReader::map(const InputFile& file, int64_t first, int64_t count) const {
  return {file, byte_offset(first), static_cast<size_t>(count) * size_of(dtype_)};
}

void NpyReader::prefetch(const InputFile& file, int64_t first, int64_t count) const {
  file.prefetch(byte_offset(first), static_cast<size_t>(count) * size_of(dtype_));
}

NpyWriter::NpyWriter(const std::filesystem::path& file, DType dtype, Shape row_shape)
    : output_(file),
      dtype_(dtype),
      shape_(std::move(row_shape)),
      row_bytes_(static_cast<size_t>(element_count(shape_)) * size_of(dtype)) {
  shape_.insert(shape_.begin(), 0);
  output_.write(make_header(dtype_, shape_));
}

void NpyWriter::append(const void* data, int64_t rows) {
  output_.write(data, static_cast<size_t>(rows) * row_bytes_);
  shape_[0] += rows;
}

void NpyWriter::finish(After after) {
  const std::string header = make_header(dtype_, shape_);
  output_.write_at(0, header.data(), header.size());
  output_.commit(after);
}

}  // namespace hardmoe
