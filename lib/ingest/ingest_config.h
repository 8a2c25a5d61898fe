// How images become a data set: the ingest: section of a configuration. Where the data set goes and
// how a run is made is not of it (IngestOptions).
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "base/config.h"
#include "image/codec.h"
#include "ingest/sources/source.h"

namespace hardmoe {

enum class ShardStorage {
  automatic,  ///< tars are indexed where they are unless images are resized; the rest is copied,
              ///< and so are the tars' images of formats that are rewritten as PNG
  copy,       ///< everything is written to DIR/shards, so that the dataset stands alone
};

enum class Duplicates {
  drop,  ///< of images with the same bytes the first stays, with the tags of all
  keep,
};

struct IngestConfig {
  std::vector<std::string> sources;      ///< see sources/source.h
  std::vector<std::string> val_sources;  ///< become split "val"; read first
  SourceOptions source;
  double val_fraction = 0;  ///< or this share of the sources' images does, chosen by key and seed
  int resize = 0;           ///< short side in pixels, never enlarged; 0: the original bytes
  ShardStorage storage = ShardStorage::automatic;
  Duplicates duplicates = Duplicates::drop;
  /// Images whose perceptual_hash differs by so many bits at most are dropped, too; -1: not
  /// looked at.
  int near_duplicates = -1;
  int64_t max_pixels = hardmoe::max_pixels;     ///< a larger image is left out without decoding it
  int min_size = 0;                             ///< pixels of the short side
  double max_aspect = 0;                        ///< long side over short side; 0: any
  int64_t min_tag_count = 1;                    ///< images a tag must be on
  int64_t max_tags = 0;                         ///< most frequent tags kept; 0: all
  std::filesystem::path stop_tags, merge_tags;  ///< see load_tag_rules
  /// A dataset, or its tags.tsv, whose tags are the vocabulary, in its order; others are dropped.
  std::filesystem::path vocabulary;
  double max_bad = 0.01;  ///< share of unreadable items that is an error
  bool strict = false;    ///< what is passed over is an error

  void describe(Fields& f);
};

/// Throws Error(usage) naming a setting that no sources could meet.
void check_ingest_config(const IngestConfig& config);

}  // namespace hardmoe
