#include "train/score_rows.h"

#include <algorithm>
#include <cstdlib>
#include <filesystem>

#include "base/error.h"

namespace hardmoe {
namespace {

std::filesystem::path temporary_folder() {
  const char* named = std::getenv("TMPDIR");
  return named != nullptr && *named != '\0' ? named : "/tmp";
}

TemporaryFile open_unnamed() {
  try {
    return TemporaryFile(temporary_folder() / "moe-scores");
  } catch (const Error& error) {
    fail("{}: no temporary file can be made there ({}); set TMPDIR to another folder",
         temporary_folder().string(), error.what());
  }
}

}  // namespace

ScoreRows::ScoreRows(int64_t width, int64_t memory_limit)
    : width_(width),
      block_values_(static_cast<size_t>(
          width * std::max<int64_t>(1, memory_limit / std::max<int64_t>(1, 4 * width)))) {}

void ScoreRows::add(std::span<const float> row) {
  if (std::ssize(row) != width_)
    fail("found {} scores for an image, expected {}", row.size(), width_);
  if (block_.size() == block_values_) spill();
  block_.insert(block_.end(), row.begin(), row.end());
  ++rows_;
}

void ScoreRows::spill() {
  if (!spilled_.is_open()) spilled_ = open_unnamed();
  const size_t row_bytes = static_cast<size_t>(width_) * sizeof(float);
  spilled_.write_at(static_cast<size_t>(spilled_rows_) * row_bytes, block_.data(),
                    block_.size() * sizeof(float));
  spilled_rows_ = rows_;
  block_.clear();
}

void ScoreRows::read(int64_t row, std::span<float> out) const {
  const auto width = static_cast<size_t>(width_);
  if (row < spilled_rows_) {
    return spilled_.read_at(static_cast<size_t>(row) * width * sizeof(float), out.data(),
                            width * sizeof(float));
  }
  std::copy_n(block_.begin() + (row - spilled_rows_) * width_, width, out.begin());
}

void ScoreRows::for_each(
    const std::function<void(int64_t first, int64_t rows, std::span<const float>)>& visit) const {
  const auto width = static_cast<size_t>(width_);
  const int64_t piece = std::max<int64_t>(1, static_cast<int64_t>(block_values_ / width) / 8);
  std::vector<float> read;
  for (int64_t first = 0; first < spilled_rows_; first += piece) {
    const int64_t rows = std::min(piece, spilled_rows_ - first);
    read.resize(static_cast<size_t>(rows) * width);
    spilled_.read_at(static_cast<size_t>(first) * width * sizeof(float), read.data(),
                     read.size() * sizeof(float));
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
