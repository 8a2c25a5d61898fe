#include "tasks/tags.h"

#include <algorithm>

#include "base/error.h"
#include "base/files.h"
#include "base/folders.h"
#include "base/text.h"
#include "ingest/tag_statistics.h"
#include "ingest/vocabulary.h"

namespace hardmoe {
namespace fs = std::filesystem;
namespace {

/// Writes the text to the file, or returns it if the file is "-".
std::string written_to(const fs::path& file, const std::string& text) {
  if (file == "-") return text;
  if (file.has_parent_path()) make_writable_folder(file.parent_path());
  write_file_atomic(file, text);
  return "";
}

std::string percent(int64_t part, int64_t whole) {
  return fmt::format("{:.1f}%", 100 * static_cast<double>(part) / static_cast<double>(whole));
}

/// Returns the first `top` tags, and the number of tags by count.
std::string vocabulary_table(const Split& split, const Vocabulary& vocabulary, int top) {
  int64_t tags = 0;
  for (const int64_t count : vocabulary.counts) tags += count;
  std::string text =
      fmt::format("{} images, {} tags, {:.1f} tags an image\n\n", split.size(), vocabulary.size(),
                  static_cast<double>(tags) / static_cast<double>(split.size()));
  std::vector<std::vector<std::string>> rows = {{"tag", "images", "share"}};
  for (size_t i = 0; i < std::min<size_t>(static_cast<size_t>(top), vocabulary.tags.size()); ++i) {
    rows.push_back({vocabulary.tags[i], fmt::format("{}", vocabulary.counts[i]),
                    percent(vocabulary.counts[i], split.size())});
  }
  text += fmt::format("{}\n{}\n", format_table(rows), plot_long_tail(vocabulary, 64, 12));
  rows = {{"on as many images or more", "tags", "of all tags on images"}};
  for (const int64_t count : {1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 10'000, 100'000}) {
    if (count > vocabulary.counts.front()) break;
    int64_t kept = 0, on_images = 0;
    for (const int64_t found : vocabulary.counts) {
      if (found >= count) ++kept, on_images += found;
    }
    rows.push_back({fmt::format("{}", count), fmt::format("{}", kept), percent(on_images, tags)});
  }
  return text + format_table(rows);
}

/// Returns the other tags of the images that have the tag.
std::string companions_table(const Split& split, const Vocabulary& vocabulary,
                             const TagsTask& task) {
  const std::string wanted = clean_tag(task.tag);
  const auto found = std::find(vocabulary.tags.begin(), vocabulary.tags.end(), wanted);
  if (found == vocabulary.tags.end()) {
    const std::string near = nearest_name(wanted, vocabulary.tags);
    fail_usage("--tag: '{}' is not in the vocabulary{}", wanted,
               near.empty() ? "" : fmt::format("; did you mean '{}'?", near));
  }
  const auto tag = static_cast<int32_t>(found - vocabulary.tags.begin());
  const int64_t images = vocabulary.counts[static_cast<size_t>(tag)];
  const auto companions = companions_of(split, tag);
  std::vector<std::vector<std::string>> rows = {
      {"with", "images", fmt::format("share of {}", wanted), "times chance"}};
  for (size_t i = 0; i < companions.size() && static_cast<int>(i) < task.top; ++i) {
    const Companion& other = companions[i];
    rows.push_back({vocabulary.tags[static_cast<size_t>(other.tag)],
                    fmt::format("{}", other.together), percent(other.together, images),
                    fmt::format("{:.2f}", other.lift)});
  }
  return fmt::format("{}: {} images, beside {} other tags\n\n{}", wanted, images, companions.size(),
                     format_table(rows));
}

std::string stop_tags(const Split& split, const Vocabulary& vocabulary) {
  std::string text =
      "# Tags that may say nothing about a picture; take out what does. For moe-ingest "
      "--stop-tags.\n";
  for (const auto& [tag, reason] : suggest_stop_tags(split, vocabulary)) {
    const auto at = static_cast<size_t>(tag);
    text +=
        fmt::format("# {} images; {}:\n{}\n", vocabulary.counts[at], reason, vocabulary.tags[at]);
  }
  return text;
}

std::string merges(const Vocabulary& vocabulary, const fs::path& wordnet) {
  std::string text =
      "# Tags of one WordNet synset; take out what is not meant. For moe-ingest --merge-tags.\n";
  for (const auto& [from, to] : synset_merges(vocabulary, WordNet(wordnet))) {
    text += fmt::format("{}\t{}\n", vocabulary.tags[static_cast<size_t>(from)],
                        vocabulary.tags[static_cast<size_t>(to)]);
  }
  return text;
}

}  // namespace

std::string show_tags(const TagsTask& task) {
  const Dataset dataset = Dataset::open(task.dataset);
  const Split& split = dataset.split("train");
  const Vocabulary& vocabulary = dataset.vocabulary();
  if (task.top < 0) fail_usage("--top: expected 0 or more, found {}", task.top);
  if (task.tag.empty() && task.stop_tags.empty() && task.merge_tags.empty()) {
    return vocabulary_table(split, vocabulary, task.top);
  }
  std::string text;
  if (!task.tag.empty()) text += companions_table(split, vocabulary, task);
  if (!task.stop_tags.empty()) text += written_to(task.stop_tags, stop_tags(split, vocabulary));
  if (!task.merge_tags.empty()) {
    text += written_to(task.merge_tags, merges(vocabulary, task.wordnet));
  }
  return text;
}

}  // namespace hardmoe
