// How images become a data set: the ingest: section of a configuration. Not where the data set goes
// or how one run proceeds (IngestOptions).
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "base/config.h"
#include "image/codec.h"
#include "ingest/sources/source.h"

namespace hardmoe {

/// Where images are stored.
enum class ShardStorage {
  automatic,  ///< tars are indexed in place unless images are resized; other images are copied, and
              ///< so are the tars' images of formats that are rewritten as PNG
  copy,       ///< all images are written to DIR/shards, so that the dataset stands alone
};

/// What happens to images with the same bytes.
enum class Duplicates {
  drop,  ///< the first one stays, with the tags of all
  keep,
};

/// The settings of moe-ingest.
struct IngestConfig {
  std::vector<std::string> sources;      ///< for the training split; see sources/source.h
  std::vector<std::string> val_sources;  ///< for the split "val"; read first
  SourceOptions source;
  double val_fraction = 0;        ///< share of images moved to "val", chosen by key and seed
  double selection_fraction = 0;  ///< share of the training images moved to "selection"
  double sample = 1;              ///< share of the training images that are kept, before that
  int resize = 0;                 ///< short side in pixels, never enlarged; 0: the original bytes
  ShardStorage storage = ShardStorage::automatic;
  Duplicates duplicates = Duplicates::drop;
  /// Drop images whose perceptual_hash differs from an earlier one's by at most this many bits; -1:
  /// do not compare.
  int near_duplicates = -1;
  int64_t max_pixels = hardmoe::max_pixels;     ///< larger images are left out without decoding
  int min_size = 0;                             ///< shortest allowed short side, in pixels
  double max_aspect = 0;                        ///< largest long side / short side; 0: any
  int64_t min_tag_count = 1;                    ///< images a tag must be on to be kept
  int64_t max_tags = 0;                         ///< most frequent tags kept; 0: all
  std::filesystem::path stop_tags, merge_tags;  ///< see load_tag_rules
  /// A dataset or tags.tsv whose tags are the vocabulary, in that order; other tags are dropped.
  std::filesystem::path vocabulary;
  /// Also keep images without a tag of the vocabulary, which takes `vocabulary`.
  bool keep_untagged = false;
  double max_bad = 0.01;  ///< share of unreadable items above which the ingest fails
  bool strict = false;    ///< fail if anything is passed over

  void describe(Fields& f);
};

/// Throws Error(usage) naming a setting that is impossible whatever the sources.
void check_ingest_config(const IngestConfig& config);

}  // namespace hardmoe
