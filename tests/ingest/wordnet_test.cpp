// WordNet's files, also such as nobody should have made.
#include "ingest/wordnet.h"

#include <gtest/gtest.h>

#include "base/files.h"
#include "expect_error.h"
#include "temporary_folder.h"

namespace hardmoe {
namespace {

/// A folder whose data.noun has one synset, at byte 2, of this line.
class OneSynset : public testing::Test {
 protected:
  WordNet with(const std::string& line) const {
    write_file_atomic(folder_ / "data.noun", " \n" + line + "\n");
    return WordNet(folder_.path());
  }
  TemporaryFolder folder_;
};

TEST_F(OneSynset, IsItsWordsAndWhatIsAbove) {
  const auto found =
      with(
          "00000002 05 n 02 dog 0 domestic_dog 0 002 @ 00000056 n 0000 ~ 00000099 n 0000 | a gloss")
          .synset(2);
  EXPECT_EQ(found.words, (std::vector<std::string>{"dog", "domestic dog"}));
  EXPECT_EQ(found.hypernyms, (std::vector<int64_t>{56}));
}

TEST_F(OneSynset, MoreWordsOrPointersThanTheLineHasAreRefused) {
  for (const char* line : {
           "00000002 05 n 7fffffffffffffff dog 0 000 | a gloss",
           "00000002 05 n 4000000000000000 dog 0 000 | a gloss",
           "00000002 05 n 03 dog 0 cat 0",
           "00000002 05 n 00 dog 0 000 | a gloss",
           "00000002 05 n 01 dog 0 4611686018427387904 @ 00000056 n 0000 | a gloss",
           "00000002 05 n 01 dog 0 003 @ 00000056 n 0000",
       }) {
    expect_error([&] { with(line).synset(2); }, {"data.noun", "no synset at byte 2"});
  }
}

}  // namespace
}  // namespace hardmoe
