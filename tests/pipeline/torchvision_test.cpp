// Trained models open in PyTorch under torchvision's names, and answer the same there.
#include <algorithm>
#include <cmath>

#include "data/dataset.h"
#include "image/augment.h"
#include "outside.h"
#include "pipeline/commands.h"
#include "tensor/npy.h"
#include "test_files.h"
#include "train/metrics.h"

namespace hardmoe {
namespace {

/// The split's images, N×H×W×3; all of one size.
Tensor images_of(const Split& split, int64_t size) {
  Tensor images(DType::u8, {split.size(), size, size, 3});
  auto* out = images.as<uint8_t>().data();
  for (int64_t i = 0; i < split.size(); ++i, out += size * size * 3) {
    center_crop(decode_image(split.image(i)), static_cast<int>(size), out);
  }
  return images;
}

/// mAP by its definition: of tags by the softmax of an image's logits.
double class_wise(const std::vector<std::vector<float>>& logits, const Split& split, int64_t tags) {
  // log P(tag), also where P is next to 1.
  const auto score = [&](int64_t image, int32_t tag) {
    const auto& row = logits[static_cast<size_t>(image)];
    double others = 0;
    for (size_t j = 0; j < row.size(); ++j) {
      if (static_cast<int32_t>(j) == tag) continue;
      others += std::exp(static_cast<double>(row[j]) -
                         static_cast<double>(row[static_cast<size_t>(tag)]));
    }
    return -std::log1p(others);
  };
  const auto has = [&](int64_t image, int32_t tag) {
    const auto own = split.tags(image);
    return std::find(own.begin(), own.end(), tag) != own.end();
  };
  double total = 0;
  int64_t known = 0;
  for (int32_t tag = 0; tag < tags; ++tag) {
    double sum = 0, count = 0;
    for (int64_t i = 0; i < split.size(); ++i) {
      if (!has(i, tag)) continue;
      double own = 0, all = 0;
      for (int64_t j = 0; j < split.size(); ++j) {
        if (score(j, tag) < score(i, tag)) continue;
        ++all;
        own += has(j, tag) ? 1 : 0;
      }
      sum += own / all;
      ++count;
    }
    if (count == 0) continue;
    total += sum / count;
    ++known;
  }
  return total / static_cast<double>(known);
}

TEST(Torchvision, AnswersAsOurModelsDo) {
  const auto [python, missing] = python_with("numpy, torch");
  if (!missing.empty()) GTEST_SKIP() << missing;
  const TemporaryFolder folder;
  write_pictures(folder.path(), 160);
  std::ofstream(folder / "c.yaml") << small_config;
  output_of(folder.path(), "moe-ingest images.jsonl --val-fraction 0.2 --out data");
  const Dataset data = Dataset::open(folder / "data");
  const Split& val = data.split("val");

  struct Case {
    std::string name, options;
    int64_t size;
  };
  for (const Case& c :
       {Case{"small", "--epochs 3", 16},
        Case{"imagenet", "--epochs 0.5 --stem imagenet --width 64 --image-size 64", 64},
        Case{"bottleneck", "--epochs 0.5 --depth 50 --width 16 --image-size 16", 16}}) {
    SCOPED_TRACE(c.name);
    output_of(folder.path(),
              fmt::format("moe-train-base data --config c.yaml {1} --out {0} && moe-embed "
                          "data --model {0} --split val --out {0}-features",
                          c.name, c.options));
    save_npy(folder / "images.npy", images_of(val, c.size));
    const Outcome torch = run(
        folder.path(), fmt::format("{0} -B '{1}/../pipeline/torchvision_check.py' {2} images.npy "
                                   "{2}-features/val.npy",
                                   python.string(), test_files().string(), c.name));
    ASSERT_EQ(torch.status, 0) << torch.err;
    const auto logits = Json::parse(torch.out).get<std::vector<std::vector<float>>>();
    ASSERT_EQ(static_cast<int64_t>(logits.size()), val.size());

    MetricsAccumulator metrics;
    for (int64_t i = 0; i < val.size(); ++i) {
      metrics.add(logits[static_cast<size_t>(i)], val.tags(i));
    }
    const Json ours = Json::parse(
        output_of(folder.path(), fmt::format("moe-eval data --model {} --json", c.name)));
    RankingMetrics expected = metrics.result();
    expected.ranked_tags = ours["tags"]["mAP_tags"];
    expected.mean_average_precision = ours["tags"]["mAP"];
    EXPECT_EQ(ours["tags"], metrics_json(expected));
    EXPECT_NEAR(expected.mean_average_precision, class_wise(logits, val, data.vocabulary().size()),
                1e-9);
  }
}

}  // namespace
}  // namespace hardmoe
