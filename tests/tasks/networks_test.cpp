// The folders of networks that a command is given: what is missing, and what is another folder.
#include "tasks/networks.h"

#include <gtest/gtest.h>

#include "base/files.h"
#include "expect_error.h"
#include "temporary_folder.h"

namespace hardmoe {
namespace {

TEST(NetworkFolders, AModelIsNoMixture) {
  EXPECT_FALSE((NetworkFolders{.model = "base"}.is_mixture()));
  EXPECT_TRUE((NetworkFolders{.base = "b", .partition = "p", .experts = "e"}.is_mixture()));
}

TEST(NetworkFolders, WhatIsMissingIsNamed) {
  const auto refused = [](const NetworkFolders& folders, const std::vector<std::string>& words) {
    expect_error([&] { static_cast<void>(folders.is_mixture()); }, words, ExitStatus::usage);
  };
  refused({}, {"--model DIR, or --base, --partition and --experts"});
  refused({.base = "b"}, {"a mixture needs --partition and --experts, too"});
  refused({.base = "b", .experts = "e"}, {"a mixture needs --partition, too"});
}

TEST(NetworkFolders, OneExpertsFolderIsNotThatOfAll) {
  const TemporaryFolder folder;
  std::filesystem::create_directories(folder / "experts/0");
  write_file_atomic(folder / "experts/0/model.yaml", "");
  EXPECT_NO_THROW(check_experts_folder(folder / "experts"));
  for (const char* given : {"experts/0", "experts/0/"}) {
    expect_error([&] { check_experts_folder(folder / given); },
                 {"the folder of one model", "perhaps " + (folder / "experts").string()},
                 ExitStatus::usage);
  }
}

TEST(NetworkFolders, AStageReadsAllOfThem) {
  const EmbeddingInput own{{"own.npy"}, {}};
  const auto paths = paths_read("data", {.base = "b", .partition = "p", .experts = "e"}, own);
  EXPECT_EQ(paths, (std::vector<std::filesystem::path>{"data", "", "b", "p", "e", "", "own.npy"}));
}

}  // namespace
}  // namespace hardmoe
