#include "ingest/wordnet.h"

#include <algorithm>
#include <charconv>
#include <span>

#include "base/error.h"
#include "base/folders.h"
#include "base/text.h"

namespace hardmoe {
namespace fs = std::filesystem;
namespace {

/// Returns the number, or -1 if the text is anything but a number.
int64_t parse(std::string_view text, int base) {
  int64_t value = -1;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
  return error == std::errc() && end == text.data() + text.size() ? value : -1;
}

std::string_view text_of(const MappedFile& map) {
  return {reinterpret_cast<const char*>(map.bytes().data()), map.bytes().size()};
}

/// Parses a line of index.noun: lemma, "n", number of synsets, number of pointers, their symbols,
/// twice the number of senses, then the synsets, most frequent first.
std::vector<int64_t> offsets_in(std::string_view line) {
  const auto fields = split(trim(line), ' ');
  const int64_t count = fields.size() > 2 ? parse(fields[2], 10) : -1;
  std::vector<int64_t> offsets;
  if (count < 0 || static_cast<size_t>(count) > fields.size()) return offsets;
  for (size_t i = fields.size() - static_cast<size_t>(count); i < fields.size(); ++i) {
    offsets.push_back(parse(fields[i], 10));
  }
  return offsets;
}

MappedFile map_if_there(const fs::path& file) {
  return path_exists(file) ? MappedFile(file) : MappedFile();
}

}  // namespace

fs::path wordnet_nouns(const fs::path& folder) {
  fs::path file = folder / "data.noun";
  if (!path_exists(file)) {
    fail_usage("{}: no such file; install WordNet (Debian: wordnet-base) or give --wordnet DIR",
               file.string());
  }
  return file;
}

WordNet::WordNet(const fs::path& folder)
    : file_(wordnet_nouns(folder)), map_(file_), index_(map_if_there(folder / "index.noun")) {}

WordNet::Synset WordNet::synset(int64_t offset) const {
  const std::string_view text = text_of(map_);
  const auto damaged = [&] {
    fail("{}: no synset at byte {}; ImageNet's numbers are WordNet 3.0's", file_.string(), offset);
  };
  const auto at = static_cast<size_t>(offset);
  if (offset <= 0 || at >= text.size() || text[at - 1] != '\n') damaged();
  // offset, lexicographer's file, "n", number of words (hexadecimal), each word with a number,
  // number of pointers, each with symbol, offset, part of speech and words; then "| gloss".
  const auto fields = split(text.substr(at, text.find('\n', at) - at), ' ');
  if (fields.size() < 6 || parse(fields[0], 10) != offset) damaged();
  Synset result;
  const auto words = static_cast<size_t>(std::max<int64_t>(parse(fields[3], 16), 0));
  size_t field = 4;
  if (words == 0 || words > (fields.size() - field - 1) / 2) damaged();
  for (size_t i = 0; i < words; ++i, field += 2) {
    std::string word = fields[field];
    std::replace(word.begin(), word.end(), '_', ' ');
    result.words.push_back(std::move(word));
  }
  const auto pointers = static_cast<size_t>(std::max<int64_t>(parse(fields[field++], 10), 0));
  if (pointers > (fields.size() - field) / 4) damaged();
  for (size_t i = 0; i < pointers; ++i, field += 4) {
    if (fields[field] == "@" || fields[field] == "@i") {
      result.hypernyms.push_back(parse(fields[field + 1], 10));
    }
  }
  return result;
}

std::vector<int64_t> WordNet::senses(std::string_view word) const {
  if (index_.bytes().empty()) {
    fail_usage("{}: no such file; install WordNet (Debian: wordnet-base) or give --wordnet DIR",
               (file_.parent_path() / "index.noun").string());
  }
  const std::string_view text = text_of(index_);
  std::string lemma(word);
  std::replace(lemma.begin(), lemma.end(), ' ', '_');
  // Lines "lemma n …" in the order of the lemmas' bytes, after a licence whose lines begin with a
  // blank.
  size_t low = 0, high = text.size();
  while (low < high) {
    const size_t middle = low + (high - low) / 2;
    const size_t before = middle == 0 ? std::string_view::npos : text.rfind('\n', middle - 1);
    const size_t begin = before == std::string_view::npos ? 0 : before + 1;
    const size_t end = std::min(text.find('\n', begin), text.size());
    const std::string_view line = text.substr(begin, end - begin);
    const std::string_view found = line.substr(0, line.find(' '));
    if (found < lemma) {
      low = end + 1;
    } else if (lemma < found) {
      high = begin;
    } else {
      return offsets_in(line);
    }
  }
  return {};
}

std::vector<int64_t> WordNet::above(int64_t offset) const {
  std::vector<int64_t> found = synset(offset).hypernyms;
  for (size_t i = 0; i < found.size(); ++i) {
    for (const int64_t next : synset(found[i]).hypernyms) {
      if (std::find(found.begin(), found.end(), next) == found.end()) found.push_back(next);
    }
  }
  return found;
}

std::vector<std::string> WordNet::tags_of(std::string_view wnid) const {
  const int64_t offset = wnid.starts_with('n') ? parse(wnid.substr(1), 10) : -1;
  if (offset < 0) fail("'{}' is not a synset of a noun, such as n01443537", wnid);
  std::vector<std::string> tags = synset(offset).words;
  for (const int64_t synset_above : above(offset)) tags.push_back(synset(synset_above).words[0]);
  return tags;
}

}  // namespace hardmoe
