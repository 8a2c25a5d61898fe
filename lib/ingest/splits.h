// The splits of a dataset, and which of them an item goes to: functions of its key and the seed, so
// that they do not depend on other items. For ingest.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

#include "data/selection.h"
#include "ingest/ingest.h"

namespace hardmoe {

/// The splits, as rows number them. `selection` is cut from the training images.
enum SplitNumber : uint8_t { train = 0, val = 1, selection = 2 };
inline constexpr std::array<const char*, 3> split_names = {"train", "val", selection_split};
inline constexpr std::array<SplitNumber, 3> all_splits = {train, val, selection};

/// Returns a 64-bit FNV-1a hash.
uint64_t hash_of(std::string_view text);

/// Returns the split of an item with this key; `source`: the one that its source is for.
SplitNumber split_of(const IngestOptions& options, SplitNumber source, std::string_view key);

/// Returns whether a dropped duplicate's tags go to the image that stays: not from training images
/// to those of validation sources, which stay as they are, nor the other way.
bool gives_tags_to(const IngestOptions& options, SplitNumber dropped, SplitNumber stays);

/// Returns whether the item is a training image beyond the share that `options.sample` keeps. Those
/// kept by a smaller share are among those kept by a larger one.
bool is_left_out(const IngestOptions& options, SplitNumber source, std::string_view key);

}  // namespace hardmoe
