#include "engine/cuda/plan_cache.h"

#include <cstdlib>

#include "base/error.h"
#include "base/files.h"
#include "base/folders.h"
#include "base/log.h"

namespace hardmoe::cuda {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view format_name = "hardmoe plan 1";

/// Format, key, checksum, each a line; then the plan's bytes.
std::string header_of(const std::string& key, std::string_view plan) {
  return fmt::format("{}\n{}\n{}\n", format_name, key, sha256_hex(plan));
}

}  // namespace

fs::path plan_cache_folder() {
  const char* cache = std::getenv("XDG_CACHE_HOME");
  if (cache != nullptr && *cache == '/') return fs::path(cache) / "hardmoe" / "plans";
  const char* home = std::getenv("HOME");
  if (home != nullptr && *home == '/') return fs::path(home) / ".cache" / "hardmoe" / "plans";
  return {};
}

fs::path PlanCache::file_of(const std::string& key) const {
  return folder_ / (sha256_hex(key).substr(0, 32) + ".plan");
}

std::optional<std::string> PlanCache::find(const std::string& key) const {
  if (folder_.empty()) return std::nullopt;
  const fs::path file = file_of(key);
  if (path_kind(file) != PathKind::file) return std::nullopt;
  try {
    const std::string bytes = read_file(file);
    size_t end = 0;  // of the header's third line
    for (int line = 0; line < 3 && end != std::string::npos; ++line) {
      end = bytes.find('\n', end);
      if (end != std::string::npos) ++end;
    }
    if (end != std::string::npos) {
      std::string plan = bytes.substr(end);
      if (bytes.compare(0, end, header_of(key, plan)) == 0) return plan;
    }
    log_warning("{}: a damaged convolution plan; it is made anew", file.string());
  } catch (const Error& error) {
    log_warning("convolution plans are made anew: {}", error.what());
  }
  return std::nullopt;
}

void PlanCache::store(const std::string& key, std::string_view plan) {
  if (folder_.empty()) return;
  try {
    make_folders(folder_);
    write_file_atomic(file_of(key), header_of(key, plan) + std::string(plan));
  } catch (const std::exception& error) {
    log_warning("convolution plans are not kept for the next start: {}", error.what());
    folder_.clear();
  }
}

}  // namespace hardmoe::cuda
