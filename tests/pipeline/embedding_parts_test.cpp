// An embedding made part by part, as tasks of an array make it, is the one that is made as a whole.
#include "moe/embedding.h"
#include "pipeline/commands.h"

namespace hardmoe {
namespace {

class EmbeddingParts : public testing::Test {
 protected:
  void SetUp() override {
    write_pictures(folder.path(), 200);
    std::ofstream(folder / "c.yaml") << small_config;
    sh("moe-ingest images.jsonl --val-fraction 0.2 --quiet --out data");
    sh("moe-train-base data --config c.yaml --epochs 1 --quiet --out base");
  }
  std::string sh(const std::string& line) const { return output_of(folder.path(), line); }
  void embed_part(int number, int of) const {
    sh(fmt::format("moe-embed data --model base --part {}/{} --quiet --out parts", number, of));
  }
  /// The message of a line that is refused as wrong use.
  std::string refusal(const std::string& line) const {
    const Outcome outcome = run(folder.path(), line);
    EXPECT_EQ(outcome.status, 2) << outcome.err;
    return outcome.err;
  }
  std::vector<float> rows(const char* embedding) const {
    const Embedding found(find_embedding({folder / embedding}).files);
    std::vector<float> values(static_cast<size_t>(found.rows() * found.cols()));
    found.read(0, found.rows(), values.data());
    found.require_as_recorded();
    return values;
  }
  TemporaryFolder folder;
};

TEST_F(EmbeddingParts, AreReadAsTheWhole) {
  sh("moe-embed data --model base --quiet --out whole");
  for (const int number : {3, 1, 2}) embed_part(number, 3);
  EXPECT_EQ(rows("parts"), rows("whole"));
  for (const char* name : {"parts", "whole"}) {
    sh(fmt::format("moe-partition {0} --config c.yaml --quiet --out {0}-partition", name));
  }
  for (const char* file : {"assignment.npy", "gater.safetensors"}) {
    EXPECT_EQ(sha256_of_file(folder / "parts-partition" / file),
              sha256_of_file(folder / "whole-partition" / file));
  }
  const std::string expert =
      "moe-train-expert data --config c.yaml --base base --partition parts-partition --expert 0 "
      "--set expert.overlap=2 --quiet --out expert";
  sh(expert + " --embedding parts");
}

TEST_F(EmbeddingParts, OneThatIsMissingIsNamed) {
  for (const int number : {1, 3}) embed_part(number, 3);
  const std::string partition = "moe-partition parts --config c.yaml --out partition";
  EXPECT_NE(refusal(partition).find("1 of 3 parts of the embedding are missing; make them with "
                                    "moe-embed's:\n  --part 2/3\n"),
            std::string::npos);
  const std::string one = "moe-partition parts/part-1-of-3 --config c.yaml --out partition";
  EXPECT_NE(refusal(one).find("is one part of an embedding"), std::string::npos);
  embed_part(1, 2);
  EXPECT_NE(refusal(partition).find("remove those of one kind"), std::string::npos);
}

TEST_F(EmbeddingParts, PartsOfAnotherNetworkAreRefused) {
  embed_part(1, 2);
  sh("moe-train-base data --config c.yaml --epochs 2 --quiet --out other");
  sh("moe-embed data --model other --part 2/2 --quiet --out parts");
  const std::string said = refusal("moe-partition parts --config c.yaml --out partition");
  for (const char* words : {"part-2-of-2: is no part of the embedding that", "  model: was "}) {
    EXPECT_NE(said.find(words), std::string::npos) << said;
  }
}

TEST_F(EmbeddingParts, ThatCannotBeAreRefused) {
  const std::string line = "moe-embed data --model base --out parts --part ";
  for (const char* part : {"0/3", "4/3", "3", "1/3/4", "a/b", "1/0"}) {
    EXPECT_NE(refusal(line + part).find("such as 1/16 to 16/16"), std::string::npos) << part;
  }
  EXPECT_NE(refusal(line + "1/1000").find("fewer than parts"), std::string::npos);
  sh("moe-embed data --model base --quiet --out parts");
  EXPECT_NE(refusal(line + "1/3").find("holds a whole embedding"), std::string::npos);
}

}  // namespace
}  // namespace hardmoe
