// How a row's networks answer, by the record of its evaluation.
#include "tasks/opened_networks.h"

#include <gtest/gtest.h>

#include "base/files.h"
#include "expect_error.h"
#include "temporary_folder.h"

namespace hardmoe {
namespace {

class AnswersOfEvaluation : public testing::Test {
 protected:
  AnswerSettings with(const Json& inputs, const Json& results) const {
    write_json(folder_ / "stage.json", {{"command", "moe-eval"},
                                        {"inputs", inputs},
                                        {"done", true},
                                        {"outputs", Json::object()},
                                        {"results", results}});
    FoundNetworks found;
    found.evaluation = folder_.path();
    return answer_settings(found);
  }
  TemporaryFolder folder_;
};

TEST_F(AnswersOfEvaluation, AreAsItsRecordSays) {
  const AnswerSettings usual = with(Json::object(), Json::object());
  EXPECT_EQ(usual.top_experts, 1);
  EXPECT_TRUE(usual.use_prices);
  EXPECT_EQ(usual.temperature, 0);
  EXPECT_EQ(usual.base_share, 0);
  EXPECT_EQ(usual.precision, Precision::fp32);
  const AnswerSettings told = with({{"precision", "bf16"},
                                    {"eval", {{"top_experts", 3}, {"use_prices", false}}},
                                    {"mixture", {{"base_share", "fit"}, {"mix", "arithmetic"}}}},
                                   {{"temperature", 2.5}, {"base_share", 0.25}});
  EXPECT_EQ(told.top_experts, 3);
  EXPECT_FALSE(told.use_prices);
  EXPECT_EQ(told.temperature, 2.5);
  EXPECT_EQ(told.base_share, 0.25);
  EXPECT_EQ(told.mix, Mix::arithmetic);
  EXPECT_EQ(told.precision, Precision::bf16);
}

TEST_F(AnswersOfEvaluation, ValuesOfOtherTypesAreNamed) {
  const Json none = Json::object();
  const auto refuse = [&](const Json& inputs, const Json& results, const std::string& field) {
    expect_error([&] { with(inputs, results); }, {"stage.json", "'" + field + "'"});
  };
  refuse({{"precision", 16}}, none, "precision");
  refuse({{"eval", 5}}, none, "eval");
  refuse({{"eval", {{"top_experts", "all"}}}}, none, "top_experts");
  refuse({{"eval", {{"use_prices", 1}}}}, none, "use_prices");
  refuse({{"mixture", Json::array()}}, none, "mixture");
  refuse({{"mixture", {{"mix", 1}}}}, none, "mix");
  refuse({{"mixture", {{"mix", "geometric"}}}}, {{"base_share", "most"}}, "base_share");
  refuse(none, {{"temperature", "hot"}}, "temperature");
  refuse(none, "good", "results");
}

}  // namespace
}  // namespace hardmoe
