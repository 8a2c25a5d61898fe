#include "tensor/saved_state.h"

#include "base/crc32c.h"
#include "base/error.h"
#include "base/folders.h"
#include "base/json.h"
#include "base/log.h"
#include "base/recorded.h"

namespace hardmoe {
namespace fs = std::filesystem;
namespace {

constexpr const char* identity_key = "run";
constexpr const char* checksum_key = "crc32c";

fs::path beside(const fs::path& file, const char* word) {
  fs::path name = file.stem();
  name += word;
  name += file.extension();
  return file.parent_path() / name;
}

fs::path state_next(const fs::path& file) { return beside(file, ".next"); }

/// Returns the CRC-32C of everything the state holds, whatever the header's layout.
std::string checksum_of(const SavedState& state) {
  Json description = Json::object();
  for (const auto& [key, text] : state.metadata) {
    if (key != checksum_key) description["metadata"][key] = text;
  }
  for (const auto& [name, tensor] : state.tensors) {
    description["tensors"][name] = {name_of(tensor.dtype()), tensor.shape()};
  }
  uint32_t crc = crc32c(description.dump(-1, ' ', false, Json::error_handler_t::replace));
  for (const auto& [name, tensor] : state.tensors) {
    crc = crc32c(tensor.data(), tensor.bytes(), crc);
  }
  return format_crc32c(crc);
}

/// Reads a state. Throws Error if it is damaged.
SavedState load_whole(const fs::path& file) {
  SavedState state;
  state.tensors = load_safetensors(file, &state.metadata);
  const auto recorded = state.metadata.find(checksum_key);
  if (recorded == state.metadata.end() || !state.metadata.contains(identity_key)) {
    fail("{}: not a checkpoint", file.string());
  }
  const std::string found = checksum_of(state);
  if (found != recorded->second) {
    fail("{}: damaged: the CRC-32C of its contents is {}, expected {} as recorded", file.string(),
         found, recorded->second);
  }
  return state;
}

}  // namespace

fs::path state_before(const fs::path& file) { return beside(file, ".before"); }

void save_state(const fs::path& file, const SavedState& state, const std::string& identity) {
  SavedState sealed = state;  // a copy that shares the tensors' storage
  sealed.metadata[identity_key] = identity;
  sealed.metadata[checksum_key] = checksum_of(sealed);
  save_safetensors(state_next(file), sealed.tensors, sealed.metadata);
  if (path_exists(file)) rename_file(file, state_before(file));
  rename_file(state_next(file), file);
}

std::optional<SavedState> load_state(const fs::path& file, const std::string& identity) {
  std::string damage;
  for (const fs::path& candidate : {file, state_before(file)}) {
    if (!path_exists(candidate)) continue;
    SavedState state;
    try {
      state = load_whole(candidate);
    } catch (const Error& error) {
      damage += (damage.empty() ? "" : "; ") + std::string(error.what());
      continue;
    }
    if (state.metadata[identity_key] != identity) {
      log_warning("{}: was saved by a run with other inputs; not resuming from it",
                  candidate.string());
      continue;
    }
    if (!damage.empty()) {
      log_warning("{}; resuming from {}, which was saved before it", damage, candidate.string());
    }
    return state;
  }
  if (!damage.empty()) {
    fail("{}; no undamaged one is left: remove the damaged ones to begin anew", damage);
  }
  return std::nullopt;
}

void remove_states(const fs::path& file) {
  for (const fs::path& name : {file, state_before(file), state_next(file)}) remove_file(name);
}

}  // namespace hardmoe
