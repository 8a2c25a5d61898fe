// Files as ONNX Runtime computes them, beside our engine's answers for the same pixels: every kind
// of mixture, as rows and as branches.
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>

#include "base/files.h"
#include "export/model_file.h"
#include "export/onnx_model.h"
#include "export/view_graph.h"
#include "image/view_maker.h"
#include "moe/mixed_answers.h"
#include "moe/mixing.h"
#include "moe/router.h"
#include "moe/shared_stages.h"
#include "small_mixtures.h"
#include "tensor/npy.h"
#include "test_files.h"
#include "train/probability.h"

namespace hardmoe {
namespace {

constexpr double tolerance = 1e-4;  // of the largest value; and margins of routing that may differ

/// What a mixture answers to the pictures, N rows each.
struct Answers {
  Tensor probabilities, embedding;
  std::vector<int64_t> expert;
  std::vector<double> margin;  ///< of the second-best expert's score, relative
};

class OnnxRuntime : public testing::Test {
 protected:
  static constexpr int64_t experts = 5;

  OnnxRuntime() : pictures(folder.path()), engine(make_engine("cpu")), files(folder / "files") {
    std::filesystem::create_directories(files);
    mixture.base = {{small_model(), pictures.tags(), "", {}},
                    closed_form_weights(resnet(small_model(), pictures.tags()), "base ")};
    for (int64_t k = 0; k < experts; ++k) {
      add_expert(closed_form_weights(resnet(small_model(), pictures.tags()),
                                     fmt::format("expert {} ", k)));
    }
    features = base_features();
    Gater& gater = mixture.partition.gater;
    gater.experts = experts;
    gater.inputs = features.size(1);
    gater.pca = fit_pca(matrix_view(features), 12, /*whiten=*/true);
    const Tensor z = gater.project(matrix_view(features));
    gater.centroids = rows_of(z, {0, 7, 14, 21, 28});
    gater.prices = {0.5F, 0, 2, 1, 0.25F};
  }

  void SetUp() override {
    const auto [found, missing] = python_with("numpy, onnx, onnxruntime");
    if (!missing.empty()) GTEST_SKIP() << missing;
    python = found.string();
  }

  void add_expert(StateDict weights) {
    Model expert{mixture.base.card, std::move(weights)};
    const auto path = folder / fmt::format("expert-{}", count_++);
    std::filesystem::create_directories(path);
    save_model(path, expert);
    mixture.experts.push_back(path);
    mixture.losses.push_back(LossKind::softmax);
  }

  static Tensor rows_of(const Tensor& matrix, const std::vector<int64_t>& rows) {
    Tensor some(DType::f32, {std::ssize(rows), matrix.size(1)});
    for (size_t i = 0; i < rows.size(); ++i) {
      std::copy_n(matrix.as<float>().data() + rows[i] * matrix.size(1), matrix.size(1),
                  some.as<float>().data() + static_cast<int64_t>(i) * matrix.size(1));
    }
    return some;
  }

  Tensor base_features() {
    Inference trunk(*engine, resnet(small_model(), 0), small_model().image_size, Precision::fp32);
    trunk.load(mixture.base.weights, "base");
    return embed(trunk, pictures.split(), all_items(pictures.split()));
  }

  /// The views of the first pictures as our evaluation sees them, N×3×S×S, colours from 0 to 1.
  Tensor views(int64_t size) const {
    const auto items = pictures.items();
    Tensor images(DType::f32, {std::ssize(items), 3, size, size});
    ViewMaker maker(size, Purpose::evaluation, {});
    std::vector<uint8_t> pixels(static_cast<size_t>(3 * size * size));
    float* to = images.as<float>().data();
    for (const int64_t item : items) {
      maker.open(pictures.split().image(item));
      maker.write(Random(1, RandomUse::test), pixels.data());
      for (size_t c = 0; c < 3; ++c) {
        for (size_t p = c; p < pixels.size(); p += 3) *to++ = static_cast<float>(pixels[p]) / 255;
      }
    }
    return images;
  }

  /// Our engine's answers.
  Answers ours(const AnswerSettings& form) {
    const Split& split = pictures.split();
    const bool mixes = form.base_share != 0;
    MixtureAnswers networks(*engine, mixture, Precision::fp32);
    const AnsweredImages answered = networks.answer(split, {}, {1, form.use_prices, mixes});
    const auto items = pictures.items();
    const auto width = static_cast<size_t>(pictures.tags());
    Answers answers;
    answers.probabilities = Tensor(DType::f32, {std::ssize(items), pictures.tags()});
    BaseMixer mixer(form.mix, LossKind::softmax, form.base_share, pictures.tags());
    std::vector<float> base(width), scores(width);
    std::vector<size_t> positions;
    for (const int64_t item : items) positions.push_back(static_cast<size_t>(item));
    const ExpertChoices choices = select(answered.choices, positions);
    for (const uint16_t expert : choices.expert) answers.expert.push_back(expert);
    visit_answers(networks, items, choices, answered, 1, [&](const ExpertsAnswer& answer) {
      const auto out = answers.probabilities.as<float>().subspan(answer.row * width, width);
      const LossKind loss = mixture.losses.at(choices.expert[answer.row]);
      std::span<const float> logits = answer.scores;
      if (mixes) {
        answered.base_logits->read(items[answer.row], base);
        logits = mixer.mixed(base, answer);
      }
      if (mixes && form.mix == Mix::arithmetic) {
        std::ranges::copy(logits, out.begin());
      } else {
        add_probabilities(loss, logits, 1, out.data());
      }
    });
    MixtureNetworks trunks(*engine, mixture, Precision::fp32, /*heads=*/false);
    const EmbeddedImages found = embed_by_experts(
        trunks, split, {}, mixture.embedding != EmbeddingKind::expert, form.use_prices);
    answers.embedding = rows_of(combined_embedding(mixture.embedding, mixture.embedding_share,
                                                   found.base_features, found.expert_features),
                                items);
    answers.margin = margins(items, form.use_prices);
    return answers;
  }

  /// By how much the best expert's score is ahead of the second's, over the latter. Where a router
  /// routes or prices do not count, nothing is known of it: 1.
  std::vector<double> margins(const std::vector<int64_t>& items, bool use_prices) const {
    std::vector<double> all(items.size(), 1);
    if (mixture.router || !use_prices) return all;
    const Gater& gater = mixture.partition.gater;
    const Tensor z = gater.project(matrix_view(features));
    for (size_t i = 0; i < items.size(); ++i) {
      std::vector<float> scores;
      for (int64_t k = 0; k < gater.experts; ++k) {
        scores.push_back(gater.score_of(matrix_view(z).row(items[i]), static_cast<uint16_t>(k)));
      }
      std::ranges::sort(scores);
      all[i] = static_cast<double>(scores[1] - scores[0]) /
               std::max(1e-6, std::abs(static_cast<double>(scores[1])));
    }
    return all;
  }

  /// Adds a mixture in both forms, with our answers.
  void add(const std::string& name, const AnswerSettings& form = {}) {
    expected.emplace_back(name, ours(form));
    write_mixture_file(files / (name + ".rows.onnx"), mixture, form, std::nullopt, {});
    write_mixture_file(files / (name + ".branches.onnx"), mixture, form, std::nullopt,
                       {.one_image = true});
  }

  /// Has Python run all files, and compares.
  void expect_all() {
    save_npy(files / "images.npy", views(small_model().image_size));
    if (mixture.router) save_npy(files / "router_images.npy", views(router_size));
    const std::string line =
        fmt::format("{} -B '{}/../export/run_onnx.py' '{}' > '{}' 2>&1", python,
                    test_files().string(), files.string(), (folder / "log").string());
    ASSERT_EQ(std::system(line.c_str()), 0) << read_file(folder / "log");
    for (const auto& [name, answers] : expected) {
      expect_equal(name + ".rows", answers);
      expect_equal(name + ".branches", answers);
    }
  }

  static double largest_difference(std::span<const float> a, std::span<const float> b,
                                   const std::vector<bool>& rows) {
    const size_t width = a.size() / rows.size();
    double most = 0, largest = 0;
    for (size_t i = 0; i < a.size(); ++i) {
      if (!rows[i / width]) continue;
      largest = std::max(largest, std::abs(static_cast<double>(a[i])));
      most = std::max(most, std::abs(static_cast<double>(a[i]) - static_cast<double>(b[i])));
    }
    return most / largest;
  }

  /// Compares what ONNX Runtime answered. Images whose routing is a matter of rounding may have
  /// another expert.
  void expect_equal(const std::string& name, const Answers& answers) {
    SCOPED_TRACE(name);
    const Tensor expert = load_npy(files / (name + ".expert.npy"));
    std::vector<bool> same;
    int64_t others = 0;
    for (size_t i = 0; i < answers.expert.size(); ++i) {
      same.push_back(expert.as<int64_t>()[i] == answers.expert[i]);
      if (same.back()) continue;
      ++others;
      EXPECT_LE(answers.margin[i], tolerance) << "image " << i;
    }
    EXPECT_LE(others, 2);
    for (const auto& [what, values] :
         {std::pair{"probabilities", &answers.probabilities}, {"embedding", &answers.embedding}}) {
      const Tensor theirs = load_npy(files / fmt::format("{}.{}.npy", name, what));
      ASSERT_EQ(theirs.shape(), values->shape()) << what;
      EXPECT_LE(largest_difference(values->as<float>(), theirs.as<float>(), same), tolerance)
          << what;
    }
  }

  static constexpr int router_size = 16;
  TemporaryFolder folder;
  Pictures pictures;
  std::unique_ptr<Engine> engine;
  std::filesystem::path files;
  std::string python;  ///< quoted for a shell
  Mixture mixture;
  Tensor features;  ///< the base's, of the whole split
  std::vector<std::pair<std::string, Answers>> expected;

 private:
  int count_ = 0;
};

TEST_F(OnnxRuntime, RoutesAsTheGaterDoes) {
  const Gater plain = mixture.partition.gater;
  add("pca");
  add("without-prices", {.use_prices = false});
  Gater& gater = mixture.partition.gater;
  gater.pca = centred_at(features.as<float>().first(static_cast<size_t>(features.size(1))));
  gater.centroids = rows_of(gater.project(matrix_view(features)), {3, 9, 15, 30, 33});
  add("centred");
  gater.pca.reset();
  gater.centroids = rows_of(features, {3, 9, 15, 30, 33});
  add("no-pca");
  gater.centroids = rows_of(features, {3, 9, 9, 30, 3});  // equal ones: the first has all images
  gater.prices = {0, 0, 0, 0, 0};
  add("ties");
  for (const int64_t expert : expected.back().second.expert) EXPECT_TRUE(expert < 2 || expert == 3);
  gater = plain;
  gater.centroids =
      rows_of(gater.project(matrix_view(features)), {0, 4, 8, 12, 16, 20, 24, 28, 32});
  gater.prices = {0, 1, 0, 2, 0, 0.5F, 0, 1, 0};
  gater.expert_of = {2, 0, 1, 2, 0, 1, 1, 2, 2};  // 3 and 4 come of halving
  const Tensor z = gater.project(matrix_view(features));
  gater.halvings = {{2, 3, rows_of(z, {0, 28}), {0, 0.5F}},
                    {3, 4, rows_of(z, {12, 28}), {0.25F, 0}}};
  add("fine-and-halved");
  expect_all();
}

TEST_F(OnnxRuntime, AnswersAsEachKindOfMixtureDoes) {
  add("local");
  add("geometric", {.base_share = 0.3, .mix = Mix::geometric});
  add("arithmetic", {.base_share = 0.3, .mix = Mix::arithmetic});
  mixture.losses[1] = mixture.losses[4] = LossKind::sigmoid;
  add("two-losses");
  mixture.losses.assign(experts, LossKind::softmax);
  const int64_t width = features.size(1);
  for (const EmbeddingKind kind :
       {EmbeddingKind::expert, EmbeddingKind::blend, EmbeddingKind::both}) {
    mixture.embedding = kind;
    mixture.embedding_share = 0.4;
    mixture.decoder = closed_form_weights(
        linear_decoder(embedding_width(kind, width), pictures.tags()), "decoder ");
    add("decoder-" + embedding_kinds[static_cast<size_t>(kind)]);
  }
  expect_all();
}

TEST_F(OnnxRuntime, ComputesSharedStagesAndRoutersAsOurs) {
  // Experts that are the base's up to layer2.
  mixture.experts.clear();
  for (int64_t k = 0; k < experts; ++k) {
    StateDict weights = mixture.base.weights;
    const auto own =
        closed_form_weights(resnet(small_model(), pictures.tags()), fmt::format("expert {} ", k));
    for (const auto& [name, tensor] : own) {
      if (name.starts_with("layer3") || name.starts_with("layer4") || name.starts_with("fc")) {
        weights.insert_or_assign(name, tensor);
      }
    }
    add_expert(weights);
  }
  mixture.losses.resize(experts);
  mixture.shared_cut = shared_cut(mixture.base, mixture.experts);
  ASSERT_EQ(mixture.shared_cut, 2);
  add("shared");
  Model router{{small_model(), experts, "", {}}, {}};
  router.card.model.tail = {2, 4};
  router.weights = closed_form_weights(resnet(router.card.model, experts), "router ");
  for (const auto& spec : parameters_of(resnet_until(router.card.model, 2))) {
    router.weights.insert_or_assign(spec.name, mixture.base.weights.at(spec.name));
  }
  mixture.router = router;
  ASSERT_TRUE(router_shares(mixture));
  add("router-on-base");
  mixture.shared_cut.reset();
  add("router-beside-base");
  mixture.router->card.model = small_model();
  mixture.router->card.model.image_size = router_size;
  mixture.router->card.model.width = 4;
  mixture.router->weights =
      closed_form_weights(resnet(mixture.router->card.model, experts), "small router ");
  add("router-of-other-views");
  expect_all();
}

// Images of several sizes: larger, smaller, of the network's size, wide and high.
TEST(OnnxViews, AreOursWithinTwoLevels) {
  const auto [python, missing] = python_with("numpy, onnx, onnxruntime");
  if (!missing.empty()) GTEST_SKIP() << missing;
  const TemporaryFolder folder;
  std::vector<std::pair<std::string, std::vector<uint8_t>>> expected;
  for (const double share : {1.0, 0.875, 0.95}) {
    for (const auto& [height, width] :
         std::vector<std::pair<int64_t, int64_t>>{{50, 61}, {32, 32}, {200, 131}, {10, 25}}) {
      Tensor image(DType::u8, {1, height, width, 3});
      const auto draws = reference_stream("noise", image.elements());
      const auto pixels = image.as<uint8_t>();
      for (size_t p = 0; p < pixels.size(); ++p) {
        const auto at = static_cast<int64_t>(p / 3);
        const int64_t ramp = 100 + at / width % 50 + 2 * (at % width % 50);
        pixels[p] = static_cast<uint8_t>(static_cast<double>(ramp) + 50 * draws[p]);
      }
      ModelConfig config = small_model();
      config.input.crop_share = share;
      const std::string name =
          fmt::format("{}x{}_{}", height, width, static_cast<int>(100 * share));
      OnnxModel model(folder / (name + ".onnx"), "views", 0);
      const std::string input =
          model.graph().input({name,
                               OnnxElement::u8,
                               {std::string("n"), std::string("h"), std::string("w"), int64_t{3}}});
      model.graph().output(
          write_views(model.graph(), config, input),
          {"views", OnnxElement::f32, {std::string("n"), int64_t{3}, int64_t{32}, int64_t{32}}});
      model.save();
      save_npy(folder / (name + ".npy"), image);
      ViewMaker maker(32, Purpose::evaluation, {}, share);
      const std::string png = encode_png(image.reshaped({height, width, 3}));
      maker.open(std::as_bytes(std::span(png)));
      maker.write(Random(1, RandomUse::test),
                  expected.emplace_back(name, std::vector<uint8_t>(3 * 32 * 32)).second.data());
    }
  }
  ASSERT_EQ(std::system(fmt::format("{} -B '{}/../export/run_onnx.py' '{}' > '{}' 2>&1",
                                    python.string(), test_files().string(), folder.path().string(),
                                    (folder / "log").string())
                            .c_str()),
            0)
      << read_file(folder / "log");
  for (const auto& [name, pixels] : expected) {
    const Tensor views = load_npy(folder / (name + ".views.npy"));
    double most = 0;
    for (size_t p = 0; p < pixels.size(); ++p) {
      const float theirs = 255 * views.as<float>()[p % 3 * 32 * 32 + p / 3];
      most = std::max(most, std::abs(static_cast<double>(theirs) - pixels[p]));
    }
    EXPECT_LE(most, 2.001) << name;
  }
}

// PyTorch's own answers, stored beside the weights' closed form.
TEST(OnnxModelRuntime, AnswersAsPyTorchDoes) {
  const auto [python, missing] = python_with("numpy, onnx, onnxruntime");
  if (!missing.empty()) GTEST_SKIP() << missing;
  struct Reference {
    std::string file;
    ModelConfig model;
  };
  for (const Reference& reference :
       {Reference{"resnet18_small_w16", {18, Stem::small, 16, 32}},
        Reference{"resnet18_imagenet_w16", {18, Stem::imagenet, 16, 64}},
        Reference{"resnet50_small_w16", {50, Stem::small, 16, 32}}}) {
    SCOPED_TRACE(reference.file);
    const TemporaryFolder folder;
    const StateDict stored = load_safetensors(test_file(reference.file + ".safetensors"));
    const Tensor& pixels = stored.at("images");
    const Tensor& logits = stored.at("eval.logits");
    const Tensor& features = stored.at("eval.features");
    Model model{{reference.model, logits.size(1), "", {}}, {}};
    model.card.model.image_size = static_cast<int>(pixels.size(1));
    for (const auto& spec : parameters_of(resnet(model.card.model, logits.size(1)))) {
      model.weights.emplace(spec.name, reference_parameter(spec.name, spec.shape));
    }
    write_model_file(folder / "model.onnx", model, std::nullopt, {});
    const int64_t count = logits.size(0), side = pixels.size(1);  // of the first images
    Tensor images(DType::f32, {count, 3, side, side});
    for (int64_t i = 0; i < images.elements(); ++i) {
      const int64_t at = i % (side * side), plane = i / (side * side);
      images.as<float>()[static_cast<size_t>(i)] =
          static_cast<float>(pixels.as<uint8_t>()[static_cast<size_t>(
              (plane / 3 * side * side + at) * 3 + plane % 3)]) /
          255;
    }
    save_npy(folder / "images.npy", images);
    ASSERT_EQ(std::system(fmt::format("{} -B '{}/../export/run_onnx.py' '{}' > '{}' 2>&1",
                                      python.string(), test_files().string(),
                                      folder.path().string(), (folder / "log").string())
                              .c_str()),
              0)
        << read_file(folder / "log");
    const Tensor embedding = load_npy(folder / "model.embedding.npy");
    const Tensor probabilities = load_npy(folder / "model.probabilities.npy");
    ASSERT_EQ(embedding.shape(), features.shape());
    ASSERT_EQ(probabilities.shape(), logits.shape());
    std::vector<float> expected(logits.as<float>().size());
    for (size_t first = 0; first < expected.size(); first += static_cast<size_t>(logits.size(1))) {
      add_probabilities(LossKind::softmax,
                        logits.as<float>().subspan(first, static_cast<size_t>(logits.size(1))), 1,
                        expected.data() + first);
    }
    const auto close = [](std::span<const float> a, std::span<const float> b) {
      double most = 0, largest = 0;
      for (size_t i = 0; i < a.size(); ++i) {
        largest = std::max(largest, std::abs(static_cast<double>(a[i])));
        most = std::max(most, std::abs(static_cast<double>(a[i]) - static_cast<double>(b[i])));
      }
      return most / largest;
    };
    EXPECT_LE(close(features.as<float>(), embedding.as<float>()), tolerance);
    EXPECT_LE(close(expected, probabilities.as<float>()), tolerance);
  }
}

}  // namespace
}  // namespace hardmoe
