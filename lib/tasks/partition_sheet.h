// moe-partition --contact-sheet: what each part holds, as one image, before any expert is trained.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace hardmoe {

/// Writes the contact sheet of a partition: a row an expert (of the first 256), left the images
/// nearest to its centroid, right those at its border (moe/part_samples.h). Returns a sentence that
/// says how to read it. `embedding`: the files that the partition was made of. Throws Error(usage)
/// if the dataset's training split is not what was partitioned.
std::string write_partition_sheet(const std::filesystem::path& dataset,
                                  const std::vector<std::filesystem::path>& embedding,
                                  const std::filesystem::path& partition,
                                  const std::filesystem::path& file);

}  // namespace hardmoe
