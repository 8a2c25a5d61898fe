#include "tasks/pack_readme.h"

#include <algorithm>

#include "base/text.h"
#include "base/version.h"
#include "engine/network_facts.h"
#include "nn/architecture.h"

namespace hardmoe {
namespace {

/// Returns the first tags in a sentence.
std::string some_tags(const Vocabulary& vocabulary) {
  const size_t shown = std::min<size_t>(vocabulary.tags.size(), 8);
  return join({vocabulary.tags.begin(), vocabulary.tags.begin() + static_cast<int64_t>(shown)},
              ", ") +
         (vocabulary.tags.size() > shown ? " …" : "");
}

std::string files_table(const MixtureCard& card) {
  std::string table =
      "| file | what it is |\n|---|---|\n"
      "| `mixture.yaml` | what lies here, and how several networks' answers become one |\n"
      "| `tags.tsv` | the tags: id, tag, training images that had it |\n"
      "| `base/` | the base: its features say which expert an image is for |\n"
      "| `partition/` | the gater: `gater.safetensors` holds the rule from feature to expert |\n";
  table += fmt::format("| `experts/0` … `experts/{}` | the experts, networks like the base |\n",
                       card.experts - 1);
  if (card.shared_decoder) {
    table +=
        "| `decoder/` | one linear layer from an expert's feature to tags, for all experts |\n";
  }
  if (card.router) {
    table +=
        "| `router/` | a small network that chooses the expert, so that the base is not run |\n";
  }
  return table;
}

/// Returns whose names and layouts the weights have.
std::string names_of(const ModelConfig& model) {
  if (!is_resnet(model)) return fmt::format("a {}", name_of(model));
  return fmt::format("torchvision's ResNet-{} (here of {} channels in the first stage, stem `{}`)",
                     model.depth, model.width, model.stem == Stem::small ? "small" : "imagenet");
}

}  // namespace

std::string pack_readme(const MixtureCard& card, const OpenedNetworks& opened) {
  const Mixture& mixture = *opened.mixture;
  const ModelConfig& model = mixture.base.card.model;
  const Cost cost = mixture_cost(mixture, card.answer.top_experts, card.answer.base_share != 0);
  const std::string chooser =
      card.router ? "a small router network looks at an image and names an expert"
                  : "the base network turns an image into a feature, and the gater gives it to the "
                    "expert whose part of the training images lies nearest to that";
  const std::string scorer = card.shared_decoder
                                 ? "a decoding layer that all experts share scores the tags"
                                 : "the expert's own classifier scores the tags";
  return fmt::format(
      "# An image tagger: a hard mixture of {experts} expert networks\n\n"
      "It tags photographs with {tags} tags ({some}). First {chooser}; only that expert is "
      "run, and {scorer}: {flops} floating-point operations an image, of {parameters} parameters "
      "in all. Written by `moe-pack` of hardmoe {version}; the method is that of Gross, Ranzato & "
      "Szlam, *Hard Mixtures of Experts for Large Scale Weakly Supervised Vision*, CVPR 2017.\n\n"
      "## Use\n\n"
      "```\n"
      "moe-predict THIS_FOLDER photo.jpg                # a line an image\n"
      "moe-predict THIS_FOLDER photos/ --json --top 10  # a folder, as JSON lines\n"
      "```\n\n"
      "The folder stands alone: copy or rename it as you like. `--base`, `--partition`, "
      "`--experts`{options} of other hardmoe commands take the folders in it.\n\n"
      "## What lies here\n\n"
      "{files}\n"
      "Networks are `model.safetensors` with the names and layouts of {network}, and `model.yaml`, "
      "which says "
      "what to build and what an image becomes before it: its middle square, {share:.6g} of the "
      "short side, resized to {size}×{size} pixels (bilinear, antialiased), colours from 0 to 1, "
      "less `input.mean`, over `input.deviation`. Row i of `fc` is line i of `tags.tsv`. "
      "`stage.json` files hold checksums, which every program that reads the folder compares.\n\n"
      "Without hardmoe, one network in Python:\n\n"
      "```python\n"
      "from safetensors.torch import load_file\n"
      "weights = load_file(\"experts/0/model.safetensors\")  # conv1.weight …, fc.weight, fc.bias\n"
      "```\n",
      fmt::arg("experts", card.experts), fmt::arg("tags", card.tags),
      fmt::arg("some", some_tags(opened.vocabulary)), fmt::arg("chooser", chooser),
      fmt::arg("scorer", scorer), fmt::arg("flops", human_count(cost.flops)),
      fmt::arg("parameters", human_count(static_cast<double>(cost.parameters))),
      fmt::arg("version", version), fmt::arg("files", files_table(card)),
      fmt::arg("options", std::string(card.shared_decoder ? ", `--decoder`" : "") +
                              (card.router ? ", `--router`" : "")),
      fmt::arg("network", names_of(model)), fmt::arg("share", model.input.crop_share),
      fmt::arg("size", model.image_size));
}

}  // namespace hardmoe
