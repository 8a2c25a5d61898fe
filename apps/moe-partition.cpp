// moe-partition: embedding → the one expert of each training image.
#include "app.h"
#include "tasks/partition.h"

int main(int argc, char** argv) {
  using namespace hardmoe;
  Command command(
      "moe-partition",
      "Give each training image to one expert: balanced k-means on the base's embedding, or on one "
      "of your own (CLIP's, DINOv2's …), or one of two controls. Interrupted, the same command "
      "resumes.\n\nWrites "
      "assignment.npy (the expert of each image), gater.safetensors (which expert an "
      "image belongs to, by its embedding) and partition.json.");
  PartitionTask task;
  auto& cli = command.cli();
  cli.add_option("EMBEDDING", task.inputs,
                 "Folder of moe-embed; .npy files, images × dimensions; or folders of them. For "
                 "--method top-tag, --reroute, --write-shards and --contact-sheet the dataset "
                 "before it: DATASET EMBEDDING")
      ->required()
      ->type_name("");
  std::string out;
  command.out_option(out, "the partition");
  cli.add_option("--add-expert", task.extend,
                 "Partition to add an expert to; every other image stays where it is")
      ->type_name("DIR");
  cli.add_option("--halve-largest", task.halve,
                 "Partition whose largest expert to halve; every other image stays")
      ->type_name("DIR");
  cli.add_option(
         "--reroute", task.reroute,
         "Partition to make anew: each image goes to the expert that does best on its like, "
         "by held-out images (the dataset's split 'selection'); with DATASET, --base and "
         "--experts")
      ->type_name("DIR");
  cli.add_option("--base", task.base,
                 "Folder of the base, written by moe-train-base or moe-train-expert --expert all; "
                 "for --reroute")
      ->type_name("DIR");
  cli.add_option("--experts", task.experts,
                 "Folder that holds the experts' folders 0, 1, …; for --reroute")
      ->type_name("DIR");
  cli.add_option("--write-shards", task.shards,
                 "Also write the dataset there, each expert's images in shards of their own")
      ->type_name("DIR");
  cli.add_option(
         "--contact-sheet", task.sheet,
         "Also write a contact sheet there, as PNG or JPEG by the name's end: a row an expert, "
         "left the images nearest to its centroid, right those at its border")
      ->type_name("FILE");
  command.setting("--method", "partition.method");
  command.setting("--num-experts", "partition.experts");
  command.setting("--tolerance", "partition.tolerance");
  command.setting("--pca", "partition.pca");
  command.setting("--fine", "partition.fine");
  command.setting("--memory", "partition.memory");
  command.setting("--iterations", "partition.iterations");
  command.setting("--seed", "seed");
  command.device_option();
  command.stage_options(task.force);
  command.renamed("--split", "it is --halve-largest now; other commands' --split names a split");
  command.renamed("--extend", "it is --add-expert now");
  command.renamed("--data",
                  "name the dataset before the embedding: moe-partition DATASET EMBEDDING");
  command.reads({"partition"});
  command.example("moe-partition embedding --out partition --num-experts 16");
  command.example("moe-partition dataset embedding --out partition --contact-sheet parts.png");
  command.example("moe-partition clip-train.npy --out partition --set partition.whiten=false");
  return command.run(argc, argv, [&] {
    task.out = out;
    for (const char* option : {"--method", "--num-experts", "--pca", "--fine"}) {
      if (task.made_from().empty() || command.cli().count(option) == 0) continue;
      fail_usage(
          "{}: a partition that is halved, re-routed or gets an expert keeps its own; leave it out",
          option);
    }
    make_partition(task, command.config(), print);
  });
}
