#include "moe/routing.h"

#include <algorithm>
#include <numeric>

#include "base/error.h"
#include "base/log.h"
#include "base/stage.h"
#include "base/text.h"

namespace hardmoe {
namespace fs = std::filesystem;
namespace {

std::string names_of(const std::vector<fs::path>& files) {
  return files.size() == 1 ? files[0].string()
                           : fmt::format("{} … {} ({} files)", files.front().string(),
                                         files.back().string(), files.size());
}

std::string embedding_of(const fs::path& partition) {
  return json_get<std::string>(stage_inputs(partition, "moe-partition"), "embedding",
                               partition.string());
}

}  // namespace

std::optional<EmbeddingInput> find_routing_features(const Mixture& mixture,
                                                    const fs::path& partition,
                                                    const std::vector<std::string>& given,
                                                    const Split& split) {
  const int64_t width = mixture.partition.gater.inputs;
  if (!mixture.external_embedding) {
    if (given.empty()) return std::nullopt;
    fail_usage(
        "--features: leave it out, as {} was made of the base's features, which are computed",
        partition.string());
  }
  if (given.empty()) {
    fail_usage(
        "{}: made of an external embedding ({} values an image), which the base cannot compute; "
        "give "
        "that embedding's rows for the {} images of split '{}' as --features FILE.npy",
        partition.string(), width, split.size(), split.name());
  }
  EmbeddingInput input = find_external_features(given);
  const Embedding embedding(input.files);
  if (embedding.cols() != width) {
    fail_usage(
        "{}: rows of {} values, but {} was made of {}; embed with the model that it was made with",
        names_of(input.files), embedding.cols(), partition.string(), width);
  }
  if (embedding.rows() != split.size()) {
    fail_usage(
        "{}: {} rows, but split '{}' has {} images; give one row an image, in the order of the "
        "split's keys.txt",
        names_of(input.files), embedding.rows(), split.name(), split.size());
  }
  if (split.name() != "train" &&
      json_get<std::string>(input.identity, "embedding", "--features") == embedding_of(partition)) {
    fail_usage(
        "{}: these are the training images' rows, which {} was made of; give those of split '{}'",
        names_of(input.files), partition.string(), split.name());
  }
  return input;
}

Tensor external_features(const EmbeddingInput& external) {
  const Embedding embedding(external.files);
  Tensor features(DType::f32, {embedding.rows(), embedding.cols()});
  embedding.read(0, embedding.rows(), features.as<float>().data());
  return features;
}

void check_training_features(const fs::path& partition, const std::vector<std::string>& given) {
  if (given.empty()) return;
  const Json inputs = stage_inputs(partition, "moe-partition");
  if (is_external_embedding(inputs) &&
      find_external_features(given).identity.at("embedding") ==
          json_get<std::string>(inputs, "embedding", (partition / "stage.json").string())) {
    return;
  }
  fail_usage(
      "--features: not the embedding that {} was made of; leave it out, as the partition holds the "
      "training images' experts",
      partition.string());
}

void warn_of_external_embedding(const fs::path& partition, const fs::path& base) {
  if (!is_external_embedding(stage_inputs(partition, "moe-partition"))) return;
  log_warning(
      "{}: made of an external embedding, not of {}'s features: moe-eval and moe-embed will need "
      "that embedding's rows for the images they route, as --features",
      partition.string(), base.string());
}

void warn_of_skew(const Partition& partition, const std::vector<int64_t>& images) {
  constexpr double surely = 10;  // expected images; by chance none come once in 20,000 times
  const auto total = static_cast<double>(std::accumulate(images.begin(), images.end(), int64_t{0}));
  const auto trained = static_cast<double>(
      std::accumulate(partition.sizes.begin(), partition.sizes.end(), int64_t{0}));
  std::vector<std::string> none, crowded;
  for (size_t k = 0; k < images.size(); ++k) {
    const double expected = total * static_cast<double>(partition.sizes[k]) / trained;
    const auto found = static_cast<double>(images[k]);
    if (found == 0 && expected >= surely) none.push_back(std::to_string(k));
    if (total >= surely && found > 0.5 * total && found > 4 * expected) {
      crowded.push_back(std::to_string(k));
    }
  }
  if (none.empty() && crowded.empty()) return;
  log_warning(
      "of {} images {}, unlike the training images: check that the features that route them were "
      "made like the training images', by the same model with the same scaling",
      total,
      none.empty() ? fmt::format("most go to expert {}", crowded[0])
                   : fmt::format("none go to experts {}", join(none, ", ")));
}

void warn_of_skew(const Partition& partition, const std::vector<uint16_t>& assignment) {
  std::vector<int64_t> images(partition.sizes.size());
  for (const uint16_t expert : assignment) ++images.at(expert);
  warn_of_skew(partition, images);
}

}  // namespace hardmoe
