// What every command shares: --config, --set, --threads, --quiet, --version, one catch, one exit
// status. Each apps/moe-*.cpp adds its own options and a body.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <string>
#include <vector>

#include "tasks/config.h"

namespace hardmoe {

class Command {
 public:
  Command(std::string name, std::string description);

  CLI::App& cli() { return cli_; }
  Config& config() { return config_; }

  /// A long option that is short for `--set KEY=VALUE`; its help, type and default are the key's.
  void setting(const std::string& option, const std::string& key);
  /// A switch that is short for `--set KEY=true`.
  void flag(const std::string& option, const std::string& key);
  /// `--force`, for commands that write a stage, and that they resume.
  void stage_options(bool& force, const std::string& help =
                                      "Where --out holds the result of other inputs: "
                                      "remove it and begin again from nothing");
  /// `--device`, for commands that compute.
  void device_option();

  /// The configuration file is an argument of the command itself, not --config. `file` is read by
  /// run().
  void config_from(const std::string& file);

  /// Parses, reads the configuration, runs the body, and turns errors into a sentence on stderr and
  /// an exit status. Returns it.
  int run(int argc, char** argv, const std::function<void()>& body);

 private:
  struct Setting {
    std::string option, key, value;
  };
  void read_config();

  CLI::App cli_;
  Config config_;
  std::string config_file_;
  const std::string* config_argument_ = nullptr;
  std::vector<std::string> overrides_;
  std::vector<std::unique_ptr<Setting>> settings_;
  int threads_ = 0;
  bool quiet_ = false;
};

}  // namespace hardmoe
