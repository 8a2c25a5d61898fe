#include "ingest/tag_statistics.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <unordered_map>

#include "base/error.h"
#include "base/text.h"

namespace hardmoe {
namespace {

constexpr double frequent_share = 1.0 / 3;
constexpr size_t compared_tags = 1000;
constexpr double least_divergence = 0.1;  // nats
constexpr int64_t lonely_images = 50;

bool is_digit(char c) { return c >= '0' && c <= '9'; }

/// Returns the reason to drop a tag that its text alone gives; "" if there is none.
std::string reason_in_text(std::string_view tag) {
  const size_t colon = tag.find(':');
  if (colon != std::string_view::npos && tag.find('=', colon) != std::string_view::npos) {
    return "a machine tag";
  }
  if (std::all_of(tag.begin(), tag.end(), is_digit)) return "a number";
  if (tag.size() == 1) return "a single letter";
  return {};
}

/// Counts images that have two of the first tags: a symmetric matrix, 0 on the diagonal.
class PairCounts {
 public:
  PairCounts(const Split& split, size_t tags) : tags_(tags), counts_(tags * tags) {
    split.require_index();
    std::vector<size_t> present;
    for (int64_t item = 0; item < split.size(); ++item) {
      present.clear();
      for (const int32_t tag : split.tags(item)) {
        if (static_cast<size_t>(tag) < tags) present.push_back(static_cast<size_t>(tag));
      }
      for (const size_t a : present) {
        for (const size_t b : present) {
          if (a != b) ++counts_[a * tags_ + b];
        }
      }
    }
  }

  int64_t operator()(size_t a, size_t b) const { return counts_[a * tags_ + b]; }
  size_t tags() const { return tags_; }

  int64_t companions(size_t tag) const {
    int64_t sum = 0;
    for (size_t other = 0; other < tags_; ++other) sum += (*this)(tag, other);
    return sum;
  }

 private:
  size_t tags_;
  std::vector<int64_t> counts_;
};

/// Returns the Kullback-Leibler divergence of a tag's companions from all tags, less what a sample
/// of that size has by chance (Miller 1955: degrees of freedom over twice the sample); infinity if
/// the sample is too small to tell.
double divergence(const PairCounts& pairs, const std::vector<int64_t>& totals, int64_t all,
                  size_t tag) {
  const auto sample = static_cast<double>(totals[tag]);
  double sum = 0;
  int64_t possible = -1;
  for (size_t other = 0; other < pairs.tags(); ++other) {
    if (other == tag || totals[other] == 0) continue;
    ++possible;
    const auto together = static_cast<double>(pairs(tag, other));
    if (together == 0) continue;
    // Compare with the companions of all other tags.
    const double usual =
        static_cast<double>(totals[other]) / static_cast<double>(all - totals[tag]);
    sum += together / sample * std::log(together / sample / usual);
  }
  const double chance = static_cast<double>(possible) / (2 * sample);
  if (possible < 1 || chance > least_divergence) return std::numeric_limits<double>::infinity();
  return sum - chance;
}

/// Returns the reason to drop a tag that its companions give; "" if there is none.
std::string reason_in_company(const PairCounts& pairs, const std::vector<int64_t>& totals,
                              int64_t all, size_t tag, int64_t images, int64_t all_images) {
  if (totals[tag] == 0) {
    return images >= lonely_images && all >= all_images ? "never beside another tag" : "";
  }
  const bool alike = divergence(pairs, totals, all, tag) < least_divergence;
  return alike ? "goes with all others alike" : "";
}

/// Returns a plural's singular by morphy(7WN)'s rules of detachment; otherwise the word itself.
std::vector<std::string> base_forms(const std::string& word) {
  static constexpr std::pair<const char*, const char*> rules[] = {
      {"ses", "s"},   {"xes", "x"},   {"zes", "z"}, {"ches", "ch"},
      {"shes", "sh"}, {"men", "man"}, {"ies", "y"}, {"s", ""}};
  std::vector<std::string> forms = {word};
  for (const auto& [ending, instead] : rules) {
    if (!word.ends_with(ending) || word.ends_with("ss")) continue;
    forms.push_back(word.substr(0, word.size() - std::string_view(ending).size()) + instead);
  }
  return forms;
}

/// Returns the most frequent sense; -1 if it is no noun.
int64_t synset_of(const std::string& tag, const WordNet& wordnet) {
  for (const auto& form : base_forms(tag)) {
    const auto senses = wordnet.senses(form);
    if (!senses.empty()) return senses[0];
  }
  return -1;
}

}  // namespace

std::vector<Companion> companions_of(const Split& split, int32_t tag) {
  split.require_index();
  std::unordered_map<int32_t, int64_t> together, alone;
  int64_t images = 0;
  for (int64_t item = 0; item < split.size(); ++item) {
    const auto tags = split.tags(item);
    for (const int32_t other : tags) ++alone[other];
    if (!std::binary_search(tags.begin(), tags.end(), tag)) continue;
    ++images;
    for (const int32_t other : tags) {
      if (other != tag) ++together[other];
    }
  }
  std::vector<Companion> companions;
  for (const auto& [other, count] : together) {
    const double expected = static_cast<double>(images) * static_cast<double>(alone[other]) /
                            static_cast<double>(split.size());
    companions.push_back({other, count, static_cast<double>(count) / expected});
  }
  std::sort(companions.begin(), companions.end(), [](const Companion& a, const Companion& b) {
    return a.together != b.together ? a.together > b.together : a.tag < b.tag;
  });
  return companions;
}

std::vector<StopSuggestion> suggest_stop_tags(const Split& split, const Vocabulary& vocabulary) {
  const auto size = static_cast<size_t>(vocabulary.size());
  const PairCounts pairs(split, std::min(size, compared_tags));
  std::vector<int64_t> totals;
  int64_t all = 0;
  for (size_t tag = 0; tag < pairs.tags(); ++tag) {
    totals.push_back(pairs.companions(tag));
    all += totals.back();
  }
  std::vector<StopSuggestion> suggestions;
  for (size_t tag = 0; tag < size; ++tag) {
    const double share =
        static_cast<double>(vocabulary.counts[tag]) / static_cast<double>(split.size());
    std::string reason = reason_in_text(vocabulary.tags[tag]);
    if (reason.empty() && share >= frequent_share) {
      reason = fmt::format("on {:.0f}% of the images", 100 * share);
    }
    if (reason.empty() && tag < pairs.tags()) {
      reason = reason_in_company(pairs, totals, all, tag, vocabulary.counts[tag], split.size());
    }
    if (!reason.empty()) suggestions.push_back({static_cast<int32_t>(tag), std::move(reason)});
  }
  return suggestions;
}

std::vector<TagMerge> synset_merges(const Vocabulary& vocabulary, const WordNet& wordnet) {
  std::unordered_map<int64_t, int32_t> first;  // the first tag of each synset
  std::vector<TagMerge> merges;
  for (size_t i = 0; i < vocabulary.tags.size(); ++i) {
    const auto tag = static_cast<int32_t>(i);
    const int64_t synset = synset_of(vocabulary.tags[i], wordnet);
    if (synset < 0) continue;
    const auto [entry, added] = first.emplace(synset, tag);
    if (!added) merges.push_back({tag, entry->second});
  }
  return merges;
}

std::string plot_long_tail(const Vocabulary& vocabulary, int width, int height) {
  static constexpr const char* eighths[] = {" ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
  const auto size = static_cast<double>(vocabulary.size());
  const double top = std::log(static_cast<double>(vocabulary.counts.front()) + 1);
  std::vector<int> levels;  // of each column, in eighths of a row
  for (int column = 0; column < width; ++column) {
    const double rank = std::pow(size, static_cast<double>(column) / std::max(width - 1, 1));
    const auto at = static_cast<size_t>(std::lround(std::min(rank, size))) - 1;
    const double share = std::log(static_cast<double>(vocabulary.counts[at]) + 1) / top;
    levels.push_back(static_cast<int>(std::lround(share * 8 * height)));
  }
  std::string plot, above;
  for (int row = height - 1; row >= 0; --row) {
    // The count at the row's upper edge.
    const double count = std::exp(top * (row + 1) / height) - 1;
    const std::string label = human_count(std::round(count));
    plot += fmt::format("{:>6} │", label == above ? "" : label);
    above = label;
    for (const int level : levels) {
      if (level <= 8 * row) break;  // levels never rise
      plot += eighths[std::min(level - 8 * row, 8)];
    }
    plot += '\n';
  }
  plot += fmt::format("images └{}\n", fmt::format("{:─>{}}", "", width));
  std::string ranks(static_cast<size_t>(width), ' ');
  for (double rank = 1; rank <= size; rank *= 10) {
    const std::string label = fmt::format("{}", static_cast<int64_t>(rank));
    const double share = size > 1 ? std::log(rank) / std::log(size) : 0;
    const auto column = static_cast<size_t>(std::lround(share * (width - 1)));
    if (column + label.size() <= ranks.size()) ranks.replace(column, label.size(), label);
  }
  return plot + "  rank  " + ranks.substr(0, ranks.find_last_not_of(' ') + 1) + '\n';
}

}  // namespace hardmoe
