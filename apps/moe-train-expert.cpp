// moe-train-expert: dataset + base + partition → one expert, trained on its part alone.
#include <charconv>

#include "app.h"
#include "base/log.h"
#include "engine/network_facts.h"
#include "moe/routing.h"
#include "tasks/training.h"
#include "train/schedule.h"

int main(int argc, char** argv) {
  using namespace hardmoe;
  Command command(
      "moe-train-expert",
      "Train one expert on the images the partition gave it. Experts never communicate: "
      "run as many of these at once as there are machines, GPUs or cores.\n\n`--expert "
      "all` trains on every image instead: the control \"base trained as long\".");
  std::string data, base_folder, partition_folder, expert, out;
  bool force = false;
  auto& cli = command.cli();
  cli.add_option("DATASET", data, "Folder written by moe-ingest")->required()->type_name("");
  cli.add_option("--base", base_folder, "Folder written by moe-train-base, or with --expert all")
      ->required()
      ->type_name("DIR");
  cli.add_option("--partition", partition_folder, "Folder written by moe-partition (not for 'all')")
      ->type_name("DIR");
  cli.add_option("--expert", expert, "Number of the expert from 0, or 'all'")
      ->required()
      ->type_name("K");
  cli.add_option("--out", out, "Folder of the expert")->required()->type_name("DIR");
  command.setting("--epochs", "expert.epochs");
  command.setting("--batch", "expert.batch");
  command.setting("--lr", "expert.lr");
  command.setting("--precision", "expert.precision");
  command.flag("--deterministic", "expert.deterministic");
  command.setting("--start", "expert.start");
  command.setting("--seed", "seed");
  command.device_option();
  command.stage_options(force);
  return command.run(argc, argv, [&] {
    Config& config = command.config();
    check_train_config(config.expert, "expert");
    const auto engine = make_engine(config.device);
    const Dataset dataset = Dataset::open(data);
    Model start = load_model(base_folder);
    require_vocabulary(start.card, base_folder, dataset);
    const Split& split = dataset.split("train");

    Json inputs = {{"dataset", dataset.fingerprint()},
                   {"base", base_fingerprint(base_folder)},
                   {"number", expert},
                   {"seed", config.seed},
                   {"start", config.expert.start == ExpertStart::base ? "base" : "scratch"},
                   {"expert", training_inputs(config.expert)}};
    std::vector<int64_t> items;
    uint64_t number = 0;
    if (expert == "all" && !partition_folder.empty()) {
      fail_usage("--expert all trains on every image; leave --partition {} out", partition_folder);
    }
    if (expert != "all") {
      const char* end = expert.data() + expert.size();
      const auto [rest, error] = std::from_chars(expert.data(), end, number);
      if (error != std::errc() || rest != end) {
        fail_usage("--expert: expected a number from 0 or 'all', found '{}'", expert);
      }
      if (partition_folder.empty()) fail_usage("--expert {} needs --partition DIR", expert);
      require_partition_of(partition_folder, base_folder, dataset.fingerprint());
      const Partition partition = load_partition(partition_folder);
      if (static_cast<int64_t>(partition.assignment.size()) != split.size()) {
        fail_usage(
            "{}: assigns {} images, the training split of {} has {}; partition this dataset's "
            "embedding",
            partition_folder, partition.assignment.size(), data, split.size());
      }
      auto parts = items_by_expert(partition.assignment, partition.gater.experts);
      if (number >= parts.size()) {
        fail_usage("--expert {}: the partition {} has experts 0 to {}", expert, partition_folder,
                   parts.size() - 1);
      }
      items = std::move(parts[number]);
      inputs["images"] =
          fingerprint_of_items(items);  // those of a part that --split left alone stay
      if (items.empty()) {
        fail("expert {}: has no images in {}; partition again with fewer experts", number,
             partition_folder);
      }
      ++number;  // seeds: 0 for all, k+1 for expert k
    }
    const uint64_t seed = config.seed + 1000 * (number + 1);
    ImageTraining job{split, std::move(items),    std::move(start), config.expert, "expert",
                      seed,  dataset.vocabulary()};
    check_image_training(*engine, job);
    Stage stage({out,
                 "moe-train-expert",
                 inputs,
                 force,
                 {data, base_folder, partition_folder},
                 model_stage_files()});
    if (stage.done()) {
      log_info("{}: already done", out);
      fmt::print("{}\n", stage.results().dump());
      return;
    }
    // A run that has run.features gives them itself.
    if (expert != "all" && config.run.features.empty())
      warn_of_own_embedding(partition_folder, base_folder);
    write_file_atomic(stage.folder() / "config.yaml", config_yaml(fields_of(config)));
    if (config.expert.start == ExpertStart::scratch) {
      const ModelCard& card = job.start.card;
      job.start.weights = initial_weights(resnet(card.model, card.tags), seed);
    }
    const Json results = train_stage(stage, *engine, job);
    fmt::print("{}\n", results.dump());
  });
}
