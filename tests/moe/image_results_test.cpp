#include "moe/image_results.h"

#include <gtest/gtest.h>

#include <cmath>

#include "base/error.h"
#include "base/files.h"
#include "base/stage.h"
#include "expect_error.h"
#include "moe/tally.h"
#include "reference_images.h"

namespace hardmoe {
namespace {

/// Images 1 and 3 of four, with one tag, in its place in two ways: first, and second of two.
ImageResults two_of_four() {
  const ReferenceImages reference;
  Tally tally(reference.split(), 2, 2);
  const std::vector<float> right = {2, 1}, wrong = {1, 2};
  tally.add(3, 0, wrong, wrong);
  tally.add(1, 1, right, right);
  ImageResults results = tally.result().images;
  results.experts = {1, 1, 0, 0};
  return results;
}

TEST(ImageResults, HaveARowForEachImageAndNoNumbersForThoseLeftOut) {
  const ImageResults results = two_of_four();
  EXPECT_EQ(results.values.shape(), (Shape{4, 10}));
  const auto first = image_column(results, "tags P@1", "here");
  EXPECT_TRUE(std::isnan(first[0]));
  EXPECT_EQ(first[1], 1);
  EXPECT_TRUE(std::isnan(first[2]));
  EXPECT_EQ(first[3], 0);
  EXPECT_EQ(image_column(results, "tags LRAP", "here")[3], 0.5F);
  EXPECT_FLOAT_EQ(image_column(results, "tags P@5", "here")[1], 0.2F);
  EXPECT_EQ(image_column(results, "tags R@5", "here")[3], 1);
  expect_error([&] { image_column(results, "truth P@1", "evaluation"); },
               {"evaluation: has no column 'truth P@1'", "tags P@1"}, ExitStatus::usage);
}

TEST(ImageResults, AreReadAsTheyWereWritten) {
  const TemporaryFolder folder;
  const ImageResults written = two_of_four();
  Stage stage({.folder = folder / "eval", .command = "moe-eval", .inputs = Json::object()});
  stage.finish(save_image_results(folder / "eval", written),
               {{"images", image_results_json(written)}});
  const ImageResults read = load_image_results(folder / "eval");
  EXPECT_EQ(read.columns, written.columns);
  EXPECT_EQ(read.experts, written.experts);
  EXPECT_EQ(std::memcmp(read.values.data(), written.values.data(), written.values.bytes()), 0);
  write_file_atomic(folder / "eval/images.npy", "damaged");
  expect_error([&] { load_image_results(folder / "eval"); }, {"images.npy"});
}

TEST(ImageResults, OfAnEarlierVersionAreMissing) {
  const TemporaryFolder folder;
  Stage({.folder = folder / "eval", .command = "moe-eval", .inputs = Json::object()})
      .finish({}, {{"parameters", 1}});
  expect_error([&] { load_image_results(folder / "eval"); }, {"earlier version", "moe-eval"},
               ExitStatus::usage);
}

}  // namespace
}  // namespace hardmoe
