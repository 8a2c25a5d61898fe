#include "moe/unified_embedding.h"

#include <algorithm>

#include "nn/resnet.h"

namespace hardmoe {

int64_t embedding_width(EmbeddingKind kind, int64_t width) {
  return kind == EmbeddingKind::both ? 2 * width : width;
}

void write_embedding_row(EmbeddingKind kind, double share, const float* base, const float* expert,
                         int64_t width, float* out) {
  switch (kind) {
    case EmbeddingKind::expert:
      std::copy_n(expert, width, out);
      break;
    case EmbeddingKind::blend:
      for (int64_t d = 0; d < width; ++d) {
        out[d] = static_cast<float>(share * static_cast<double>(base[d]) +
                                    (1 - share) * static_cast<double>(expert[d]));
      }
      break;
    case EmbeddingKind::both:
      std::copy_n(base, width, out);
      std::copy_n(expert, width, out + width);
      break;
  }
}

Tensor combined_embedding(EmbeddingKind kind, double share, const Tensor& base,
                          const Tensor& experts) {
  if (kind == EmbeddingKind::expert) return experts;
  const int64_t width = experts.size(1), row = embedding_width(kind, width);
  Tensor combined = Tensor::uninitialized(DType::f32, {experts.size(0), row});
  for (int64_t i = 0; i < experts.size(0); ++i) {
    write_embedding_row(kind, share, base.as<float>().data() + i * width,
                        experts.as<float>().data() + i * width, width,
                        combined.as<float>().data() + i * row);
  }
  return combined;
}

StateDict first_decoder(const StateDict& base, EmbeddingKind kind, double share) {
  const Tensor& head = require_tensor(base, "fc.weight", "base");
  StateDict decoder = {{"fc.weight", head}, {"fc.bias", require_tensor(base, "fc.bias", "base")}};
  if (kind != EmbeddingKind::both) return decoder;
  const int64_t tags = head.size(0), width = head.size(1);
  Tensor wide = Tensor::uninitialized(DType::f32, {tags, 2 * width});
  const float* from = head.as<float>().data();
  float* to = wide.as<float>().data();
  for (int64_t v = 0; v < tags; ++v) {
    for (int64_t d = 0; d < width; ++d) {
      const auto weight = static_cast<double>(from[v * width + d]);
      to[v * 2 * width + d] = static_cast<float>(share * weight);
      to[v * 2 * width + width + d] = static_cast<float>((1 - share) * weight);
    }
  }
  decoder.insert_or_assign("fc.weight", wide);
  return decoder;
}

DecoderScores::DecoderScores(Engine& engine, const StateDict& weights, Precision precision,
                             int64_t batch) {
  const Tensor& weight = require_tensor(weights, "fc.weight", "decoder");
  tags_ = weight.size(0);
  CompileOptions options;
  options.batch = batch;
  options.precision = precision;
  options.mode = Mode::infer;
  options.deterministic = true;
  program_ = engine.compile(linear_decoder(weight.size(1), tags_), options);
  program_->load_weights(weights, "decoder");
  batch_.input = Tensor(DType::f32, {batch, weight.size(1)});
  batch_.tag_ptr.assign(static_cast<size_t>(batch) + 1, 0);
  logits_.resize(static_cast<size_t>(batch * tags_));
}

std::span<const float> DecoderScores::score(int64_t count) {
  batch_.size = count;
  batch_.tag_ptr.resize(static_cast<size_t>(count) + 1, 0);
  const auto logits = std::span(logits_).first(static_cast<size_t>(count * tags_));
  program_->infer(batch_, {}, logits);
  return logits;
}

}  // namespace hardmoe
