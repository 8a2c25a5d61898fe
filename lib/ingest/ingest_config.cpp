#include "ingest/ingest_config.h"

#include "base/text.h"
#include "ingest/near_duplicates.h"

namespace hardmoe {
namespace {

/// Returns the texts that parse_columns reads as `columns`, one for each name.
std::vector<std::string> column_texts(const ColumnNames& columns) {
  std::vector<std::string> texts;
  const auto add = [&](const char* what, const std::vector<std::string>& names) {
    for (const auto& name : names) texts.push_back(fmt::format("{}={}", what, name));
  };
  add("image", columns.image);
  add("tags", columns.tags);
  add("truth", columns.truth);
  add("key", columns.key);
  return texts;
}

void describe_source_options(Fields& f, SourceOptions& source) {
  f.add("format", source.format,
        "format: what every source is (or KIND:PATH for one): webdataset, jsonl, csv, tsv, folder, "
        "yfcc100m, cifar10, cifar100, idx, tiny-imagenet, photos (their own keywords are the "
        "tags); empty: found by their content");
  f.add_list(
      "columns", [&source] { return column_texts(source.columns); },
      [&source](const std::vector<std::string>& texts) {
        source.columns = texts.empty() ? ColumnNames() : parse_columns(join(texts, ","));
      },
      "which columns or JSON fields hold what: image=NAME,tags=NAME,truth=NAME,key=NAME; tags and "
      "truth may be given several times; numbers from 1 where a table has no heading");
  f.add("tag_separator", source.tag_separator,
        "characters between tags in one text; empty: found for each column (';', '|', ',' or "
        "blanks)");
  f.add("images", source.images, "folders or tars with the images that lists name");
  f.add("image_field", source.image_field,
        "of WebDataset samples with several images, the one whose name ends so: 'jpg', "
        "'input.jpg'");
  f.add("tag_field", source.tag_field,
        "of WebDataset samples, the text with the tags: 'json', 'txt', 'cls', 'caption.txt'");
  f.add("allow_outside", source.allow_outside,
        "let lists name files outside ingest.images ('..', absolute names)");
  f.add("label_names", source.label_names,
        "names of labels that are numbers (IDX, lists, .cls, texts beside images), one a line from "
        "0; empty: the numbers");
  f.add("wordnet", source.wordnet, "folder of WordNet's files (data.noun, index.noun)");
}

}  // namespace

void IngestConfig::describe(Fields& f) {
  f.add("sources", sources,
        "what to read, as seen from the current folder (datasets/README.md); for moe-run empty "
        "where run.dataset is given");
  f.add("val_sources", val_sources, "what to read for the split 'val'");
  f.add("val_fraction", val_fraction,
        "or: share of the images that become the split 'val', chosen by key and seed");
  f.add("selection_fraction", selection_fraction,
        "share of the training images that become the split 'selection', chosen by key and seed, "
        "on which weights, temperatures and early stops are chosen");
  f.add("sample", sample,
        "share of the training images that are kept, chosen by key and seed; a smaller share is "
        "a part of a larger one");
  describe_source_options(f, source);
  f.add("resize", resize,
        "shrink images to this short side in pixels (JPEG at quality 95, PNG stays PNG); 0: keep "
        "them");
  f.add_enum(
      "storage", storage, {"automatic", "copy"},
      "where images of tars are kept; automatic: where they are, unless they are resized; copy: in "
      "the dataset, so that it stands alone");
  f.add_enum("duplicates", duplicates, {"drop", "keep"},
             "images with the same bytes; drop: all but the first, which gets the tags of all");
  f.add("near_duplicates", near_duplicates,
        "drop images that look alike, too: perceptual hashes at most so many bits apart, 0 to 8 of "
        "64; -1: no");
  f.add("max_pixels", max_pixels, "leave out images of more pixels");
  f.add("min_size", min_size, "leave out images whose short side has fewer pixels");
  f.add("max_aspect", max_aspect,
        "leave out images whose sides are more unequal, long over short; 0: none");
  f.add("min_tag_count", min_tag_count, "drop tags on fewer training images");
  f.add("max_tags", max_tags, "keep only so many tags, the most frequent; 0: all");
  f.add("vocabulary", vocabulary,
        "take the tags of this dataset, model or tags.tsv, and drop all others: for images that a "
        "model is to be evaluated on");
  f.add("keep_untagged", keep_untagged,
        "also keep images that have no tag of 'vocabulary': photographs that are only embedded and "
        "searched");
  f.add("stop_tags", stop_tags, "file of tags to drop, one a line");
  f.add("merge_tags", merge_tags, "file of tags to rename, 'from<TAB>to' a line");
  f.add("max_bad", max_bad, "share of unreadable images and tags that is an error; 1: none is");
  f.add("strict", strict, "fail where files, members or lines would be passed over");
}

void check_ingest_config(const IngestConfig& config) {
  if (!(config.val_fraction >= 0 && config.val_fraction < 1)) {
    fail_usage("ingest.val_fraction: expected 0 or more and less than 1, found {}",
               config.val_fraction);
  }
  if (config.val_fraction > 0 && !config.val_sources.empty()) {
    fail_usage(
        "ingest.val_sources and ingest.val_fraction both make the split 'val'; give one of them");
  }
  if (config.keep_untagged && config.vocabulary.empty()) {
    fail_usage(
        "ingest.keep_untagged: images without tags give no vocabulary; name that of an earlier "
        "dataset or model as ingest.vocabulary (--vocabulary)");
  }
  if (!(config.selection_fraction >= 0 && config.selection_fraction < 1)) {
    fail_usage("ingest.selection_fraction: expected 0 or more and less than 1, found {}",
               config.selection_fraction);
  }
  if (!(config.sample > 0 && config.sample <= 1)) {
    fail_usage("ingest.sample: expected a share above 0 and at most 1, found {}", config.sample);
  }
  if (config.resize < 0) {
    fail_usage("ingest.resize: expected pixels, found {}", config.resize);
  }
  if (config.min_size < 0) {
    fail_usage("ingest.min_size: expected pixels, found {}", config.min_size);
  }
  if (config.max_pixels < 1 || config.max_pixels > max_pixels) {
    fail_usage("ingest.max_pixels: expected 1 to {}, found {}", max_pixels, config.max_pixels);
  }
  if (!(config.max_aspect == 0 || config.max_aspect >= 1)) {
    fail_usage("ingest.max_aspect: expected 1 or more (long side over short side), found {}",
               config.max_aspect);
  }
  if (config.near_duplicates < -1 || config.near_duplicates > most_different_bits) {
    fail_usage("ingest.near_duplicates: expected 0 to {} bits, or -1, found {}",
               most_different_bits, config.near_duplicates);
  }
  if (config.min_tag_count < 1) {
    fail_usage("ingest.min_tag_count: expected 1 or more, found {}", config.min_tag_count);
  }
  if (config.max_tags < 0) {
    fail_usage("ingest.max_tags: expected 0 or more, found {}", config.max_tags);
  }
  if (!config.vocabulary.empty() && (config.min_tag_count > 1 || config.max_tags > 0)) {
    fail_usage(
        "ingest.vocabulary gives the tags; leave out ingest.min_tag_count and ingest.max_tags");
  }
  if (!(config.max_bad >= 0 && config.max_bad <= 1)) {
    fail_usage("ingest.max_bad: expected a share from 0 to 1, found {}", config.max_bad);
  }
}

}  // namespace hardmoe
