// moe-tags: a dataset's vocabulary, for choosing stop tags and merges.
#include "app.h"
#include "base/error.h"
#include "base/files.h"
#include "base/text.h"
#include "ingest/tag_statistics.h"
#include "ingest/vocabulary.h"

namespace {

using namespace hardmoe;
namespace fs = std::filesystem;

struct Options {
  fs::path dataset, stop_tags, merge_tags;
  fs::path wordnet = "/usr/share/wordnet";
  std::string tag;
  int top = 20;
};

/// To the file, or standard output for "-".
void write_result(const fs::path& file, const std::string& text) {
  if (file == "-") {
    fmt::print("{}", text);
  } else {
    write_file_atomic(file, text);
  }
}

std::string percent(int64_t part, int64_t whole) {
  return fmt::format("{:.1f}%", 100 * static_cast<double>(part) / static_cast<double>(whole));
}

/// The first `top` tags, and how many there are of each count.
void print_vocabulary(const Split& split, const Vocabulary& vocabulary, int top) {
  int64_t tags = 0;
  for (const int64_t count : vocabulary.counts) tags += count;
  fmt::print("{} images, {} tags, {:.1f} tags an image\n\n", split.size(), vocabulary.size(),
             static_cast<double>(tags) / static_cast<double>(split.size()));
  std::vector<std::vector<std::string>> rows = {{"tag", "images", "share"}};
  for (size_t i = 0; i < std::min<size_t>(static_cast<size_t>(top), vocabulary.tags.size()); ++i) {
    rows.push_back({vocabulary.tags[i], fmt::format("{}", vocabulary.counts[i]),
                    percent(vocabulary.counts[i], split.size())});
  }
  fmt::print("{}\n{}\n", format_table(rows), plot_long_tail(vocabulary, 64, 12));
  rows = {{"on as many images or more", "tags", "of all tags on images"}};
  for (const int64_t count : {1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 10'000, 100'000}) {
    if (count > vocabulary.counts.front()) break;
    int64_t kept = 0, on_images = 0;
    for (const int64_t found : vocabulary.counts) {
      if (found >= count) ++kept, on_images += found;
    }
    rows.push_back({fmt::format("{}", count), fmt::format("{}", kept), percent(on_images, tags)});
  }
  fmt::print("{}", format_table(rows));
}

void print_companions(const Split& split, const Vocabulary& vocabulary, const Options& options) {
  const std::string wanted = clean_tag(options.tag);
  const auto found = std::find(vocabulary.tags.begin(), vocabulary.tags.end(), wanted);
  if (found == vocabulary.tags.end()) {
    const std::string near = nearest_name(wanted, vocabulary.tags);
    fail_usage("--tag: '{}' is not in the vocabulary{}", wanted,
               near.empty() ? "" : fmt::format("; did you mean '{}'?", near));
  }
  const auto tag = static_cast<int32_t>(found - vocabulary.tags.begin());
  const int64_t images = vocabulary.counts[static_cast<size_t>(tag)];
  const auto companions = companions_of(split, tag);
  fmt::print("{}: {} images, beside {} other tags\n\n", wanted, images, companions.size());
  std::vector<std::vector<std::string>> rows = {
      {"with", "images", fmt::format("share of {}", wanted), "times chance"}};
  for (size_t i = 0; i < companions.size() && static_cast<int>(i) < options.top; ++i) {
    const Companion& other = companions[i];
    rows.push_back({vocabulary.tags[static_cast<size_t>(other.tag)],
                    fmt::format("{}", other.together), percent(other.together, images),
                    fmt::format("{:.2f}", other.lift)});
  }
  fmt::print("{}", format_table(rows));
}

void write_stop_tags(const Split& split, const Vocabulary& vocabulary, const fs::path& file) {
  std::string text =
      "# Tags that may say nothing about a picture; take out what does. For moe-ingest "
      "--stop-tags.\n";
  for (const auto& [tag, reason] : suggest_stop_tags(split, vocabulary)) {
    const auto at = static_cast<size_t>(tag);
    text +=
        fmt::format("# {} images; {}:\n{}\n", vocabulary.counts[at], reason, vocabulary.tags[at]);
  }
  write_result(file, text);
}

void write_merges(const Vocabulary& vocabulary, const Options& options) {
  std::string text =
      "# Tags of one WordNet synset; take out what is not meant. For moe-ingest --merge-tags.\n";
  for (const auto& [from, to] : synset_merges(vocabulary, WordNet(options.wordnet))) {
    text += fmt::format("{}\t{}\n", vocabulary.tags[static_cast<size_t>(from)],
                        vocabulary.tags[static_cast<size_t>(to)]);
  }
  write_result(options.merge_tags, text);
}

void run(const Options& options) {
  const Dataset dataset = Dataset::open(options.dataset);
  const Split& split = dataset.split("train");
  const Vocabulary& vocabulary = dataset.vocabulary();
  if (options.top < 0) fail_usage("--top: expected 0 or more, found {}", options.top);
  bool asked = false;
  if (!options.tag.empty()) print_companions(split, vocabulary, options), asked = true;
  if (!options.stop_tags.empty())
    write_stop_tags(split, vocabulary, options.stop_tags), asked = true;
  if (!options.merge_tags.empty()) write_merges(vocabulary, options), asked = true;
  if (!asked) print_vocabulary(split, vocabulary, options.top);
}

}  // namespace

int main(int argc, char** argv) {
  Command command("moe-tags",
                  "Show a dataset's vocabulary: the most frequent tags, and how many are how rare. "
                  "Or, with the options below, the tags beside one; a list of tags to stop and one "
                  "of tags to merge, both to be looked through and given to moe-ingest.");
  Options options;
  auto& cli = command.cli();
  cli.add_option("DATASET", options.dataset, "Folder written by moe-ingest")
      ->required()
      ->type_name("");
  cli.add_option("--top", options.top, "Rows of a table")->type_name("N")->capture_default_str();
  cli.add_option("--tag", options.tag, "Show what else is on the images with this tag")
      ->type_name("TAG");
  cli.add_option("--suggest-stop-tags", options.stop_tags,
                 "Write tags that may say nothing about a picture, with the reason ('-': on "
                 "standard output)")
      ->type_name("FILE");
  cli.add_option("--suggest-merges", options.merge_tags,
                 "Write which tags are words for the same thing: of one WordNet synset, by each "
                 "word's most frequent sense")
      ->type_name("FILE");
  cli.add_option("--wordnet", options.wordnet, "Where WordNet's data.noun and index.noun are")
      ->type_name("DIR")
      ->capture_default_str();
  return command.run(argc, argv, [&] { run(options); });
}
