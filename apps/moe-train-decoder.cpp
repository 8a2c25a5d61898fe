// moe-train-decoder: experts → one decoding layer over all of them.
#include "app.h"
#include "base/log.h"
#include "base/stage.h"
#include "data/feature_source.h"
#include "moe/routing.h"
#include "tasks/training.h"
#include "tensor/npy.h"
#include "train/checkpoint.h"
#include "train/decoder_folder.h"
#include "train/schedule.h"
#include "train/trainer.h"

int main(int argc, char** argv) {
  using namespace hardmoe;
  Command command("moe-train-decoder",
                  "Train the decoding layer that all experts share, on frozen trunks: each "
                  "training image's feature is "
                  "computed once by its own expert, then one linear layer is trained from the "
                  "base's.\n\nWrites "
                  "train.npy, the unified embedding (float32 N×D), decoder.safetensors "
                  "(fc.weight, fc.bias), decoder.yaml and tags.tsv.");
  std::string data, base, partition, experts, out;
  std::vector<std::string> own_embedding;
  bool force = false;
  auto& cli = command.cli();
  cli.add_option("DATASET", data, "Folder written by moe-ingest")->required()->type_name("");
  cli.add_option("--base", base, "The mixture's base")->required()->type_name("DIR");
  cli.add_option("--partition", partition, "Folder written by moe-partition")
      ->required()
      ->type_name("DIR");
  cli.add_option("--experts", experts, "Folder that holds the experts' folders 0, 1, …")
      ->required()
      ->type_name("DIR");
  cli.add_option("--out", out, "Folder of the decoder")->required()->type_name("DIR");
  cli.add_option("--features", own_embedding,
                 "Where the partition was made of an embedding of one's own, that embedding; it is "
                 "checked, and not needed, as the partition has the training images' experts")
      ->type_name("FILE.npy[,…]");
  command.setting("--epochs", "decoder.epochs");
  command.setting("--batch", "decoder.batch");
  command.setting("--lr", "decoder.lr");
  command.setting("--seed", "seed");
  command.device_option();
  command.stage_options(force);
  return command.run(argc, argv, [&] {
    Config& config = command.config();
    check_train_config(config.decoder, "decoder");
    const auto engine = make_engine(config.device);
    const Dataset dataset = Dataset::open(data);
    const Split& split = dataset.split("train");
    const Mixture mixture = open_mixture(base, partition, experts, "");
    const ModelCard& card = mixture.base.card;
    require_vocabulary(card, base, dataset);
    require_partition_of(partition, base, dataset.fingerprint());
    check_training_features(partition, own_embedding);
    if (mixture.dataset != dataset.fingerprint()) {
      fail_usage("{}: trained on another dataset than {}; give the one they were trained on",
                 experts, data);
    }
    require_precision(*engine, config.expert.precision);
    require_precision(*engine, config.decoder.precision);
    Json inputs = {{"dataset", dataset.fingerprint()},
                   {"seed", config.seed},
                   {"precision", name_of(config.expert.precision)},
                   {"decoder", training_inputs(config.decoder)}};
    inputs.update(mixture_identity(mixture, base, partition));
    auto writes = training_files();
    writes.insert(writes.end(),
                  {decoder_weights_name, decoder_card_name, model_tags_name, "train.npy"});
    Stage stage({out,
                 "moe-train-decoder",
                 inputs,
                 force,
                 {data, base, partition, experts},
                 std::move(writes)});
    if (stage.done()) {
      log_info("{}: already done", out);
      fmt::print("{}\n", stage.results().dump());
      return;
    }
    const double begin = now_seconds();
    const auto embedding_file = stage.folder() / "train.npy";
    if (!stage.has_kept("train.npy")) {
      Inference inference(*engine, resnet(card.model, 0), card.model.image_size,
                          config.expert.precision);
      save_npy(embedding_file,
               unified_embedding(inference, mixture, split, mixture.partition.assignment));
      stage.keep("train.npy");
    }
    const Tensor features = load_npy(embedding_file);
    const Network network = linear_decoder(features.size(1), card.tags);
    const TrainConfig settings = fit_batch(config.decoder, split.size(), "decoder");
    FeatureSource source(features, split, settings.batch, config.seed,
                         resampled(split, {}, settings.sampling, config.seed));
    const TrainResult trained = train(*engine, network, mixture.base.weights, source, settings,
                                      stage.folder(), stage.identity());
    auto files = save_decoder(stage.folder(), trained.weights, settings.loss, dataset.vocabulary());
    files.emplace_back("train.npy");
    stage.finish(files, {{"images", source.items()},
                         {"steps", trained.steps},
                         {"loss", trained.loss},
                         {"seconds", now_seconds() - begin}});
    remove_checkpoints(stage.folder());
    fmt::print("{}\n", stage.results().dump());
  });
}
