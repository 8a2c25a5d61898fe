#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "base/folders.h"
#include "data/thumbnails.h"
#include "draw/charts.h"
#include "image/contact_sheet.h"
#include "moe/embedding.h"
#include "moe/image_results.h"
#include "moe/part_samples.h"
#include "report/sections.h"
#include "report/statistics.h"
#include "report/tag_map.h"

namespace hardmoe {
namespace {

constexpr int tile = 56, error_tile = 96;
constexpr size_t tags_shown = 6;

/// P@1 of base and mixture on the images that each expert was given at validation.
struct ExpertPrecision {
  std::vector<MeanOfImages> base, mixture, ahead;  ///< K
};

std::optional<ExpertPrecision> expert_precision(const RunView& run, const std::string& labels) {
  const auto base = run.evaluation("base"), local = run.evaluation("local");
  if (!base || !local || !run.has_labels(labels)) return std::nullopt;
  const std::string column = labels + " P@1";
  const ImageResults mixture = load_image_results(*local);
  const auto of_base = image_column(load_image_results(*base), column, base->string());
  const auto of_mixture = image_column(mixture, column, local->string());
  const auto count = static_cast<size_t>(run.partition->gater.experts);
  std::vector<std::vector<float>> base_of(count), mixture_of(count);
  for (size_t i = 0; i < mixture.experts.size(); ++i) {
    base_of.at(mixture.experts[i]).push_back(of_base.at(i));
    mixture_of.at(mixture.experts[i]).push_back(of_mixture.at(i));
  }
  ExpertPrecision found;
  for (size_t k = 0; k < count; ++k) {
    found.base.push_back(mean_of_images(base_of[k]));
    found.mixture.push_back(mean_of_images(mixture_of[k]));
    found.ahead.push_back(mean_of_images(paired_difference(mixture_of[k], base_of[k])));
  }
  return found;
}

Picture precision_chart(const ExpertPrecision& precision, const std::string& labels) {
  BarChart chart{{"experts-" + labels, "P@1 against " + labels +
                                           " of base and mixture, each on the images routed to "
                                           "that expert."},
                 "expert",
                 {},
                 {"P@1"},
                 {{"base", {}}, {"mixture", {}}}};
  for (size_t k = 0; k < precision.base.size(); ++k) {
    chart.groups.push_back(std::to_string(k));
    chart.series[0].values.push_back(precision.base[k].mean);
    chart.series[1].values.push_back(precision.mixture[k].mean);
  }
  return draw(chart);
}

void add_precision_table(const ExpertPrecision& precision, const std::string& labels, Page& page) {
  std::vector<std::vector<std::string>> rows = {
      {"expert", "images", "P@1 base", "P@1 mixture", "mixture ahead, P@1"}};
  for (size_t k = 0; k < precision.base.size(); ++k) {
    const MeanOfImages& ahead = precision.ahead[k];
    rows.push_back({std::to_string(k), std::to_string(ahead.images)});
    if (ahead.images == 0) continue;
    rows.back().insert(rows.back().end(),
                       {fmt::format("{:.3f}", precision.base[k].mean),
                        fmt::format("{:.3f}", precision.mixture[k].mean),
                        fmt::format("{} [{}, {}]", signed_text(ahead.mean), signed_text(ahead.low),
                                    signed_text(ahead.high))});
  }
  page.table("Each expert's images: base beside mixture (local decoders), P@1 against " + labels,
             rows);
}

void add_precision(const RunView& run, Page& page) {
  std::vector<std::pair<std::string, ExpertPrecision>> found;
  for (const char* labels : {"tags", "truth"}) {
    if (auto precision = expert_precision(run, labels)) found.emplace_back(labels, *precision);
  }
  if (found.empty()) return page.note("Base and mixture are not both evaluated yet.");
  std::vector<Picture> charts;
  for (const auto& [labels, precision] : found) {
    charts.push_back(precision_chart(precision, labels));
  }
  page.drawings(charts);
  for (const auto& [labels, precision] : found) add_precision_table(precision, labels, page);
}

/// Adds the map of tags × experts.
void add_tag_map(const RunView& run, const TagCounts& counts, int64_t experts, Page& page) {
  const auto map = tag_map({"tags-by-expert",
                            "How many times as often as among all training images a tag occurs in "
                            "each expert's part: 1 is as often."},
                           run.dataset->vocabulary(), counts, experts);
  if (!map) return page.text("No tag occurs more often in one part than by chance.");
  page.drawings({draw(*map)});
}

/// Returns "sky ×2.1, beach ×1.9".
std::string standing_out(const RunView& run, const TagCounts& counts, int64_t expert) {
  std::string text;
  for (const int32_t tag : counts.most_surprising(expert, tags_shown)) {
    text += fmt::format("{}{} ×{:.1f}", text.empty() ? "" : ", ",
                        run.dataset->vocabulary().tags.at(static_cast<size_t>(tag)),
                        counts.over_representation(expert, tag));
  }
  return text.empty() ? "no tag more often than by chance" : text;
}

/// Returns the sample's images of the expert on which the mixture's loss is greatest.
std::vector<size_t> worst_of(const AnsweredSample& sample, int64_t expert, int64_t count) {
  std::vector<size_t> own;
  for (size_t i = 0; i < sample.items.size(); ++i) {
    if (sample.experts[i] == expert) own.push_back(i);
  }
  const auto kept = std::min(count, std::ssize(own));
  std::partial_sort(own.begin(), own.begin() + kept, own.end(), [&](size_t a, size_t b) {
    return std::pair(-sample.mixture[a].loss, a) < std::pair(-sample.mixture[b].loss, b);
  });
  own.resize(static_cast<size_t>(kept));
  return own;
}

void add_errors(const RunContents& contents, int64_t expert, Page& page) {
  if (contents.sample == nullptr) return;
  const AnsweredSample& sample = *contents.sample;
  const Split& split = contents.run.dataset->split(contents.run.config.eval.split);
  std::vector<int64_t> items;
  const auto worst = worst_of(sample, expert, contents.budget.errors);
  for (const size_t i : worst) items.push_back(sample.items[i]);
  const auto images = thumbnails(split, items, error_tile);
  std::vector<Page::Captioned> shown;
  for (size_t w = 0; w < worst.size(); ++w) {
    const size_t i = worst[w];
    const auto guess = [&](const ImageAnswer& answer) {
      return tags_text(contents.run, std::span(answer.top).first(3), 3);
    };
    shown.push_back({images[w],
                     {split.key(sample.items[i]),
                      "tags: " + tags_text(contents.run, split.tags(sample.items[i]), 4),
                      "expert: " + guess(sample.mixture[i]), "base: " + guess(sample.base[i])}});
  }
  if (shown.empty()) return;
  page.text("Its worst errors, by the loss of what it answers:");
  page.gallery(shown);
}

/// Returns the files of the embedding that was partitioned, if they are there.
std::optional<EmbeddingInput> partitioned_embedding(const RunView& run) {
  std::vector<std::filesystem::path> files(run.config.run.embedding.begin(),
                                           run.config.run.embedding.end());
  if (files.empty()) {
    const RunStage* stage = run.done("embedding");
    if (stage == nullptr) return std::nullopt;
    files = {stage->folder};
  }
  try {
    return find_embedding(files);
  } catch (const Error&) {  // an external one that was moved
    return std::nullopt;
  }
}

std::vector<PartSample> samples_of(const RunView& run, int64_t count, Page& page) {
  const auto input = partitioned_embedding(run);
  if (!input) {
    page.note(
        "The embedding that was partitioned is not here, so that images cannot be ordered by "
        "their distances to centroids.");
    return {};
  }
  return sample_parts(*run.partition, Embedding(input->files), count);
}

Tensor sheet_of(const Split& split, const std::vector<int64_t>& items) {
  return contact_sheet(thumbnails(split, items, tile), std::max<int64_t>(std::ssize(items), 1));
}

void add_expert(const RunContents& contents, const TagCounts& counts,
                const std::vector<PartSample>& samples, int64_t expert, Page& page) {
  const RunView& run = contents.run;
  const auto k = static_cast<size_t>(expert);
  page.heading(4, fmt::format("Expert {}", expert));
  page.text(fmt::format("{} training images. Stands out by: {}.", run.partition->sizes[k],
                        standing_out(run, counts, expert)));
  if (!samples.empty()) {
    const Split& train = run.dataset->split("train");
    const bool random = run.partition->gater.kind == PartitionMethod::random;
    page.image(fmt::format("expert-{}-nearest", expert),
               random ? fmt::format("Expert {}: the first of its images", expert)
                      : fmt::format("Expert {}: nearest to its centroid", expert),
               sheet_of(train, samples[k].nearest));
    page.image(fmt::format("expert-{}-border", expert),
               fmt::format("Expert {}: at its border, hardly nearer to it than to another", expert),
               sheet_of(train, samples[k].border));
  }
  add_errors(contents, expert, page);
}

}  // namespace

void add_experts(const RunContents& contents, Page& page) {
  const RunView& run = contents.run;
  page.heading(3, "The experts");
  if (!run.partition) return page.text("The images are not divided yet.");
  add_precision(run, page);
  if (!run.dataset) return page.note("No images and tags are shown: " + run.no_dataset);
  const Split& train = run.dataset->split("train");
  if (train.size() != std::ssize(run.partition->assignment)) {
    return page.note(
        "No images and tags are shown: the partition is of other images than those of "
        "the data set.");
  }
  const int64_t experts = run.partition->gater.experts;
  const TagCounts counts(train, run.partition->assignment, experts,
                         run.dataset->vocabulary().size());
  const int64_t shown = std::min(experts, contents.budget.experts);
  page.heading(3, "Tags by expert");
  add_tag_map(run, counts, std::min<int64_t>(shown, 24), page);
  page.heading(3, "What each expert holds");
  if (contents.sample == nullptr) page.note(contents.no_sample);
  if (shown < experts) page.note(fmt::format("The first {} of {} experts.", shown, experts));
  const auto samples = samples_of(run, contents.budget.a_side, page);
  for (int64_t k = 0; k < shown; ++k) add_expert(contents, counts, samples, k, page);
}

}  // namespace hardmoe
