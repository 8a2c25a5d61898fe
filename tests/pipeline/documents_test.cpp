// The command lines in the documents: those of the tutorial and the README's "By hand" are run as
// they stand, one after another, on small pictures in the place of a person's (the tutorial's with a
// smaller configuration); those of others are parsed by the commands themselves.
#include "pipeline/commands.h"
#include "test_files.h"

namespace hardmoe {
namespace {

/// Returns the lines of the blocks of code in a document that hold a command of ours.
std::vector<std::string> blocks_of(const fs::path& document) {
  std::vector<std::string> blocks;
  const auto parts = split(read_file(document), '\n');
  bool inside = false;
  for (const std::string& line : parts) {
    if (line.starts_with("```")) {
      inside = !inside;
      if (inside) blocks.emplace_back();
    } else if (inside) {
      blocks.back() += line + "\n";
    }
  }
  std::erase_if(blocks,
                [](const std::string& block) { return block.find("moe-") == std::string::npos; });
  return blocks;
}

/// Runs the blocks as one script that ends at the first line that fails.
void expect_to_run(const fs::path& folder, const std::string& before,
                   const std::vector<std::string>& blocks) {
  ASSERT_FALSE(blocks.empty());
  std::ofstream script(folder / "script.sh");
  script << "set -eu\n" << before;
  for (const std::string& block : blocks) script << block;
  script.close();
  const Outcome outcome = run(folder, "bash script.sh");
  EXPECT_EQ(outcome.status, 0) << outcome.err;
}

/// Copies the pictures of FOLDER/images.jsonl to folders that tell their tags, but for the last ones,
/// which are new.
void file_by_tag(const fs::path& folder, size_t new_ones) {
  auto lines = split(read_file(folder / "images.jsonl"), '\n');
  lines.pop_back();
  for (size_t i = 0; i < lines.size(); ++i) {
    const Json line = Json::parse(lines[i]);
    const fs::path from = folder / line["image"].get<std::string>();
    const fs::path to = i + new_ones < lines.size()
                            ? folder / "photos" / line["tags"][1].get<std::string>() /
                                  line["tags"][0].get<std::string>()
                            : folder / "new";
    fs::create_directories(to);
    fs::copy(from, to / from.filename());
  }
  fs::copy(folder / "pictures/0000.png", folder / "new/photo.jpg");
}

class Documents : public testing::Test {
 protected:
  void SetUp() override {
    if (!fs::exists(repository() / "docs")) GTEST_SKIP() << "no docs/ beside the tests";
  }
  TemporaryFolder folder_;
};

TEST_F(Documents, TheTutorialRuns) {
  write_pictures(folder_.path(), 240);
  file_by_tag(folder_.path(), 40);
  fs::create_directory(folder_ / "configs");
  std::ofstream(folder_ / "configs/own-images.yaml")
      << small_config << "run: {dataset: collection}\n";
  expect_to_run(folder_.path(), "", blocks_of(repository() / "docs/tutorial.md"));
  const auto sidecars = output_of(folder_.path(), "ls new/*.xmp | wc -l");
  EXPECT_GT(std::stoi(sidecars), 10);
  EXPECT_TRUE(fs::exists(folder_ / "found.png") && fs::exists(folder_ / "onnx/model.onnx"));
}

TEST_F(Documents, TheReadmesCommandsRun) {
  write_pictures(folder_.path(), 800);
  fs::copy(folder_ / "pictures/0000.png", folder_ / "photo.jpg");
  fs::create_directory_symlink(fs::canonical(repository() / "datasets"),
                               folder_.path() / "datasets");
  auto blocks = blocks_of(repository() / "README.md");
  ASSERT_FALSE(blocks.empty());
  // The clip art is another's; what it is read from is here.
  expect_to_run(folder_.path(), "python3() { cat images.jsonl; }\n", {blocks.back()});
}

/// Returns a block's commands of ours, a line each, without comments and the folder they are built in:
/// lines that \ joins are one, a pipe's parts are several.
std::vector<std::string> commands_in(const std::string& block) {
  std::vector<std::string> commands;
  std::string joined;
  for (const std::string& raw : split(block, '\n')) {
    std::string line = raw.substr(0, raw.find(" #"));
    line = trim(line);
    const bool goes_on = line.ends_with('\\');
    if (goes_on) line.pop_back();
    joined += line + " ";
    if (goes_on) continue;
    for (const std::string& part : split(joined, '|')) {
      std::string command(trim(part));
      const std::string built = "build/bin/";
      if (command.starts_with(built)) command.erase(0, built.size());
      if (command.starts_with("moe-")) commands.push_back(command);
    }
    joined.clear();
  }
  return commands;
}

/// Returns the documents but for the tutorial.
std::vector<fs::path> documents() {
  std::vector<fs::path> files = {repository() / "README.md", repository() / "CONTRIBUTING.md"};
  for (const char* folder : {"docs", "datasets", "configs"}) {
    for (const auto& entry : fs::recursive_directory_iterator(repository() / folder)) {
      const fs::path& file = entry.path();
      if (file.extension() == ".md" && file.filename() != "tutorial.md") files.push_back(file);
    }
  }
  return files;
}

TEST_F(Documents, OtherCommandLinesAreTrue) {
  std::ofstream(folder_ / "CONFIG.yaml") << "seed: 1\n";
  for (const char* name : {"configs", "datasets"}) {
    fs::create_directory_symlink(fs::canonical(repository() / name), folder_.path() / name);
  }
  int lines = 0;
  for (const fs::path& file : documents()) {
    const std::string name = fs::relative(file, repository()).string();
    for (const std::string& block : blocks_of(file)) {
      for (std::string line : commands_in(block)) {
        if (line.find("…") != std::string::npos) continue;
        const std::string installed = "/usr/share/hardmoe/";
        if (const size_t at = line.find(installed); at != std::string::npos) {
          line.erase(at, installed.size());
        }
        const Outcome configured = run(folder_.path(), "k=0; " + line + " --print-config");
        EXPECT_EQ(configured.status, 0) << name << ": " << line << "\n" << configured.err;
        const Outcome refused = run(folder_.path(), "k=0; " + line + " --set no_such_key=1");
        EXPECT_EQ(refused.status, 2) << name << ": " << line;
        EXPECT_NE(refused.err.find("unknown key 'no_such_key'"), std::string::npos)
            << name << ": " << line << "\n"
            << refused.err;
        ++lines;
      }
    }
  }
  EXPECT_GE(lines, 30);
}

}  // namespace
}  // namespace hardmoe
