// moe-search over a dataset of two splits: what it finds by images, tags and keys, how it tells it,
// and what it says of folders that do not belong together.
#include "search/search.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <numbers>
#include <sstream>

#include "base/text.h"
#include "engine/network_facts.h"
#include "expect_error.h"
#include "image/augment.h"
#include "nn/resnet.h"
#include "search/result_writer.h"
#include "small_dataset.h"
#include "tasks/embed.h"
#include "temporary_folder.h"
#include "tensor/npy.h"
#include "train/model_folder.h"

namespace hardmoe {
namespace {

namespace fs = std::filesystem;

const ModelConfig small{.depth = 18, .stem = Stem::small, .width = 8, .image_size = 16};

/// An image of noise, another one for each number.
Tensor noise(int number) {
  Tensor image(DType::u8, {20, 16, 3});
  Random random(static_cast<uint64_t>(number), RandomUse::test);
  for (uint8_t& value : image.as<uint8_t>()) value = static_cast<uint8_t>(random.below(256));
  return image;
}

/// Twelve images in train and four in val, each also a file; an untrained model and its embedding.
class SearchTest : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    folder = new TemporaryFolder;
    for (const char* made : {"files", "train", "val", "model", "other"})
      fs::create_directories(*folder / made);
    const auto add = [](const std::string& tar_name, int first, int last) {
      TarWriter tar(*folder / tar_name);
      for (int i = first; i < last; ++i) {
        const std::string key = fmt::format("{:02}", i), png = encode_png(noise(i));
        tar.add(key + ".png", png);
        tar.add(key + ".json", Json{{"tags", {"all", i % 2 == 0 ? "even" : "odd"}}}.dump());
        overwrite(*folder / "files" / (key + ".png"), png);
      }
      tar.finish();
      return (*folder / tar_name).string();
    };
    IngestOptions options;
    options.sources = {add("train/a.tar", 0, 12)};
    options.val_sources = {add("val/b.tar", 12, 16)};
    options.out = *folder / "data";
    ingest(options);
    save_model(*folder / "model", {{small, 3, ""}, initial_weights(resnet(small, 3), 7)});
    save_model(*folder / "other", {{small, 3, ""}, initial_weights(resnet(small, 3), 8)});
    for (const char* model : {"model", "other"}) {
      save_vocabulary(*folder / model / "tags.tsv",
                      load_vocabulary(vocabulary_file(*folder / "data")));
    }
    EmbedTask embed;
    embed.dataset = *folder / "data";
    embed.networks.model = *folder / "model";
    embed.splits = {"train", "val"};
    embed.out = *folder / "embedding";
    Config config;
    embed_images(embed, config);
  }
  static void TearDownTestSuite() { delete folder; }

  static SearchTask task() {
    SearchTask task;
    task.run = *folder / "model";
    task.dataset = *folder / "data";
    task.embedding = *folder / "embedding";
    return task;
  }

  /// Returns rows of `width` values, in the plane of the first two: at these angles in degrees.
  static Tensor in_plane(std::span<const double> angles, int64_t width = 64) {
    Tensor rows(DType::f32, {std::ssize(angles), width});
    for (size_t i = 0; i < angles.size(); ++i) {
      const double radians = angles[i] * std::numbers::pi / 180;
      float* row = rows.as<float>().data() + static_cast<int64_t>(i) * width;
      row[0] = static_cast<float>(3 * std::cos(radians));
      row[1] = static_cast<float>(3 * std::sin(radians));
    }
    return rows;
  }

  /// The same with rows by hand: image i of both splits together at `angles[i]`.
  static SearchTask by_hand(std::span<const double> angles, int64_t width = 64) {
    fs::create_directories(*folder / "hand");
    save_npy(*folder / "hand/train.npy", in_plane(angles.first(12), width));
    save_npy(*folder / "hand/val.npy", in_plane(angles.subspan(12), width));
    SearchTask made = task();
    made.embedding = *folder / "hand";
    return made;
  }

  static std::vector<std::string> lines(const SearchTask& task, const std::string& input = "") {
    Config config;
    std::istringstream stream(input);
    std::string text;
    search_images(task, config, stream, [&](const std::string& part) { text += part; });
    auto found = split(text, '\n');
    EXPECT_EQ(found.back(), "");
    found.pop_back();
    return found;
  }

  static void refused(const SearchTask& task, const std::vector<std::string>& words,
                      ExitStatus status = ExitStatus::usage) {
    expect_error([&] { lines(task); }, words, status);
  }

  static TemporaryFolder* folder;
};

TemporaryFolder* SearchTest::folder = nullptr;

TEST_F(SearchTest, FindsEachImageOfAFolderItselfInEitherSplit) {
  SearchTask all = task();
  all.images = {(*folder / "files").string()};
  all.neighbours = 3;
  all.json = true;
  for (const bool approximate : {false, true}) {
    all.approximate = approximate;
    const auto found = lines(all);
    ASSERT_EQ(found.size(), 16U);
    for (size_t i = 0; i < found.size(); ++i) {
      const Json line = Json::parse(found[i]);
      EXPECT_EQ(line["image"], (*folder / "files" / fmt::format("{:02}.png", i)).string());
      ASSERT_EQ(line["neighbours"].size(), 3U);
      const Json& first = line["neighbours"][0];
      EXPECT_EQ(first["key"], fmt::format("{}/{:02}", i < 12 ? "a" : "b", i));
      EXPECT_EQ(first["split"], i < 12 ? "train" : "val");
      EXPECT_EQ(first["row"], i < 12 ? i : i - 12);
      EXPECT_EQ(first["tags"], Json({"all", i % 2 == 0 ? "even" : "odd"}));
      EXPECT_LT(first["distance"], 1e-6);
      EXPECT_GT(line["neighbours"][1]["distance"], 1e-5);
    }
  }
}

// Even images at 0, 2, 4 … degrees, odd ones at 90 and more, the last of all like the first.
const std::vector<double> angles = {0, 91, 2, 93, 4, 95, 6, 97, 8, 99, 10, 101, 12, 103, 14, 0};

TEST_F(SearchTest, ATagLiesWhereTheDecoderScoresIt) {
  Model model = load_model(*folder / "model");
  model.weights["fc.weight"] = in_plane(std::vector<double>{50, 7, 110});
  fs::create_directories(*folder / "decoder");
  save_model(*folder / "decoder", model);
  save_vocabulary(*folder / "decoder/tags.tsv", {{"any", "unseen", "other"}, {3, 2, 1}});
  SearchTask unseen = by_hand(angles);
  unseen.run = *folder / "decoder";
  unseen.tags = {"unseen"};  // by none of the images searched
  unseen.neighbours = 4;
  const auto found = lines(unseen);
  ASSERT_EQ(found.size(), 4U);
  std::vector<std::string> keys;
  for (const std::string& line : found) {
    const auto fields = split(line, '\t');
    ASSERT_EQ(fields.size(), 3U);
    EXPECT_EQ(fields[0], "tag:unseen");
    const double degrees = keys.size() < 2 ? 1 : 3;  // from 7
    EXPECT_NEAR(std::stod(fields[1]), 1 - std::cos(degrees * std::numbers::pi / 180), 1e-7);
    keys.push_back(fields[2].substr(fields[2].rfind(' ') + 1));
  }
  std::sort(keys.begin(), keys.begin() + 2);
  std::sort(keys.begin() + 2, keys.end());
  EXPECT_EQ(keys, (std::vector<std::string>{"a/06", "a/08", "a/04", "a/10"}));
  EXPECT_NE(found[0].find((*folder / "train/a.tar").string() + ": a/0"), std::string::npos);
  unseen.tags = {" UnSeen "};  // as moe-ingest would read it
  EXPECT_EQ(lines(unseen).size(), 4U);
  unseen.tags = {"unsen"};
  refused(unseen, {"--tag unsen", "did you mean unseen?"});
}

TEST_F(SearchTest, AKeyIsNotItsOwnNeighbour) {
  SearchTask own = by_hand(angles);
  own.keys = {"b/14"};
  own.neighbours = 2;
  const auto found = lines(own);
  ASSERT_EQ(found.size(), 2U);
  EXPECT_TRUE(found[0].ends_with("val/b.tar: b/12")) << found[0];
  EXPECT_TRUE(found[1].ends_with("train/a.tar: a/10")) << found[1];
  own.neighbours = 100;
  EXPECT_EQ(lines(own).size(), 15U);
}

TEST_F(SearchTest, PairsReachAcrossSplits) {
  SearchTask pairs = by_hand(angles);
  pairs.pairs_within = 1e-9;
  const std::string a = (*folder / "train/a.tar").string(), b = (*folder / "val/b.tar").string();
  EXPECT_EQ(lines(pairs), (std::vector<std::string>{fmt::format("{}: a/00\t0\t{}: b/15", a, b)}));
  pairs.json = true;
  const Json line = Json::parse(lines(pairs).at(0));
  EXPECT_EQ(line["pair"][0]["key"], "a/00");
  EXPECT_EQ(line["pair"][1]["split"], "val");
  pairs.pairs_within = 2;
  EXPECT_EQ(lines(pairs).size(), 16U * 15 / 2);
}

TEST_F(SearchTest, AContactSheetShowsQueriesAndWhatWasFound) {
  SearchTask shown = task();
  shown.images = {(*folder / "files/03.png").string(), (*folder / "files/14.png").string()};
  shown.neighbours = 2;
  shown.sheet = *folder / "sheet.png";
  lines(shown);
  const std::string bytes = read_file(shown.sheet);
  const Tensor sheet =
      decode_image({reinterpret_cast<const std::byte*>(bytes.data()), bytes.size()});
  ASSERT_EQ(sheet.shape(), (Shape{2 * 64 + 2, 3 * 64 + 2 * 2 + 4, 3}));
  for (const int64_t top : {0, 66}) {  // the image itself was found: its tile twice
    for (int64_t y = top; y < top + 64; ++y) {
      const uint8_t* row = sheet.as<uint8_t>().data() + y * sheet.size(1) * 3;
      EXPECT_TRUE(std::equal(row, row + 64 * 3, row + 70 * 3)) << y;
      EXPECT_FALSE(std::equal(row, row + 64 * 3, row + 136 * 3)) << y;
    }
  }
  shown.sheet = *folder / "sheet.gif";
  refused(shown, {"--contact-sheet", "sheet.gif", ".png or .jpg"});
}

TEST_F(SearchTest, AContactSheetHasNoMoreThanThirtyTwoNeighboursARow) {
  const Collection images(*folder / "data", *folder / "embedding");
  const std::vector<int64_t> found = {0, 13, 2, 15};
  SearchSheet sheet(*folder / "wide.png", images, 1000);
  sheet.add(sheet.tile_of(13), found);
  sheet.write();
  const std::string bytes = read_file(*folder / "wide.png");
  const Tensor wide =
      decode_image({reinterpret_cast<const std::byte*>(bytes.data()), bytes.size()});
  ASSERT_EQ(wide.shape(), (Shape{64, 33 * 64 + 32 * 2 + 4, 3}));
  const uint8_t* row = wide.as<uint8_t>().data();  // images of both splits in the order found
  EXPECT_TRUE(std::equal(row, row + 64 * 3, row + 136 * 3));
  EXPECT_FALSE(std::equal(row, row + 64 * 3, row + 70 * 3));
}

TEST_F(SearchTest, MoreNeighboursThanImagesAreAllImages) {
  SearchTask all = task();
  all.images = {(*folder / "files").string()};
  all.keys = {"b/14"};
  all.neighbours = std::numeric_limits<int64_t>::max();
  for (const bool approximate : {false, true}) {
    all.approximate = approximate;
    EXPECT_EQ(lines(all).size(), 15U + 16 * 16);
  }
}

/// Returns what was printed before the search failed with these words.
std::string printed_before(const SearchTask& task, const Config& config, const std::string& input,
                           const std::vector<std::string>& words,
                           ExitStatus status = ExitStatus::usage) {
  std::string text;
  std::istringstream stream(input);
  expect_error(
      [&] { search_images(task, config, stream, [&](const std::string& part) { text += part; }); },
      words, status);
  return text;
}

TEST_F(SearchTest, SaysWhatIsWrongWithTheTaskBeforeAnAnswer) {
  SearchTask asked = task();
  asked.tags = {"even", "none"};
  Config config;
  EXPECT_EQ(printed_before(asked, config, "", {"--tag none"}), "");
  asked.tags = {"even"};
  asked.keys = {"a/03", "a/99"};
  EXPECT_EQ(printed_before(asked, config, "", {"--key a/99"}), "");
  asked.keys.clear();
  asked.images = {(*folder / "files").string()};
  config.device = "cuda:99";
  EXPECT_EQ(printed_before(asked, config, "", {"cuda"}), "");
}

TEST_F(SearchTest, WritesTheSheetAndSaysAllThatWentWrong) {
  overwrite(*folder / "none.png", "none");
  SearchTask asked = task();
  asked.tags = {"even"};
  asked.images = {"-"};
  asked.sheet = *folder / "of_tag.png";
  const Config config;
  const std::string text =
      printed_before(asked, config, "", {"no images were named"}, ExitStatus::failed);
  EXPECT_NE(text, "");
  EXPECT_TRUE(fs::exists(asked.sheet));

  asked.sheet = *folder / "folder.png";
  fs::create_directories(asked.sheet);
  const std::string list = (*folder / "none.png").string() + "\n";
  printed_before(asked, config, list, {"1 of 1 images could not be read, and", "folder.png"},
                 ExitStatus::failed);
}

TEST_F(SearchTest, RefusesNetworksThatDiverged) {
  Model model = load_model(*folder / "model");
  for (auto& [name, tensor] : model.weights) {
    if (name.ends_with("bn2.bias")) {
      std::ranges::fill(tensor.as<float>(), std::numeric_limits<float>::infinity());
    }
  }
  fs::create_directories(*folder / "diverged");
  save_model(*folder / "diverged", model);
  save_vocabulary(*folder / "diverged/tags.tsv", load_vocabulary(*folder / "model/tags.tsv"));
  SearchTask asked = by_hand(angles);
  asked.run = *folder / "diverged";
  asked.images = {(*folder / "files/05.png").string()};
  refused(asked, {"diverged", "NaN or an infinity"}, ExitStatus::failed);
}

TEST_F(SearchTest, GoesOnBehindAnImageThatIsNone) {
  overwrite(*folder / "none.png", "none");
  SearchTask mixed = task();
  mixed.images = {"-"};
  mixed.neighbours = 1;
  mixed.json = true;
  Config config;
  std::string text;
  std::istringstream list((*folder / "none.png").string() + "\n" +
                          (*folder / "files/05.png").string() + "\n");
  expect_error(
      [&] { search_images(mixed, config, list, [&](const std::string& part) { text += part; }); },
      {"1 of 2 images could not be read"});
  const auto found = split(text, '\n');
  ASSERT_EQ(found.size(), 3U);
  EXPECT_NE(Json::parse(found[0])["error"].get<std::string>().find("not an image"),
            std::string::npos);
  EXPECT_EQ(Json::parse(found[1])["neighbours"][0]["key"], "a/05");
}

TEST_F(SearchTest, RefusesWhatDoesNotBelongTogether) {
  SearchTask asked = task();
  refused(asked, {"nothing to look for", "--pairs-within"});
  asked.images = {(*folder / "files/05.png").string()};
  asked.run = *folder / "other";
  refused(asked, {"embedding", "other networks", "model differs"});
  asked.run = *folder / "nowhere";
  refused(asked, {"nowhere", "no such folder"});
  asked = by_hand(angles, 2);
  asked.images = {(*folder / "files/05.png").string()};
  refused(asked, {"hand", "rows of 2 values", "give 64"});
  asked.pairs_within = 0.5;
  refused(asked, {"--pairs-within", "leave IMAGE"});
  asked.images.clear();
  asked.pairs_within = -1;
  refused(asked, {"--pairs-within", "from 0 to 2, found -1"});
  asked.pairs_within = std::nan("");
  refused(asked, {"--pairs-within", "found nan"});

  asked = by_hand(angles);
  asked.keys = {"a/99"};
  refused(asked, {"--key a/99", "no image of that key"});
  asked.neighbours = 0;
  refused(asked, {"--neighbours", "found 0"});

  asked = by_hand(angles);
  asked.tags = {"even"};
  save_npy(*folder / "hand/val.npy", Tensor(DType::f32, {3, 2}));
  refused(asked, {"val.npy: 3 rows", "split 'val' has 4 images"});
  save_npy(*folder / "hand/val.npy", Tensor(DType::f32, {4, 3}));
  refused(asked, {"val.npy", "rows of 3 values", "'train' have 64"});
  fs::remove(*folder / "hand/val.npy");
  fs::remove(*folder / "hand/train.npy");
  refused(asked, {"hand", "none of the splits", "train, val"});
  asked.embedding = "";
  refused(asked, {"--embedding", "moe-embed", "--model " + asked.run});
  asked.dataset = "";
  refused(asked, {"--dataset", "name their dataset"});

  asked = task();
  asked.tags = {"even"};
  write_numbered_tar(*folder / "numbered.tar", 16, 8, 8);
  IngestOptions options;
  options.sources = {(*folder / "numbered.tar").string()};
  options.out = *folder / "numbered";
  ingest(options);
  asked.dataset = *folder / "numbered";
  refused(asked, {"embedding", "rows of another dataset"});

  asked = task();
  asked.tags = {"even"};
  const fs::path record = *folder / "embedding/stage.json";
  const Json recorded = read_json(record);
  Json foreign = recorded;
  foreign["inputs"]["dataset"] = {1, 2};
  write_json(record, foreign);
  refused(asked, {"embedding/stage.json: field 'dataset' holds array, expected string"},
          ExitStatus::failed);
  write_json(record, recorded);

  asked = task();
  asked.tags = {"even"};
  const std::string whole = read_file(*folder / "embedding/val.npy");
  std::string damaged = whole;
  damaged.back() = static_cast<char>(damaged.back() ^ 1);
  overwrite(*folder / "embedding/val.npy", damaged);
  refused(asked, {"embedding/val.npy"}, ExitStatus::failed);
  overwrite(*folder / "embedding/val.npy", whole);
}

}  // namespace
}  // namespace hardmoe
