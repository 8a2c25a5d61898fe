// An evaluation's JSON and back, and JSON that is not one.
#include <gtest/gtest.h>

#include "expect_error.h"
#include "moe/evaluation.h"
#include "moe/tally.h"

namespace hardmoe {
namespace {

Evaluation evaluation_with_all() {
  const auto metrics = [](int64_t images) {
    RankingMetrics made;
    made.images = images;
    for (const int k : evaluated_ks) made.at.push_back({.k = k, .precision = 0.5});
    return made;
  };
  Evaluation made;
  made.labels = {{"tags", metrics(5), {metrics(3), metrics(2)}}, {"truth", metrics(4), {}}};
  made.layers = {{"layer4", {0.75, 0.25}}};
  made.temperature = 1.5;
  made.models = 3;
  made.base_share = 0.25;
  made.mix = "geometric";
  made.embedding = "both";
  made.fitted_on = "selection";
  made.cost = {1000, 2e6};
  made.router = true;
  return made;
}

TEST(EvaluationReport, IsReadBackAsItWas) {
  const Json whole = evaluation_json(evaluation_with_all());
  EXPECT_EQ(evaluation_json(parse_evaluation(whole, "x")), whole);
  Evaluation least;
  least.cost = {1, 2};
  EXPECT_EQ(evaluation_json(parse_evaluation(evaluation_json(least), "x")), evaluation_json(least));
}

TEST(EvaluationReport, ValuesOfOtherTypesAreNamed) {
  const Json whole = evaluation_json(evaluation_with_all());
  for (const char* key : {"parameters", "flops_per_image", "routed_by", "temperature", "models",
                          "base_share", "mix", "embedding", "fitted_on", "layers"}) {
    Json bad = whole;
    bad[key] = Json{{"an", "object"}};
    expect_error([&] { parse_evaluation(bad, "metrics.json"); },
                 {"metrics.json", fmt::format("'{}'", key)});
  }
  for (const Json& bad : {Json(), Json(5), Json::array()}) {
    expect_error([&] { parse_evaluation(bad, "metrics.json"); }, {"metrics.json", "'parameters'"});
  }
  Json bad = whole;
  bad["tags"] = "many";
  expect_error([&] { parse_evaluation(bad, "metrics.json"); }, {"metrics.json", "'images'"});
  bad = whole;
  bad["tags"]["experts"] = 2;
  expect_error([&] { parse_evaluation(bad, "metrics.json"); }, {"metrics.json", "'experts'"});
}

TEST(EvaluationReport, ALayerWithoutExpertsIsRefused) {
  Json bad = evaluation_json(evaluation_with_all());
  bad["layers"][0]["gates"] = Json::array();
  expect_error([&] { parse_evaluation(bad, "metrics.json"); },
               {"metrics.json", "'gates' is empty"});
}

}  // namespace
}  // namespace hardmoe
