#include "report/answered_sample.h"

#include <algorithm>
#include <cstring>
#include <optional>

#include "base/log.h"
#include "engine/network_facts.h"
#include "moe/evaluation.h"
#include "moe/image_results.h"
#include "moe/mixed_answers.h"
#include "moe/mixing.h"
#include "moe/unified_embedding.h"
#include "nn/architecture.h"
#include "tasks/opened_networks.h"
#include "train/image_loss.h"
#include "train/inference.h"
#include "train/metrics.h"
#include "train/probability.h"
#include "train/score_rows.h"

namespace hardmoe {
namespace fs = std::filesystem;
namespace {

/// Returns the images of the split that have tags, at most `most`, at equal distances.
std::vector<int64_t> items_of(const Split& split, int64_t most) {
  std::vector<int64_t> with_tags;
  for (int64_t i = 0; i < split.size(); ++i) {
    if (!split.tags(i).empty()) with_tags.push_back(i);
  }
  const int64_t count = std::min(most, std::ssize(with_tags));
  std::vector<int64_t> items;
  for (int64_t i = 0; i < count; ++i) {
    items.push_back(with_tags[static_cast<size_t>(std::ssize(with_tags) * i / count)]);
  }
  return items;
}

/// Returns the answer that scores, logits of a head trained with `loss`, give.
ImageAnswer answer_of(LossKind loss, std::span<const float> logits, std::span<const int32_t> tags,
                      std::vector<float>& probabilities) {
  ImageAnswer answer;
  answer.top.fill(-1);
  const auto best = top_k(logits, ImageAnswer::tags);
  std::ranges::copy(best, answer.top.begin());
  probabilities.assign(logits.size(), 0);
  add_probabilities(loss, logits, 1, probabilities.data());
  answer.probability = probabilities[static_cast<size_t>(best.front())];
  answer.loss = image_loss(loss, logits, tags);
  return answer;
}

/// Returns how the row 'local' was evaluated; in fp32 where the device has no such precision.
AnswerSettings local_settings(const RunView& run, const Engine& engine) {
  FoundNetworks evaluated;
  evaluated.evaluation = run.evaluation("local")->string();
  AnswerSettings settings = answer_settings(evaluated);
  if (!engine.supports(settings.precision)) settings.precision = Precision::fp32;
  return settings;
}

/// Runs base and experts over the sample.
class SampleNetworks {
 public:
  SampleNetworks(const RunView& run, Engine& engine, AnsweredSample& sample)
      : run_(run),
        split_(run.dataset->split(run.config.eval.split)),
        sample_(sample),
        settings_(local_settings(run, engine)),
        mixture_(open_mixture(run.done("base")->folder, run.done("partition")->folder,
                              run.finished_experts(), "")),
        width_(feature_size(network_of(mixture_.base.card.model, 0))),
        inference_(engine, network_of(mixture_.base.card.model, mixture_.base.card.tags),
                   mixture_.base.card.model.image_size, settings_.precision) {
    const auto n = std::ssize(sample.items);
    sample.base_features = Tensor::uninitialized(DType::f32, {n, width_});
    expert_features_ = Tensor::uninitialized(DType::f32, {n, width_});
    sample.base.resize(sample.items.size());
    sample.mixture.resize(sample.items.size());
  }

  void ask() {
    const auto tags = static_cast<size_t>(mixture_.base.card.tags);
    std::optional<ScoreRows> base_logits;
    std::optional<BaseMixer> mixer;
    if (settings_.base_share != 0) {
      base_logits.emplace(mixture_.base.card.tags);
      mixer.emplace(settings_.mix, common_loss(mixture_), settings_.base_share,
                    mixture_.base.card.tags);
    }
    inference_.load(mixture_.base.weights, "base");
    std::vector<size_t> all(sample_.items.size());
    for (size_t i = 0; i < all.size(); ++i) all[i] = i;
    run(all, sample_.base_features, [&](size_t i, std::span<const float> logits) {
      sample_.base[i] = answer(mixture_.base.card.loss, logits, i);
      if (base_logits) base_logits->add(logits);
    });
    std::vector<float> base(tags);
    for (size_t k = 0; k < mixture_.experts.size(); ++k) {
      std::vector<size_t> own;
      std::ranges::copy_if(all, std::back_inserter(own),
                           [&](size_t i) { return sample_.experts[i] == k; });
      if (own.empty()) continue;
      inference_.load(expert_state_dict(mixture_, static_cast<int64_t>(k)),
                      mixture_.experts[k].string());
      run(own, expert_features_, [&](size_t i, std::span<const float> logits) {
        std::vector<float> mixed(logits.begin(), logits.end());
        if (mixer) {
          base_logits->read(static_cast<int64_t>(i), base);
          const auto both = mixer->mixed(base, {i, logits, false});
          mixed.assign(both.begin(), both.end());
          if (settings_.mix == Mix::arithmetic) to_logits(mixture_.losses[k], mixed);
        }
        sample_.mixture[i] = answer(mixture_.losses[k], mixed, i);
      });
    }
  }

  /// Makes the rows that the shared decoder reads, or, without one, that the configuration means.
  void embed() {
    EmbeddingKind kind = run_.config.mixture.embedding;
    double share = std::max(run_.config.mixture.base_share, 0.0);
    if (const RunStage* decoder = run_.done("decoder")) {
      const DecoderCard card = load_decoder_card(decoder->folder);
      kind = card.embedding;
      share = card.base_share;
    }
    sample_.unified = combined_embedding(kind, share, sample_.base_features, expert_features_);
  }

 private:
  ImageAnswer answer(LossKind loss, std::span<const float> logits, size_t i) {
    return answer_of(loss, logits, split_.tags(sample_.items[i]), probabilities_);
  }

  /// Runs the loaded network on some of the sample's images, keeps their features and passes on
  /// their logits.
  template <class Visit>
  void run(const std::vector<size_t>& which, Tensor& features, const Visit& visit) {
    std::vector<int64_t> items;
    for (const size_t i : which) items.push_back(sample_.items[i]);
    const auto tags = static_cast<size_t>(mixture_.base.card.tags);
    const auto width = static_cast<size_t>(width_);
    inference_.run(split_, items, [&](int64_t position, int64_t rows, auto found, auto logits) {
      for (size_t r = 0; r < static_cast<size_t>(rows); ++r) {
        const size_t i = which[static_cast<size_t>(position) + r];
        std::memcpy(features.as<float>().data() + i * width, found.data() + r * width, width * 4);
        visit(i, logits.subspan(r * tags, tags));
      }
    });
  }

  const RunView& run_;
  const Split& split_;
  AnsweredSample& sample_;
  AnswerSettings settings_;
  Mixture mixture_;
  int64_t width_;
  Inference inference_;
  Tensor expert_features_;
  std::vector<float> probabilities_;  // scratch
};

}  // namespace

bool ImageAnswer::has(int32_t tag, size_t k) const {
  return std::find(top.begin(), top.begin() + static_cast<int64_t>(k), tag) !=
         top.begin() + static_cast<int64_t>(k);
}

bool ImageAnswer::is_right(std::span<const int32_t> own) const {
  return std::ranges::find(own, top[0]) != own.end();
}

AnsweredSample answer_sample(const RunView& run, int64_t most, Engine& engine) {
  const Split& split = run.dataset->split(run.config.eval.split);
  AnsweredSample sample;
  sample.items = items_of(split, most);
  const auto routed = load_image_results(*run.evaluation("local")).experts;
  if (std::ssize(routed) != split.size()) {
    fail_usage("{}: its split {} has {} images, the run evaluated {}; give the run's data set",
               run.dataset->folder().string(), split.name(), split.size(), routed.size());
  }
  for (const int64_t item : sample.items) {
    sample.experts.push_back(routed[static_cast<size_t>(item)]);
  }
  log_info("{}: asking base and experts about {} images of {}", run.folder.string(),
           sample.items.size(), split.name());
  SampleNetworks networks(run, engine, sample);
  networks.ask();
  networks.embed();
  return sample;
}

}  // namespace hardmoe
