// moe-predict: images → tags, with probabilities, by a model or a mixture.
#include <iostream>

#include "network_options.h"
#include "tasks/predict.h"

int main(int argc, char** argv) {
  using namespace hardmoe;
  Command command(
      "moe-predict",
      "Tag images by a run of moe-run, a model, or a mixture of moe-pack: each image's most "
      "probable tags, the expert that answered, and the distance from the image to that expert's "
      "part in the gater's space (with a router, its probability). In the images' order; an image "
      "that cannot be read is a line with the reason, and the exit status is then 1 at the end. "
      "What is computed is what moe-eval measures.");
  PredictTask task;
  auto& cli = command.cli();
  run_argument(command, task.run);
  images_argument(command, task.images)->required();
  row_option(command, task.row);
  cli.add_option("--top", task.top, "At most so many: tags of an image")
      ->type_name("N")
      ->capture_default_str();
  cli.add_option("--threshold", task.threshold, "The least probability of a tag")
      ->type_name("P")
      ->capture_default_str();
  cli.add_option("--top-experts", task.top_experts,
                 "Experts asked an image, weighted by softmax(-d^2/T) (default: as the "
                 "row was evaluated); several need a --temperature where the row has none")
      ->type_name("N");
  cli.add_option("--temperature", task.temperature,
                 "T: of their weights (default: as the row was evaluated)")
      ->type_name("NUMBER");
  add_sparse_options(command, task.sparse);
  bool json = false, csv = false;
  auto* as_json = cli.add_flag("--json", json, "Print JSON: a line an image");
  cli.add_flag("--csv", csv, "Print CSV: a row a tag")->excludes(as_json);
  cli.add_option(
         "--embedding", task.embedding,
         "The embedding: a .npy file to write, the images' rows of the unified one in their order, "
         "float32; NaN for one that cannot be read")
      ->type_name("PATH");
  cli.add_flag("--write-xmp", task.write_xmp,
               "Add the tags to dc:subject of the image's .xmp file, photo.jpg.xmp if there is "
               "none; all else in it stays");
  command.setting("--precision", "eval.precision");
  command.device_option();
  command.example("moe-predict runs/quickstart photo.jpg");
  command.example("moe-predict runs/quickstart photos/ --threshold 0.3 --write-xmp");
  command.example("find photos -name '*.jpg' | moe-predict packed - --json --embedding rows.npy");
  return command.run(argc, argv, [&] {
    task.form = json ? PredictionForm::json : csv ? PredictionForm::csv : PredictionForm::table;
    predict_images(task, command.config(), std::cin, print);
  });
}
