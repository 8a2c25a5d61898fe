// Weights to begin with: which are taken, what is said of those that do not fit, and which rows of
// fc an earlier model's tags keep.
#include "train/warm_start.h"

#include <fstream>
#include <limits>

#include "base/files.h"
#include "engine/network_facts.h"
#include "expect_error.h"
#include "temporary_folder.h"
#include "test_files.h"
#include "train/model_folder.h"
#include "train/toy_training.h"

namespace hardmoe {
namespace {
namespace fs = std::filesystem;

const ModelConfig small{.depth = 18, .stem = Stem::small, .width = 8, .image_size = 16};
const Vocabulary abc{{"a", "b", "c"}, {3, 2, 1}};

/// What torch.save'd modules of this network consist of: counters beside every norm, and a head.
StateDict foreign(const ModelConfig& model, int64_t classes) {
  StateDict tensors = initial_weights(resnet(model, classes), 5);
  StateDict counters;
  for (const auto& [name, tensor] : tensors) {
    constexpr std::string_view mean = "running_mean";
    if (!name.ends_with(mean)) continue;
    counters.emplace(name.substr(0, name.size() - mean.size()) + "num_batches_tracked",
                     Tensor(DType::i64, {}));
  }
  tensors.merge(counters);
  return tensors;
}

class WarmStart : public testing::Test {
 protected:
  fs::path write(const StateDict& tensors, const std::string& name = "w.safetensors") const {
    fs::create_directories((folder / name).parent_path());
    save_safetensors(folder / name, tensors);
    return folder / name;
  }
  TemporaryFolder folder;
};

/// Whether every tensor of `from` but the head is in `weights`, to the bit.
void expect_trunk(const StateDict& weights, const StateDict& from) {
  for (const auto& spec : parameters_of(resnet(small, 0))) {
    const auto a = weights.at(spec.name).as<float>(), b = from.at(spec.name).as<float>();
    EXPECT_TRUE(std::ranges::equal(a, b)) << spec.name;
  }
}

TEST_F(WarmStart, TakesTheTrunkAndLeavesTheHeadFresh) {
  StateDict theirs = foreign(small, 3);  // as many classes as tags, and other ones
  for (float& value : theirs.at("bn1.running_mean").as<float>()) value = 0.25F;
  const auto earlier = read_earlier_weights(write(theirs), small);
  EXPECT_EQ(earlier.warning, "");
  const StateDict fresh = initial_weights(resnet(small, 3), 1);
  StateDict weights = initial_weights(resnet(small, 3), 1);
  const std::string text = begin_with(earlier, abc, weights);
  EXPECT_NE(text.find("all 100 tensors of the trunk"), std::string::npos) << text;
  EXPECT_NE(text.find("fc begins fresh"), std::string::npos) << text;
  EXPECT_EQ(weights.size(), fresh.size());
  expect_trunk(weights, theirs);
  for (const char* head : {"fc.weight", "fc.bias"}) {
    EXPECT_TRUE(std::ranges::equal(weights.at(head).as<float>(), fresh.at(head).as<float>()));
  }
}

TEST_F(WarmStart, TakesWhatOtherToolsMakeOfIt) {
  const StateDict theirs = foreign(small, 7);
  StateDict wrapped, trunk = theirs, wide;
  for (const auto& [name, tensor] : theirs) {
    wrapped.emplace("_orig_mod.module." + name, tensor);
    Tensor copy = tensor;
    if (tensor.dtype() == DType::f32) {
      copy = Tensor(DType::f64, tensor.shape());
      std::ranges::copy(tensor.as<float>(), copy.as<double>().begin());
    }
    wide.emplace(name, copy);
  }
  trunk.erase("fc.weight");  // timm's num_classes=0
  trunk.erase("fc.bias");
  for (const auto& tensors : {wrapped, trunk, wide}) {
    const auto earlier = read_earlier_weights(write(tensors), small);
    expect_trunk(earlier.tensors, theirs);
    EXPECT_FALSE(earlier.tensors.contains("bn1.num_batches_tracked"));
  }
}

TEST_F(WarmStart, IsOfTorchvisionsAndTimmsNames) {
  Metadata names;
  load_safetensors(test_file("torchvision.safetensors"), &names);
  for (const int depth : {18, 34, 50}) {
    const Json theirs = Json::parse(names.at(fmt::format("resnet{}", depth)));
    const auto ours = parameters_of(
        resnet({.depth = depth, .stem = Stem::imagenet, .width = 64, .image_size = 224}, 1000));
    size_t counters = 0;
    for (const auto& [name, shape] : theirs.items()) {
      counters += name.ends_with(".num_batches_tracked") ? 1U : 0U;
    }
    EXPECT_EQ(ours.size() + counters, theirs.size());
    for (const auto& spec : ours) EXPECT_EQ(theirs.at(spec.name), Json(spec.shape)) << spec.name;
  }
}

TEST_F(WarmStart, WhatDoesNotFitNamesTheOptions) {
  const auto refused = [&](const ModelConfig& theirs, const std::vector<std::string>& words) {
    const fs::path file = write(foreign(theirs, 4));
    expect_error([&] { read_earlier_weights(file, small); }, words, ExitStatus::usage);
  };
  refused({18, Stem::small, 16, 16},
          {"w.safetensors: tensor 'conv1.weight' has shape 16×3×3×3, expected 8×3×3×3",
           "--depth 18 --width 16 --stem small (model.depth"});
  refused({18, Stem::imagenet, 8, 32},
          {"'conv1.weight' has shape 8×3×7×7", "--depth 18 --width 8 --stem imagenet"});
  refused({34, Stem::small, 8, 16},
          {"'layer1.2.bn1.bias' has shape 8, expected none", "--depth 34 --width 8 --stem small"});
  refused({50, Stem::small, 8, 16},
          {"'layer1.0.conv1.weight' has shape 8×8×1×1, expected 8×8×3×3", "--depth 50"});
  const auto changed = [&](const auto& change, const std::vector<std::string>& words) {
    StateDict tensors = foreign(small, 4);
    change(tensors);
    const fs::path file = write(tensors);
    expect_error([&] { read_earlier_weights(file, small); }, words, ExitStatus::usage);
  };
  const char* other = "not the weights of a ResNet-18, 34 or 50";
  changed([](StateDict& t) { t.erase("bn1.running_mean"); },  // as of resnet50_gn
          {"'bn1.running_mean' is missing, expected shape 8", other});
  changed(
      [](StateDict& t) {
        t.emplace("layer3.7.conv1.weight", Tensor(DType::f32, {2, 2, 1, 1}));
      },
      {"'layer3.7.conv1.weight' has shape 2×2×1×1, expected none", other});
  changed(
      [](StateDict& t) {
        t.at("conv1.weight") = Tensor(DType::f32, {8, 1, 3, 3});
      },
      {"'conv1.weight' has shape 8×1×3×3, expected 8×3×3×3", other});
  changed([](StateDict& t) { t.at("bn1.bias") = Tensor(DType::i32, {8}); },
          {"'bn1.bias' is of type int32, expected floating point"});
  changed([](StateDict& t) { t.clear(); }, {"'conv1.weight' is missing", other});
}

TEST_F(WarmStart, ValuesMustBeWeights) {
  for (const auto& [name, value] : {std::pair("layer2.0.bn1.weight", std::nanf("")),
                                    std::pair("fc.weight", std::numeric_limits<float>::infinity()),
                                    std::pair("layer4.1.bn2.running_var", -1.0F)}) {
    Model model{{small, 3, vocabulary_hash(abc)}, initial_weights(resnet(small, 3), 7)};
    model.weights.at(name).as<float>()[1] = value;
    save_model(folder.path(), model);
    expect_error([&] { read_earlier_weights(folder.path(), small); },
                 {"model.safetensors", name, "not the weights of a trained network"});
  }
}

TEST_F(WarmStart, RowsOfAnEarlierModelFollowTheirTags) {
  const Vocabulary now{{"new", "c", "a"}, {9, 5, 1}};
  Model model{{small, 3, vocabulary_hash(abc)}, initial_weights(resnet(small, 3), 7)};
  save_model(folder.path(), model);
  const auto rows_of = [](const StateDict& weights, size_t row) {
    const auto values = weights.at("fc.weight").as<float>().subspan(row * 64, 64);
    std::vector<float> all(values.begin(), values.end());
    all.push_back(weights.at("fc.bias").as<float>()[row]);
    return all;
  };
  const auto begun = [&](const Vocabulary& vocabulary, const char* words) {
    StateDict weights = initial_weights(resnet(small, vocabulary.size()), 1);
    const std::string text =
        begin_with(read_earlier_weights(folder.path(), small), vocabulary, weights);
    EXPECT_NE(text.find(words), std::string::npos) << text;
    expect_trunk(weights, model.weights);
    return weights;
  };
  const StateDict fresh = initial_weights(resnet(small, 3), 1);
  // A folder of a version that did not write the tags: they are the dataset's or unknown.
  EXPECT_EQ(rows_of(begun(abc, "fc keeps the rows of 3 of 3 tags"), 2), rows_of(model.weights, 2));
  EXPECT_EQ(rows_of(begun(now, "fc begins fresh"), 1), rows_of(fresh, 1));
  save_vocabulary(folder / "tags.tsv", abc);
  const StateDict weights = begun(now, "fc keeps the rows of 2 of 3 tags, 1 begin fresh: new");
  EXPECT_EQ(rows_of(weights, 0), rows_of(fresh, 0));
  EXPECT_EQ(rows_of(weights, 1), rows_of(model.weights, 2));
  EXPECT_EQ(rows_of(weights, 2), rows_of(model.weights, 0));
  // The file of such a folder is the folder.
  EXPECT_EQ(read_earlier_weights(folder / "model.safetensors", small).tags, abc.tags);
  save_vocabulary(folder / "tags.tsv", now);
  expect_error([&] { read_earlier_weights(folder.path(), small); },
               {"tags.tsv", "not the tags that"});
}

TEST_F(WarmStart, ContentIsItsIdentity) {
  StateDict tensors = foreign(small, 3);
  const Json before = read_earlier_weights(write(tensors, "a.safetensors"), small).identity;
  EXPECT_EQ(read_earlier_weights(write(tensors, "b.safetensors"), small).identity, before);
  tensors.at("bn1.bias").as<float>()[0] += 1;
  EXPECT_NE(read_earlier_weights(write(tensors, "a.safetensors"), small).identity, before);
}

TEST_F(WarmStart, TimmsConfigIsHeeded) {
  const fs::path file = write(foreign(small, 3), "hub/model.safetensors");
  const auto with = [&](const std::string& architecture, double mean) {
    const std::vector<double> means = {mean, 0.456, 0.406}, deviations = {0.229, 0.224, 0.225};
    write_json(folder / "hub/config.json",
               {{"architecture", architecture},
                {"pretrained_cfg", {{"mean", means}, {"std", deviations}}}});
    return read_earlier_weights(folder / "hub", small).warning;
  };
  EXPECT_EQ(with("resnet18", 0.485), "");
  EXPECT_NE(
      with("resnet18", 0.5).find("config.json: trained on images normalised by mean 0.5, 0.456"),
      std::string::npos);
  expect_error([&] { with("resnetblur50", 0.485); }, {"config.json", "'resnetblur50'"},
               ExitStatus::usage);
  write_json(folder / "hub/config.json", {{"architecture", 3}, {"pretrained_cfg", "?"}});
  EXPECT_EQ(read_earlier_weights(file, small).warning, "");  // some other tool's
}

TEST_F(WarmStart, WhatIsNoWeightsIsNamed) {
  const auto refused = [&](const fs::path& init, const std::vector<std::string>& words,
                           ExitStatus status = ExitStatus::usage) {
    expect_error([&] { read_earlier_weights(init, small); }, words, status);
  };
  refused(folder / "nowhere", {"nowhere: no such file or folder"});
  refused("/dev/null", {"/dev/null: is neither a file nor a folder"});
  refused(folder.path(), {"holds no model.safetensors", "moe-train-base"});
  for (const auto& [name, begin] : {std::pair("r.pth", std::string("PK\x03\x04") + "zip"),
                                    std::pair("r.bin", std::string("\x80\x02}q"))}) {
    std::ofstream(folder / name) << begin;
    refused(folder / name, {"written by torch.save", "safetensors.torch", "r.safetensors"});
  }
  std::ofstream(folder / "text") << "no weights at all";
  refused(folder / "text", {"text: not a .safetensors file"}, ExitStatus::failed);
  fs::create_directories(folder / "base");
  save_model(folder / "base", {{small, 3, "hash"}, initial_weights(resnet(small, 3), 7)});
  refused(folder.path(), {"a model is in", "base"});
  refused(folder / "base/model.yaml", {"not a .safetensors file"}, ExitStatus::failed);
}

}  // namespace
}  // namespace hardmoe
