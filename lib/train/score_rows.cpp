#include "train/score_rows.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>

#include "base/error.h"
#include "base/write_all.h"

namespace hardmoe {
namespace {

std::filesystem::path temporary_folder() {
  const char* named = ::getenv("TMPDIR");
  return named != nullptr && *named != '\0' ? named : "/tmp";
}

int open_unnamed(const std::filesystem::path& folder) {
  std::string name = (folder / "moe-scores-XXXXXX").string();
  const int descriptor = ::mkostemp(name.data(), O_CLOEXEC);
  if (descriptor < 0) {
    fail("{}: no temporary file can be made there ({}); set TMPDIR to another folder",
         folder.string(), std::strerror(errno));
  }
  ::unlink(name.c_str());
  return descriptor;
}

}  // namespace

ScoreRows::ScoreRows(int64_t width, int64_t memory_limit)
    : width_(width),
      block_values_(static_cast<size_t>(
          width * std::max<int64_t>(1, memory_limit / std::max<int64_t>(1, 4 * width)))) {}

ScoreRows::~ScoreRows() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

void ScoreRows::add(std::span<const float> row) {
  if (std::ssize(row) != width_)
    fail("found {} scores for an image, expected {}", row.size(), width_);
  if (block_.size() == block_values_) spill();
  block_.insert(block_.end(), row.begin(), row.end());
  ++rows_;
}

void ScoreRows::spill() {
  const auto folder = temporary_folder();
  if (descriptor_ < 0) descriptor_ = open_unnamed(folder);
  const size_t row_bytes = static_cast<size_t>(width_) * sizeof(float);
  write_all(descriptor_, reinterpret_cast<const char*>(block_.data()),
            block_.size() * sizeof(float), static_cast<size_t>(spilled_rows_) * row_bytes,
            folder / "(scores of all images)");
  spilled_rows_ = rows_;
  block_.clear();
}

void ScoreRows::for_each(
    const std::function<void(int64_t first, int64_t rows, std::span<const float>)>& visit) const {
  const auto width = static_cast<size_t>(width_);
  const int64_t piece = std::max<int64_t>(1, static_cast<int64_t>(block_values_ / width) / 8);
  std::vector<float> read;
  for (int64_t first = 0; first < spilled_rows_; first += piece) {
    const int64_t rows = std::min(piece, spilled_rows_ - first);
    read.resize(static_cast<size_t>(rows) * width);
    auto* bytes = reinterpret_cast<char*>(read.data());
    size_t done = 0;
    while (done < read.size() * sizeof(float)) {
      const ssize_t got =
          ::pread(descriptor_, bytes + done, read.size() * sizeof(float) - done,
                  static_cast<off_t>(static_cast<size_t>(first) * width * sizeof(float) + done));
      if (got < 0 && errno == EINTR) continue;
      if (got <= 0) {
        fail("{}: reading scores back: {}", temporary_folder().string(),
             got < 0 ? std::strerror(errno) : "the temporary file has become shorter");
      }
      done += static_cast<size_t>(got);
    }
    visit(first, rows, read);
  }
  for (int64_t first = spilled_rows_; first < rows_; first += piece) {
    const int64_t rows = std::min(piece, rows_ - first);
    visit(first, rows,
          std::span(block_).subspan(static_cast<size_t>(first - spilled_rows_) * width,
                                    static_cast<size_t>(rows) * width));
  }
}

}  // namespace hardmoe
