#include "tasks/load_rates.h"

#include <algorithm>

#include "base/log.h"
#include "base/signals.h"
#include "base/text.h"
#include "base/threads.h"
#include "data/loader.h"

namespace hardmoe {
namespace {

/// One epoch's images per second: for each step if all threads did that step alone, and measured.
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

/// Returns the options with which training would load the images.
LoaderOptions loader_options(const LoadRatesTask& task, const Config& config, int64_t images) {
  LoaderOptions options;
  options.batch = config.base.batch;
  if (options.batch == TrainConfig().batch) {  // the default is for larger sets
    options.batch = std::clamp<int64_t>(images, 1, options.batch);
  }
  options.image_size = config.model.image_size;
  options.training = !task.evaluation;
  options.augment = config.base.augment;
  options.seed = config.seed;
  options.threads = compute_threads();
  options.cache_bytes = parse_bytes(task.cache, "--cache");
  return options;
}

std::string json_of(const Rates& rates, int64_t epoch, int threads) {
  return Json{{"epoch", epoch + 1},         {"images", rates.images},
              {"threads", threads},         {"read", rates.read},
              {"decode", rates.decode},     {"resize", rates.resize},
              {"assemble", rates.assemble}, {"images_per_second", rates.whole}}
             .dump() +
         "\n";
}

}  // namespace

void measure_loading(const LoadRatesTask& task, const Config& config,
                     const std::function<void(const std::string&)>& print) {
  const Dataset dataset = Dataset::open(task.dataset);
  const Split& images = dataset.split(task.split);
  const LoaderOptions options = loader_options(task, config, images.size());
  Loader loader(images, {}, options);
  log_info("{} images, batches of {} at {} pixels, {} threads; images a second:", loader.items(),
           options.batch, options.image_size, options.threads);
  std::vector<std::vector<std::string>> rows = {
      {"epoch", "images", "read", "decode", "resize", "assemble", "whole"}};
  for (int64_t epoch = 0; epoch < task.epochs; ++epoch) {
    const Rates r = run_epoch(loader, epoch, options.threads, task.max_images);
    if (task.json) print(json_of(r, epoch, options.threads));
    rows.push_back({std::to_string(epoch + 1), std::to_string(r.images), shown(r.read),
                    shown(r.decode), shown(r.resize), shown(r.assemble), shown(r.whole)});
  }
  if (!task.json) print(format_table(rows));
}

}  // namespace hardmoe
