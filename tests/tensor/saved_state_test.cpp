// What a computation goes on from survives kills and damage, and is never another run's.
#include "tensor/saved_state.h"

#include <gtest/gtest.h>

#include <fstream>

#include "base/files.h"
#include "expect_error.h"
#include "faulty_files.h"
#include "killed_process.h"
#include "temporary_folder.h"

namespace hardmoe {
namespace {

class SavedStateTest : public testing::Test {
 protected:
  static SavedState state(float value) {
    return {{{"w", Tensor::from(std::vector<float>(1000, value), {10, 100})},
             {"nothing", Tensor(DType::f32, {0})}},
            {{"step", std::to_string(static_cast<int>(value))}}};
  }
  void save(float value, const std::string& run = "mine") const {
    save_state(file, state(value), run);
  }
  /// The step of what is loaded; -1: nothing.
  int step(const std::string& run = "mine") const {
    const auto loaded = load_state(file, run);
    if (!loaded) return -1;
    const int number = std::stoi(loaded->metadata.at("step"));
    EXPECT_EQ(loaded->tensors.at("w").as<float>()[999], static_cast<float>(number));
    return number;
  }
  static void flip(const std::filesystem::path& damaged, size_t at) {
    std::string bytes = read_file(damaged);
    for (size_t i = at; i < at + 4; ++i) bytes[i] = static_cast<char>(bytes[i] ^ 4);
    std::ofstream(damaged, std::ios::binary) << bytes;
  }

  TemporaryFolder folder;
  std::filesystem::path file = folder / "checkpoint.safetensors";
};

TEST_F(SavedStateTest, TheNewestIsGoneOnFrom) {
  EXPECT_EQ(step(), -1);
  save(1);
  EXPECT_EQ(step(), 1);
  save(2);
  save(3);
  EXPECT_EQ(step(), 3);
  remove_states(file);
  EXPECT_EQ(step(), -1);
  EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
}

TEST_F(SavedStateTest, WhicheverCallFailsAWholeOneIsLeft) {
  fail_every_call(
      folder.path(), ENOSPC,
      [&] {
        save(1);
        save(2);
      },
      [&] { save(3); },
      [&](const std::string& complaint) {
        EXPECT_NE(complaint.find("checkpoint"), std::string::npos);
        EXPECT_TRUE(step() == 2 || step() == 3);
        save(4);
        EXPECT_EQ(step(), 4);
      });
}

TEST_F(SavedStateTest, ALossOfPowerLeavesAWholeOne) {
  for (const int saved : {0, 1, 2}) {
    lose_power_everywhere(
        folder.path(),
        [&] {
          for (int i = 1; i <= saved; ++i) save(static_cast<float>(i));
        },
        [&] { save(3); },
        [&](bool finished) {
          const int found = step();
          EXPECT_TRUE(found == 3 || (!finished && found == (saved == 0 ? -1 : saved))) << found;
        });
  }
}

TEST_F(SavedStateTest, ADamagedOneFallsBackToTheOneBefore) {
  save(1);
  save(2);
  const std::string whole = read_file(file);
  // In the length, in a name, in the description, in the first value, in the last one.
  const size_t header = whole.find("\"w\"");
  for (const size_t at :
       {size_t{0}, header, whole.find("step") + 7, whole.size() - 4000, whole.size() - 4}) {
    flip(file, at);
    testing::internal::CaptureStderr();
    EXPECT_EQ(step(), 1) << at;
    const std::string said = testing::internal::GetCapturedStderr();
    EXPECT_NE(said.find("resuming from " + state_before(file).string()), std::string::npos) << said;
    std::ofstream(file, std::ios::binary) << whole;
  }
  std::ofstream(file, std::ios::binary) << whole.substr(0, whole.size() / 2);
  EXPECT_EQ(step(), 1);
  std::filesystem::remove(file);
  EXPECT_EQ(step(), 1);
  EXPECT_EQ(step("another"), -1);
}

TEST_F(SavedStateTest, WithoutAWholeOneItIsAnError) {
  save(1);
  flip(file, read_file(file).size() - 4);
  expect_error([&] { step(); }, {file.string(), "damaged", "CRC-32C", "remove"});
  save(2);
  flip(file, read_file(file).size() - 4);
  expect_error([&] { step(); },
               {file.string(), state_before(file).string(), "no undamaged one is left", "remove"});
}

TEST_F(SavedStateTest, AnotherRunsIsNotGoneOnFrom) {
  save(1, "theirs");
  testing::internal::CaptureStderr();
  EXPECT_EQ(step(), -1);
  EXPECT_NE(testing::internal::GetCapturedStderr().find("run with other inputs"),
            std::string::npos);
  save(2);
  EXPECT_EQ(step(), 2);
  flip(file, read_file(file).size() - 4);  // and the one before is theirs
  expect_error([&] { step(); }, {file.string(), "damaged"});
}

TEST_F(SavedStateTest, KilledWhileItIsSavedOneOfThemIsThere) {
  int n = 1, status = 137;
  for (; status == 137; ++n) {
    remove_states(file);
    save(1);
    save(2);
    status = run_until_change(n, [&] { save(3); });
    if (status < 0) GTEST_SKIP() << "processes may not be traced here";
    const int found = step();
    EXPECT_TRUE(status == 0 ? found == 3 : found == 3 || found == 2) << found << " after " << n;
    save(4);
    EXPECT_EQ(step(), 4);
  }
  EXPECT_EQ(status, 0);
  EXPECT_GT(n, 4);
}

}  // namespace
}  // namespace hardmoe
