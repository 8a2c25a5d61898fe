// moe-partition on embeddings as files: interrupted, in little memory, grown.
#include "pipeline/commands.h"
#include "tensor/npy.h"

namespace hardmoe {
namespace {

class PartitionCommand : public testing::Test {
 protected:
  /// FOLDER/name: float32 rows around a few centres.
  void write_rows(const std::string& name, int64_t rows, int64_t cols) const {
    Random random(static_cast<uint64_t>(rows), RandomUse::test);
    fs::create_directories((folder / name).parent_path());
    NpyWriter writer(folder / name, DType::f32, {cols});
    std::vector<float> row(static_cast<size_t>(cols));
    for (int64_t i = 0; i < rows; ++i) {
      const auto centre = static_cast<float>(random.below(6));
      for (float& value : row) value = centre + 3 * random.uniform();
      writer.append(row.data(), 1);
    }
    writer.finish();
  }

  void expect_same(const std::string& one, const std::string& other) const {
    for (const auto* name : {"assignment.npy", "gater.safetensors", "partition.json"}) {
      EXPECT_EQ(sha256_of_file(folder / one / name), sha256_of_file(folder / other / name)) << name;
    }
  }
  std::string sh(const std::string& line) const { return output_of(folder.path(), line); }

  TemporaryFolder folder;
};

TEST_F(PartitionCommand, EndsTheSameHoweverItWasStopped) {
  write_rows("parts/a.npy", 30000, 24);
  write_rows("parts/b.npy", 20001, 24);
  const std::string line =
      "moe-partition parts --num-experts 40 --pca 16 --iterations 60 --quiet "
      "--set partition.checkpoint_seconds=0";
  sh(line + " --out whole --memory 2G --threads 1");
  const fs::path checkpoint = folder / "stopped/checkpoint.safetensors";
  int stopped = 0;
  for (const int signal : {SIGKILL, SIGTERM, SIGKILL}) {
    const auto before =
        fs::exists(checkpoint) ? fs::last_write_time(checkpoint) : fs::file_time_type::min();
    Running running(folder.path(), "exec " + line + " --out stopped --memory 150M");
    running.reaches(
        [&] { return fs::exists(checkpoint) && fs::last_write_time(checkpoint) > before; });
    const int status = running.end(signal).status;
    if (status == 0) break;  // the machine stalled, and it finished first
    EXPECT_EQ(status, signal == SIGTERM ? 75 : 128 + SIGKILL);
    ++stopped;
  }
  EXPECT_GT(stopped, 0);
  sh(line + " --out stopped --memory 150M");
  expect_same("stopped", "whole");
  EXPECT_FALSE(fs::exists(checkpoint));
}

TEST_F(PartitionCommand, KeepsToItsMemory) {
  write_rows("e.npy", 500000, 64);  // 128 MB
  const std::string line =
      "exec moe-partition e.npy --num-experts 16 --iterations 2 --tolerance 0 ";
  const Outcome refused = run(folder.path(), line + "--out x --memory 20M");
  EXPECT_EQ(refused.status, 2);
  EXPECT_NE(refused.err.find("500000 × 64 values around 16 centroids take at least "),
            std::string::npos)
      << refused.err;
  EXPECT_FALSE(fs::exists(folder / "x"));
  for (const int64_t mebi : {100, 120}) {
    const Outcome outcome =
        run(folder.path(), line + fmt::format("--quiet --out at{} --memory {}M", mebi, mebi));
    EXPECT_EQ(outcome.status, 0) << outcome.err;
    EXPECT_LE(outcome.peak_bytes, mebi << 20);
  }
  sh(line + "--quiet --out free");
  expect_same("at100", "free");
  expect_same("at120", "free");
}

TEST_F(PartitionCommand, GrowsByOneExpert) {
  write_rows("e.npy", 4000, 8);
  write_rows("other.npy", 4001, 8);
  sh("moe-partition e.npy --out p --num-experts 3 --quiet");
  sh("moe-partition e.npy --out split --halve-largest p --quiet");
  sh("moe-partition e.npy --out both --add-expert split --quiet");
  const auto sizes = [&](const std::string& name) {
    return json_get<std::vector<int64_t>>(read_json(folder / name / "partition.json"), "sizes",
                                          name);
  };
  EXPECT_EQ(sizes("split").size(), 4U);
  EXPECT_EQ(sizes("both").size(), 5U);
  EXPECT_NEAR(static_cast<double>(sizes("both")[4]), 800, 3);
  const Outcome both =
      run(folder.path(), "moe-partition e.npy --out x --add-expert p --halve-largest p");
  EXPECT_EQ(both.status, 2);
  const Outcome own = run(folder.path(), "moe-partition e.npy --out p --add-expert p --force");
  EXPECT_EQ(own.status, 2);
  EXPECT_NE(own.err.find("p: is read and lies in p"), std::string::npos) << own.err;
  EXPECT_EQ(sizes("p").size(), 3U);
  const Outcome other = run(folder.path(), "moe-partition other.npy --out x --add-expert p");
  EXPECT_EQ(other.status, 2);
  EXPECT_NE(other.err.find("p: this partition was made of another embedding"), std::string::npos);
  EXPECT_NE(sh("moe-partition e.npy --out split --halve-largest p 2>&1").find("done already"),
            std::string::npos);
}

TEST_F(PartitionCommand, WarnsOfEqualEmbeddings) {
  Random random(4, RandomUse::test);
  NpyWriter writer(folder / "e.npy", DType::f32, {8});
  std::vector<float> row(8);
  for (int64_t i = 0; i < 2000; ++i) {
    for (float& value : row) value = i % 10 < 3 ? 0.5F : random.normal();
    writer.append(row.data(), 1);
  }
  writer.finish();
  const Outcome made = run(folder.path(), "moe-partition e.npy --out p --num-experts 8");
  EXPECT_EQ(made.status, 0);
  for (const char* words : {"warning: 600 of 2000 images (30.0%) have equal embeddings",
                            "more than one of 8 experts may have", "one expert has them all",
                            "At most 3 experts can be balanced"}) {
    EXPECT_NE(made.err.find(words), std::string::npos) << made.err;
  }
  const Json record = read_json(folder / "p/partition.json");
  EXPECT_EQ(record["equal_rows"], Json::parse("[600]"));
  EXPECT_EQ(record["dimensions"], 8);
  // At three experts there is nothing to warn of.
  const Outcome three = run(folder.path(), "moe-partition e.npy --out three --num-experts 3");
  EXPECT_EQ(three.err.find("warning"), std::string::npos) << three.err;
  // What is equal cannot be halved: the few others are, and that is said.
  const Outcome halved = run(folder.path(), "moe-partition e.npy --out half --halve-largest p");
  EXPECT_NE(halved.err.find("many embeddings are equal"), std::string::npos) << halved.err;
}

}  // namespace
}  // namespace hardmoe
