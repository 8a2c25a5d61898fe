#include "ingest/splits.h"

#include "base/random.h"

namespace hardmoe {
namespace {

/// Returns whether the key's draw for this use falls below `share`.
bool is_drawn(const IngestOptions& options, RandomUse use, std::string_view key, double share) {
  return Random(options.seed, use, hash_of(key)).uniform_double() < share;
}

}  // namespace

uint64_t hash_of(std::string_view text) {
  uint64_t hash = 0xCBF29CE484222325;
  for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001B3;
  return hash;
}

SplitNumber split_of(const IngestOptions& options, SplitNumber source, std::string_view key) {
  SplitNumber split = source;
  if (options.val_fraction > 0) {
    split = is_drawn(options, RandomUse::split, key, options.val_fraction) ? val : train;
  }
  const bool selected = split == train && options.selection_fraction > 0 &&
                        is_drawn(options, RandomUse::selection, key, options.selection_fraction);
  return selected ? selection : split;
}

bool gives_tags_to(const IngestOptions& options, SplitNumber dropped, SplitNumber stays) {
  return options.val_fraction > 0 || (dropped == val) == (stays == val);
}

bool is_left_out(const IngestOptions& options, SplitNumber source, std::string_view key) {
  return options.sample < 1 && split_of(options, source, key) != val &&
         !is_drawn(options, RandomUse::sample, key, options.sample);
}

}  // namespace hardmoe
