// moe-ingest: images with tags → a dataset.
#include "app.h"
#include "base/log.h"
#include "data/ingest.h"

int main(int argc, char** argv) {
  using namespace hardmoe;
  Command command(
      "moe-ingest",
      "Make a dataset of images with tags.\n\n"
      "SOURCE is a WebDataset tar (KEY.jpg, .png or .webp beside KEY.json with \"tags\" and "
      "perhaps \"truth\", or KEY.txt), a .jsonl file ({\"image\": path, \"tags\": […]} a "
      "line), '-' (such lines on standard input), a folder of tars, or a folder with a "
      "subfolder a tag. Tars are indexed where they are; other images are packed into "
      "OUT/shards. Items that cannot be used are listed in OUT/rejected.jsonl.");
  IngestOptions options;
  bool copy = false;
  auto& cli = command.cli();
  cli.add_option("SOURCE", options.sources, "What to read")->required()->type_name("");
  cli.add_option("--out", options.out, "Folder of the dataset")->required()->type_name("DIR");
  cli.add_option("--val-source", options.val_sources, "What to read for the split 'val'")
      ->type_name("SOURCE");
  cli.add_option("--val-fraction", options.val_fraction,
                 "Or: share of the images that become the split 'val', chosen by key and seed")
      ->type_name("SHARE");
  cli.add_option(
         "--resize", options.resize,
         "Shrink images to this short side (JPEG at quality 95, PNG stays PNG); 0: keep them")
      ->type_name("PIXELS");
  cli.add_flag("--copy", copy, "Copy images of tars too, so that the dataset stands alone");
  cli.add_option("--min-tag-count", options.min_tag_count,
                 "Drop tags on fewer training images (default 1)")
      ->type_name("N");
  cli.add_option("--max-tags", options.max_tags, "Keep only the most frequent tags; 0: all")
      ->type_name("N");
  cli.add_option("--stop-tags", options.stop_tags, "Tags to drop, one a line")->type_name("FILE");
  cli.add_option("--merge-tags", options.merge_tags, "Tags to rename, 'from<TAB>to' a line")
      ->type_name("FILE");
  cli.add_option("--max-bad", options.max_bad,
                 "Share of unreadable items that is an error (default 0.01)")
      ->type_name("SHARE");
  command.setting("--seed", "seed", "Seed of the choice for --val-fraction");
  command.stage_options(options.force);
  return command.run(argc, argv, [&] {
    options.seed = command.config().seed;
    if (copy) options.storage = ShardStorage::copy;
    const IngestResult result = ingest(options);
    if (result.was_done) log_info("{}: already done", options.out.string());
    fmt::print("{}", ingest_table(result.counts));
  });
}
