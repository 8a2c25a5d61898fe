#include "cluster/point_stream.h"

#include <algorithm>
#include <cstring>

#include "base/error.h"
#include "base/threads.h"
#include "cluster/pca.h"

namespace hardmoe {

void MatrixSource::read(int64_t first, int64_t count, float* out) const {
  constexpr int64_t grain = 1024;
  parallel_for(count, grain, [&](int64_t begin, int64_t end) {
    std::copy(matrix_.row(first + begin), matrix_.row(first + end), out + begin * matrix_.cols);
  });
}

PointStream::PointStream(const RowSource& source, ClusterBackend& backend, const Options& options)
    : source_(source),
      backend_(backend),
      pca_(options.pca),
      cols_(pca_ != nullptr ? pca_->outputs() : source.cols()),
      block_rows_(options.block_rows > 0 ? options.block_rows : backend.block_rows(source.cols())),
      budget_(options.keep_bytes),
      keep_bytes_(budget_) {
  if (pca_ != nullptr && source.cols() != pca_->inputs()) {
    fail("PCA: found rows of {} values, expected {}", source.cols(), pca_->inputs());
  }
  kept_.resize(static_cast<size_t>((rows() + block_rows_ - 1) / block_rows_));
}

std::unique_ptr<PassCache> PointStream::make_pass_cache(int64_t clusters, bool settled) {
  int64_t share = keep_bytes_ / 2;
  keep_bytes_ -= share;
  auto cache = backend_.make_pass_cache(rows(), clusters, settled, share);
  keep_bytes_ += share;  // what the cache does not take
  return cache;
}

void PointStream::release() {
  for (Block& block : kept_) block = {};
  keep_bytes_ = budget_;
}

void PointStream::for_each(const std::function<bool(const Points&, int64_t)>& body) {
  for (size_t b = 0; b < kept_.size(); ++b) {
    Block& block = kept_[b];
    const int64_t first = static_cast<int64_t>(b) * block_rows_;
    const int64_t count = std::min(block_rows_, rows() - first);
    if (block.points == nullptr) {
      const int64_t next = first + count, after = std::min(block_rows_, rows() - next);
      if (after > 0 && kept_[b + 1].points == nullptr) source_.prefetch(next, after);
      Block passing;
      const bool in_place = pca_ == nullptr && source_.in_memory() != nullptr;
      const int64_t bytes = count * cols_ * static_cast<int64_t>(sizeof(float));
      const bool keep = in_place || bytes <= keep_bytes_;
      Block& target = keep ? block : passing;
      const float* values = nullptr;
      if (in_place) {
        values = source_.in_memory() + first * cols_;
      } else if (keep) {
        keep_bytes_ -= bytes;
        target.values = Tensor::uninitialized(DType::f32, {count, cols_});
        read(first, count, target.values.as<float>().data());
        values = target.values.as<float>().data();
      } else if (pca_ == nullptr) {
        values = source_.view(first, count);
      }
      if (values == nullptr) {
        if (projected_.elements() == 0) projected_ = Tensor(DType::f32, {block_rows_, cols_});
        read(first, count, projected_.as<float>().data());
        values = projected_.as<float>().data();
      }
      target.points = backend_.load({values, count, cols_});
      if (!body(*target.points, first)) return;
    } else if (!body(*block.points, first)) {
      return;
    }
  }
}

void PointStream::read(int64_t first, int64_t count, float* out) const {
  if (pca_ == nullptr) {
    source_.read(first, count, out);
    return;
  }
  for (int64_t begin = 0; begin < count; begin += block_rows_) {
    const int64_t size = std::min(block_rows_, count - begin);
    MatrixView rows{source_.view(first + begin, size), size, source_.cols()};
    if (rows.data == nullptr) {
      if (rows_.elements() < size * source_.cols()) {
        rows_ = Tensor(DType::f32, {size, source_.cols()});
      }
      source_.read(first + begin, size, rows_.as<float>().data());
      rows.data = rows_.as<float>().data();
    }
    project_rows(*pca_, rows, backend_, out + begin * cols_);
  }
}

Tensor PointStream::rows_at(std::span<const int64_t> chosen) const {
  const auto count = static_cast<int64_t>(chosen.size());
  Tensor points = Tensor::uninitialized(DType::f32, {count, cols_});
  float* out = points.as<float>().data();
  const int64_t batch = pca_ != nullptr ? std::min(block_rows_, count) : count;
  Tensor rows;
  if (pca_ != nullptr) rows = Tensor(DType::f32, {batch, source_.cols()});
  for (int64_t first = 0; first < count; first += batch) {
    const int64_t size = std::min(batch, count - first);
    float* target = pca_ != nullptr ? rows.as<float>().data() : out;
    for (int64_t i = 0; i < size; ++i) {
      source_.read(chosen[static_cast<size_t>(first + i)], 1, target + i * source_.cols());
    }
    if (pca_ == nullptr) continue;
    project_rows(*pca_, {target, size, source_.cols()}, backend_, out + first * cols_);
  }
  return points;
}

Tensor PointStream::sample(int64_t count, Random random) const {
  // Selection sampling (Knuth, The Art of Computer Programming, volume 2, algorithm S).
  std::vector<int64_t> chosen;
  const int64_t wanted = std::min(count, rows());
  for (int64_t i = 0; static_cast<int64_t>(chosen.size()) < wanted; ++i) {
    const auto left = static_cast<uint64_t>(rows() - i);
    const auto missing = static_cast<uint64_t>(wanted) - chosen.size();
    if (random.below(left) < missing) chosen.push_back(i);
  }
  return rows_at(chosen);
}

const Points& PointStream::probes() {
  if (probes_.points == nullptr) {
    constexpr int64_t count = 4096;
    std::vector<int64_t> chosen;
    for (int64_t i = 0; i < rows(); i += std::max<int64_t>(1, rows() / count)) chosen.push_back(i);
    probes_.values = rows_at(chosen);
    probes_.points = backend_.load(matrix_view(probes_.values));
  }
  return *probes_.points;
}

int64_t PointStream::buffer_bytes(int64_t block_rows, int64_t inputs, int64_t cols,
                                  bool projected) {
  constexpr int64_t probe_rows = 8192;
  // With a projection: the rows of one block, and of one batch that is drawn.
  const int64_t values = block_rows * (cols + (projected ? 2 * inputs : 0)) + probe_rows * cols;
  return values * static_cast<int64_t>(sizeof(float));
}

}  // namespace hardmoe
