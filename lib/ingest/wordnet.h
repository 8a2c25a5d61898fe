// WordNet's nouns (Debian package wordnet-base): the words of a synset and what is above it. Not
// for other parts of speech.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "base/files.h"

namespace hardmoe {

/// The file that WordNet reads. Throws Error(usage) if the folder has none.
std::filesystem::path wordnet_nouns(const std::filesystem::path& folder);

class WordNet {
 public:
  /// `folder` holds data.noun, in the format of wndb(5WN). Throws as wordnet_nouns.
  explicit WordNet(const std::filesystem::path& folder);

  struct Synset {
    std::vector<std::string> words;  ///< one or more, most frequent first; blanks within terms
    std::vector<int64_t> hypernyms;  ///< of kinds and of instances, as offsets
  };
  /// `offset`: a synset's place in data.noun, which is its number. Throws Error if none is there.
  Synset synset(int64_t offset) const;

  /// The synsets of a word, most frequent first; none if it is no noun. Throws Error(usage) if the
  /// folder has no index.noun.
  std::vector<int64_t> senses(std::string_view word) const;

  /// All synsets above, nearest first, each once.
  std::vector<int64_t> above(int64_t offset) const;

  /// For an ImageNet synset "n01443537": its words, then the first word of each synset above.
  /// Throws Error for what is not one.
  std::vector<std::string> tags_of(std::string_view wnid) const;

 private:
  std::filesystem::path file_;
  MappedFile map_;
  MappedFile index_;  ///< index.noun, empty if there is none
};

}  // namespace hardmoe
