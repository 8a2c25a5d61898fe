#include "tasks/partition_sheet.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/error.h"
#include "data/thumbnails.h"
#include "image/contact_sheet.h"
#include "moe/embedding.h"
#include "moe/part_samples.h"
#include "tasks/sheet_file.h"

namespace hardmoe {
namespace fs = std::filesystem;
namespace {

constexpr int tile = 64;
constexpr int64_t a_side = 8;  // images of each kind in a row
constexpr size_t most_rows = 256;

}  // namespace

std::string write_partition_sheet(const fs::path& dataset, const std::vector<fs::path>& embedding,
                                  const fs::path& partition, const fs::path& file) {
  const Dataset opened = Dataset::open(dataset);
  const Split& train = opened.split("train");
  const Partition parts = load_partition(partition);
  const Embedding rows(find_embedding(embedding).files);
  for (const int64_t found : {rows.rows(), std::ssize(parts.assignment)}) {
    if (found == train.size()) continue;
    fail_usage("{}: its training split has {} images, {} were partitioned; give their dataset",
               dataset.string(), train.size(), found);
  }
  const auto samples = sample_parts(parts, rows, a_side);
  const bool borders =
      std::ranges::any_of(samples, [](const PartSample& part) { return !part.border.empty(); });
  const int64_t columns = borders ? 2 * a_side : a_side;
  std::vector<Tensor> tiles;
  const size_t shown = std::min(samples.size(), most_rows);
  for (size_t k = 0; k < shown; ++k) {
    for (const auto* items : {&samples[k].nearest, &samples[k].border}) {
      auto images = thumbnails(train, *items, tile);
      images.resize(static_cast<size_t>(a_side));
      if (items == &samples[k].nearest || borders) {
        tiles.insert(tiles.end(), images.begin(), images.end());
      }
    }
  }
  const Tensor sheet = contact_sheet(tiles, columns, 2, borders ? a_side : 0);
  if (sheet.elements() == 0) {
    fail("{}: none of the images could be read, so that there is nothing to show",
         dataset.string());
  }
  write_sheet(file, sheet);
  return fmt::format("{}: a row an expert, from {} to {}; {}\n", file.string(), 0, shown - 1,
                     borders ? "left the images nearest to its centroid, right those at its border"
                             : "the images nearest to its centroid");
}

}  // namespace hardmoe
