#include "base/threads.h"

#include <gtest/gtest.h>

#include <vector>

#include "expect_error.h"

namespace hardmoe {
namespace {

TEST(ParallelFor, VisitsEachIndexOnce) {
  const int before = compute_threads();
  for (const int threads : {1, 3}) {
    set_compute_threads(threads);
    for (const int64_t n : {0, 1, 2, 7, 1000}) {
      std::vector<int> visits(static_cast<size_t>(n));
      parallel_for(n, 1, [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i) ++visits[static_cast<size_t>(i)];
      });
      EXPECT_EQ(visits, std::vector<int>(static_cast<size_t>(n), 1));
    }
  }
  set_compute_threads(before);
}

TEST(ParallelFor, RangesAreNoShorterThanTheGrain) {
  const int before = compute_threads();
  set_compute_threads(4);
  parallel_for(10, 6, [](int64_t begin, int64_t end) {
    EXPECT_EQ(begin, 0);
    EXPECT_EQ(end, 10);
  });
  set_compute_threads(before);
}

TEST(SetComputeThreads, RefusesNonsense) {
  expect_error([] { set_compute_threads(0); }, {"--threads", "found 0"}, ExitStatus::usage);
}

}  // namespace
}  // namespace hardmoe
