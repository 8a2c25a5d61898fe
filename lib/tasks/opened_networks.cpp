#include "tasks/opened_networks.h"

#include "base/error.h"
#include "base/stage.h"
#include "moe/router.h"

namespace hardmoe {
namespace {

Precision parse_precision(const std::string& name) {
  for (const Precision precision : {Precision::tf32, Precision::bf16}) {
    if (name == name_of(precision)) return precision;
  }
  return Precision::fp32;
}

Mix parse_mix(const std::string& name) {
  return name == mix_names[static_cast<size_t>(Mix::arithmetic)] ? Mix::arithmetic : Mix::geometric;
}

}  // namespace

AnswerSettings answer_settings(const FoundNetworks& found) {
  if (!found.pack.empty()) return load_mixture_card(found.pack).answer;
  AnswerSettings settings;
  if (found.evaluation.empty()) return settings;
  const Json inputs = stage_inputs(found.evaluation, "moe-eval");
  const Json results = stage_results(found.evaluation, "moe-eval");
  settings.precision = parse_precision(inputs.value("precision", ""));
  if (inputs.contains("eval")) {
    settings.top_experts = inputs.at("eval").value("top_experts", 1);
    settings.use_prices = inputs.at("eval").value("use_prices", true);
  }
  settings.temperature = results.value("temperature", 0.0);
  if (inputs.contains("mixture")) {  // the share was asked for; `results` has the fitted one
    settings.base_share = results.value("base_share", 0.0);
    settings.mix = parse_mix(inputs.at("mixture").value("mix", ""));
  }
  return settings;
}

OpenedNetworks open_networks(const FoundNetworks& found) {
  const NetworkFolders& networks = found.networks;
  OpenedNetworks opened;
  opened.answer = answer_settings(found);
  const std::string& tagged = networks.model.empty() ? networks.base : networks.model;
  opened.vocabulary = load_vocabulary(vocabulary_file(tagged));
  if (!networks.is_mixture()) {
    opened.model = load_changed_model(networks.model, networks.sparse);
    return opened;
  }
  opened.mixture = open_mixture(networks.base, networks.partition, networks.experts, found.decoder);
  if (!networks.router.empty()) {
    opened.mixture->router = open_router(networks.router, networks.partition, networks.base);
  } else if (opened.mixture->external_embedding) {
    fail_usage(
        "{}: made of an external embedding, of which an image itself has no row; train a router "
        "that takes its place (moe-train-router, or run.levers: router) and name it with --row "
        "router",
        networks.partition);
  }
  return opened;
}

}  // namespace hardmoe
