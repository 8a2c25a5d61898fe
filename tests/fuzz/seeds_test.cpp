// What the fuzz targets make of stored files, and of those files with some bytes changed.
#include <gtest/gtest.h>

#include "base/files.h"
#include "fuzz/targets.h"
#include "small_dataset.h"

namespace hardmoe {
namespace {

class FuzzSeeds : public testing::TestWithParam<FuzzTarget> {};

TEST_P(FuzzSeeds, AreReadOrRefusedWithAnError) {
  const auto files = seeds_of(GetParam());
  ASSERT_FALSE(files.empty());
  int64_t read = 0;
  for (const auto& file : files) {
    SCOPED_TRACE(file);
    try {
      GetParam().read(read_file(file));
      ++read;
    } catch (const Error&) {  // some seeds are damaged on purpose
    }
  }
  EXPECT_GT(read, 0) << "no seed is read to its end";
}

TEST_P(FuzzSeeds, WithChangedBytesAreReadOrRefusedWithAnError) {
  const auto files = seeds_of(GetParam());
  Random random(1, RandomUse::test);
  for (int i = 0; i < 300; ++i) {
    const auto& file = files[random.below(files.size())];
    const std::string bytes = mutated(read_file(file), random);
    SCOPED_TRACE(fmt::format("{}, change {}", file.string(), i));
    EXPECT_NO_THROW(read_damaged(GetParam(), bytes));
  }
}

INSTANTIATE_TEST_SUITE_P(Readers, FuzzSeeds, testing::ValuesIn(fuzz_targets()),
                         [](const auto& target) { return std::string(target.param.name); });

}  // namespace
}  // namespace hardmoe
