#include "run/frozen_config.h"

#include "base/error.h"
#include "base/files.h"
#include "base/folders.h"
#include "base/text.h"

namespace hardmoe {
namespace fs = std::filesystem;
namespace {

/// Returns how the file's settings differ from `config` where results depend on them.
std::vector<std::string> differences(const fs::path& file, Config& config) {
  Config there;
  load_yaml(file, fields_of(there));
  return json_differences(results_config(there), results_config(config));
}

/// Returns whether the file asks for the same results; a file that cannot be read does not.
bool asks_for_the_same(const fs::path& file, Config& config) {
  try {
    return differences(file, config).empty();
  } catch (const Error&) {
    return false;
  }
}

}  // namespace

Json results_config(Config& config) {
  Json all = config_json(fields_of(config));
  for (const char* section : {"device", "slurm"}) all.erase(section);
  for (const char* key : {"parallel", "keep_going", "retries", "gpus"}) all["run"].erase(key);
  return all;
}

FrozenConfig::FrozenConfig(const fs::path& out, Config& config)
    : file_(out / "config.yaml"), lock_(out / ".lock") {
  if (path_exists(file_)) before_ = read_file(file_);
  // Where others work on the run they have written it.
  if (lock_.is_alone() && !asks_for_the_same(file_, config)) {
    write_file_atomic(file_, config_yaml(fields_of(config)));
    written_ = true;
  }
  lock_.share();
  const auto found = differences(file_, config);
  if (found.empty()) return;
  fail_usage(
      "{}: {} works on this run by another configuration; wait for it or stop it, or choose "
      "another --out:{}",
      out.string(), lock_.before(), indented_list(found));
}

void FrozenConfig::undo() {
  if (!written_ || before_.empty()) return;
  written_ = false;
  write_file_atomic(file_, before_);
}

}  // namespace hardmoe
