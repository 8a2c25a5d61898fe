#include "fuzz/targets.h"

namespace hardmoe {

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
      {"packed", "sources", {".gz", ".zst", ".bz2"}, fuzz_packed},
      {"webdataset", "sources/webdataset", {".tar"}, fuzz_webdataset},
      {"cifar", "sources", {".bin"}, fuzz_cifar},
      {"idx", "fuzz_folders/idx", {".folder"}, fuzz_idx},
      {"yfcc100m", "sources/yfcc100m", {".txt"}, fuzz_yfcc100m},
      {"wordnet", "fuzz_folders/wordnet", {".folder"}, fuzz_wordnet},
      {"tag_rules", "fuzz_folders/tag_rules", {".folder"}, fuzz_tag_rules},
      {"config", "fuzz_folders/config", {".yaml"}, fuzz_config},
      {"dataset", "fuzz_folders/dataset", {".folder"}, fuzz_dataset},
      {"stage", "fuzz_folders/stage", {".json"}, fuzz_stage},
      {"xmp", "photos", {".xmp"}, fuzz_xmp},
      {"xmp_merge", "photos", {".xmp"}, fuzz_xmp_merge},
      {"exif", "fuzz/exif", {".tif"}, fuzz_exif},
      {"metadata", "photos", {".jpg", ".png", ".webp"}, fuzz_metadata},
      {"decode", "images", {".jpg", ".png", ".webp"}, fuzz_decode},
      {"foreign_header", "foreign", {".tif", ".bmp", ".jp2", ".j2k", ".gif"}, fuzz_foreign_header},
  };
  return targets;
}

}  // namespace hardmoe
