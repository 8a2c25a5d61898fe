#include "tasks/prediction.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/display_width.h"
#include "base/json.h"
#include "base/json_line.h"
#include "base/printable.h"
#include "base/text.h"
#include "ingest/sources/source.h"
#include "train/metrics.h"

namespace hardmoe {
namespace {

std::string digits(double value) { return fmt::format("{:.6g}", value); }

/// Returns the value with as many digits as float32 has.
double rounded(double value) { return std::stod(digits(value)); }

/// Returns a field as RFC 4180 quotes it.
std::string csv_field(const std::string& text) {
  if (text.find_first_of(",\"\r\n") == std::string::npos) return text;
  std::string quoted = "\"";
  for (const char c : text) {
    if (c == '"') quoted += '"';
    quoted += c;
  }
  return quoted + '"';
}

std::string padded(const std::string& text, size_t width) {
  return text + std::string(width - std::min(width, display_width(text)), ' ');
}

}  // namespace

std::vector<std::pair<int32_t, float>> best_tags(std::span<const float> scores,
                                                 std::span<const float> probabilities, int top,
                                                 double threshold) {
  std::vector<std::pair<int32_t, float>> tags;
  for (const int32_t tag : top_k(scores, top)) {
    const float probability = probabilities[static_cast<size_t>(tag)];
    if (static_cast<double>(probability) >= threshold) tags.emplace_back(tag, probability);
  }
  return tags;
}

PredictionWriter::PredictionWriter(PredictionForm form, const Vocabulary& vocabulary, bool experts,
                                   bool by_router)
    : form_(form),
      vocabulary_(vocabulary),
      experts_(experts),
      distance_name_(by_router ? "expert_probability" : "distance") {}

std::string PredictionWriter::heading() const {
  if (form_ != PredictionForm::csv) return {};
  return experts_ ? fmt::format("image,expert,{},rank,tag,probability,error\n", distance_name_)
                  : "image,rank,tag,probability,error\n";
}

std::string PredictionWriter::lines(const std::vector<Prediction>& predictions) const {
  if (form_ == PredictionForm::table) return table(predictions);
  std::string text;
  for (const Prediction& prediction : predictions) {
    text += form_ == PredictionForm::json ? json_line(prediction) : csv_lines(prediction);
  }
  return text;
}

std::string PredictionWriter::json_line(const Prediction& prediction) const {
  Json line = {{"image", prediction.image}};
  if (!prediction.error.empty()) {
    line["error"] = prediction.error;
  } else {
    line["tags"] = Json::array();
    for (const auto& [tag, probability] : prediction.tags) {
      line["tags"].push_back({{"tag", vocabulary_.tags[static_cast<size_t>(tag)]},
                              {"probability", rounded(static_cast<double>(probability))}});
    }
    if (!prediction.experts.empty()) {
      line["expert"] = prediction.experts[0].expert;
      line[distance_name_] = rounded(prediction.experts[0].distance);
    }
    if (prediction.experts.size() > 1) {
      for (const PredictedExpert& one : prediction.experts) {
        line["experts"].push_back({{"expert", one.expert},
                                   {distance_name_, rounded(one.distance)},
                                   {"weight", rounded(one.weight)}});
      }
    }
  }
  return hardmoe::json_line(line);
}

std::string PredictionWriter::csv_lines(const Prediction& prediction) const {
  std::string begin = csv_field(prediction.image);
  if (experts_) {
    begin += prediction.experts.empty() ? ",,"
                                        : fmt::format(",{},{}", prediction.experts[0].expert,
                                                      digits(prediction.experts[0].distance));
  }
  if (prediction.tags.empty()) {
    return fmt::format("{},,,,{}\n", begin, csv_field(prediction.error));
  }
  std::string text;
  for (size_t rank = 0; rank < prediction.tags.size(); ++rank) {
    const auto& [tag, probability] = prediction.tags[rank];
    text += fmt::format("{},{},{},{},\n", begin, rank + 1,
                        csv_field(vocabulary_.tags[static_cast<size_t>(tag)]),
                        digits(static_cast<double>(probability)));
  }
  return text;
}

std::string PredictionWriter::table(const std::vector<Prediction>& predictions) const {
  size_t name = 0;
  for (const Prediction& one : predictions)
    name = std::max(name, display_width(printable(one.image)));
  const bool by_router = distance_name_ != std::string_view("distance");
  std::string text;
  for (const Prediction& one : predictions) {
    text += padded(printable(one.image), name);
    if (!one.error.empty()) {
      text += "  error: " + printable(one.error) + "\n";
      continue;
    }
    if (!one.experts.empty()) {
      const PredictedExpert& first = one.experts[0];
      text += fmt::format("  expert {:<3} {} {:<6.3g}", first.expert, by_router ? "p" : "distance",
                          first.distance);
    }
    std::vector<std::string> tags;
    for (const auto& [tag, probability] : one.tags) {
      tags.push_back(
          fmt::format("{} {:.3f}", vocabulary_.tags[static_cast<size_t>(tag)], probability));
    }
    text += "  " + (tags.empty() ? "no tag above the threshold" : join(tags, ", ")) + "\n";
  }
  return text;
}

}  // namespace hardmoe
