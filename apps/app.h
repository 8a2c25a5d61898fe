// What every command shares: --config, --set, --threads, --quiet, --log-format, --version, one catch,
// one exit status. Each apps/moe-*.cpp adds its own options, its examples and a body.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "guide.h"
#include "tasks/config.h"
#include "usage.h"

namespace hardmoe {

class Command {
 public:
  Command(std::string name, std::string description);

  CLI::App& cli() { return cli_; }
  Config& config() { return config_; }

  /// An option, or an argument, that is short for `--set KEY=VALUE`; its help, type and default are
  /// the key's. For a key that is a list it takes several values.
  CLI::Option* setting(const std::string& option, const std::string& key);
  /// A switch that is short for `--set KEY=VALUE`.
  void flag(const std::string& option, const std::string& key, const std::string& value = "true");
  /// Refuses an option of earlier versions. `instead`: a clause that says what to write.
  void renamed(const std::string& option, const std::string& instead);
  /// The argument DATASET.
  void dataset_argument(std::string& folder);
  /// `--out`, required; `what`: the command writes there.
  CLI::Option* out_option(std::string& folder, const std::string& what);
  /// `--force`, for commands that write a stage, and that they resume.
  void stage_options(bool& force, const std::string& help = "remove the result in --out first");
  /// `--device`, for commands that compute.
  void device_option();

  /// Sections that the command reads ("base", "base.augment"): --help lists those of their keys that
  /// have no option.
  void reads(std::vector<std::string> sections) { sections_ = std::move(sections); }
  /// A command line that --help ends with; a test parses it. From the command's name on it may have
  /// its arguments alone: what feeds a pipe stands before.
  void example(std::string line) { examples_.push_back(std::move(line)); }

  /// The configuration file is an argument of the command itself, not --config. `file` is read by
  /// run().
  void config_from(const std::string& file);

  /// Parses, reads the configuration, runs the body, and turns errors into a sentence on stderr and
  /// an exit status. Returns it.
  int run(int argc, char** argv, const std::function<void()>& body);

 private:
  struct Setting {
    std::string option, key;
    std::vector<std::string> values;
  };
  void read_config();
  /// Makes what the command requires optional, where it does something else.
  void needs_nothing();
  Guide describe() const;

  CLI::App cli_;
  Config config_;
  std::string config_file_;
  const std::string* config_argument_ = nullptr;
  std::vector<std::string> overrides_;
  std::vector<std::unique_ptr<Setting>> settings_;
  std::map<std::string, std::vector<std::string>> choices_;  // by option
  RenamedOptions renamed_;
  std::vector<std::string> sections_, examples_, option_keys_;
  std::string log_format_ = "text", manuals_;
  int threads_ = 0;
  bool quiet_ = false, resumes_ = false, print_config_ = false;
};

/// For tasks that hand their results on piece by piece.
inline void print(const std::string& text) { fmt::print("{}", text); }

}  // namespace hardmoe
