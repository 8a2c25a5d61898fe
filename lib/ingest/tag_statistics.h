// What a dataset's tags look like together: for people who choose stop tags and merges. Not for
// training, which needs no more than counts.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "data/dataset.h"
#include "ingest/wordnet.h"

namespace hardmoe {

/// A tag beside another one.
struct Companion {
  int32_t tag;
  int64_t together;  ///< images with both
  double lift;       ///< how many times as many as if they were independent
};
/// The tags on images of `split` that have `tag`, most frequent first.
std::vector<Companion> companions_of(const Split& split, int32_t tag);

struct StopSuggestion {
  int32_t tag;
  std::string reason;
};
/// Tags that probably say nothing about a picture, most frequent first: numbers, machine tags
/// (namespace:key=value), single letters; tags on a third of the images. And of the thousand most
/// frequent ones those that go with all others alike, their companions distributed as all tags are
/// (Kullback-Leibler divergence below 0.1 nats beyond what chance leaves); or, where images have
/// several tags, with none.
std::vector<StopSuggestion> suggest_stop_tags(const Split& split, const Vocabulary& vocabulary);

struct TagMerge {
  int32_t from, to;
};
/// Tags of the same synset, by each one's most frequent sense as a noun (plurals by their
/// singular): `to` is the most frequent of them. In the vocabulary's order.
std::vector<TagMerge> synset_merges(const Vocabulary& vocabulary, const WordNet& wordnet);

/// Counts against ranks, both axes logarithmic: `width` × `height` characters and axes.
std::string plot_long_tail(const Vocabulary& vocabulary, int width, int height);

}  // namespace hardmoe
