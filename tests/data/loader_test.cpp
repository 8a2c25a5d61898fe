// The loader's batches as a function of options, epoch and position alone.
#include "data/loader.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <numeric>
#include <set>

#include "expect_error.h"
#include "small_dataset.h"
#include "temporary_folder.h"

namespace hardmoe {
namespace {

/// A batch as it can be kept and compared.
struct Copy {
  int64_t size;
  std::vector<uint8_t> pixels;
  std::vector<int32_t> tag_ptr, tag_ids;
  std::vector<float> weights;
  bool operator==(const Copy&) const = default;
};

std::vector<Copy> rest_of_epoch(Loader& loader) {
  std::vector<Copy> batches;
  while (const Batch* batch = loader.next()) {
    const auto pixels = batch->input.as<uint8_t>();
    batches.push_back({batch->size,
                       {pixels.begin(), pixels.end()},
                       batch->tag_ptr,
                       batch->tag_ids,
                       batch->weights});
  }
  return batches;
}

class LoaderTest : public testing::Test {
 protected:
  static constexpr int images = 50;
  static constexpr int side = 8;

  LoaderTest() {
    write_numbered_tar(folder_ / "a.tar", images, 10, 12);
    IngestOptions ingesting;
    ingesting.sources = {(folder_ / "a.tar").string()};
    ingesting.out = folder_ / "out";
    ingest(ingesting);
    data_ = std::make_unique<Dataset>(Dataset::open(folder_ / "out"));
    options_.batch = 8;
    options_.image_size = side;
  }

  const Split& split() const { return data_->split("train"); }

  /// The numbers of a batch's images: their red is the same all over.
  static std::vector<int> numbers(const Copy& batch) {
    std::vector<int> found;
    for (int64_t i = 0; i < batch.size; ++i) {
      found.push_back(batch.pixels[static_cast<size_t>(i * side * side * 3)]);
    }
    return found;
  }

  std::vector<Copy> epoch(const LoaderOptions& options, int64_t number, int64_t first = 0) {
    Loader loader(split(), {}, options);
    loader.start(number, first);
    return rest_of_epoch(loader);
  }

  TemporaryFolder folder_;
  std::unique_ptr<Dataset> data_;
  LoaderOptions options_;
};

TEST_F(LoaderTest, AnEpochVisitsEachImageOnceInARandomOrder) {
  options_.batch = 10;
  Loader loader(split(), {}, options_);
  EXPECT_EQ(loader.items(), images);
  EXPECT_EQ(loader.batches_per_epoch(), 5);
  std::vector<std::vector<int>> orders;
  for (int64_t number = 0; number < 3; ++number) {
    loader.start(number);
    std::vector<int> order;
    for (const auto& batch : rest_of_epoch(loader)) {
      EXPECT_EQ(batch.size, 10);
      const auto found = numbers(batch);
      for (size_t i = 0; i < found.size(); ++i) {
        // all is tag 0; even and odd are as frequent, so by name.
        const std::vector<int32_t> tags(batch.tag_ids.begin() + batch.tag_ptr[i],
                                        batch.tag_ids.begin() + batch.tag_ptr[i + 1]);
        EXPECT_EQ(tags, (std::vector<int32_t>{0, found[i] % 2 == 0 ? 1 : 2}));
      }
      order.insert(order.end(), found.begin(), found.end());
    }
    orders.push_back(order);
    std::sort(order.begin(), order.end());
    std::vector<int> all(images);
    std::iota(all.begin(), all.end(), 0);
    EXPECT_EQ(order, all);
  }
  EXPECT_NE(orders[0], orders[1]);
  EXPECT_NE(orders[1], orders[2]);
  const auto expected = random_permutation(images, Random(options_.seed, RandomUse::order, 2));
  EXPECT_TRUE(std::equal(expected.begin(), expected.end(), orders[2].begin()));
}

TEST_F(LoaderTest, ExtraImagesAreDrawnAnewEachEpoch) {
  const std::vector<int64_t> own = {3, 4, 5, 6, 7, 8};
  ExtraImages extra{{}, 10, 0.25F};
  for (int64_t i = 10; i < images; ++i) extra.items.push_back(i);
  options_.batch = 4;
  std::vector<std::set<int>> drawn;
  std::set<int> ever;
  for (int64_t number = 0; number < 40; ++number) {
    Loader loader(split(), own, options_, extra);
    EXPECT_EQ(loader.items(), 16);
    loader.start(number);
    std::multiset<int> mine, others;
    for (const auto& batch : rest_of_epoch(loader)) {
      const auto found = numbers(batch);
      ASSERT_EQ(batch.weights.size(), found.size());
      for (size_t i = 0; i < found.size(); ++i) {
        const bool outside = found[i] >= 10;
        EXPECT_EQ(batch.weights[i], outside ? 0.25F : 1.0F) << found[i];
        (outside ? others : mine).insert(found[i]);
      }
    }
    EXPECT_EQ(mine, (std::multiset<int>{3, 4, 5, 6, 7, 8}));
    drawn.emplace_back(others.begin(), others.end());
    EXPECT_EQ(drawn.back().size(), 10U) << "none twice";
    ever.insert(others.begin(), others.end());
  }
  EXPECT_NE(drawn[0], drawn[1]);
  EXPECT_EQ(ever.size(), 40U) << "each has its turn";
}

TEST_F(LoaderTest, ExtraImagesDependOnEpochAndPositionAlone) {
  const std::vector<int64_t> own = {3, 3, 4, 5, 6, 7, 8};  // with a copy
  const ExtraImages extra{{20, 21, 22, 23, 24, 25, 26, 27, 28, 29}, 9, 1};
  options_.batch = 4;
  std::vector<std::vector<Copy>> epochs;
  for (const int64_t cache : {int64_t{0}, int64_t{1} << 30}) {
    options_.cache_bytes = cache;
    options_.threads = cache == 0 ? 1 : 3;
    Loader loader(split(), own, options_, extra);
    loader.start(1);
    rest_of_epoch(loader);
    loader.start(2);
    epochs.push_back(rest_of_epoch(loader));
    EXPECT_TRUE(epochs.back()[0].weights.empty()) << "all 1";
    loader.start(2, 3);
    EXPECT_EQ(rest_of_epoch(loader)[0], epochs.back()[3]);
  }
  EXPECT_EQ(epochs[0], epochs[1]);
  EXPECT_THROW(Loader(split(), own, options_, {{1}, 2, 1}), Error) << "more than there are";
}

TEST_F(LoaderTest, ThreadsCacheAndRestartsChangeNothing) {
  for (const Crop crop : {Crop::pad, Crop::random_resized, Crop::center}) {
    options_.augment.crop = crop;
    options_.threads = 1;
    options_.cache_bytes = 0;
    const auto expected = epoch(options_, 3);
    ASSERT_EQ(expected.size(), 6U);  // of 50 in batches of 8; the last two are dropped
    for (const int threads : {1, 2, 4}) {
      for (const int64_t cache : {int64_t{0}, int64_t{3000}, int64_t{1} << 30}) {
        options_.threads = threads;
        options_.cache_bytes = cache;
        Loader loader(split(), {}, options_);
        loader.start(2);
        rest_of_epoch(loader);  // fills the cache
        loader.start(3);
        EXPECT_EQ(rest_of_epoch(loader), expected);
        loader.start(3, 4);
        EXPECT_EQ(rest_of_epoch(loader), std::vector<Copy>(expected.begin() + 4, expected.end()));
        loader.start(3);
        loader.next();  // dropped in the middle
        loader.start(3, 5);
        EXPECT_EQ(rest_of_epoch(loader), std::vector<Copy>(expected.begin() + 5, expected.end()));
      }
    }
    EXPECT_NE(epoch(options_, 4), expected);
    options_.seed = 2;
    EXPECT_NE(epoch(options_, 3), expected);
    options_.seed = 1;
  }
}

TEST_F(LoaderTest, EvaluationGoesInOrderAndKeepsThePartialBatch) {
  options_.training = false;
  options_.batch = 16;
  Loader loader(split(), {}, options_);
  EXPECT_EQ(loader.batches_per_epoch(), 4);
  loader.start(0);
  const auto batches = rest_of_epoch(loader);
  ASSERT_EQ(batches.size(), 4U);
  EXPECT_EQ(batches[3].size, 2);
  EXPECT_EQ(numbers(batches[3]), (std::vector<int>{48, 49}));
  EXPECT_EQ(batches[3].tag_ptr, (std::vector<int32_t>{0, 2, 4}));
  EXPECT_TRUE(std::all_of(batches[3].pixels.begin() + 2 * side * side * 3, batches[3].pixels.end(),
                          [](uint8_t value) { return value == 0; }));
  std::vector<uint8_t> expected(side * side * 3);
  center_crop(numbered_image(17, 10, 12), side, expected.data());
  EXPECT_TRUE(
      std::equal(expected.begin(), expected.end(), batches[1].pixels.begin() + side * side * 3));
  EXPECT_EQ(loader.next(), nullptr);
  loader.start(7);
  EXPECT_EQ(rest_of_epoch(loader), batches);
}

TEST_F(LoaderTest, EvaluationSeesTheShareOfTheMiddleThatIsAsked) {
  options_.training = false;
  options_.image_size = 5;
  options_.crop_share = 0.5;  // 5 of 10 rows: no resampling
  for (const int64_t cache : {int64_t{0}, options_.cache_bytes}) {
    options_.cache_bytes = cache;
    Loader loader(split(), {17}, options_);
    for (const int64_t epoch : {0, 1}) {
      loader.start(epoch);
      const Batch* batch = loader.next();
      ASSERT_NE(batch, nullptr);
      const auto pixels = batch->input.as<uint8_t>();
      for (size_t i = 0; i < 25; ++i) {
        EXPECT_EQ(pixels[3 * i], 17);
        EXPECT_EQ(pixels[3 * i + 1], 2 + i / 5);  // rows 2 … 6 of 10
        EXPECT_EQ(pixels[3 * i + 2], 3 + i % 5);  // columns 3 … 7 of 12
      }
    }
  }
}

TEST_F(LoaderTest, APartOfTheImagesIsSeenAsInTheWhole) {
  // The same image in the same epoch is cut in the same way whichever images are beside it.
  options_.batch = 5;
  Loader loader(split(), {3, 14, 15, 9, 2}, options_);
  loader.start(1);
  const auto part = rest_of_epoch(loader);
  ASSERT_EQ(part.size(), 1U);
  const auto found = numbers(part[0]);
  EXPECT_EQ(std::set<int>(found.begin(), found.end()), (std::set<int>{2, 3, 9, 14, 15}));
  const size_t bytes = side * side * 3;
  for (const auto& batch : epoch(options_, 1)) {
    const auto whole = numbers(batch);
    for (size_t i = 0; i < whole.size(); ++i) {
      const auto at = std::find(found.begin(), found.end(), whole[i]);
      if (at == found.end()) continue;
      EXPECT_TRUE(
          std::equal(batch.pixels.begin() + static_cast<long>(i * bytes),
                     batch.pixels.begin() + static_cast<long>((i + 1) * bytes),
                     part[0].pixels.begin() + (at - found.begin()) * static_cast<long>(bytes)));
    }
  }
}

TEST_F(LoaderTest, LabelsStandInTheTagsPlace) {
  std::vector<uint16_t> labels;
  for (int i = 0; i < images; ++i) labels.push_back(static_cast<uint16_t>(1000 + i));
  options_.labels = labels;
  Loader loader(split(), {7, 3, 11, 40, 2, 9, 30, 21}, options_);
  loader.start(0);
  const auto batches = rest_of_epoch(loader);
  ASSERT_EQ(batches.size(), 1U);
  const auto seen = numbers(batches[0]);
  for (size_t i = 0; i < seen.size(); ++i) {
    EXPECT_EQ(batches[0].tag_ptr[i + 1], static_cast<int32_t>(i + 1));
    EXPECT_EQ(batches[0].tag_ids[i], 1000 + seen[i]);
  }
}

TEST_F(LoaderTest, CopiesOfAnImageAreCutDifferently) {
  options_.batch = 8;
  Loader loader(split(), std::vector<int64_t>(8, 5), options_);
  loader.start(0);
  const auto batches = rest_of_epoch(loader);
  ASSERT_EQ(batches.size(), 1U);
  std::set<std::string> views;
  const auto bytes = static_cast<long>(side * side * 3);
  for (long i = 0; i < 8; ++i) {
    views.emplace(batches[0].pixels.begin() + i * bytes,
                  batches[0].pixels.begin() + (i + 1) * bytes);
  }
  EXPECT_GE(views.size(), 6U);
}

TEST_F(LoaderTest, ADamagedImageIsNamedWhenItsBatchIsDue) {
  // Ingested whole, damaged since: the size of the tar is the same.
  const auto bytes = split().image(20);
  const std::string whole = read_file(folder_ / "a.tar");
  const auto at =
      whole.find(std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size()));
  {
    std::fstream tar(folder_ / "a.tar", std::ios::in | std::ios::out | std::ios::binary);
    tar.seekp(static_cast<std::streamoff>(at));
    tar << "damaged";
  }
  options_.training = false;
  Loader loader(split(), {}, options_);
  loader.start(0);
  EXPECT_NE(loader.next(), nullptr);
  EXPECT_NE(loader.next(), nullptr);
  expect_error([&] { loader.next(); }, {"a.tar", "a/0020", "not an image of a known format"});
  EXPECT_EQ(loader.next(), nullptr);
  loader.start(0, 3);
  EXPECT_EQ(rest_of_epoch(loader).size(), 4U);
}

TEST_F(LoaderTest, WrongUseIsRefused) {
  options_.batch = 51;
  expect_error([&] { Loader(split(), {}, options_); }, {"50 images", "51", "set the batch to 50"},
               ExitStatus::usage);
  options_.training = false;
  EXPECT_EQ(Loader(split(), {}, options_).batches_per_epoch(), 1);
  expect_error([&] { Loader(split(), {50}, options_); }, {"image 50"});
  options_.threads = 0;
  expect_error([&] { Loader(split(), {}, options_); }, {"threads"}, ExitStatus::usage);
  options_.threads = 1;
  Loader loader(split(), {}, options_);
  EXPECT_EQ(loader.next(), nullptr) << "no epoch has begun";
  expect_error([&] { loader.start(0, 2); }, {"has 1 batches", "batch 2"});
}

TEST_F(LoaderTest, CanBeDroppedAtAnyTime) {
  for (int i = 0; i < 20; ++i) {
    Loader loader(split(), {}, options_);
    loader.start(0);
    if (i % 2 == 0) loader.next();
    EXPECT_GE(loader.waited_seconds(), 0);
  }
}

}  // namespace
}  // namespace hardmoe
