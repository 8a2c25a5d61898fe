// K-means on .npy embeddings as kmeans_peer.py times it, and the floor beneath it. Prints one JSON
// line: seconds of the fit, of one of its iterations (the median) and of the final assignment,
// inertia a point, sizes, memory; on the CPU also the machine's own rates, each from loops that
// stay in the cache, and the seconds that the products and one read of the data would take at
// these.
#include <sys/resource.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <iostream>
#include <map>
#include <string>

#include "base/json.h"
#include "base/log.h"
#include "base/text.h"
#include "base/threads.h"
#include "cluster/cpu/integer_product.h"
#include "cluster/kmeans.h"
#include "moe/embedding.h"
#include "tensor/tile_product.h"

namespace {

using namespace hardmoe;

/// Products a second of all threads, each calling body() (which makes `products`) again and again.
template <class Body>
double rate(double products, const Body& body) {
  const int64_t threads = compute_threads(), calls = 2000;
  double best = 0;
  for (int round = 0; round < 5; ++round) {
    const double start = now_seconds();
    parallel_for(threads, 1, [&](int64_t, int64_t) { body(calls); });
    const auto total = static_cast<double>(threads * calls) * products;
    best = std::max(best, total / (now_seconds() - start));
  }
  return best;
}

double float_rate() {
  constexpr int64_t rows = 48, depth = 256;
  const TileLevel& level = tile_levels()[0];
  return rate(static_cast<double>(rows * depth * level.columns), [&](int64_t calls) {
    std::vector<float> a(rows * depth), b(static_cast<size_t>(depth * level.columns)),
        out(static_cast<size_t>(rows * level.columns));
    const TileProduct product{.a = a.data(),
                              .row_stride = depth,
                              .depth_stride = 1,
                              .b = b.data(),
                              .b_stride = level.columns,
                              .start = out.data(),
                              .start_stride = 0,
                              .out = out.data(),
                              .out_stride = level.columns,
                              .rows = rows,
                              .columns = level.columns,
                              .depth = depth};
    for (int64_t i = 0; i < calls; ++i) level.product(product);
  });
}

double integer_rate() {
  if (cpu::integer_levels().empty()) return 0;
  constexpr int64_t rows = 48, depth = 256;
  const cpu::IntegerLevel& level = cpu::integer_levels()[0];
  return rate(static_cast<double>(rows * depth * level.columns), [&](int64_t calls) {
    std::vector<int16_t> a(rows * depth), b(static_cast<size_t>(depth * level.columns));
    std::vector<int32_t> out(static_cast<size_t>(rows * level.columns));
    std::vector<const int16_t*> from;
    std::vector<int32_t*> to;
    for (int64_t r = 0; r < rows; ++r) {
      from.push_back(a.data() + r * depth);
      to.push_back(out.data() + r * level.columns);
    }
    for (int64_t i = 0; i < calls; ++i) {
      level.product(from.data(), rows, depth, b.data(), to.data(), 0);
    }
  });
}

double read_seconds(const Embedding& embedding, int64_t block) {
  std::vector<float> rows(static_cast<size_t>(block * embedding.cols()));
  const double start = now_seconds();
  for (int64_t first = 0; first < embedding.rows(); first += block) {
    embedding.read(first, std::min(block, embedding.rows() - first), rows.data());
  }
  return now_seconds() - start;
}

/// Of those after the first, which also moves the points to the device.
double median_iteration(const std::vector<KMeansIteration>& iterations) {
  std::vector<double> seconds;
  for (size_t i = 1; i < iterations.size(); ++i) {
    seconds.push_back(iterations[i].seconds - iterations[i - 1].seconds);
  }
  if (seconds.empty()) return iterations.empty() ? 0 : iterations[0].seconds;
  const auto middle = seconds.begin() + std::ssize(seconds) / 2;
  std::nth_element(seconds.begin(), middle, seconds.end());
  return *middle;
}

void run(const std::vector<std::filesystem::path>& paths, const KMeansParams& params,
         const std::string& memory, const std::string& device) {
  const Embedding embedding(find_embedding(paths).files);
  const auto made = make_cluster_backend(device);
  ClusterBackend& backend = *made;
  const int64_t block = backend.block_rows(embedding.cols());
  const double read = read_seconds(embedding, block);
  const int64_t needed =
      kmeans_bytes(embedding.rows(), embedding.cols(), block, params) + (int64_t{64} << 20);
  PointStream points(
      embedding, backend,
      {.keep_bytes = std::max<int64_t>(0, parse_bytes(memory, "--memory") - needed)});

  const double start = now_seconds();
  KMeansFit fit = fit_centroids(points, params, [](const KMeansState& now) {
    const KMeansIteration& i = now.iterations.back();
    log_info("iteration {}  inertia {:.8g}  {:.2f} s", now.iterations.size(), i.inertia, i.seconds);
  });
  const double fitted = now_seconds();
  const KMeansResult result = assign_parts(points, std::move(fit), params);
  const double end = now_seconds();

  struct rusage usage = {};
  ::getrusage(RUSAGE_SELF, &usage);
  const auto count = static_cast<double>(embedding.rows());
  const auto passes = static_cast<double>(result.iterations.size() + 1);
  const double products = passes * count * static_cast<double>(params.clusters * embedding.cols());
  const auto [least, most] = std::minmax_element(result.sizes.begin(), result.sizes.end());
  Json line = {{"n", embedding.rows()},
               {"d", embedding.cols()},
               {"k", params.clusters},
               {"tolerance", params.tolerance},
               {"balanced", result.balanced},
               {"train_s", fitted - start},
               {"assign_s", end - fitted},
               {"inertia", result.inertia / count},
               {"agreement", result.agreement},
               {"min", *least},
               {"max", *most},
               {"rss_mb", usage.ru_maxrss / 1024},
               {"iterations", result.iterations.size()},
               {"read_s", read},
               {"device", backend.describe()},
               {"iteration_s", median_iteration(result.iterations)}};
  if (device == "cpu") {
    const double floats = float_rate(), integers = integer_rate();
    line["float_gflops"] = 2e-9 * floats;
    line["integer_gops"] = 2e-9 * integers;
    line["floor_float_s"] = products / floats + read;
    line["floor_integer_s"] = integers > 0 ? products / integers + read : 0;
  }
  std::cout << line.dump() << std::endl;
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("K-means on .npy embeddings, timed", "bench-kmeans");
  std::vector<std::filesystem::path> paths;
  KMeansParams params{.clusters = 64, .iterations = 10};
  std::string memory = "512M", device = "cpu";
  app.add_option("embedding", paths, ".npy files, or a folder of them")->required();
  app.add_option("--clusters", params.clusters, "K");
  const std::map<std::string, KMeansStart> starts = {{"automatic", KMeansStart::automatic},
                                                     {"plus-plus", KMeansStart::plus_plus},
                                                     {"random", KMeansStart::random},
                                                     {"tree", KMeansStart::tree}};
  app.add_option("--start", params.start_rule, "automatic, plus-plus, random or tree")
      ->transform(CLI::Transformer(starts));
  const std::map<std::string, KMeansSearch> searches = {{"automatic", KMeansSearch::automatic},
                                                        {"exact", KMeansSearch::exact},
                                                        {"near", KMeansSearch::near}};
  app.add_option("--search", params.search, "automatic, exact or near")
      ->transform(CLI::Transformer(searches));
  app.add_option("--progress", params.progress, "Relative fall of inertia below which it ends");
  app.add_option("--tree-sample", params.tree_sample, "Points a cluster that the tree looks at");
  app.add_option("--iterations", params.iterations, "Iterations over all points");
  app.add_option("--tolerance", params.tolerance, "Parts within (1 ± this)·N/K; 0: plain");
  app.add_option("--seed", params.seed, "Seed");
  app.add_option("--memory", memory, "What the fit may take");
  app.add_option("--device", device, "cpu, cuda or cuda:N (default cpu)");
  CLI11_PARSE(app, argc, argv);
  try {
    run(paths, params, memory, device);
    return 0;
  } catch (const std::exception& error) {
    std::cerr << "bench-kmeans: " << error.what() << "\n";
    return 1;
  }
}
