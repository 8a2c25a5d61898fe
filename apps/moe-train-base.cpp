// moe-train-base: dataset → the base CNN.
#include <optional>

#include "app.h"
#include "base/log.h"
#include "data/same_tags.h"
#include "engine/network_facts.h"
#include "tasks/training.h"
#include "train/schedule.h"
#include "train/warm_start.h"

int main(int argc, char** argv) {
  using namespace hardmoe;
  Command command("moe-train-base",
                  "Train the base CNN on all images of a dataset: the baseline, the source of the "
                  "embedding, and the experts' starting point.\n\nWrites model.safetensors, "
                  "model.yaml, tags.tsv, log.jsonl, TensorBoard events; interrupted, the same "
                  "command resumes.");
  std::string data, out;
  bool force = false;
  command.cli()
      .add_option("DATASET", data, "Folder written by moe-ingest")
      ->required()
      ->type_name("");
  command.cli().add_option("--out", out, "Folder of the model")->required()->type_name("DIR");
  command.setting("--depth", "model.depth");
  command.setting("--stem", "model.stem");
  command.setting("--width", "model.width");
  command.setting("--image-size", "model.image_size");
  command.setting("--init", "base.init");
  command.cli().get_option("--init")->type_name("PATH");
  command.setting("--epochs", "base.epochs");
  command.setting("--batch", "base.batch");
  command.setting("--lr", "base.lr");
  command.setting("--precision", "base.precision");
  command.flag("--deterministic", "base.deterministic");
  command.setting("--seed", "seed");
  command.device_option();
  command.stage_options(force);
  return command.run(argc, argv, [&] {
    Config& config = command.config();
    check_train_config(config.base, "base");
    const auto engine = make_engine(config.device);
    const Dataset dataset = Dataset::open(data);
    const ModelCard card{config.model, dataset.vocabulary().size(),
                         vocabulary_hash(dataset.vocabulary())};
    const Network network = resnet(card.model, card.tags);
    ImageTraining job{dataset.split("train"), {}, {card, {}}, config.base, "base", config.seed,
                      dataset.vocabulary()};
    check_image_training(*engine, job);
    Json inputs = {{"dataset", dataset.fingerprint()},
                   {"seed", config.seed},
                   {"model", config_json(fields_of(config.model))},
                   {"base", training_inputs(config.base)}};
    std::optional<EarlierWeights> earlier;
    if (!config.base.init.empty()) {
      earlier = read_earlier_weights(config.base.init, config.model);
      inputs["init"] = earlier->identity;
    }
    Stage stage(
        {out, "moe-train-base", inputs, force, {data, config.base.init}, model_stage_files()});
    if (stage.done()) {
      log_info("{}: already done", out);
      fmt::print("{}\n", stage.results().dump());
      return;
    }
    if (const auto same = warning_of_same_tags(dataset); !same.empty()) log_warning("{}", same);
    write_file_atomic(stage.folder() / "config.yaml", config_yaml(fields_of(config)));
    job.start.weights = initial_weights(network, config.seed);
    if (earlier) {
      if (!earlier->warning.empty()) log_warning("{}", earlier->warning);
      log_info("{}: {}", out, begin_with(*earlier, dataset.vocabulary(), job.start.weights));
    }
    const Json results = train_stage(stage, *engine, job);
    fmt::print("{}\n", results.dump());
  });
}
