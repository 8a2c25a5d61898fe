#include "tasks/opened_networks.h"

#include "base/error.h"
#include "base/json_field.h"
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

/// Returns a section of an evaluation's inputs, with the usual values of what it leaves out.
Json section_of(const Json& inputs, const char* name, Json usual, const std::string& where) {
  usual.update(json_object(inputs, name, where));
  return usual;
}

}  // namespace

AnswerSettings answer_settings(const FoundNetworks& found) {
  if (!found.pack.empty()) return load_mixture_card(found.pack).answer;
  AnswerSettings settings;
  if (found.evaluation.empty()) return settings;
  const std::string where = found.evaluation + "/stage.json";
  const Json inputs = stage_inputs(found.evaluation, "moe-eval");
  if (inputs.contains("precision")) {
    settings.precision = parse_precision(json_get<std::string>(inputs, "precision", where));
  }
  if (inputs.contains("eval")) {
    const Json eval = section_of(inputs, "eval", {{"top_experts", 1}, {"use_prices", true}}, where);
    settings.top_experts = json_int(eval, "top_experts", where);
    settings.use_prices = json_get<bool>(eval, "use_prices", where);
  }
  Json results = {{"temperature", 0.0}, {"base_share", 0.0}};
  results.update(stage_results(found.evaluation, "moe-eval"));
  settings.temperature = json_get<double>(results, "temperature", where);
  if (inputs.contains("mixture")) {  // the share was asked for; `results` has the fitted one
    settings.base_share = json_get<double>(results, "base_share", where);
    const Json mixture = section_of(inputs, "mixture", {{"mix", ""}}, where);
    settings.mix = parse_mix(json_get<std::string>(mixture, "mix", where));
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
