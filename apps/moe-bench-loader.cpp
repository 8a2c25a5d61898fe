// moe-bench-loader: how fast this machine can feed training from a dataset.
#include "app.h"
#include "tasks/load_rates.h"

int main(int argc, char** argv) {
  using namespace hardmoe;
  Command command(
      "moe-bench-loader",
      "Read, decode, cut and mirror a dataset's images as training would, train nothing, and print "
      "images a second: for each stage what the threads would reach with that stage alone, and for "
      "the whole what they reached.");
  LoadRatesTask task;
  auto& cli = command.cli();
  command.dataset_argument(task.dataset);
  cli.add_option("--split", task.split, "Split to read")->type_name("NAME")->capture_default_str();
  command.setting("--batch", "base.batch");
  command.setting("--image-size", "model.image_size");
  command.setting("--crop", "base.augment.crop");
  command.setting("--min-area", "base.augment.min_area");
  command.setting("--seed", "seed");
  cli.add_option("--epochs", task.epochs, "Passes over the images")
      ->type_name("N")
      ->capture_default_str()
      ->check(CLI::Range(1, 1000000));
  cli.add_option("--max-images", task.max_images, "Stop each pass after so many images")
      ->type_name("N");
  cli.add_option("--cache", task.cache, "Decoded images kept in memory, e.g. 1G; 0: none")
      ->type_name("BYTES")
      ->capture_default_str();
  cli.add_flag("--evaluation", task.evaluation,
               "In order and centred, as moe-eval and moe-embed load");
  cli.add_flag("--json", task.json, "Print JSON: a line a pass");
  command.renamed("--images", "it is --max-images now; moe-ingest's --images are folders");
  command.reads({"base.augment"});
  command.example("moe-bench-loader dataset --batch 256 --image-size 224 --max-images 20000");
  return command.run(argc, argv, [&] { measure_loading(task, command.config(), print); });
}
