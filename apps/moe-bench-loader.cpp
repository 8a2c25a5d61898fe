// moe-bench-loader: how fast this machine can feed training from a dataset.
#include <algorithm>

#include "app.h"
#include "base/log.h"
#include "base/signals.h"
#include "base/text.h"
#include "base/threads.h"
#include "data/loader.h"

namespace {

using namespace hardmoe;

/// One epoch: images a second by stage, if all threads did that stage alone, and as it was.
struct Rates {
  int64_t images = 0;
  double read = 0, decode = 0, resize = 0, assemble = 0, whole = 0;
};

Rates run_epoch(Loader& loader, int64_t epoch, int threads, int64_t most) {
  const LoaderTimes before = loader.times();
  const double begin = now_seconds();
  int64_t images = 0;
  loader.start(epoch);
  while (const Batch* batch = loader.next()) {
    throw_if_interrupted();
    images += batch->size;
    if (most > 0 && images >= most) break;
  }
  const double seconds = now_seconds() - begin;
  const LoaderTimes after = loader.times();
  const auto made = static_cast<double>(after.images - before.images);
  const auto rate = [&](double spent) { return spent > 0 ? made * threads / spent : 0; };
  return {images,
          rate(after.read - before.read),
          rate(after.decode - before.decode),
          rate(after.resize - before.resize),
          rate(after.assemble - before.assemble),
          static_cast<double>(images) / seconds};
}

std::string shown(double rate) { return rate > 0 ? fmt::format("{:.0f}", rate) : "-"; }

}  // namespace

int main(int argc, char** argv) {
  Command command(
      "moe-bench-loader",
      "Read, decode, cut and mirror a dataset's images as training would, train nothing, and print "
      "images a second: for each stage what the threads would reach with that stage alone, and for "
      "the whole what they reached.");
  std::string data, split = "train", cache = "0";
  int64_t epochs = 3, most = 0;
  bool evaluation = false, json = false;
  auto& cli = command.cli();
  cli.add_option("DATASET", data, "Folder written by moe-ingest")->required()->type_name("");
  cli.add_option("--split", split, "Split to load")->type_name("NAME")->capture_default_str();
  command.setting("--batch", "base.batch");
  command.setting("--image-size", "model.image_size");
  command.setting("--crop", "base.augment.crop");
  command.setting("--min-area", "base.augment.min_area");
  command.setting("--seed", "seed");
  cli.add_option("--epochs", epochs, "Passes over the images")
      ->type_name("N")
      ->capture_default_str()
      ->check(CLI::Range(1, 1000000));
  cli.add_option("--images", most, "Stop each pass after so many images")->type_name("N");
  cli.add_option("--cache", cache, "Decoded images kept in memory, e.g. 1G; 0: none")
      ->type_name("BYTES")
      ->capture_default_str();
  cli.add_flag("--evaluation", evaluation, "In order and centred, as moe-eval and moe-embed load");
  cli.add_flag("--json", json, "A JSON line a pass");
  return command.run(argc, argv, [&] {
    const Config& config = command.config();
    const Dataset dataset = Dataset::open(data);
    const Split& images = dataset.split(split);
    LoaderOptions options;
    options.batch = config.base.batch;
    if (options.batch == TrainConfig().batch) {  // the default is for larger sets
      options.batch = std::clamp<int64_t>(images.size(), 1, options.batch);
    }
    options.image_size = config.model.image_size;
    options.training = !evaluation;
    options.augment = config.base.augment;
    options.seed = config.seed;
    options.threads = compute_threads();
    options.cache_bytes = parse_bytes(cache, "--cache");
    Loader loader(images, {}, options);
    log_info("{} images, batches of {} at {} pixels, {} threads; images a second:", loader.items(),
             options.batch, options.image_size, options.threads);
    std::vector<std::vector<std::string>> rows = {
        {"epoch", "images", "read", "decode", "resize", "assemble", "whole"}};
    for (int64_t epoch = 0; epoch < epochs; ++epoch) {
      const Rates r = run_epoch(loader, epoch, options.threads, most);
      if (json) {
        fmt::print("{}\n", Json{{"epoch", epoch + 1},
                                {"images", r.images},
                                {"threads", options.threads},
                                {"read", r.read},
                                {"decode", r.decode},
                                {"resize", r.resize},
                                {"assemble", r.assemble},
                                {"images_per_second", r.whole}}
                               .dump());
      }
      rows.push_back({std::to_string(epoch + 1), std::to_string(r.images), shown(r.read),
                      shown(r.decode), shown(r.resize), shown(r.assemble), shown(r.whole)});
    }
    if (!json) fmt::print("{}", format_table(rows));
  });
}
