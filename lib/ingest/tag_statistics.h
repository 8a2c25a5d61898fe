// Statistics of a dataset's tags for people who choose stop tags and merges. Not for training,
// which needs only counts.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "data/dataset.h"
#include "ingest/wordnet.h"

namespace hardmoe {

/// A tag that occurs together with another one.
struct Companion {
  int32_t tag;
  int64_t together;  ///< images with both
  double lift;       ///< how many times more often than if the tags were independent
};
/// Returns the other tags on images of `split` that have `tag`, most frequent first.
std::vector<Companion> companions_of(const Split& split, int32_t tag);

/// A tag to drop, and why.
struct StopSuggestion {
  int32_t tag;
  std::string reason;
};
/// Returns tags that probably say nothing about a picture, most frequent first: numbers, machine
/// tags (namespace:key=value), single letters, and tags on a third of the images. Also, of the
/// thousand most frequent tags, those whose companions are distributed like all tags
/// (Kullback-Leibler divergence below 0.1 nats beyond what chance leaves) and, if images have
/// several tags, those without companions.
std::vector<StopSuggestion> suggest_stop_tags(const Split& split, const Vocabulary& vocabulary);

/// A tag to be counted as another.
struct TagMerge {
  int32_t from, to;
};
/// Returns merges of tags that belong to the same synset by their most frequent sense as a noun
/// (plurals by their singular), in the vocabulary's order. `to` is the synset's most frequent tag.
std::vector<TagMerge> synset_merges(const Vocabulary& vocabulary, const WordNet& wordnet);

/// Returns a plot of counts against ranks, both axes logarithmic, `width` × `height` characters
/// plus axes.
std::string plot_long_tail(const Vocabulary& vocabulary, int width, int height);

}  // namespace hardmoe
