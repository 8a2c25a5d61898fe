// What a mixture's networks answer, with and without stages in common, beside each whole network.
#include "moe/mixture_networks.h"

#include <gtest/gtest.h>

#include "matrix_rows.h"
#include "moe/router.h"
#include "moe/shared_stages.h"
#include "reference_images.h"

namespace hardmoe {
namespace {

/// Three experts that are the base's up to layer1, layer2 and layer3.
class MixtureNetworksTest : public testing::Test {
 protected:
  static constexpr int64_t images = ReferenceImages::images, width = 128, tags = 10;

  MixtureNetworksTest() : engine(make_engine("cpu")) {
    mixture.base = {{ReferenceImages::model(), tags, "", {}}, ReferenceImages::weights()};
    for (const char* changed : {"layer2.0.bn1.bias", "layer3.1.bn2.weight", "layer4.0.bn1.bias"}) {
      Model expert = mixture.base;
      Tensor values(DType::f32, expert.weights.at(changed).shape());
      for (float& value : values.as<float>()) value = 0.5F;
      expert.weights.insert_or_assign(changed, values);
      const auto path = reference.folder / std::to_string(experts.size());
      std::filesystem::create_directories(path);
      save_model(path, expert);
      mixture.experts.push_back(path);
      experts.push_back(expert.weights);
    }
    base = whole(mixture.base.weights);
    Gater& gater = mixture.partition.gater;
    gater.experts = 3;
    gater.inputs = width;
    gater.prices = {0, 0, 0};
    gater.centroids = Tensor(DType::f32, {3, width});  // images 2, 0 and 3
    for (size_t k = 0; k < 3; ++k) {
      std::ranges::copy(row_of(base.features, std::array<size_t, 3>{2, 0, 3}[k]),
                        gater.centroids.as<float>().begin() + static_cast<int64_t>(k) * width);
    }
  }

  struct Answers {
    Tensor features = Tensor(DType::f32, {images, width}),
           logits = Tensor(DType::f32, {images, tags});
  };

  /// A whole network's answers to all images.
  Answers whole(const StateDict& weights) {
    Inference inference(*engine, resnet(ReferenceImages::model(), tags), 32, Precision::fp32,
                        images);
    inference.load(weights, "whole");
    Answers answers;
    inference.run(reference.split(), all_items(reference.split()),
                  [&](int64_t position, int64_t, auto features, auto logits) {
                    std::ranges::copy(features,
                                      answers.features.as<float>().begin() + position * width);
                    std::ranges::copy(logits, answers.logits.as<float>().begin() + position * tags);
                  });
    return answers;
  }

  /// Runs `test` without stages in common and with all that there may be, in pieces of each size.
  void with_each_way(const std::function<void(int64_t images_at_a_time)>& test) {
    mixture.shared_cut.reset();
    test(3);
    for (const int cut : {0, 1}) {
      mixture.shared_cut = cut;
      for (const int64_t at_a_time : {1, 3}) test(at_a_time);
    }
  }

  ReferenceImages reference;
  std::unique_ptr<Engine> engine;
  Mixture mixture;
  std::vector<StateDict> experts;
  Answers base;
};

TEST_F(MixtureNetworksTest, AnswersAreThoseOfWholeNetworks) {
  ASSERT_EQ(shared_cut(mixture.base, mixture.experts), 1);
  std::vector<Answers> each;
  for (const auto& weights : experts) each.push_back(whole(weights));
  const std::vector<uint16_t> chosen = {2, 0, 0, 1, 1, 2, 0, 2};  // two an image
  with_each_way([&](int64_t at_a_time) {
    MixtureNetworks networks(*engine, mixture, Precision::fp32, /*heads=*/true, at_a_time);
    std::vector<int> seen(8, 0);
    MixtureVisits visits;
    visits.experts_an_image = 2;
    int64_t base_rows = 0;
    visits.base = [&](int64_t position, int64_t rows, auto features, auto logits) {
      EXPECT_EQ(position, base_rows);
      base_rows += rows;
      for (size_t i = 0; i < static_cast<size_t>(rows); ++i) {
        const size_t image = static_cast<size_t>(position) + i;
        expect_same_row(features.subspan(i * width, width), row_of(base.features, image));
        expect_same_row(logits.subspan(i * tags, tags), row_of(base.logits, image));
      }
    };
    visits.choose = [&](int64_t first, int64_t count) {
      EXPECT_EQ(base_rows, first + count);
      ExpertChoices choices{.experts = 2, .expert = {}, .squared_distance = {}};
      choices.expert.assign(chosen.begin() + 2 * first, chosen.begin() + 2 * (first + count));
      return choices;
    };
    visits.expert = [&](auto numbers, auto features, auto logits) {
      for (size_t i = 0; i < numbers.size(); ++i) {
        ++seen[numbers[i]];
        const Answers& expected = each[chosen[numbers[i]]];
        expect_same_row(features.subspan(i * width, width),
                        row_of(expected.features, numbers[i] / 2));
        expect_same_row(logits.subspan(i * tags, tags), row_of(expected.logits, numbers[i] / 2));
      }
    };
    networks.run(reference.split(), visits);
    EXPECT_EQ(seen, std::vector<int>(8, 1));
  });
}

TEST_F(MixtureNetworksTest, ImagesAreEmbeddedByTheirExperts) {
  std::vector<Answers> each;
  for (const auto& weights : experts) each.push_back(whole(weights));
  const auto expect_features = [&](const EmbeddedImages& found, bool base_too) {
    for (size_t i = 0; i < static_cast<size_t>(images); ++i) {
      expect_same_row(row_of(found.expert_features, i), row_of(each[found.experts[i]].features, i));
      if (base_too) expect_same_row(row_of(found.base_features, i), row_of(base.features, i));
    }
    if (!base_too) {
      EXPECT_EQ(found.base_features.elements(), 0);
    }
  };
  with_each_way([&](int64_t at_a_time) {
    MixtureNetworks networks(*engine, mixture, Precision::fp32, /*heads=*/false, at_a_time);
    const EmbeddedImages routed =
        embed_by_experts(networks, reference.split(), {}, /*base=*/false, /*use_prices=*/true);
    EXPECT_EQ(routed.experts[0], 1);
    EXPECT_EQ(routed.experts[2], 0);
    EXPECT_EQ(routed.experts[3], 2);
    expect_features(routed, true);
    const std::vector<uint16_t> given = {1, 2, 1, 0};
    for (const bool base_too : {false, true}) {
      const EmbeddedImages found =
          embed_by_experts(networks, reference.split(), given, base_too, true);
      EXPECT_EQ(found.experts, given);
      expect_features(found, base_too);
    }
  });
}

TEST_F(MixtureNetworksTest, ARouterOnTheSharedStagesChoosesAsItDoesAlone) {
  Model& router = mixture.router.emplace();
  router.card = mixture.base.card;
  router.card.model.tail = {.behind = 1, .width = 6};
  router.card.tags = 3;
  for (const auto& spec : parameters_of(resnet(router.card.model, 3))) {
    router.weights.emplace(spec.name, reference_parameter(spec.name, spec.shape));
  }
  const ExpertChoices alone =
      choices_of_router(*engine, router, reference.split(), 2, Precision::fp32);
  std::vector<Answers> each;
  for (const auto& weights : experts) each.push_back(whole(weights));
  with_each_way([&](int64_t at_a_time) {
    MixtureNetworks networks(*engine, mixture, Precision::fp32, /*heads=*/true, at_a_time);
    EXPECT_EQ(router_shares(mixture), mixture.shared_cut == 1);
    MixtureVisits visits;
    visits.experts_an_image = 2;
    size_t answers = 0;
    visits.expert = [&](auto numbers, auto, auto logits) {
      for (size_t i = 0; i < numbers.size(); ++i, ++answers) {
        expect_same_row(logits.subspan(i * tags, tags),
                        row_of(each[alone.expert[numbers[i]]].logits, numbers[i] / 2));
      }
    };
    const ExpertChoices found = networks.run(reference.split(), visits);
    EXPECT_EQ(answers, 8U);
    EXPECT_EQ(found.expert, alone.expert);
    EXPECT_EQ(found.squared_distance, alone.squared_distance);
    const EmbeddedImages embedded = embed_by_experts(networks, reference.split(), {}, false, true);
    EXPECT_EQ(embedded.base_features.elements(), 0);
    for (size_t i = 0; i < static_cast<size_t>(images); ++i) {
      EXPECT_EQ(embedded.experts[i], alone.expert[2 * i]);
    }
  });
}

// Of the partition at random, an image's number says which expert it goes to.
TEST_F(MixtureNetworksTest, PiecesKeepTheImagesNumbers) {
  Gater& gater = mixture.partition.gater;
  gater.kind = PartitionMethod::random;
  gater.seed = 5;
  gater.centroids = {};
  const auto expected = gater.route(matrix_view(base.features));
  with_each_way([&](int64_t at_a_time) {
    MixtureNetworks networks(*engine, mixture, Precision::fp32, /*heads=*/false, at_a_time);
    EXPECT_EQ(embed_by_experts(networks, reference.split(), {}, false, true).experts, expected);
  });
}

}  // namespace
}  // namespace hardmoe
