// An evaluation as JSON and as a table.
#include <algorithm>

#include "base/text.h"
#include "moe/evaluation.h"
#include "moe/tally.h"

namespace hardmoe {
namespace {

/// Says how answers were weighted, for people; nothing if there was one answer an image.
std::string mixing_text(const Evaluation& evaluation) {
  std::vector<std::string> parts;
  if (evaluation.models > 1) parts.push_back(fmt::format("{} models", evaluation.models));
  if (evaluation.base_share) {
    parts.push_back(fmt::format("base's share {:.3f}", *evaluation.base_share));
  }
  if (!evaluation.mix.empty()) parts.push_back(evaluation.mix + " mean");
  if (!evaluation.embedding.empty()) parts.push_back("embedding " + evaluation.embedding);
  if (evaluation.temperature > 0) {
    parts.push_back(fmt::format("temperature {:.4g}", evaluation.temperature));
  }
  if (parts.empty()) return "";
  if (!evaluation.fitted_on.empty()) parts.push_back("fitted on " + evaluation.fitted_on);
  return join(parts, ", ") + "\n";
}

/// Says for people how a model's layers of experts were used.
std::string use_text(const Evaluation& evaluation) {
  std::string text;
  for (const LayerUse& use : evaluation.layers) {
    text +=
        fmt::format("{}: the busiest of {} experts has {:.2f} times an even share of the gates\n",
                    use.layer, use.gates.size(), use.max_over_mean());
  }
  return text;
}

}  // namespace

double LayerUse::max_over_mean() const {
  return std::ranges::max(gates) * static_cast<double>(gates.size());
}

Json evaluation_json(const Evaluation& evaluation) {
  Json json = {{"parameters", evaluation.cost.parameters},
               {"flops_per_image", evaluation.cost.flops}};
  if (evaluation.external_embedding) json["routed_by"] = "features";
  if (evaluation.router) json["routed_by"] = "router";
  if (evaluation.temperature > 0) json["temperature"] = evaluation.temperature;
  if (evaluation.models > 1) json["models"] = evaluation.models;
  if (evaluation.base_share) json["base_share"] = *evaluation.base_share;
  for (const auto& [key, text] : {std::pair{"mix", evaluation.mix},
                                  {"embedding", evaluation.embedding},
                                  {"fitted_on", evaluation.fitted_on}}) {
    if (!text.empty()) json[key] = text;
  }
  for (const LayerUse& use : evaluation.layers) {
    json["layers"].push_back(
        {{"layer", use.layer}, {"gates", use.gates}, {"max_over_mean", use.max_over_mean()}});
  }
  for (const auto& metrics : evaluation.labels) {
    json[metrics.labels] = metrics_json(metrics.all);
    for (const auto& part : metrics.by_expert) {
      json[metrics.labels]["experts"].push_back(metrics_json(part));
    }
  }
  return json;
}

Evaluation parse_evaluation(const Json& json, const std::string& where) {
  Evaluation evaluation;
  evaluation.cost = {json_get<int64_t>(json, "parameters", where),
                     json_get<double>(json, "flops_per_image", where)};
  evaluation.external_embedding = json.value("routed_by", "") == "features";
  evaluation.router = json.value("routed_by", "") == "router";
  evaluation.temperature = json.value("temperature", 0.0);
  evaluation.models = json.value("models", int64_t{1});
  if (json.contains("base_share")) evaluation.base_share = json.value("base_share", 0.0);
  evaluation.mix = json.value("mix", "");
  evaluation.embedding = json.value("embedding", "");
  evaluation.fitted_on = json.value("fitted_on", "");
  for (const auto& use : json.value("layers", Json::array())) {
    evaluation.layers.push_back({json_get<std::string>(use, "layer", where),
                                 json_get<std::vector<double>>(use, "gates", where)});
  }
  for (const char* labels : {"tags", "truth"}) {
    if (!json.contains(labels)) continue;
    LabelMetrics parsed{labels, parse_metrics(json[labels], evaluated_ks, where), {}};
    for (const auto& part : json[labels].value("experts", Json::array())) {
      parsed.by_expert.push_back(parse_metrics(part, evaluated_ks, where));
    }
    evaluation.labels.push_back(std::move(parsed));
  }
  return evaluation;
}

std::string evaluation_text(const Evaluation& evaluation) {
  std::string text;
  for (const auto& metrics : evaluation.labels) {
    std::vector<std::vector<std::string>> rows = {
        metrics_heading(evaluated_ks, "against " + metrics.labels)};
    for (size_t k = 0; k < metrics.by_expert.size(); ++k) {
      rows.push_back(metrics_row(fmt::format("expert {}", k), metrics.by_expert[k]));
    }
    rows.push_back(metrics_row("all", metrics.all));
    text += format_table(rows);
  }
  return text + mixing_text(evaluation) + use_text(evaluation) +
         fmt::format("{} parameters, {} FLOPs an image{}\n",
                     human_count(static_cast<double>(evaluation.cost.parameters)),
                     human_count(evaluation.cost.flops),
                     evaluation.external_embedding ? ", without what made --features"
                     : evaluation.router           ? ", routed by --router"
                                                   : "");
}

}  // namespace hardmoe
