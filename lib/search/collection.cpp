#include "search/collection.h"

#include <algorithm>
#include <deque>

#include "base/error.h"
#include "base/folders.h"
#include "base/json_field.h"
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
  const Json stage = read_stage_record(record);
  const Json& inputs = json_object(stage, "inputs", record.string());
  const std::string& wanted = dataset.fingerprint();
  if (json_get_or(inputs, "dataset", wanted, record.string()) == wanted) return;
  fail_usage(
      "{}: has the rows of another dataset than {}; name that dataset with --dataset, or embed "
      "this one with moe-embed",
      embedding.string(), dataset.folder().string());
}

/// Throws Error(usage) unless the file has a row for each image of the split.
void require_row_an_image(const fs::path& file, const Embedding& rows, const Split& split) {
  if (rows.rows() == split.size()) return;
  fail_usage("{}: {} rows, but split '{}' has {} images; give one row an image", file.string(),
             rows.rows(), split.name(), split.size());
}

/// Returns the rows of all files, checked, at length 1. They are held once.
Tensor read_unit_rows(const std::deque<Embedding>& files, int64_t rows) {
  const int64_t cols = files.front().cols();
  Tensor all = Tensor::uninitialized(DType::f32, {rows, cols});
  float* out = all.as<float>().data();
  for (const Embedding& file : files) {
    file.read(0, file.rows(), out);
    file.require_as_recorded();
    write_unit_rows({out, file.rows(), cols}, out);
    out += file.rows() * cols;
  }
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
  std::deque<Embedding> files;
  first_.push_back(0);
  for (const std::string& name : dataset_.split_names()) {
    const fs::path file = embedding / (name + ".npy");
    if (!path_exists(file)) continue;
    const Split& split = dataset_.split(name);
    split.require_index();
    const Embedding& rows = files.emplace_back(std::vector<fs::path>{file});
    require_row_an_image(file, rows, split);
    if (rows.cols() != files.front().cols()) {
      fail_usage("{}: rows of {} values, those of split '{}' have {}; embed both alike",
                 file.string(), rows.cols(), splits_[0]->name(), files.front().cols());
    }
    splits_.push_back(&split);
    first_.push_back(first_.back() + split.size());
  }
  if (files.empty()) {
    fail_usage(
        "{}: has the rows of none of the splits of {} ({}); expected {}.npy, as moe-embed "
        "writes it",
        embedding.string(), dataset.string(), join(dataset_.split_names(), ", "),
        dataset_.split_names().front());
  }
  rows_ = read_unit_rows(files, first_.back());
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
