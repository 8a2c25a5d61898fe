// How long moe-search's two searches take over an embedding, and what the approximate one misses.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <iostream>

#include "base/log.h"
#include "base/threads.h"
#include "cluster/unit_rows.h"
#include "moe/embedding.h"
#include "search/neighbour_index.h"

namespace {

using namespace hardmoe;

struct Options {
  std::vector<std::filesystem::path> embedding;
  int64_t queries = 1000, neighbours = 10;
  std::vector<int64_t> probed = {32};
  double pairs_within = -1;
  int threads = 0;
};

using Found = std::vector<std::vector<Neighbour>>;

/// Returns the share of the exact neighbours that were found.
double recall(const Found& exact, const Found& found) {
  int64_t common = 0, all = 0;
  for (size_t q = 0; q < exact.size(); ++q) {
    all += std::ssize(exact[q]);
    for (const Neighbour& one : found[q]) {
      common += std::ranges::count(exact[q], one.row, &Neighbour::row);
    }
  }
  return static_cast<double>(common) / static_cast<double>(all);
}

template <class Body>
double seconds_of(const Body& body) {
  const double start = now_seconds();
  body();
  return now_seconds() - start;
}

Json pairs_of(const NeighbourIndex& search, double distance) {
  int64_t pairs = 0;
  const double seconds =
      seconds_of([&] { search.pairs_within(distance, [&](const NearPair&) { ++pairs; }); });
  return {{"pairs", pairs}, {"pairs_s", seconds}};
}

void run(const Options& options) {
  const Embedding embedding(find_embedding(options.embedding).files);
  Tensor rows = Tensor::uninitialized(DType::f32, {embedding.rows(), embedding.cols()});
  embedding.read(0, embedding.rows(), rows.as<float>().data());
  rows = unit_rows(matrix_view(rows));
  const MatrixView all = matrix_view(rows);
  const int64_t count = std::min(options.queries, all.rows);
  Tensor queries = Tensor::uninitialized(DType::f32, {count, all.cols});
  for (int64_t q = 0; q < count; ++q) {
    std::copy_n(all.row(q * all.rows / count), all.cols, queries.as<float>().data() + q * all.cols);
  }
  const MatrixView asked = matrix_view(queries);
  Found exact;
  const auto search = exact_index(all);
  Json line = {{"rows", all.rows}, {"cols", all.cols}, {"queries", count}, {"search", "exact"}};
  line["first_s"] = seconds_of([&] { search->nearest(asked.slice(0, 1), options.neighbours); });
  line["queries_s"] = seconds_of([&] { exact = search->nearest(asked, options.neighbours); });
  if (options.pairs_within >= 0) line.update(pairs_of(*search, options.pairs_within));
  std::cout << line.dump() << std::endl;
  for (const int64_t probed : options.probed) {
    Found found;
    std::unique_ptr<NeighbourIndex> lists;
    line["search"] = "approximate";
    line["probed"] = probed;
    line["build_s"] = seconds_of([&] { lists = approximate_index(all, 1, probed); });
    line["first_s"] = seconds_of([&] { lists->nearest(asked.slice(0, 1), options.neighbours); });
    line["queries_s"] = seconds_of([&] { found = lists->nearest(asked, options.neighbours); });
    line[fmt::format("recall@{}", options.neighbours)] = recall(exact, found);
    if (options.pairs_within >= 0) line.update(pairs_of(*lists, options.pairs_within));
    std::cout << line.dump() << std::endl;
  }
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("Time moe-search's searches over an embedding; lines of JSON", "bench-search");
  Options options;
  app.add_option("EMBEDDING", options.embedding, "As moe-partition takes it")->required();
  app.add_option("--queries", options.queries, "Rows that are asked for, at equal distances")
      ->check(CLI::PositiveNumber);
  app.add_option("--neighbours", options.neighbours, "Of each")->check(CLI::PositiveNumber);
  app.add_option("--probed", options.probed, "Inverted lists read for each")
      ->check(CLI::PositiveNumber);
  app.add_option("--pairs-within", options.pairs_within, "Also all pairs that near");
  app.add_option("--threads", options.threads, "Compute threads");
  CLI11_PARSE(app, argc, argv);
  try {
    if (options.threads > 0) set_compute_threads(options.threads);
    run(options);
    return 0;
  } catch (const std::exception& error) {
    std::cerr << "bench-search: " << error.what() << "\n";
    return 1;
  }
}
