#include "moe/unified_embedding.h"

#include <gtest/gtest.h>

#include "base/files.h"
#include "base/stage.h"
#include "expect_error.h"
#include "temporary_folder.h"

namespace hardmoe {
namespace {

const Tensor base = Tensor::from(std::vector<float>{1, 2, 3, 4}, {2, 2});
const Tensor experts = Tensor::from(std::vector<float>{-1, 0, 5, 8}, {2, 2});

std::vector<float> values_of(const Tensor& tensor) {
  return {tensor.as<float>().begin(), tensor.as<float>().end()};
}

TEST(UnifiedEmbedding, IsTheExpertsTheBlendOrBoth) {
  EXPECT_EQ(values_of(combined_embedding(EmbeddingKind::expert, 0.5, base, experts)),
            values_of(experts));
  EXPECT_EQ(values_of(combined_embedding(EmbeddingKind::blend, 0.25, base, experts)),
            (std::vector<float>{-0.5F, 0.5F, 4.5F, 7}));
  const Tensor both = combined_embedding(EmbeddingKind::both, 0.25, base, experts);
  EXPECT_EQ(both.shape(), (Shape{2, 4}));
  EXPECT_EQ(values_of(both), (std::vector<float>{1, 2, -1, 0, 3, 4, 5, 8}));
}

// W(a·b + (1−a)·e) = [a·W, (1−a)·W]·[b; e] = a·W·b + (1−a)·W·e, by hand.
TEST(UnifiedEmbedding, ItsFirstDecoderAnswersAsTheMeanOfBothByTheBasesHead) {
  const StateDict head = {
      {"fc.weight", Tensor::from(std::vector<float>{1, 2, 0, -1, 4, 0.5F}, {3, 2})},
      {"fc.bias", Tensor::from(std::vector<float>{0.5F, 0, -2}, {3})}};
  const auto engine = make_engine("cpu");
  const double share = 0.25;
  for (const auto kind : {EmbeddingKind::blend, EmbeddingKind::both}) {
    const Tensor rows = combined_embedding(kind, share, base, experts);
    DecoderScores decoder(*engine, first_decoder(head, kind, share), Precision::fp32, 4);
    ASSERT_EQ(decoder.width(), rows.size(1));
    std::copy_n(rows.as<float>().data(), rows.elements(), decoder.rows());
    const auto logits = decoder.score(2);
    ASSERT_EQ(logits.size(), 6U);
    const float expected[] = {1, -0.5F, -3.75F, 19, -7, 19.5F};
    for (size_t j = 0; j < 6; ++j) EXPECT_NEAR(logits[j], expected[j], 1e-5) << j;
  }
}

TEST(UnifiedEmbedding, ADecodersFolderSaysWhatItReads) {
  const TemporaryFolder folder;
  const Vocabulary vocabulary{{"a", "b"}, {2, 1}};
  const auto saved = [&](EmbeddingKind kind, double share) {
    const int64_t width = embedding_width(kind, 3);
    const StateDict weights = {{"fc.weight", Tensor(DType::f32, {2, width})},
                               {"fc.bias", Tensor(DType::f32, {2})}};
    DecoderCard card;
    card.loss = LossKind::sigmoid;
    card.embedding = kind;
    card.base_share = share;
    save_decoder(folder.path(), weights, card, vocabulary);
    return load_decoder_card(folder.path());
  };
  const DecoderCard both = saved(EmbeddingKind::both, 0.375);
  EXPECT_EQ(both.embedding, EmbeddingKind::both);
  EXPECT_EQ(both.base_share, 0.375);
  EXPECT_EQ(both.features, 6);
  EXPECT_EQ(both.loss, LossKind::sigmoid);
  EXPECT_EQ(both.format, "hardmoe decoder 3");
  // As ever where it reads experts' features, so that earlier versions read it.
  const DecoderCard own = saved(EmbeddingKind::expert, 0);
  EXPECT_EQ(own.embedding, EmbeddingKind::expert);
  EXPECT_EQ(read_file(folder / decoder_card_name).find("embedding"), std::string::npos);
  EXPECT_NE(read_file(folder / decoder_card_name).find("hardmoe decoder 2"), std::string::npos);
}

}  // namespace
}  // namespace hardmoe
