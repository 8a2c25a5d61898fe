// Whether rows and networks belong together, by what the rows' stage recorded.
#include "search/source.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "base/files.h"
#include "expect_error.h"
#include "temporary_folder.h"

namespace hardmoe {
namespace {

TEST(SearchSourceRecord, RowsOfOtherNetworksAreRefusedWhateverTheirRecordHolds) {
  const TemporaryFolder folder;
  for (const char* name : {"model", "rows"}) std::filesystem::create_directories(folder / name);
  write_file_atomic(folder / "model/model.safetensors", "weights");
  SearchSource source;
  source.dataset = folder / "data";
  source.embedding = folder / "rows";
  source.networks.networks.model = folder / "model";
  const OpenedNetworks opened;
  const auto check = [&](const Json& inputs) {
    write_json(folder / "rows/stage.json",
               {{"command", "moe-embed"}, {"done", true}, {"inputs", inputs}});
    require_embedding_by(source, opened);
  };
  check({{"model", sha256_hex("weights")}});
  for (const Json& inputs : {Json{{"model", "other"}}, Json{{"model", 5}},
                             Json{{"embedding", 5}, {"router", Json::array()}}}) {
    expect_error([&] { check(inputs); }, {"rows: was embedded by other networks", "model differs"},
                 ExitStatus::usage);
  }
  expect_error([&] { check("none"); }, {"rows/stage.json", "'inputs' is no object"});
}

}  // namespace
}  // namespace hardmoe
