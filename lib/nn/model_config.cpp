#include "nn/model_config.h"

namespace hardmoe {
namespace {

constexpr const char* vit_help = "of architecture vit";
constexpr const char* sparse_help = "layers of experts in the place of others";

void add_architecture(ModelConfig& config, Fields& f) {
  f.add_enum("architecture", config.architecture, {"resnet", "vit"},
             "the kind of network: a ResNet, or a Vision Transformer");
}

void add_resnet(ModelConfig& config, Fields& f) {
  f.add("depth", config.depth, "the ResNet's: 18, 34 or 50");
  f.add_enum("stem", config.stem, {"imagenet", "small"},
             "first layers; small for images of 32 to 64 pixels");
  f.add("width", config.width, "channels of a ResNet's first stage; 64 is the standard one");
}

void add_image_size(ModelConfig& config, Fields& f) {
  f.add("image_size", config.image_size, "pixels, height and width");
}

}  // namespace

void ModelConfig::describe(Fields& f) {
  add_architecture(*this, f);
  add_resnet(*this, f);
  add_image_size(*this, f);
  f.add_section("vit", vit, vit_help);
}

void ModelConfig::describe_own(Fields& f) {
  if (architecture != Architecture::resnet) add_architecture(*this, f);
  if (architecture == Architecture::resnet) add_resnet(*this, f);
  add_image_size(*this, f);
  if (architecture == Architecture::vit) f.add_section("vit", vit, vit_help);
  if (sparse.kind != SparseKind::none) f.add_section("sparse", sparse, sparse_help);
}

void ModelConfig::describe_all(Fields& f) {
  describe(f);
  f.add_section("sparse", sparse, sparse_help);
}

Json model_json(ModelConfig config) {
  Fields fields;
  config.describe_own(fields);
  return config_json(fields);
}

void Tail::describe(Fields& f) {
  f.add("behind", behind, "number of the last layer before it");
  f.add("width", width, "as model.width, of the layers behind; 0: there is none");
}

}  // namespace hardmoe
