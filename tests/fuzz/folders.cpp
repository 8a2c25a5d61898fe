// What commands find in folders that others hand on: a dataset, the record of a stage.
#include <array>

#include "base/log.h"
#include "base/recorded.h"
#include "base/stage.h"
#include "data/dataset.h"
#include "faulty_files.h"
#include "fuzz/input_files.h"
#include "fuzz/targets.h"
#include "small_dataset.h"

namespace hardmoe {
namespace {

constexpr std::array<std::string_view, 20> files_of_dataset = {"dataset.json",
                                                               "tags.tsv",
                                                               "stage.json",
                                                               "train/shard.npy",
                                                               "train/offset.npy",
                                                               "train/length.npy",
                                                               "train/tag_ptr.npy",
                                                               "train/tag_ids.npy",
                                                               "train/truth_ptr.npy",
                                                               "train/truth_ids.npy",
                                                               "train/keys.txt",
                                                               "val/shard.npy",
                                                               "val/offset.npy",
                                                               "val/length.npy",
                                                               "val/tag_ptr.npy",
                                                               "val/tag_ids.npy",
                                                               "val/keys.txt",
                                                               "shards/train-000000.tar",
                                                               "shards/val-000000.tar",
                                                               "shards/part-00000-000000.tar"};

/// Reads the first and the last byte, so that a span beyond its memory is noticed.
void touch_ends(std::span<const std::byte> bytes) {
  if (bytes.empty()) return;
  const volatile std::byte* const begin = bytes.data();
  static_cast<void>(begin[0]);
  static_cast<void>(begin[bytes.size() - 1]);
}

/// All that a dataset says of one of its images.
void read_image(const Split& split, int64_t item, int64_t tags) {
  or_refused([&] { touch_ends(split.image(item)); });
  or_refused([&] { split.where(item); });
  or_refused([&] {
    for (const int32_t tag : split.tags(item)) require(tag >= 0 && tag < tags, "no such tag");
  });
  if (!split.has_truth()) return;
  or_refused([&] {
    for (const int32_t tag : split.truth(item)) require(tag >= 0 && tag < tags, "no such tag");
  });
}

}  // namespace

void fuzz_dataset(std::string_view bytes) {
  const auto folder = folder_of(bytes, files_of_dataset);
  const Dataset dataset = Dataset::open(folder, DatasetRecords::unread);
  for (const std::string& name : dataset.split_names()) {
    const Split& split = dataset.split(name);
    or_refused([&] { split.require_index(); });
    for (int64_t i = 0; i < split.size(); ++i) read_image(split, i, dataset.vocabulary().size());
  }
  Dataset::open(folder);
}

/// The input is a stage.json beside one file.
void fuzz_stage(std::string_view bytes) {
  constexpr size_t most_warnings = 1000;  // they are kept, and those of a record repeated
  if (warnings_so_far().size() > most_warnings) return;
  QuickFiles quick;
  const ScopedFileSystem used(quick);
  constexpr std::array<std::string_view, 2> names = {"stage.json", "weights"};
  const auto folder =
      folder_of("==> weights <==\nsome\n==> stage.json <==\n" + std::string(bytes), names);
  for (const char* command : {"moe-ingest", "moe-train-base", "moe-eval"}) {
    or_refused([&] { stage_fingerprint(folder, command); });
    or_refused([&] { stage_inputs(folder, command); });
    or_refused([&] { stage_results(folder, command); });
  }
  or_refused([&] { recorded(folder / "weights", UnfinishedStage::allowed); });
  or_refused([&] { require_as_recorded(folder / "weights"); });
  or_refused([&] { vocabulary_file(folder / "weights"); });
  // A command that is run again may only remove what is in the folder.
  const auto beside = file_of("beside");
  or_refused(
      [&] { Stage({.folder = folder, .command = "moe-train-base", .inputs = Json::object()}); });
  Stage forced({.folder = folder,
                .command = "moe-train-base",
                .inputs = {{"seed", 1}},
                .force = true,
                .writes = {"weights"}});
  forced.has_kept("weights");
  require(std::filesystem::exists(beside), "a file beside the folder is gone");
}

}  // namespace hardmoe
