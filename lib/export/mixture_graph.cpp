#include "export/mixture_graph.h"

#include "base/error.h"
#include "engine/network_facts.h"
#include "export/answer_graph.h"
#include "export/expert_branches.h"
#include "export/gater_graph.h"
#include "export/network_graph.h"
#include "moe/unified_embedding.h"
#include "nn/architecture.h"
#include "nn/resnet.h"

namespace hardmoe {
namespace {

class MixtureWriter {
 public:
  MixtureWriter(OnnxGraph& graph, const Mixture& mixture, const AnswerSettings& answer,
                ExpertForm form)
      : graph_(graph),
        mixture_(mixture),
        answer_(answer),
        form_(form),
        model_(mixture.base.card.model),
        cut_(common_cut(mixture)) {}

  MixtureValues write(const MixtureImages& images) {
    const Network whole = network_of(model_, 0);
    input_ = write_normalised(graph_, whole, images.images);
    if (cut_) {
      input_ = write_network(graph_, resnet_until(model_, *cut_), mixture_.base.weights, "shared",
                             input_)
                   .feature;
    }
    const bool mixes = answer_.base_share != 0 && mixture_.embedding == EmbeddingKind::expert;
    NetworkValues base;
    if (!mixture_.router || mixes || mixture_.embedding != EmbeddingKind::expert) {
      base = write_network(graph_, rest_of(mixes ? mixture_.base.card.tags : 0),
                           mixture_.base.weights, "base", input_);
    }
    MixtureValues values;
    values.expert = mixture_.router ? route(images)
                                    : write_gater(graph_, mixture_.partition.gater,
                                                  answer_.use_prices, base.feature);
    const NetworkValues expert = ask_experts(values.expert);
    values.embedding = write_embedding(graph_, mixture_.embedding, mixture_.embedding_share,
                                       base.feature, expert.feature);
    std::string answer = expert.logits;
    if (mixture_.decoder) {
      const int64_t width = embedding_width(mixture_.embedding, feature_size(whole));
      answer = write_network(graph_, linear_decoder(width, mixture_.base.card.tags),
                             *mixture_.decoder, "decoder", values.embedding)
                   .logits;
      if (answers_with_probabilities()) {
        answer = write_probabilities(graph_, mixture_.losses.front(), answer);
      }
    }
    const LossKind loss = mixture_.base.card.loss;
    if (mixes && answer_.mix == Mix::arithmetic) {
      base.logits = write_probabilities(graph_, loss, base.logits);
    }
    if (mixes) answer = write_blend(graph_, answer_.base_share, base.logits, answer);
    values.probabilities =
        answers_with_probabilities() ? answer : write_probabilities(graph_, loss, answer);
    return values;
  }

 private:
  /// Whether experts' logits become probabilities before the base has its share: by each one's own
  /// loss. A geometric mix is one of logits, and all losses are equal then.
  bool answers_with_probabilities() const {
    return answer_.base_share == 0 || mixture_.embedding != EmbeddingKind::expert ||
           answer_.mix == Mix::arithmetic;
  }

  /// What of a network comes behind the shared stages.
  Network rest_of(int64_t tags) const {
    return cut_ ? resnet_from(model_, *cut_, tags) : network_of(model_, tags);
  }

  std::string route(const MixtureImages& images) {
    const ModelCard& card = mixture_.router->card;
    const Network network = router_shares(mixture_) ? resnet_from(card.model, *cut_, card.tags)
                                                    : network_of(card.model, card.tags);
    const std::string input =
        router_shares(mixture_) ? input_ : write_normalised(graph_, network, images.router);
    return write_greatest(
        graph_, write_network(graph_, network, mixture_.router->weights, "router", input).logits);
  }

  NetworkValues ask_experts(const std::string& chosen) {
    const bool heads = !mixture_.decoder;
    const int64_t tags = mixture_.base.card.tags;
    ExpertAnswers asked;
    asked.experts = mixture_.partition.gater.experts;
    asked.chosen = chosen;
    asked.input = input_;
    asked.names = {"expert_feature"};
    asked.widths = {feature_size(network_of(model_, 0))};
    if (heads) {
      asked.names.emplace_back("expert_answer");
      asked.widths.push_back(tags);
    }
    asked.write = [&](OnnxGraph& graph, int64_t k, const std::string& rows) {
      const NetworkValues values =
          write_network(graph, rest_of(heads ? tags : 0), expert_state_dict(mixture_, k),
                        fmt::format("experts.{}", k), rows);
      std::vector<std::string> answers = {values.feature};
      if (!heads) return answers;
      const LossKind loss = mixture_.losses.at(static_cast<size_t>(k));
      answers.push_back(answers_with_probabilities()
                            ? write_probabilities(graph, loss, values.logits)
                            : values.logits);
      return answers;
    };
    const auto answers = write_experts(graph_, asked, form_);
    return {answers.front(), heads ? answers.back() : ""};
  }

  OnnxGraph& graph_;
  const Mixture& mixture_;
  const AnswerSettings& answer_;
  ExpertForm form_;
  const ModelConfig& model_;
  std::optional<int> cut_;
  std::string input_;  ///< what base and experts take: normalised images, or maps at the cut
};

}  // namespace

void check_routing(const Mixture& mixture) {
  if (mixture.router) return;
  if (mixture.external_embedding) {
    fail_usage(
        "the partition was made of an external embedding, which no part of the mixture computes, "
        "so "
        "that a file could not route; train a router (moe-train-router) and give it as --router, "
        "or "
        "export the base or one expert (--expert)");
  }
  if (mixture.partition.gater.kind == PartitionMethod::random) {
    fail_usage(
        "the partition is random: it draws an image's expert by the image's number, which a file "
        "does not know; export the base or one expert (--expert)");
  }
}

MixtureValues write_mixture(OnnxGraph& graph, const Mixture& mixture, const AnswerSettings& answer,
                            ExpertForm form, const MixtureImages& images) {
  check_routing(mixture);
  return MixtureWriter(graph, mixture, answer, form).write(images);
}

}  // namespace hardmoe
