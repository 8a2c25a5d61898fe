// Manual pages and completion, by the programs that read them.
#include "outside.h"
#include "pipeline/commands.h"

namespace hardmoe {
namespace {

/// What the commands tell of themselves, below share/ of a folder.
class Manuals : public testing::Test {
 protected:
  void write(const std::string& command) {
    output_of(folder_.path(), command + " --write-manuals share");
  }

  /// Runs `check` on each command's file in a folder below share/; each ends with status 0 and says
  /// nothing.
  void expect_accepted(const std::string& check, const fs::path& below) {
    int commands = 0, files = 0;
    for (const auto& name : command_names()) {
      write(name);
      ++commands;
    }
    for (const auto& entry : fs::directory_iterator(folder_.path() / "share" / below)) {
      const Outcome outcome = run(folder_.path(), check + " '" + entry.path().string() + "'");
      EXPECT_EQ(outcome.status, 0) << entry.path();
      EXPECT_EQ(outcome.out + outcome.err, "") << entry.path();
      ++files;
    }
    EXPECT_EQ(files, commands);
  }

  /// What bash offers for the words, the last of which is being typed.
  std::string bash_offers(const std::string& command, const std::string& words, int typed) {
    std::string function = "_" + command;
    std::ranges::replace(function, '-', '_');
    const std::string line = fmt::format(
        "bash -c '. share/bash-completion/completions/{0}; COMP_WORDS=({0} {1}); COMP_CWORD={2}; "
        "{3}; echo \"${{COMPREPLY[@]}}\"'",
        command, words, typed, function);
    return std::string(trim(output_of(folder_.path(), line)));
  }

  std::string fish_offers(const std::string& command, const std::string& line) {
    return output_of(folder_.path(),
                     fmt::format("fish --no-config -c 'source share/fish/vendor_completions.d/"
                                 "{0}.fish; complete -C \"{0} {1}\"'",
                                 command, line));
  }

  const TemporaryFolder folder_;
};

TEST_F(Manuals, PagesHaveNoWarningsOfMandoc) {
  const Outside mandoc = program_on_path("mandoc", "mandoc");
  if (!mandoc.missing.empty()) GTEST_SKIP() << mandoc.missing;
  expect_accepted("mandoc -T lint", "man/man1");
}

TEST_F(Manuals, PagesHaveNoWarningsOfGroff) {
  const Outside groff = program_on_path("groff", "groff-base");
  if (!groff.missing.empty()) GTEST_SKIP() << groff.missing;
  expect_accepted("groff -ww -man -Tutf8 -z", "man/man1");
}

TEST_F(Manuals, PagesAreTheSameOnADay) {
  const auto page = [&](const std::string& folder) {
    output_of(folder_.path(), "SOURCE_DATE_EPOCH=86400 moe-eval --write-manuals " + folder);
    return read_file(folder_.path() / folder / "man/man1/moe-eval.1");
  };
  EXPECT_EQ(page("one"), page("two"));
  EXPECT_NE(page("one").find(".TH MOE\\-EVAL 1 1970-01-02"), std::string::npos) << page("one");
}

TEST_F(Manuals, BashCompletesOptionsChoicesKeysAndFiles) {
  const Outside bash = program_on_path("bash", "bash");
  if (!bash.missing.empty()) GTEST_SKIP() << bash.missing;
  for (const char* command : {"moe-eval", "moe-partition", "moe-run"}) write(command);
  std::ofstream(folder_.path() / "embedding.npy");
  EXPECT_EQ(bash_offers("moe-partition", "--meth", 1), "--method");
  EXPECT_EQ(bash_offers("moe-partition", "--method \"\"", 2), "kmeans random top-tag");
  EXPECT_EQ(bash_offers("moe-partition", "--method = r", 3), "random") << "as --method=r is parted";
  EXPECT_EQ(bash_offers("moe-partition", "--set partition.wh", 2), "partition.whiten=");
  EXPECT_EQ(bash_offers("moe-partition", "--set partition.whiten =", 3), "true false");
  EXPECT_EQ(bash_offers("moe-partition", "embed", 1), "embedding.npy");
  EXPECT_EQ(bash_offers("moe-partition", "--out embed", 2), "embedding.npy");
  EXPECT_EQ(bash_offers("moe-partition", "--num-experts \"\"", 2), "") << "a number";
  EXPECT_EQ(bash_offers("moe-run", "--set base.optim", 2), "base.optimizer=");
  EXPECT_EQ(bash_offers("moe-run", "--set run.levers = r", 4), "reroute router");
  EXPECT_EQ(bash_offers("moe-eval", "--write", 1), "") << "the build's own";
}

TEST_F(Manuals, FishCompletesOptionsChoicesKeysAndFiles) {
  const Outside fish = program_on_path("fish", "fish");
  if (!fish.missing.empty()) GTEST_SKIP() << fish.missing;
  for (const char* command : {"moe-partition", "moe-run"}) write(command);
  std::ofstream(folder_.path() / "embedding.npy");
  EXPECT_TRUE(fish_offers("moe-partition", "--meth").starts_with("--method\t"));
  EXPECT_TRUE(fish_offers("moe-partition", "--method ra").starts_with("random\t"));
  EXPECT_TRUE(fish_offers("moe-run", "--set base.optimizer=a").starts_with("base.optimizer=adamw"));
  EXPECT_EQ(fish_offers("moe-partition", "--out embed"), "embedding.npy\n");
}

TEST_F(Manuals, FishReadsItsScripts) {
  const Outside fish = program_on_path("fish", "fish");
  if (!fish.missing.empty()) GTEST_SKIP() << fish.missing;
  expect_accepted("fish --no-config -n", "fish/vendor_completions.d");
}

TEST_F(Manuals, ZshReadsItsScripts) {
  const Outside zsh = program_on_path("zsh", "zsh");
  if (!zsh.missing.empty()) GTEST_SKIP() << zsh.missing;
  expect_accepted("zsh -f -n", "zsh/site-functions");
}

}  // namespace
}  // namespace hardmoe
