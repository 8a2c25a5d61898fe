#include "moe/embedding.h"

#include <algorithm>
#include <mutex>
#include <optional>
#include <set>

#include "base/crc32c.h"
#include "base/error.h"
#include "base/folders.h"
#include "base/recorded.h"
#include "base/stage.h"
#include "base/text.h"
#include "base/threads.h"
#include "moe/embedding_parts.h"

namespace hardmoe {
namespace fs = std::filesystem;
namespace {

/// Compares names with runs of digits ordered by their value.
bool numbers_before(const std::string& a, const std::string& b) {
  size_t i = 0, j = 0;
  const auto number = [](const std::string& text, size_t& at) {
    const size_t begin = std::min(text.find_first_not_of('0', at), text.size());
    at = std::min(text.find_first_not_of("0123456789", begin), text.size());
    return std::string_view(text).substr(begin, at - begin);
  };
  const auto is_digit = [](char c) { return c >= '0' && c <= '9'; };
  while (i < a.size() && j < b.size()) {
    if (is_digit(a[i]) && is_digit(b[j])) {
      const std::string_view one = number(a, i), other = number(b, j);
      if (one.size() != other.size()) return one.size() < other.size();
      if (one != other) return one < other;
    } else if (a[i++] != b[j++]) {
      return static_cast<unsigned char>(a[i - 1]) < static_cast<unsigned char>(b[j - 1]);
    }
  }
  return a.size() - i < b.size() - j;
}

/// Throws Error(usage) for names such as part10 and part2, whose alphabetical order may not be what
/// the user means.
void require_one_order(const std::vector<fs::path>& sorted) {
  for (size_t i = 1; i < sorted.size(); ++i) {
    const std::string before = sorted[i - 1].filename().string();
    const std::string after = sorted[i].filename().string();
    if (!numbers_before(after, before)) continue;
    fail_usage(
        "{}: in alphabetical order {} comes before {}; give all numbers equally many digits, or "
        "name the files one by one in their order",
        sorted[i].parent_path().string(), before, after);
  }
}

std::vector<fs::path> npy_files(const std::vector<fs::path>& paths) {
  std::vector<fs::path> files;
  for (const auto& path : paths) {
    if (!is_folder(path)) {
      require_file(path,
                   "expected a folder made by moe-embed, or .npy files of images × dimensions",
                   ExitStatus::usage);
      files.push_back(path);
      continue;
    }
    std::vector<fs::path> found;
    for (const FolderEntry& entry : list_folder(path)) {
      if (entry.path().extension() == ".npy") found.push_back(entry.path());
    }
    if (found.empty())
      fail_usage(
          "{}: holds no .npy files; expected a folder made by moe-embed, or one of .npy files",
          path.string());
    std::sort(found.begin(), found.end());
    require_one_order(found);
    files.insert(files.end(), found.begin(), found.end());
  }
  std::set<fs::path> seen;
  for (const auto& file : files) {
    if (!seen.insert(fs::weakly_canonical(file)).second) {
      fail_usage("{}: named twice; its images would count twice", file.string());
    }
  }
  return files;
}

EmbeddingInput input_of(const std::vector<fs::path>& paths) {
  const auto files = npy_files(paths);
  std::string all;
  for (const auto& file : files) all += fingerprint_of_file(file) + "\n";
  return {files, {{"embedding", files.size() == 1 ? all.substr(0, 64) : sha256_hex(all)}}};
}

/// Returns the folder of moe-embed that `path` is or lies in; empty if there is none.
fs::path embed_folder(const fs::path& path) {
  if (is_folder(path)) return path_exists(path / "stage.json") ? path : "";
  const fs::path folder = path.has_parent_path() ? path.parent_path() : ".";
  const fs::path file = folder / "stage.json";
  if (!path_exists(path) || !path_exists(file)) return "";
  const Json record = read_stage_record(file);
  const bool embed = record.value("command", "") == "moe-embed";
  const bool finished = record.value("done", false);
  const Json outputs = record.value("outputs", Json::object());
  return embed && (!finished || outputs.contains(path.filename().string())) ? folder : "";
}

/// Returns the embedding whose parts these are, folders of moe-embed in the order of their rows.
/// Throws Error(usage) if they are not of the same images and network.
EmbeddingInput input_of_parts(const std::vector<fs::path>& folders) {
  EmbeddingInput input;
  std::string fingerprints;
  Json first;
  for (const auto& folder : folders) {
    Json made_from = stage_inputs(folder, "moe-embed");
    made_from.erase("part");
    if (input.files.empty()) first = made_from;
    if (const auto other = json_differences(first, made_from); !other.empty()) {
      fail_usage("{}: is no part of the embedding that {} is a part of:{}\n  remove one of them",
                 folder.string(), folders[0].string(), indented_list(other));
    }
    fingerprints += stage_fingerprint(folder, "moe-embed") + "\n";
    input.files.push_back(folder / "train.npy");
    require_file(input.files.back(), "moe-embed writes it for the split `train`");
  }
  const std::string where = folders[0].string();
  input.identity = {{"embedding", sha256_hex(fingerprints)},
                    {"dataset", json_get<std::string>(first, "dataset", where)},
                    {"model", json_get<std::string>(first, "model", where)}};
  return input;
}

/// Opens a file that the user named; if it is not readable as .npy, that is a usage error.
NpyReader open_piece(const fs::path& file) {
  try {
    return NpyReader(file);
  } catch (const Error& error) {
    throw Error(error.what(), ExitStatus::usage);
  }
}

/// Returns the CRC-32C of a file's first `count` bytes.
uint32_t crc32c_of_beginning(const fs::path& file, size_t count) {
  std::string bytes(count, '\0');
  InputFile(file).read_at(0, bytes.data(), count);
  return crc32c(bytes);
}

}  // namespace

struct Embedding::Slices {
  int64_t first, count;  ///< rows of the file
  int64_t row_bytes;
  int64_t slice;   ///< rows in each slice but the last
  int64_t passed;  ///< rows of the file already covered by its checksum
  std::vector<uint32_t> crcs;

  /// Checksums are computed only if the rows follow those already covered.
  Slices(int64_t first_row, int64_t rows, int64_t bytes_a_row, const Passage& passage)
      : first(first_row), count(rows), row_bytes(bytes_a_row), passed(passage.rows) {
    constexpr int64_t slice_bytes = int64_t{256} << 10;  // converted while still in the cache
    slice = std::max<int64_t>(1, slice_bytes / row_bytes);
    const bool next = first <= passed && passed < first + count;
    if (next && passage.record && passage.record->crc32c) crcs.resize(static_cast<size_t>(size()));
  }

  int64_t size() const { return (count + slice - 1) / slice; }
  int64_t row(int64_t s) const { return s * slice; }
  int64_t rows(int64_t s) const { return std::min(slice, count - row(s)); }
  int64_t skipped(int64_t s) const {
    return std::clamp<int64_t>(passed - first - row(s), 0, rows(s));
  }
  int64_t bytes(int64_t s) const { return (rows(s) - skipped(s)) * row_bytes; }
  void read(int64_t s, const void* data) {
    if (crcs.empty()) return;
    const auto* from = static_cast<const std::byte*>(data) + skipped(s) * row_bytes;
    crcs[static_cast<size_t>(s)] = crc32c(from, static_cast<size_t>(bytes(s)));
  }
};

Embedding::Embedding(const std::vector<fs::path>& files) : first_{0} {
  if (files.empty()) fail_usage("expected at least one .npy file");
  for (const auto& file : files) {
    const NpyReader& piece = pieces_.emplace_back(open_piece(file));
    const Shape& shape = piece.shape();
    if (shape.size() == 2 && shape[0] == 0) fail_usage("{}: has no rows", file.string());
    if (shape.size() != 2 || element_count(shape) == 0) {
      fail_usage("{}: shape {}, expected images × dimensions", file.string(), to_string(shape));
    }
    const DType dtype = piece.dtype();
    if (dtype != DType::f32 && dtype != DType::f16 && dtype != DType::f64) {
      fail_usage("{}: holds {}, expected float32, float16 or float64", file.string(),
                 name_of(dtype));
    }
    if (cols_ == 0) cols_ = shape[1];
    if (shape[1] != cols_) {
      fail_usage("{}: rows of {} values, but {} has {}; all files must come from one model",
                 file.string(), shape[1], files[0].string(), cols_);
    }
    first_.push_back(first_.back() + shape[0]);
    passages_.push_back({recorded(file), crc32c_of_beginning(file, piece.offset()), 0});
  }
}

/// Adds the slices' checksums to the file's, and compares it once all rows are covered.
void Embedding::pass(size_t piece, const Slices& slices) const {
  if (slices.crcs.empty()) return;
  Passage& passage = passages_[piece];
  for (int64_t s = 0; s < slices.size(); ++s) {
    passage.crc32c = crc32c_joined(passage.crc32c, slices.crcs[static_cast<size_t>(s)],
                                   static_cast<uint64_t>(slices.bytes(s)));
  }
  passage.rows = slices.first + slices.count;
  if (passage.rows < pieces_[piece].shape()[0]) return;
  if (passage.crc32c == *passage.record->crc32c) return;
  require_sha256(*passage.record, sha256_of_file(pieces_[piece].path()));
}

void Embedding::require_as_recorded() const {
  for (size_t piece = 0; piece < pieces_.size(); ++piece) {
    const Passage& passage = passages_[piece];
    if (!passage.record || passage.rows == pieces_[piece].shape()[0]) continue;
    hardmoe::require_as_recorded(*passage.record);
  }
}

size_t Embedding::piece_of(int64_t row) const {
  const auto found = std::upper_bound(first_.begin(), first_.end(), row);
  return static_cast<size_t>(found - first_.begin()) - 1;
}

const InputFile& Embedding::file_of(size_t piece) const {
  if (open_ == nullptr || open_piece_ != piece) {
    open_ = std::make_unique<InputFile>(pieces_[piece].path());
    open_piece_ = piece;
  }
  return *open_;
}

void Embedding::read(int64_t first, int64_t count, float* out) const {
  for (size_t piece = piece_of(first); count > 0; ++piece) {
    const int64_t here = std::min(count, first_[piece + 1] - first);
    read_piece(piece, first, here, out);
    first += here;
    count -= here;
    out += here * cols_;
  }
}

void Embedding::read_piece(size_t piece, int64_t first, int64_t count, float* out) const {
  const NpyReader& reader = pieces_[piece];
  const InputFile& file = file_of(piece);
  const auto row_bytes = cols_ * static_cast<int64_t>(size_of(reader.dtype()));
  Slices slices(first - first_[piece], count, row_bytes, passages_[piece]);
  std::mutex mutex;
  std::optional<std::string> failure;
  parallel_for(slices.size(), 1, [&](int64_t begin, int64_t end) {
    std::vector<std::byte> raw;
    if (reader.dtype() != DType::f32) {
      raw.resize(static_cast<size_t>(std::min(slices.slice, count) * row_bytes));
    }
    for (int64_t s = begin; s < end; ++s) {
      const int64_t row = slices.row(s), rows = slices.rows(s);
      float* target = out + row * cols_;
      try {
        reader.read(file, (first - first_[piece] + row) * cols_, rows * cols_,
                    raw.empty() ? static_cast<void*>(target) : raw.data());
      } catch (const Error& error) {
        const std::lock_guard lock(mutex);
        failure = error.what();
        return;
      }
      slices.read(s, raw.empty() ? static_cast<const void*>(target) : raw.data());
      if (!raw.empty()) convert_to_float(reader.dtype(), raw.data(), rows * cols_, target);
    }
  });
  if (failure) throw Error(*failure);
  pass(piece, slices);
  check_finite(piece, first, count, out);
}

const float* Embedding::view(int64_t first, int64_t count) const {
  const size_t piece = piece_of(first);
  if (pieces_[piece].dtype() != DType::f32 || first + count > first_[piece + 1]) return nullptr;
  viewed_ = pieces_[piece].map(file_of(piece), (first - first_[piece]) * cols_, count * cols_);
  const auto* rows = reinterpret_cast<const float*>(viewed_.data());
  Slices slices(first - first_[piece], count, cols_ * int64_t{sizeof(float)}, passages_[piece]);
  if (!slices.crcs.empty()) {
    parallel_for(slices.size(), 1, [&](int64_t begin, int64_t end) {
      for (int64_t s = begin; s < end; ++s) slices.read(s, rows + slices.row(s) * cols_);
    });
  }
  pass(piece, slices);
  check_finite(piece, first, count, rows);
  return rows;
}

/// Returns a row as stored, because a float64 value may exceed float32's range.
std::vector<double> Embedding::stored_row(size_t piece, int64_t row) const {
  const NpyReader& reader = pieces_[piece];
  Tensor values(reader.dtype(), {cols_});
  reader.read(file_of(piece), row * cols_, cols_, values.data());
  if (reader.dtype() == DType::f64) {
    const auto stored = values.as<double>();
    return {stored.begin(), stored.end()};
  }
  const Tensor narrow = to_float32(values);
  return {narrow.as<float>().begin(), narrow.as<float>().end()};
}

/// Rows are read in order, so each is checked once.
void Embedding::check_finite(size_t piece, int64_t first, int64_t count, const float* rows) const {
  if (first + count <= finite_) return;
  const MatrixView matrix{rows, count, cols_};
  if (const int64_t row = first_row_beyond(matrix, most_magnitude(cols_)); row >= 0) {
    if (passages_[piece].record) hardmoe::require_as_recorded(*passages_[piece].record);
    const int64_t row_in_piece = first - first_[piece] + row;
    fail("{}: row {} {}", pieces_[piece].path().string(), row_in_piece,
         range_problem(stored_row(piece, row_in_piece)));
  }
  if (first <= finite_) finite_ = first + count;
}

void Embedding::prefetch(int64_t first, int64_t count) const {
  for (size_t piece = piece_of(first); piece < pieces_.size() && first_[piece] < first + count;
       ++piece) {
    const int64_t begin = std::max(first, first_[piece]);
    const int64_t end = std::min(first + count, first_[piece + 1]);
    const int64_t from = (begin - first_[piece]) * cols_, values = (end - begin) * cols_;
    if (open_ != nullptr && piece == open_piece_) {
      pieces_[piece].prefetch(*open_, from, values);
    } else {
      pieces_[piece].prefetch(pieces_[piece].open(), from, values);
    }
  }
}

EmbeddingInput find_embedding(const std::vector<fs::path>& paths) {
  if (paths.size() == 1 && is_folder(paths[0]) && embed_folder(paths[0]).empty()) {
    const auto parts = part_folders(paths[0]);
    if (!parts.empty()) return input_of_parts(parts);
  }
  for (const auto& path : paths) {
    const fs::path folder = embed_folder(path);
    if (folder.empty()) continue;
    if (paths.size() > 1) {
      fail_usage("{}: moe-embed made it of all images of a dataset; give it alone", path.string());
    }
    if (!is_folder(path) && path.filename() != "train.npy") {
      fail_usage(
          "{}: holds the split '{}'; expected train.npy, as experts are trained on the split "
          "'train'",
          path.string(), path.stem().string());
    }
    const Json made_from = stage_inputs(folder, "moe-embed");
    const std::string where = folder.string();
    if (made_from.contains("part")) {
      fail_usage("{}: is one part of an embedding; give the folder that holds all its parts",
                 where);
    }
    const Json identity = {{"embedding", stage_fingerprint(folder, "moe-embed")},
                           {"dataset", json_get<std::string>(made_from, "dataset", where)},
                           {"model", json_get<std::string>(made_from, "model", where)}};
    const fs::path file = folder / "train.npy";
    require_file(file, "moe-embed writes it for the split `train`");
    return {{file}, identity};
  }
  return input_of(paths);
}

EmbeddingInput find_external_features(const std::vector<std::string>& given) {
  std::vector<fs::path> paths;
  for (const auto& argument : given) {
    if (path_exists(argument)) {  // a comma in an existing name does not separate
      paths.emplace_back(argument);
      continue;
    }
    for (const auto& path : split(argument, ',')) {
      if (!path.empty()) paths.emplace_back(path);
    }
  }
  for (const auto& path : paths) {
    const fs::path folder = embed_folder(path);
    if (folder.empty() || stage_inputs(folder, "moe-embed").contains("partition")) continue;
    fail_usage(
        "{}: moe-embed made it, but the partition was made of another embedding; give that "
        "embedding's rows, or partition this folder, which needs no --features",
        path.string());
  }
  if (paths.empty())
    fail_usage("--features: names no file; expected .npy files or folders of them");
  return input_of(paths);
}

}  // namespace hardmoe
