// moe-ingest: images with tags → a dataset.
#include "app.h"
#include "tasks/ingest.h"

int main(int argc, char** argv) {
  using namespace hardmoe;
  Command command(
      "moe-ingest",
      "Make a dataset of images with tags.\n\n"
      "SOURCE is a WebDataset tar (KEY.jpg, .png or .webp beside KEY.json with \"tags\" and "
      "perhaps \"truth\", or KEY.txt; img2dataset's output), a list ({\"image\": path, \"tags\": "
      "[…]} a line, CSV or TSV; plain, .gz, .zst or .bz2; '-': on standard input), a folder of "
      "tars, a folder with a subfolder a tag, or the files of CIFAR-10, CIFAR-100, MNIST's family "
      "(IDX), Tiny ImageNet or YFCC100M; any number of them, told apart by their content. Tars are "
      "indexed where they are; other images are packed into OUT/shards, and so are a tar's TIFF, "
      "BMP, JPEG 2000, GIF and AVIF, as PNG. Items that cannot be used are listed in "
      "OUT/rejected.jsonl.\n\n"
      "A run that failed over its sources or options made no dataset: the corrected command may "
      "have the same DIR. One that was interrupted is resumed by the same command only.");
  IngestTask task;
  std::string out;
  bool dry_run = false, verifying = false;
  auto& cli = command.cli();
  command.setting("SOURCE", "ingest.sources")->type_name("");
  command.out_option(out, "the dataset")->required(false);
  command.setting("--val-source", "ingest.val_sources")->type_name("SOURCE");
  command.setting("--val-fraction", "ingest.val_fraction");
  command.setting("--selection-fraction", "ingest.selection_fraction");
  command.setting("--sample", "ingest.sample");
  command.setting("--format", "ingest.format")->type_name("KIND");
  command.setting("--columns", "ingest.columns")->type_name("NAMES")->allow_extra_args(false);
  command.setting("--tag-separator", "ingest.tag_separator")->type_name("CHARACTERS");
  command.setting("--images", "ingest.images");
  command.setting("--image-field", "ingest.image_field")->type_name("NAME");
  command.setting("--tag-field", "ingest.tag_field")->type_name("NAME");
  command.flag("--allow-outside", "ingest.allow_outside");
  command.setting("--label-names", "ingest.label_names");
  command.setting("--wordnet", "ingest.wordnet");
  command.setting("--resize", "ingest.resize");
  command.setting("--max-pixels", "ingest.max_pixels");
  command.setting("--min-size", "ingest.min_size");
  command.setting("--max-aspect", "ingest.max_aspect");
  command.setting("--duplicates", "ingest.duplicates");
  command.setting("--near-duplicates", "ingest.near_duplicates");
  command.flag("--copy", "ingest.storage", "copy");
  command.setting("--min-tag-count", "ingest.min_tag_count");
  command.setting("--max-tags", "ingest.max_tags");
  command.setting("--vocabulary", "ingest.vocabulary");
  command.setting("--stop-tags", "ingest.stop_tags");
  command.setting("--merge-tags", "ingest.merge_tags");
  command.setting("--max-bad", "ingest.max_bad");
  command.flag("--strict", "ingest.strict");
  command.flag("--keep-untagged", "ingest.keep_untagged");
  cli.add_flag("--dry-run", dry_run,
               "Print what would be done: how each SOURCE is understood, with a few items and "
               "their tags, and what would be passed over; write nothing");
  cli.add_flag("--retry-failed", task.retry_failed,
               "Try again only what failed: read what could not be read, image files put right "
               "since, and append it (a list or tar put right is a changed input: --force)");
  cli.add_flag("--verify", verifying,
               "Instead: compare the dataset that SOURCE is with its checksums, and its images "
               "with its index");
  command.setting("--seed", "seed");
  command.stage_options(task.force);
  command.renamed("--workers", "it is --threads now, as in the other commands");
  command.reads({"ingest"});
  command.example(
      "moe-ingest photos/ --out dataset --resize 256 --val-fraction 0.1 --min-tag-count 20");
  command.example("moe-ingest train.tar --val-source val.tar --out dataset --dry-run");
  command.example(
      "zcat images.jsonl.gz | moe-ingest - --out dataset --columns image=file,tags=hashtags");
  return command.run(argc, argv, [&] {
    const Config& config = command.config();
    task.out = out;
    if (verifying && cli.count("SOURCE") != 1) {
      fail_usage("--verify: expected one dataset, found {} SOURCEs; moe-ingest --verify DATASET",
                 cli.count("SOURCE"));
    }
    if (verifying) return verify(config.ingest.sources[0], print);
    print(dry_run ? preview_dataset(task, config) : make_dataset(task, config));
  });
}
