// moe-eval: a network or a mixture against a dataset's tags and truth.
#include "network_options.h"
#include "tasks/evaluate.h"
#include "tasks/find_networks.h"

int main(int argc, char** argv) {
  using namespace hardmoe;
  Command command(
      "moe-eval",
      "Evaluate a network or a mixture on a dataset's images.\n\nA single network (--model), "
      "several "
      "as one (--model A --model B) or a mixture (--base --partition --experts, and --decoder for "
      "the shared one) is measured against the images' tags, and against their truth where the "
      "dataset has it; for each expert and in all.\n\nP@k, R@k, hit@k: of the k best tags of an "
      "image, means over images. LRAP: label ranking average precision, image-wise. mAP: the mean "
      "over tags of a tag's average precision over images, by its probability (class-wise, macro); "
      "tags that no image has are left out. Where there are no images: –, null in JSON.");
  EvaluateTask task;
  auto& cli = command.cli();
  command.dataset_argument(task.dataset);
  std::vector<std::string> models;
  add_network_options(command, task.networks, models);
  add_sparse_options(command, task.networks.sparse);
  auto* shared =
      cli.add_option("--decoder", task.decoder, "Shared decoder (default: each expert's own)")
          ->type_name("DIR")
          ->excludes("--model");
  cli.add_flag("--stale-decoder", task.stale_decoder,
               "Take a shared decoder that was trained over other experts of this base")
      ->needs(shared);
  command.out_option(task.out, "metrics.json, and images.npy with each image's own")
      ->required(false);
  cli.add_flag("--json", task.json, "Print JSON");
  command.setting("--split", "eval.split")->type_name("NAME");
  command.setting("--precision", "eval.precision");
  command.setting("--top-experts", "eval.top_experts");
  command.setting("--temperature", "eval.temperature");
  command.setting("--use-prices", "eval.use_prices");
  command.setting("--base-share", "mixture.base_share");
  command.setting("--mix", "mixture.mix");
  command.device_option();
  command.stage_options(task.force);
  command.reads({"eval", "mixture"});
  command.example("moe-eval dataset --model base");
  command.example(
      "moe-eval dataset --base base --partition partition --experts experts --out eval/local");
  command.example(
      "moe-eval dataset --base base --partition partition --experts experts --decoder decoder "
      "--json");
  return command.run(argc, argv, [&] {
    task.networks.set_models(models);
    open_pack(task.networks, task.decoder);
    print(evaluate(task, command.config()));
  });
}
