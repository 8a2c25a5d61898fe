// TensorBoard files, read by an independent reader in Python.
#include "train/event_file.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include "base/files.h"
#include "base/json.h"
#include "base/text.h"
#include "expect_error.h"
#include "outside.h"
#include "temporary_folder.h"
#include "test_files.h"

namespace hardmoe {
namespace {
namespace fs = std::filesystem;

TEST(EventFile, IsReadByAnotherProgram) {
  const auto [python, missing] = python_with("struct");
  if (!missing.empty()) GTEST_SKIP() << missing;
  const TemporaryFolder folder;
  EventFile events(folder.path());
  events.scalar("loss", 50, 0.5F);
  events.scalar("a longer name/of a tag", 300, -1e-20F);
  events.scalar("loss", int64_t{1} << 40, 3e38F);
  events.flush();

  std::vector<fs::path> files;
  for (const auto& entry : fs::directory_iterator(folder.path())) files.push_back(entry.path());
  ASSERT_EQ(files.size(), 1U);
  EXPECT_TRUE(files[0].filename().string().starts_with("events.out.tfevents."));
  const std::string reader =
      fmt::format("{} -B '{}/../references/read_events.py' '{}' > '{}'", python.string(),
                  test_files().string(), files[0].string(), (folder / "read.jsonl").string());
  ASSERT_EQ(std::system(reader.c_str()), 0);
  const auto lines = split(trim(read_file(folder / "read.jsonl")), '\n');
  ASSERT_EQ(lines.size(), 3U);
  EXPECT_EQ(Json::parse(lines[0]), (Json{{"step", 50}, {"tag", "loss"}, {"value", 0.5}}));
  const Json second = Json::parse(lines[1]);
  EXPECT_EQ(second["tag"], "a longer name/of a tag");
  EXPECT_EQ(second["value"].get<float>(), -1e-20F);
  EXPECT_EQ(Json::parse(lines[2])["step"], int64_t{1} << 40);
}

TEST(EventFile, NamesTheFileItCannotWrite) {
  expect_error([] { EventFile("/nowhere/at/all"); }, {"/nowhere/at/all/events.out.tfevents."});
}

}  // namespace
}  // namespace hardmoe
