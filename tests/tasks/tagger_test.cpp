// Tags of images by hardmoe/tagger.h: the same however many are asked for at a time.
#include "tasks/tagger.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "engine/network_facts.h"
#include "nn/resnet.h"
#include "small_dataset.h"
#include "temporary_folder.h"
#include "train/model_folder.h"

namespace hardmoe {
namespace {

const ModelConfig small{.depth = 18, .stem = Stem::small, .width = 8, .image_size = 16};

/// A model that has learned nothing, and images of noise: some more than its smallest batch.
class TaggerTest : public testing::Test {
 protected:
  TaggerTest() {
    std::filesystem::create_directories(folder_ / "model");
    save_model(folder_ / "model", {{small, 3, ""}, initial_weights(resnet(small, 3), 7)});
    save_vocabulary(folder_ / "model/tags.tsv", {{"cat", "dog", "sea"}, {3, 2, 1}});
    for (int i = 0; i < 12; ++i) {
      Tensor image(DType::u8, {16, 16, 3});
      Random random(static_cast<uint64_t>(i), RandomUse::test);
      for (uint8_t& value : image.as<uint8_t>()) value = static_cast<uint8_t>(random.below(256));
      images_.push_back((folder_ / fmt::format("{:02}.png", i)).string());
      overwrite(images_.back(), encode_png(image));
    }
  }

  std::vector<std::string> first(size_t count) const {
    return {images_.begin(), images_.begin() + static_cast<int64_t>(count)};
  }

  TemporaryFolder folder_;
  std::vector<std::string> images_;
};

void expect_same(const TaggedImage& a, const TaggedImage& b) {
  EXPECT_EQ(a.name, b.name);
  ASSERT_EQ(a.tags.size(), b.tags.size());
  for (size_t i = 0; i < a.tags.size(); ++i) {
    EXPECT_EQ(a.tags[i].tag, b.tags[i].tag);
    EXPECT_NEAR(a.tags[i].probability, b.tags[i].probability, 1e-5F);  // batches round differently
  }
}

TEST_F(TaggerTest, CallsOfAnySizeFindTheSame) {
  Tagger tagger(folder_ / "model");
  std::vector<TaggedImage> single;
  for (const std::string& image : images_) {
    const auto found = tagger.tag({image}, 3);
    ASSERT_EQ(found.size(), 1U);
    ASSERT_EQ(found[0].tags.size(), 3U);
    EXPECT_NEAR(
        found[0].tags[0].probability + found[0].tags[1].probability + found[0].tags[2].probability,
        1, 1e-5);
    single.push_back(found[0]);
  }
  for (const size_t count : {size_t{12}, size_t{3}, size_t{9}}) {
    const auto found = tagger.tag(first(count), 3);
    ASSERT_EQ(found.size(), count);
    for (size_t i = 0; i < count; ++i) expect_same(found[i], single[i]);
  }

  Tagger moved = std::move(tagger);
  expect_same(moved.tag({images_[5]}, 3).at(0), single[5]);
  Tagger other(folder_ / "model");
  other = std::move(moved);
  expect_same(other.tag({images_[5]}, 3).at(0), single[5]);
}

TEST_F(TaggerTest, AnUnreadableImageHasAReasonAndNoTags) {
  Tagger tagger(folder_ / "model");
  EXPECT_TRUE(tagger.tag({}).empty());
  const auto found = tagger.tag({images_[0], (folder_ / "gone.png").string(), images_[1]}, 1);
  ASSERT_EQ(found.size(), 3U);
  EXPECT_EQ(found[0].error, "");
  EXPECT_NE(found[1].error.find("no such file"), std::string::npos);
  EXPECT_TRUE(found[1].tags.empty());
  expect_same(found[2], tagger.tag({images_[1]}, 1).at(0));
  EXPECT_THROW(tagger.tag({images_[0]}, 0), std::runtime_error);
  EXPECT_THROW(Tagger(folder_ / "nowhere"), std::runtime_error);
}

}  // namespace
}  // namespace hardmoe
