#include "export/model_file.h"

#include "base/text.h"
#include "engine/network_facts.h"
#include "export/answer_graph.h"
#include "export/network_graph.h"
#include "export/onnx_model.h"
#include "export/view_graph.h"
#include "moe/unified_embedding.h"
#include "nn/architecture.h"

namespace hardmoe {
namespace {

/// A file with its inputs, outputs and texts.
class ModelFile {
 public:
  ModelFile(const std::filesystem::path& file, const char* name, int64_t parameters,
            const ModelFileForm& form)
      : onnx_(file, name, parameters * int64_t{sizeof(float)}), form_(form) {}

  OnnxGraph& graph() { return onnx_.graph(); }

  /// Returns the views that a network takes: those of the images where preprocessing is inside, else
  /// the input `name`.
  std::string views(const ModelConfig& model, const std::string& name) {
    if (!form_.preprocessing) {
      const int64_t size = model.image_size;
      return graph().input({name, OnnxElement::f32, {images(), int64_t{3}, size, size}});
    }
    if (whole_images_.empty()) {
      whole_images_ =
          graph().input({name,
                         OnnxElement::u8,
                         {images(), std::string("height"), std::string("width"), int64_t{3}}});
    }
    return write_views(graph(), model, whole_images_);
  }

  void output(const std::string& value, const char* name, OnnxElement element,
              const std::vector<int64_t>& extents) {
    OnnxValue declared{name, element, {images()}};
    declared.extents.insert(declared.extents.end(), extents.begin(), extents.end());
    graph().output(value, declared);
  }

  /// Adds what a program must know of the model that the graph does not tell.
  void describe(const ModelCard& card, const std::optional<Vocabulary>& tags) {
    if (tags) onnx_.add_metadata("tags", join(tags->tags, "\n"));
    onnx_.add_metadata("vocabulary", card.vocabulary);
    onnx_.add_metadata("preprocessing", form_.preprocessing ? "inside" : "outside");
    onnx_.add_metadata("image_size", std::to_string(card.model.image_size));
    onnx_.add_metadata("crop_share", fmt::format("{}", card.model.input.crop_share));
    onnx_.add_metadata("resampling", "antialiased_bilinear");
  }
  void add_metadata(const std::string& key, const std::string& value) {
    onnx_.add_metadata(key, value);
  }

  std::vector<std::string> save() { return onnx_.save(); }

 private:
  /// Returns the extent of images.
  OnnxExtent images() const {
    return form_.one_image ? OnnxExtent(int64_t{1}) : OnnxExtent(std::string("batch"));
  }

  OnnxModel onnx_;
  ModelFileForm form_;
  std::string whole_images_;  ///< the input, once declared
};

}  // namespace

std::vector<std::string> write_model_file(const std::filesystem::path& path, const Model& model,
                                          const std::optional<Vocabulary>& tags,
                                          const ModelFileForm& form) {
  const ModelCard& card = model.card;
  const Network network = network_of(card.model, card.tags);
  ModelFile file(path, "model", parameter_count(network), form);
  const std::string input =
      write_normalised(file.graph(), network, file.views(card.model, "images"));
  const NetworkValues values = write_network(file.graph(), network, model.weights, "model", input);
  file.output(write_probabilities(file.graph(), card.loss, values.logits), "probabilities",
              OnnxElement::f32, {card.tags});
  file.output(values.feature, "embedding", OnnxElement::f32, {feature_size(network)});
  file.describe(card, tags);
  return file.save();
}

std::vector<std::string> write_mixture_file(const std::filesystem::path& path,
                                            const Mixture& mixture, const AnswerSettings& answer,
                                            const std::optional<Vocabulary>& tags,
                                            const ModelFileForm& form) {
  const ModelCard& card = mixture.base.card;
  const int64_t experts = mixture.partition.gater.experts;
  ModelFile file(path, "mixture", mixture_cost(mixture, 1, answer.base_share != 0).parameters,
                 form);
  MixtureImages images;
  images.images = file.views(card.model, "images");
  images.router = images.images;
  if (mixture.router && !is_same_view(mixture.router->card.model, card.model)) {
    images.router = file.views(mixture.router->card.model, "router_images");
  }
  const MixtureValues values =
      write_mixture(file.graph(), mixture, answer,
                    form.one_image ? ExpertForm::branches : ExpertForm::rows, images);
  const int64_t width = embedding_width(mixture.embedding, feature_size(network_of(card.model, 0)));
  file.output(values.probabilities, "probabilities", OnnxElement::f32, {card.tags});
  file.output(values.expert, "expert", OnnxElement::i64, {});
  file.output(values.embedding, "embedding", OnnxElement::f32, {width});
  file.describe(card, tags);
  file.add_metadata("experts", std::to_string(experts));
  return file.save();
}

}  // namespace hardmoe
