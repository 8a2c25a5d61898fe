// Sources of images that are neither lists nor folders of photographs: tars with texts beside the
// images, bare pixels, Yahoo's lists of photographs.
#include <array>

#include "faulty_files.h"
#include "fuzz/input_files.h"
#include "fuzz/targets.h"
#include "ingest/sources/kinds.h"
#include "small_dataset.h"
#include "temporary_folder.h"

namespace hardmoe {
namespace {

/// What every item of a source promises.
void check_item(const SourceItem& item) {
  require(item.rejection == Rejection::none || !item.detail.empty(), "refused without a reason");
  require(item.rejection != Rejection::none || safe_key(item.key) == item.key,
          "a key that no shard may have");
}

void read_items(const Source& source) {
  for (int64_t i = 0; i < source.size(); ++i) check_item(source.item(i));
}

}  // namespace

void fuzz_webdataset(std::string_view bytes) {
  const auto source = open_webdataset(file_of(bytes), {});
  const auto size = static_cast<int64_t>(bytes.size());
  for (int64_t i = 0; i < source->size(); ++i) {
    const SourceItem item = source->item(i);
    check_item(item);
    if (item.bytes.empty() || item.offset < 0) continue;
    require(item.offset + std::ssize(item.bytes) <= size, "an image lies outside its archive");
  }
}

void fuzz_cifar(std::string_view bytes) {
  constexpr std::array<std::string_view, 3> names = {"batches.meta.txt", "coarse_label_names.txt",
                                                     "fine_label_names.txt"};
  const auto folder = folder_of(
      "==> batches.meta.txt <==\na\nb\n==> coarse_label_names.txt <==\nc\n"
      "==> fine_label_names.txt <==\nd\ne\n",
      names);
  overwrite(folder / "data.bin", std::string(bytes));
  or_refused([&] { read_items(*open_cifar(folder / "data.bin", /*coarse=*/false)); });
  read_items(*open_cifar(folder / "data.bin", /*coarse=*/true));
}

void fuzz_idx(std::string_view bytes) {
  constexpr std::array<std::string_view, 2> names = {"images-idx3-ubyte", "labels-idx1-ubyte"};
  const auto folder = folder_of(bytes, names);
  const auto images = folder / names[0];
  read_items(*open_idx(images, images, {}, folder / "work"));
}

void fuzz_yfcc100m(std::string_view bytes) {
  static const TemporaryFolder photos;
  overwrite(photos / "4443.jpg", "a photo");
  overwrite(photos / "3801198282_f2ad3ab6bd.jpg", "another");
  QuickFiles quick;
  const ScopedFileSystem used(quick);
  const auto folder = folder_of("", {});
  overwrite(folder / "photos.txt", std::string(bytes));
  SourceOptions options;
  options.images = {photos.path()};
  read_items(*open_yfcc100m(folder / "photos.txt", "photos.txt", options, folder / "work"));
}

}  // namespace hardmoe
