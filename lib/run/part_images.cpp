#include "run/part_images.h"

#include "base/error.h"
#include "base/files.h"
#include "base/folders.h"
#include "base/json.h"

namespace hardmoe {
namespace {

/// Returns the parts' sizes; none if the file is not there, or is no partition's.
std::vector<int64_t> sizes_in(const std::filesystem::path& file) {
  try {
    if (path_exists(file)) return json_get<std::vector<int64_t>>(read_json(file), "sizes", "");
  } catch (const Error&) {  // who reads the partition will tell
  }
  return {};
}

}  // namespace

int64_t PartImages::of(const RunStage& stage) {
  if (stage.part < 0) return -1;
  auto& sizes = sizes_[stage.partition.string()];
  if (sizes.empty()) sizes = sizes_in(stage.partition / "partition.json");
  const auto part = static_cast<size_t>(stage.part);
  return part < sizes.size() ? sizes[part] : -1;
}

}  // namespace hardmoe
