#include "fuzz/targets.h"

#include <algorithm>

#include "base/error.h"
#include "test_files.h"

namespace hardmoe {
namespace fs = std::filesystem;

const std::vector<FuzzTarget>& fuzz_targets() {
  static const std::vector<FuzzTarget> targets = {
      {"tar", "tars", {".tar"}, fuzz_tar},
      {"npy", "formats", {".npy"}, fuzz_npy},
      {"safetensors", "formats", {".safetensors"}, fuzz_safetensors},
      {"json", "lists", {".json", ".jsonl"}, fuzz_json},
      {"list_text", "fuzz/list_text", {".txt"}, fuzz_list_text},
      {"csv", "lists", {".csv"}, fuzz_csv},
      {"tsv", "lists", {".tsv"}, fuzz_tsv},
      {"json_lines", "lists", {".jsonl"}, fuzz_json_lines},
      {"xmp", "photos", {".xmp"}, fuzz_xmp},
      {"exif", "fuzz/exif", {".tif"}, fuzz_exif},
      {"metadata", "photos", {".jpg", ".png", ".webp"}, fuzz_metadata},
      {"decode", "images", {".jpg", ".png", ".webp"}, fuzz_decode},
  };
  return targets;
}

const FuzzTarget& fuzz_target(std::string_view name) {
  for (const FuzzTarget& target : fuzz_targets()) {
    if (target.name == name) return target;
  }
  throw std::invalid_argument("no fuzz target " + std::string(name));
}

std::vector<fs::path> seeds_of(const FuzzTarget& target) {
  std::vector<fs::path> files;
  for (const auto& entry : fs::recursive_directory_iterator(test_files() / target.seeds)) {
    const std::string extension = entry.path().extension().string();
    if (entry.is_regular_file() && std::ranges::count(target.extensions, extension) > 0) {
      files.push_back(entry.path());
    }
  }
  std::sort(files.begin(), files.end());
  return files;
}

void read_damaged(const FuzzTarget& target, std::string_view bytes) {
  try {
    target.read(bytes);
  } catch (const Error&) {  // what a damaged file is answered with
  }
}

}  // namespace hardmoe
