// moe-ingest: images with tags → a dataset.
#include "app.h"
#include "base/log.h"
#include "ingest/gaps.h"
#include "ingest/ingest.h"
#include "ingest/verify.h"

namespace {

using namespace hardmoe;

/// The command line, before its words are looked at.
struct Asked {
  IngestOptions ingest;
  std::string columns, duplicates;
  std::filesystem::path verify;
  bool dry_run = false;
};

void add_source_options(CLI::App& cli, Asked& asked) {
  cli.add_option("SOURCE", asked.ingest.sources, "What to read")->type_name("");
  cli.add_option("--out", asked.ingest.out, "Folder of the dataset")->type_name("DIR");
  cli.add_option("--val-source", asked.ingest.val_sources, "What to read for the split 'val'")
      ->type_name("SOURCE");
  cli.add_option("--val-fraction", asked.ingest.val_fraction,
                 "Or: share of the images that become the split 'val', chosen by key and seed")
      ->type_name("SHARE");
  cli.add_option(
         "--format", asked.ingest.source.format,
         "What every SOURCE is (or KIND:PATH for one): webdataset, jsonl, csv, tsv, folder, "
         "yfcc100m, cifar10, cifar100, idx, tiny-imagenet, photos (their own keywords are the "
         "tags)")
      ->type_name("KIND");
  cli.add_option(
         "--columns", asked.columns,
         "Which columns or JSON fields hold what: image=NAME,tags=NAME,truth=NAME,key=NAME; "
         "tags and truth may be given several times; numbers from 1 where a table has no "
         "heading")
      ->type_name("NAMES");
  cli.add_option(
         "--tag-separator", asked.ingest.source.tag_separator,
         "Characters between tags in one text (default: found for each column: ';', '|', ',' or "
         "blanks)")
      ->type_name("CHARACTERS");
  cli.add_option("--images", asked.ingest.source.images,
                 "Folders or tars with the images that lists name")
      ->type_name("PATH");
  cli.add_option("--image-field", asked.ingest.source.image_field,
                 "Of WebDataset samples with several images, the one whose name ends so: 'jpg', "
                 "'input.jpg'")
      ->type_name("NAME");
  cli.add_option("--tag-field", asked.ingest.source.tag_field,
                 "And the text with the tags: 'json', 'txt', 'cls', 'caption.txt'")
      ->type_name("NAME");
  cli.add_flag("--allow-outside", asked.ingest.source.allow_outside,
               "Let lists name files outside --images ('..', absolute names)");
  cli.add_option("--label-names", asked.ingest.source.label_names,
                 "Names of labels that are numbers (IDX, lists, .cls, texts beside images), one a "
                 "line from 0 "
                 "(default: the numbers)")
      ->type_name("FILE");
  cli.add_option("--wordnet", asked.ingest.source.wordnet, "Where WordNet's data.noun is")
      ->type_name("DIR")
      ->capture_default_str();
}

void add_image_options(CLI::App& cli, Asked& asked) {
  cli.add_option(
         "--resize", asked.ingest.resize,
         "Shrink images to this short side (JPEG at quality 95, PNG stays PNG); 0: keep them")
      ->type_name("PIXELS");
  cli.add_option("--max-pixels", asked.ingest.max_pixels, "Leave out images of more pixels")
      ->type_name("N")
      ->capture_default_str();
  cli.add_option("--min-size", asked.ingest.min_size,
                 "Leave out images whose short side is shorter")
      ->type_name("PIXELS");
  cli.add_option("--max-aspect", asked.ingest.max_aspect,
                 "Leave out images whose sides are more unequal, long over short")
      ->type_name("RATIO");
  cli.add_option("--duplicates", asked.duplicates,
                 "Images with the same bytes: 'drop' all but the first, which gets the tags of all "
                 "(default), or 'keep' them")
      ->check(CLI::IsMember({"drop", "keep"}))
      ->type_name("WHAT");
  cli.add_option("--near-duplicates", asked.ingest.near_duplicates,
                 "Drop images that look alike, too: perceptual hashes at most so many bits apart, "
                 "0 to 8 of 64")
      ->type_name("BITS");
  cli.add_flag_callback(
      "--copy", [&] { asked.ingest.storage = ShardStorage::copy; },
      "Copy images of tars too, so that the dataset stands alone");
}

void add_tag_options(CLI::App& cli, Asked& asked) {
  cli.add_option("--min-tag-count", asked.ingest.min_tag_count,
                 "Drop tags on fewer training images (default 1)")
      ->type_name("N");
  cli.add_option("--max-tags", asked.ingest.max_tags, "Keep only the most frequent tags; 0: all")
      ->type_name("N");
  cli.add_option(
         "--vocabulary", asked.ingest.vocabulary,
         "Take the tags of this dataset, model or tags.tsv, and drop all others: for images that a "
         "model is to be evaluated on")
      ->type_name("PATH");
  cli.add_option("--stop-tags", asked.ingest.stop_tags, "Tags to drop, one a line")
      ->type_name("FILE");
  cli.add_option("--merge-tags", asked.ingest.merge_tags, "Tags to rename, 'from<TAB>to' a line")
      ->type_name("FILE");
}

void add_run_options(CLI::App& cli, Asked& asked) {
  cli.add_option("--max-bad", asked.ingest.max_bad,
                 "Share of unreadable images and tags that is an error (default 0.01; 1: none is)")
      ->type_name("SHARE");
  cli.add_option("--workers", asked.ingest.workers,
                 "Threads that read and decode (default: one a processor)")
      ->type_name("N");
  cli.add_flag(
      "--dry-run", asked.dry_run,
      "Print how each SOURCE is understood, with a few items and their tags, and what would "
      "be passed over; write nothing");
  cli.add_flag("--strict", asked.ingest.strict,
               "Fail where files, members or lines would be passed over");
  cli.add_flag("--retry-failed", asked.ingest.retry_failed,
               "Read again only what could not be read, and append it: image files put right since "
               "(a list or tar put right is a changed input: --force)");
  cli.add_option("--verify", asked.verify,
                 "Instead: compare a dataset with its checksums, and its images with its index")
      ->type_name("DIR")
      ->excludes("SOURCE");
}

void make_dataset(Asked& asked) {
  IngestOptions& options = asked.ingest;
  if (asked.duplicates == "keep") options.duplicates = Duplicates::keep;
  if (!asked.columns.empty()) options.source.columns = parse_columns(asked.columns);
  if (asked.dry_run) {
    fmt::print("{}", describe_sources(options));
    return;
  }
  const auto [was_done, counts] = ingest(options);
  if (was_done) log_info("{}: already done", options.out.string());
  for (const auto& gap : ingest_gaps(options, counts)) log_warning("{}", gap);
  fmt::print("{}", ingest_table(counts, options.out));
}

}  // namespace

int main(int argc, char** argv) {
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
  Asked asked;
  add_source_options(command.cli(), asked);
  add_image_options(command.cli(), asked);
  add_tag_options(command.cli(), asked);
  add_run_options(command.cli(), asked);
  command.setting("--seed", "seed");
  command.stage_options(asked.ingest.force);
  return command.run(argc, argv, [&] {
    asked.ingest.seed = command.config().seed;
    if (asked.verify.empty()) return make_dataset(asked);
    const Verification found = verify_dataset(asked.verify);
    fmt::print("{}", describe(found, asked.verify));
    if (!found.faults.empty()) fail("{}: faults: {}", asked.verify.string(), found.faults.size());
  });
}
