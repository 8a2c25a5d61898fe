// WordNet's nouns (Debian package wordnet-base): the words of a synset and the synsets above it.
// Not for other parts of speech.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "base/files.h"

namespace hardmoe {

/// Returns the path of data.noun, which WordNet reads. Throws Error(usage) if the folder has none.
std::filesystem::path wordnet_nouns(const std::filesystem::path& folder);

/// An opened WordNet folder.
class WordNet {
 public:
  /// Opens `folder`, which holds data.noun in the format of wndb(5WN). Throws as wordnet_nouns
  /// does.
  explicit WordNet(const std::filesystem::path& folder);

  struct Synset {
    std::vector<std::string> words;  ///< at least one, most frequent first; terms may have blanks
    std::vector<int64_t> hypernyms;  ///< offsets of the synsets above, also those of instances
  };
  /// Returns the synset at `offset` in data.noun, which is its number. Throws Error if there is
  /// none.
  Synset synset(int64_t offset) const;

  /// Returns the synsets of a word, most frequent first; none if it is no noun. Throws Error(usage)
  /// if the folder has no index.noun.
  std::vector<int64_t> senses(std::string_view word) const;

  /// Returns all synsets above, nearest first, each once.
  std::vector<int64_t> above(int64_t offset) const;

  /// Returns the tags of an ImageNet synset "n01443537": its words, then the first word of each
  /// synset above. Throws Error for any other text.
  std::vector<std::string> tags_of(std::string_view wnid) const;

 private:
  std::filesystem::path file_;
  MappedFile map_;
  MappedFile index_;  ///< index.noun, empty if there is none
};

}  // namespace hardmoe
