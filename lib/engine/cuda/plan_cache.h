// Chosen plans on disk, so that the next start need not try them again. One small file a plan; any
// number of processes may read and write at once.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

namespace hardmoe::cuda {

/// $XDG_CACHE_HOME/hardmoe/plans, else ~/.cache/hardmoe/plans; empty if neither is known.
std::filesystem::path plan_cache_folder();

class PlanCache {
 public:
  /// Nothing is kept where `folder` is empty or cannot be written: a log line says so once.
  explicit PlanCache(std::filesystem::path folder) : folder_(std::move(folder)) {}

  /// What was stored under `key`. A damaged file counts as none and a log line names it.
  std::optional<std::string> find(const std::string& key) const;
  void store(const std::string& key, std::string_view plan);
  std::filesystem::path file_of(const std::string& key) const;

 private:
  std::filesystem::path folder_;
};

}  // namespace hardmoe::cuda
