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

LayerUse parse_use(const Json& json, const std::string& where) {
  LayerUse use{json_get<std::string>(json, "layer", where),
               json_get<std::vector<double>>(json, "gates", where)};
  if (use.gates.empty()) fail_json_field(where, "gates", "is empty, expected a share an expert");
  return use;
}

LabelMetrics parse_labels(const Json& json, const char* labels, const std::string& where) {
  LabelMetrics parsed{labels, parse_metrics(json, evaluated_ks, where), {}};
  if (!json.contains("experts")) return parsed;
  for (const Json& part : json_get<std::vector<Json>>(json, "experts", where)) {
    parsed.by_expert.push_back(parse_metrics(part, evaluated_ks, where));
  }
  return parsed;
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
  Json all = {
      {"routed_by", ""}, {"temperature", 0.0},     {"models", 1}, {"mix", ""}, {"embedding", ""},
      {"fitted_on", ""}, {"layers", Json::array()}};
  all.update(json);  // which leaves out what is not so
  const auto routed_by = json_get<std::string>(all, "routed_by", where);
  evaluation.external_embedding = routed_by == "features";
  evaluation.router = routed_by == "router";
  evaluation.temperature = json_get<double>(all, "temperature", where);
  evaluation.models = json_get<int64_t>(all, "models", where);
  if (json.contains("base_share")) {
    evaluation.base_share = json_get<double>(json, "base_share", where);
  }
  evaluation.mix = json_get<std::string>(all, "mix", where);
  evaluation.embedding = json_get<std::string>(all, "embedding", where);
  evaluation.fitted_on = json_get<std::string>(all, "fitted_on", where);
  for (const Json& use : json_get<std::vector<Json>>(all, "layers", where)) {
    evaluation.layers.push_back(parse_use(use, where));
  }
  for (const char* labels : {"tags", "truth"}) {
    if (json.contains(labels)) {
      evaluation.labels.push_back(parse_labels(json.at(labels), labels, where));
    }
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
