// How an embedding is cut into parts, and which folders are parts of one.
#include "moe/embedding_parts.h"

#include <gtest/gtest.h>

#include "expect_error.h"
#include "temporary_folder.h"

namespace hardmoe {
namespace {
namespace fs = std::filesystem;

TEST(EmbeddingPart, PartsFollowOneAnotherAndDifferByARow) {
  for (const int64_t of : {1, 3, 7, 16}) {
    for (const int64_t rows : {16, 17, 1000, 123457}) {
      int64_t next = 0;
      for (int64_t number = 1; number <= of; ++number) {
        const auto [begin, end] = EmbeddingPart{number, of}.rows_of(rows);
        EXPECT_EQ(begin, next);
        EXPECT_LE((end - begin) - rows / of, 1);
        EXPECT_GE(end - begin, rows / of);
        next = end;
      }
      EXPECT_EQ(next, rows);
    }
  }
}

TEST(EmbeddingPart, FoldersAreInTheOrderOfRows) {
  const TemporaryFolder folder;
  for (int64_t number = 12; number >= 1; --number) {
    fs::create_directories(folder_of_part(folder.path(), {number, 12}));
  }
  fs::create_directories(folder / "part-of-it");
  const auto found = part_folders(folder.path());
  ASSERT_EQ(found.size(), 12U);
  EXPECT_EQ(found[1].filename(), "part-02-of-12");
  EXPECT_EQ(found[11].filename(), "part-12-of-12");
  EXPECT_EQ(folder_of_part(folder.path(), {}), folder.path());
}

TEST(EmbeddingPart, MissingOnesAreCounted) {
  const TemporaryFolder folder;
  EXPECT_TRUE(part_folders(folder.path()).empty());
  fs::create_directories(folder / "part-02-of-12");
  expect_error([&] { part_folders(folder.path()); },
               {"11 of 12 parts", "--part 1/12", "--part 3/12"}, ExitStatus::usage);
}

}  // namespace
}  // namespace hardmoe
