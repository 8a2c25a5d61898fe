// moe-export: a trained network or mixture as a file that other programs run.
#include "export/export.h"
#include "network_options.h"

int main(int argc, char** argv) {
  using namespace hardmoe;
  Command command(
      "moe-export",
      "Write a model, one expert or a whole mixture as an ONNX file: OUT/model.onnx, which ONNX "
      "Runtime and others run without this toolkit. A mixture's file routes by itself, and "
      "computes each expert for its own images only.\n\nIt takes `images`: float32 N×3×S×S, RGB "
      "from 0 to 1 (with --with-preprocessing uint8 N×H×W×3 of any size), and gives "
      "`probabilities` (N×tags), `expert` (N, a mixture's) and `embedding` (N×D). Weights of 1.5 "
      "GB and more lie in OUT/model.onnx.data beside it.");
  ExportTask task;
  auto& cli = command.cli();
  auto* run = cli.add_option("RUN", task.run,
                             "Folder of moe-run, of a model, or a packed mixture; or name the "
                             "networks by the options below")
                  ->type_name("");
  row_option(command, task.row)->needs(run);
  cli.add_option("--expert", task.expert,
                 "Number of the expert from 0: the file has that one alone")
      ->type_name("K");
  cli.add_option("--format", task.format, "Format: onnx, which ONNX Runtime and others read")
      ->type_name("KIND")
      ->capture_default_str();
  cli.add_flag("--single-image", task.single_image,
               "Take one image at a time, and choose its expert by branches (If) instead of by "
               "rows: fewer nodes run, and programs without Compress can do it");
  cli.add_flag("--with-preprocessing", task.preprocessing,
               "Take whole decoded images; the middle square and its resampling are in the file");
  add_network_options(command, task.networks);
  add_sparse_options(command, task.networks.sparse);
  for (const char* option :
       {"--model", "--base", "--partition", "--experts", "--features", "--router"}) {
    cli.get_option(option)->excludes(run);
  }
  cli.add_option("--decoder", task.decoder, "Shared decoder (default: each expert's own)")
      ->type_name("DIR")
      ->excludes("--model")
      ->excludes(run);
  command.setting("--use-prices", "eval.use_prices");
  command.setting("--base-share", "mixture.base_share");
  command.setting("--mix", "mixture.mix");
  command.out_option(task.out, "model.onnx and tags.tsv");
  command.stage_options(task.force);
  command.example("moe-export runs/photos --out onnx");
  command.example("moe-export runs/photos --row shared --with-preprocessing --out onnx-shared");
  command.example("moe-export --model runs/photos/base --out onnx-base");
  return command.run(argc, argv, [&] { print(export_networks(task, command.config())); });
}
