// What a model's folder says of it in stage.json, also where that is damaged.
#include <gtest/gtest.h>

#include "base/files.h"
#include "expect_error.h"
#include "temporary_folder.h"
#include "train/model_folder.h"

namespace hardmoe {
namespace {

class ModelRecord : public testing::Test {
 protected:
  void record(const std::string& command, const Json& inputs) const {
    write_json(folder_ / "stage.json", {{"command", command},
                                        {"inputs", inputs},
                                        {"done", true},
                                        {"outputs", Json::object()},
                                        {"results", Json::object()}});
  }
  TemporaryFolder folder_;
};

TEST_F(ModelRecord, ALossIsAText) {
  record("moe-train-base", {{"base", {{"loss", "sigmoid"}}}});
  EXPECT_EQ(loss_in_stage(folder_.path()), LossKind::sigmoid);
  record("moe-train-base", {{"base", {{"lr", 0.1}}}});
  EXPECT_EQ(loss_in_stage(folder_.path()), LossKind::softmax);
  record("moe-train-base", {{"base", {{"loss", 5}}}});
  expect_error([&] { loss_in_stage(folder_.path()); }, {"stage.json", "'loss'"});
}

TEST_F(ModelRecord, ABaseIsOfAllImages) {
  record("moe-train-expert", {{"number", "all"}});
  EXPECT_EQ(base_fingerprint(folder_.path()).size(), 64U);
  record("moe-train-expert", {{"number", "3"}});
  expect_error([&] { base_fingerprint(folder_.path()); }, {"is expert 3"}, ExitStatus::usage);
  record("moe-train-expert", {{"number", 3}});
  expect_error([&] { base_fingerprint(folder_.path()); }, {"stage.json", "'number'"});
}

}  // namespace
}  // namespace hardmoe
