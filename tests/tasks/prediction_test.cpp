// Predictions as text: JSON lines, CSV and tables.
#include "tasks/prediction.h"

#include <gtest/gtest.h>

#include "base/json.h"

namespace hardmoe {
namespace {

const Vocabulary vocabulary = {{"dog", "a, \"b\"", "sea"}, {3, 2, 1}};

Prediction by_experts() {
  return {"x,1.jpg", "", {{1, 0.75F}, {0, 0.1F}}, {{3, 1.5, 0.9}, {0, 2.25, 0.1}}};
}
Prediction unreadable() { return {"y.jpg", "it ends too early", {}, {}}; }

TEST(PredictionText, JsonLinesHaveAllThatIsKnown) {
  const PredictionWriter writer(PredictionForm::json, vocabulary, true, false);
  EXPECT_EQ(writer.heading(), "");
  const std::string lines = writer.lines({by_experts(), unreadable()});
  const size_t end = lines.find('\n');
  EXPECT_EQ(Json::parse(lines.substr(0, end)), Json::parse(R"({"image": "x,1.jpg",
    "tags": [{"tag": "a, \"b\"", "probability": 0.75}, {"tag": "dog", "probability": 0.1}],
    "expert": 3, "distance": 1.5, "experts": [{"expert": 3, "distance": 1.5, "weight": 0.9},
    {"expert": 0, "distance": 2.25, "weight": 0.1}]})"));
  EXPECT_EQ(Json::parse(lines.substr(end)),
            Json::parse(R"({"image": "y.jpg", "error": "it ends too early"})"));
}

TEST(PredictionText, CsvHasARowATagAndQuotesWhatNeedsIt) {
  const PredictionWriter writer(PredictionForm::csv, vocabulary, true, false);
  EXPECT_EQ(writer.heading(), "image,expert,distance,rank,tag,probability,error\n");
  EXPECT_EQ(writer.lines({by_experts(), unreadable()}),
            "\"x,1.jpg\",3,1.5,1,\"a, \"\"b\"\"\",0.75,\n"
            "\"x,1.jpg\",3,1.5,2,dog,0.1,\n"
            "y.jpg,,,,,,it ends too early\n");
  const PredictionWriter model(PredictionForm::csv, vocabulary, false, false);
  EXPECT_EQ(model.heading(), "image,rank,tag,probability,error\n");
  EXPECT_EQ(model.lines({{"z.jpg", "", {{2, 0.5F}}, {}}, unreadable()}),
            "z.jpg,1,sea,0.5,\ny.jpg,,,,it ends too early\n");
}

TEST(PredictionText, ATableHasALineAnImage) {
  const PredictionWriter writer(PredictionForm::table, vocabulary, true, false);
  EXPECT_EQ(writer.lines({by_experts(), unreadable(), {"é", "", {}, {{12, 0.25, 1}}}}),
            "x,1.jpg  expert 3   distance 1.5     a, \"b\" 0.750, dog 0.100\n"
            "y.jpg    error: it ends too early\n"
            "é        expert 12  distance 0.25    no tag above the threshold\n");
  const PredictionWriter router(PredictionForm::table, vocabulary, true, true);
  EXPECT_EQ(router.lines({{"é", "", {{2, 1}}, {{12, 0.25, 1}}}}),
            "é  expert 12  p 0.25    sea 1.000\n");
}

TEST(PredictionText, TablesAlignWhateverTheScript) {
  const Vocabulary fish = {{"fish"}, {1}};
  const PredictionWriter writer(PredictionForm::table, fish, false, false);
  std::vector<Prediction> predictions(3);
  predictions[0].image = "five5";
  predictions[1].image = "\u5199\u771f";  // two characters of two columns each
  predictions[2].image = "\u00e9";        // two bytes, one column
  for (auto& one : predictions) one.tags = {{0, 0.5F}};
  EXPECT_EQ(writer.lines(predictions),
            "five5  fish 0.500\n\u5199\u771f   fish 0.500\n\u00e9      fish 0.500\n");
}

}  // namespace
}  // namespace hardmoe
