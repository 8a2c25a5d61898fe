// Writes a dataset's index of any size (its one shard is a hole of the right length), opens it as
// every command does, looks at a few items, and prints one JSON line: bytes an item, seconds,
// memory.
#include <sys/resource.h>

#include <CLI/CLI.hpp>
#include <filesystem>
#include <fstream>
#include <iostream>

#include "base/json.h"
#include "base/log.h"
#include "base/random.h"
#include "data/dataset.h"

namespace {

using namespace hardmoe;
namespace fs = std::filesystem;

constexpr int64_t item_bytes = 10240, tags_an_item = 3;

/// One column, `values_an_item` values for each of `items`, by value(item, which).
template <class T, class Value>
void write_column(const fs::path& file, int64_t items, int64_t values_an_item, const Value& value) {
  NpyWriter writer(file, dtype_of<T>, {});
  constexpr int64_t block = 65536;
  std::vector<T> values;
  for (int64_t first = 0; first < items; first += block) {
    values.clear();
    for (int64_t i = first; i < std::min(items, first + block); ++i) {
      for (int64_t j = 0; j < values_an_item; ++j) values.push_back(static_cast<T>(value(i, j)));
    }
    writer.append(values.data(), static_cast<int64_t>(values.size()));
  }
  writer.finish();
}

void write_index(const fs::path& folder, int64_t items, int64_t vocabulary) {
  const fs::path split = folder / "train";
  make_writable_folder(split);
  const int64_t stride = vocabulary / tags_an_item;  // an item's tags ascend
  write_column<uint16_t>(split / "shard.npy", items, 1, [](int64_t, int64_t) { return 0; });
  write_column<int64_t>(split / "offset.npy", items, 1,
                        [](int64_t i, int64_t) { return i * item_bytes; });
  write_column<int32_t>(split / "length.npy", items, 1,
                        [](int64_t, int64_t) { return item_bytes; });
  write_column<int64_t>(split / "tag_ptr.npy", items + 1, 1,
                        [](int64_t i, int64_t) { return i * tags_an_item; });
  write_column<int32_t>(split / "tag_ids.npy", items, tags_an_item,
                        [&](int64_t i, int64_t j) { return j * stride + (i * 7919 + j) % stride; });
  {
    std::ofstream keys(split / "keys.txt");
    for (int64_t i = 0; i < items; ++i) keys << fmt::format("{:09}\n", i);
  }
  Vocabulary tags;
  for (int64_t t = 0; t < vocabulary; ++t) {
    tags.tags.push_back(fmt::format("tag{}", t));
    tags.counts.push_back(vocabulary - t);
  }
  save_vocabulary(folder / "tags.tsv", tags);
  std::ofstream(folder / "images.tar").flush();
  fs::resize_file(folder / "images.tar", static_cast<uintmax_t>(items * item_bytes));
  write_json(folder / "dataset.json",
             {{"shards", {{{"path", "images.tar"}, {"bytes", items * item_bytes}}}},
              {"vocabulary", vocabulary},
              {"splits", {{"train", {{"images", items}}}}}});
}

void run(const fs::path& folder, int64_t items, int64_t vocabulary) {
  if (!fs::exists(folder / "dataset.json")) write_index(folder, items, vocabulary);
  uintmax_t bytes = 0;
  for (const auto& entry : fs::directory_iterator(folder / "train")) bytes += entry.file_size();
  const double start = now_seconds();
  const Dataset dataset = Dataset::open(folder);
  const double opened = now_seconds();
  const Split& split = dataset.split("train");
  Random random(1, RandomUse::test);
  constexpr int looks = 1000;
  int64_t seen = 0;
  for (int i = 0; i < looks; ++i) {
    const auto item = static_cast<int64_t>(random.below(static_cast<uint64_t>(split.size())));
    for (const int32_t tag : split.tags(item))
      seen += dataset.vocabulary().counts.at(static_cast<size_t>(tag));
    seen += static_cast<int64_t>(split.image(item).size());
  }
  struct rusage usage = {};
  ::getrusage(RUSAGE_SELF, &usage);
  std::cout << Json{{"items", split.size()},
                    {"vocabulary", dataset.vocabulary().size()},
                    {"bytes_an_item",
                     static_cast<double>(bytes) / static_cast<double>(split.size())},
                    {"open_s", opened - start},
                    {"look_us", (now_seconds() - opened) / looks * 1e6},
                    {"checked", seen},
                    {"rss_mb", usage.ru_maxrss / 1024}}
                   .dump()
            << std::endl;
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("Write a dataset's index of any size, and time opening it", "bench-index");
  fs::path out;
  int64_t items = 1'000'000, vocabulary = 100'000;
  app.add_option("--out", out, "Folder; an index that is there is opened only")->required();
  app.add_option("--items", items, "Items")->check(CLI::PositiveNumber);
  app.add_option("--tags", vocabulary, "Tags of the vocabulary")->check(CLI::PositiveNumber);
  CLI11_PARSE(app, argc, argv);
  try {
    run(out, items, vocabulary);
    return 0;
  } catch (const std::exception& error) {
    std::cerr << "bench-index: " << error.what() << "\n";
    return 1;
  }
}
