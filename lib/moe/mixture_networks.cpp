#include "moe/mixture_networks.h"

#include <algorithm>
#include <numeric>

#include "engine/network_facts.h"
#include "moe/router.h"
#include "nn/architecture.h"
#include "nn/resnet.h"

namespace hardmoe {
namespace {

constexpr int64_t usual_batch = 128;
constexpr int64_t usual_map_bytes = int64_t{256} << 20, most_map_bytes = int64_t{2} << 30;

/// Returns how many images' maps are kept at a time, whole batches. An expert's weights are read
/// and its last batch is filled up that often: so there are maps for some batches of each expert,
/// and none (0) if there is no room for one of each.
int64_t images_of_maps(const Mixture& mixture) {
  const auto cut = common_cut(mixture);
  if (!cut) return 0;
  const int64_t bytes = 4 * map_at(mixture.base.card.model, *cut).elements();
  const int64_t most = most_map_bytes / bytes;
  const int64_t one_each = mixture.partition.gater.experts * usual_batch;
  if (one_each > most) return 0;
  const int64_t images = std::max(usual_map_bytes / bytes, std::min(4 * one_each, most));
  return images / usual_batch * usual_batch;
}

std::vector<int64_t> rows_up_to(int64_t count) {
  std::vector<int64_t> rows(static_cast<size_t>(count));
  std::iota(rows.begin(), rows.end(), int64_t{0});
  return rows;
}

void append(const ExpertChoices& choices, ExpertChoices& to) {
  to.expert.insert(to.expert.end(), choices.expert.begin(), choices.expert.end());
  to.squared_distance.insert(to.squared_distance.end(), choices.squared_distance.begin(),
                             choices.squared_distance.end());
}

}  // namespace

ExpertChoices slice(const ExpertChoices& choices, int64_t first, int64_t count) {
  const int64_t begin = first * choices.experts, end = (first + count) * choices.experts;
  const auto part = [&](const auto& all) {
    return std::decay_t<decltype(all)>(all.begin() + begin, all.begin() + end);
  };
  return {choices.experts, part(choices.expert), part(choices.squared_distance)};
}

MixtureNetworks::MixtureNetworks(Engine& engine, const Mixture& mixture, Precision precision,
                                 bool heads, int64_t images, int64_t batch)
    : engine_(engine),
      mixture_(mixture),
      precision_(precision),
      tags_(heads ? mixture.base.card.tags : 0),
      batch_(images > 0 ? std::min(images, batch) : batch),
      images_at_a_time_(common_cut(mixture) && images > 0 ? images : images_of_maps(mixture)) {}

void MixtureNetworks::prepare(bool shares) {
  shares_ = shares;
  const ModelConfig& model = mixture_.base.card.model;
  const auto compile = [&](std::optional<Inference>& part, const Network& network) {
    if (!part) part.emplace(engine_, network, model.image_size, precision_, batch_);
  };
  if (!shares) return compile(whole_, network_of(model, tags_));
  const int cut = *common_cut(mixture_);
  compile(shared_, resnet_until(model, cut));
  compile(rest_, resnet_from(model, cut, tags_));
  shared_->load(mixture_.base.weights, "base");
  if (!router_shares(mixture_) || router_) return;
  compile(router_, resnet_from(mixture_.router->card.model, cut, mixture_.router->card.tags));
  router_->load(mixture_.router->weights, "router");
}

ExpertChoices MixtureNetworks::run(const ImageSet& images, const MixtureVisits& visits) {
  const int64_t n = visits.experts_an_image;
  // Where an image passes one trunk alone, there is nothing to be saved.
  prepare(images_at_a_time_ > 0 && (visits.base || n > 1 || router_shares(mixture_)));
  const bool routes_by_maps = shares_ && router_shares(mixture_);
  ExpertChoices routed;
  if (mixture_.router && !routes_by_maps) {
    routed = route(images, n);
  }
  ExpertChoices all{.experts = n, .expert = {}, .squared_distance = {}};
  const int64_t piece = shares_ ? images_at_a_time_ : images.size();
  for (int64_t first = 0; first < images.size(); first += piece) {
    const int64_t count = std::min(piece, images.size() - first);
    if (shares_) compute_maps(images, first, count);
    if (visits.base) {
      answer(mixture_.base.weights, "base", images, first, rows_up_to(count),
             [&](int64_t position, int64_t rows, auto features, auto logits) {
               visits.base(first + position, rows, features, logits);
             });
    }
    const ExpertChoices choices = routes_by_maps    ? route(count, n)
                                  : mixture_.router ? slice(routed, first, count)
                                                    : visits.choose(first, count);
    ask_experts(images, first, choices, visits);
    append(choices, all);
  }
  maps_ = {};
  return all;
}

ExpertChoices MixtureNetworks::route(const ImageSet& images, int64_t experts_an_image) {
  const ModelCard& card = mixture_.router->card;
  if (!router_) {
    router_.emplace(engine_, network_of(card.model, card.tags), card.model.image_size, precision_,
                    batch_);
    router_->load(mixture_.router->weights, "router");
  }
  return choices_of_router(*router_, card, images, experts_an_image);
}

ExpertChoices MixtureNetworks::route(int64_t count, int64_t experts_an_image) {
  ExpertChoices choices{.experts = experts_an_image, .expert = {}, .squared_distance = {}};
  router_->run(maps_, rows_up_to(count), [&](int64_t, int64_t, auto, auto logits) {
    add_likeliest(mixture_.router->card, logits, experts_an_image, choices);
  });
  return choices;
}

void MixtureNetworks::compute_maps(const ImageSet& images, int64_t first, int64_t count) {
  const Extent map = rest_->network().extent;
  const Shape shape = {count, map.height, map.width, map.channels};
  if (maps_.shape() != shape) maps_ = Tensor::uninitialized(DType::f32, shape);
  std::vector<int64_t> items(static_cast<size_t>(count));
  std::iota(items.begin(), items.end(), first);
  const auto to = maps_.as<float>();
  shared_->run(images, items, [&](int64_t position, int64_t, auto maps, auto) {
    std::copy(maps.begin(), maps.end(), to.begin() + position * map.elements());
  });
}

void MixtureNetworks::answer(const StateDict& weights, const std::string& where,
                             const ImageSet& images, int64_t first,
                             const std::vector<int64_t>& rows, const Inference::Visit& visit) {
  Inference& network = shares_ ? *rest_ : *whole_;
  network.load(weights, where);
  if (shares_) return network.run(maps_, rows, visit);
  std::vector<int64_t> items = rows;
  for (int64_t& item : items) item += first;
  network.run(images, items, visit);
}

void MixtureNetworks::ask_experts(const ImageSet& images, int64_t first,
                                  const ExpertChoices& choices, const MixtureVisits& visits) {
  const auto n = static_cast<size_t>(choices.experts);
  for (size_t k = 0; k < mixture_.experts.size(); ++k) {
    std::vector<int64_t> rows;    // of this expert
    std::vector<size_t> numbers;  // of the choices
    for (size_t c = 0; c < choices.expert.size(); ++c) {
      if (choices.expert[c] != k) continue;
      rows.push_back(static_cast<int64_t>(c / n));
      numbers.push_back(static_cast<size_t>(first) * n + c);
    }
    if (rows.empty()) continue;
    answer(expert_state_dict(mixture_, static_cast<int64_t>(k)), mixture_.experts[k].string(),
           images, first, rows, [&](int64_t position, int64_t count, auto features, auto logits) {
             visits.expert(std::span(numbers).subspan(static_cast<size_t>(position),
                                                      static_cast<size_t>(count)),
                           features, logits);
           });
  }
}

EmbeddedImages embed_by_experts(MixtureNetworks& networks, const ImageSet& images,
                                const std::optional<std::vector<uint16_t>>& experts, bool base,
                                bool use_prices) {
  const int64_t width = feature_size(network_of(networks.mixture().base.card.model, 0));
  const auto rows = [&](bool wanted) {
    return Tensor::uninitialized(DType::f32, {wanted ? images.size() : 0, width});
  };
  const bool routes = !experts && !networks.mixture().router;
  const bool asks_base = base || routes;
  EmbeddedImages found{{}, rows(true), rows(asks_base)};
  MixtureVisits visits;
  if (asks_base) {
    visits.base = [&](int64_t position, int64_t, auto features, auto) {
      std::ranges::copy(features, found.base_features.as<float>().begin() + position * width);
    };
  }
  visits.choose = [&](int64_t first, int64_t count) {
    ExpertChoices choices{.experts = 1, .expert = {}, .squared_distance = {}};
    if (experts) {
      choices.expert.assign(experts->begin() + first, experts->begin() + first + count);
    } else {
      choices.expert = networks.mixture().partition.gater.route(
          matrix_view(found.base_features).slice(first, first + count), use_prices, first);
    }
    return choices;
  };
  visits.expert = [&](auto numbers, auto features, auto) {
    for (size_t i = 0; i < numbers.size(); ++i) {
      std::copy_n(
          features.data() + static_cast<int64_t>(i) * width, width,
          found.expert_features.as<float>().data() + static_cast<int64_t>(numbers[i]) * width);
    }
  };
  found.experts = networks.run(images, visits).expert;
  return found;
}

}  // namespace hardmoe
