#include "moe/image_results.h"

#include <algorithm>

#include "base/error.h"
#include "base/recorded.h"
#include "base/stage.h"
#include "base/text.h"
#include "tensor/npy.h"

namespace hardmoe {
namespace fs = std::filesystem;
namespace {

constexpr const char* values_name = "images.npy";
constexpr const char* experts_name = "experts.npy";

Tensor load_recorded(const fs::path& file) {
  require_as_recorded(file);
  return load_npy(file);
}

}  // namespace

std::vector<std::string> image_result_files() { return {values_name, experts_name}; }

std::vector<std::string> save_image_results(const fs::path& folder, const ImageResults& results) {
  save_npy(folder / values_name, results.values);
  if (results.experts.empty()) return {values_name};
  save_npy(folder / experts_name, results.experts);
  return image_result_files();
}

Json image_results_json(const ImageResults& results) {
  Json json = {{"file", values_name}, {"columns", results.columns}};
  if (!results.experts.empty()) json["experts"] = experts_name;
  return json;
}

ImageResults load_image_results(const fs::path& folder) {
  const Json record = stage_results(folder, "moe-eval");
  if (!record.contains("images")) {
    fail_usage(
        "{}: has no results of single images, as it was evaluated by an earlier version; remove it "
        "and run its moe-eval again",
        folder.string());
  }
  const std::string where = (folder / "metrics.json").string();
  const Json images = json_get<Json>(record, "images", where);
  ImageResults results;
  results.columns = json_get<std::vector<std::string>>(images, "columns", where);
  results.values = load_recorded(folder / values_name);
  const Shape& shape = results.values.shape();
  if (shape.size() != 2 || shape[1] != std::ssize(results.columns)) {
    fail("{}: shape {}, expected images × {} columns", (folder / values_name).string(),
         to_string(shape), results.columns.size());
  }
  if (images.contains("experts")) {
    const Tensor experts = load_recorded(folder / experts_name);
    results.experts.assign(experts.as<uint16_t>().begin(), experts.as<uint16_t>().end());
  }
  return results;
}

std::vector<float> image_column(const ImageResults& results, const std::string& name,
                                const std::string& where) {
  const auto found = std::ranges::find(results.columns, name);
  if (found == results.columns.end()) {
    fail_usage("{}: has no column '{}'; there are {}", where, name, join(results.columns, ", "));
  }
  const auto values = results.values.as<float>();
  const size_t width = results.columns.size();
  std::vector<float> column;
  column.reserve(values.size() / width);
  for (size_t i = static_cast<size_t>(found - results.columns.begin()); i < values.size();
       i += width) {
    column.push_back(values[i]);
  }
  return column;
}

}  // namespace hardmoe
