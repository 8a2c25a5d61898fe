#include "search/collection.h"

#include <algorithm>

#include "base/error.h"
#include "base/folders.h"
#include "base/recorded.h"
#include "base/text.h"
#include "cluster/unit_rows.h"
#include "moe/embedding.h"

namespace hardmoe {
namespace fs = std::filesystem;
namespace {

/// Throws Error(usage) if the folder's stage embedded another dataset. One by another tool has none.
void require_embedding_of(const fs::path& embedding, const Dataset& dataset) {
  const fs::path record = embedding / "stage.json";
  if (!path_exists(record)) return;
  const Json inputs = read_stage_record(record).value("inputs", Json::object());
  if (inputs.value("dataset", dataset.fingerprint()) == dataset.fingerprint()) return;
  fail_usage(
      "{}: has the rows of another dataset than {}; name that dataset with --dataset, or embed "
      "this "
      "one with moe-embed",
      embedding.string(), dataset.folder().string());
}

/// Returns the file's rows, checked, at length 1.
Tensor read_unit_rows(const fs::path& file, const Split& split) {
  const Embedding embedding({file});
  if (embedding.rows() != split.size()) {
    fail_usage("{}: {} rows, but split '{}' has {} images; give one row an image", file.string(),
               embedding.rows(), split.name(), split.size());
  }
  Tensor rows = Tensor::uninitialized(DType::f32, {embedding.rows(), embedding.cols()});
  embedding.read(0, embedding.rows(), rows.as<float>().data());
  embedding.require_as_recorded();
  write_unit_rows(matrix_view(rows), rows.as<float>().data());
  return rows;
}

Tensor joined(const std::vector<Tensor>& parts, int64_t rows) {
  Tensor all = Tensor::uninitialized(DType::f32, {rows, parts[0].size(1)});
  float* out = all.as<float>().data();
  for (const Tensor& part : parts) out = std::ranges::copy(part.as<float>(), out).out;
  return all;
}

}  // namespace

Collection::Collection(const fs::path& dataset, const fs::path& embedding)
    : dataset_(Dataset::open(dataset)) {
  if (!is_folder(embedding)) {
    fail_usage(
        "--embedding {}: {}; expected the --out of moe-embed, with a SPLIT.npy for each split",
        embedding.string(), path_exists(embedding) ? "is no folder" : "no such folder");
  }
  require_embedding_of(embedding, dataset_);
  std::vector<Tensor> parts;
  first_.push_back(0);
  for (const std::string& name : dataset_.split_names()) {
    const fs::path file = embedding / (name + ".npy");
    if (!path_exists(file)) continue;
    const Split& split = dataset_.split(name);
    split.require_index();
    parts.push_back(read_unit_rows(file, split));
    if (parts.back().size(1) != parts[0].size(1)) {
      fail_usage("{}: rows of {} values, those of split '{}' have {}; embed both alike",
                 file.string(), parts.back().size(1), splits_[0]->name(), parts[0].size(1));
    }
    splits_.push_back(&split);
    first_.push_back(first_.back() + split.size());
  }
  if (parts.empty()) {
    fail_usage(
        "{}: has the rows of none of the splits of {} ({}); expected {}.npy, as moe-embed "
        "writes it",
        embedding.string(), dataset.string(), join(dataset_.split_names(), ", "),
        dataset_.split_names().front());
  }
  rows_ = parts.size() == 1 ? std::move(parts[0]) : joined(parts, first_.back());
}

std::pair<const Split*, int64_t> Collection::place(int64_t image) const {
  const auto after = std::ranges::upper_bound(first_, image);
  const auto split = static_cast<size_t>(after - first_.begin() - 1);
  return {splits_.at(split), image - first_[split]};
}

std::string Collection::where(int64_t image) const {
  const auto [split, item] = place(image);
  return split->where(item);
}

std::vector<int64_t> Collection::with_key(const std::string& key) const {
  std::vector<int64_t> found;
  for (int64_t image = 0; image < size(); ++image) {
    const auto [split, item] = place(image);
    if (split->key(item) == key) found.push_back(image);
  }
  if (found.empty()) {
    fail_usage(
        "--key {}: {} has no image of that key in the splits searched; keys are the lines of "
        "SPLIT/keys.txt",
        key, dataset_.folder().string());
  }
  return found;
}

}  // namespace hardmoe
