#include "train/checkpoint.h"

#include "base/error.h"
#include "base/json.h"

namespace hardmoe {
namespace {
constexpr std::string_view weights_prefix = "weights.";
constexpr std::string_view optimizer_prefix = "optimizer.";

StateDict under(const StateDict& all, std::string_view prefix) {
  StateDict part;
  for (const auto& [name, tensor] : all) {
    if (name.starts_with(prefix)) part.emplace(name.substr(prefix.size()), tensor);
  }
  return part;
}
}  // namespace

std::filesystem::path checkpoint_file(const std::filesystem::path& folder) {
  return folder / "checkpoint.safetensors";
}

void save_checkpoint(const std::filesystem::path& file, const Program& program,
                     const Position& position) {
  StateDict all;
  for (auto& [name, tensor] : program.weights())
    all.emplace(std::string(weights_prefix) + name, tensor);
  for (auto& [name, tensor] : program.optimizer_state()) {
    all.emplace(std::string(optimizer_prefix) + name, tensor);
  }
  const Json json = {{"step", position.step},
                     {"loss_sum", position.loss_sum},
                     {"loss_steps", position.loss_steps},
                     {"last_loss", position.last_loss},
                     {"seconds", position.seconds}};
  save_safetensors(file, all, {{"position", json.dump()}});
}

std::optional<Position> load_checkpoint(const std::filesystem::path& file, Program& program) {
  if (!std::filesystem::exists(file)) return std::nullopt;
  Metadata metadata;
  const StateDict all = load_safetensors(file, &metadata);
  const std::string where = file.string();
  if (!metadata.contains("position")) {
    fail("{}: is no checkpoint of a training run; remove it to begin anew", where);
  }
  const Json json = parse_json(metadata["position"], where);
  Position position{
      json_get<int64_t>(json, "step", where), json_get<double>(json, "loss_sum", where),
      json_get<int64_t>(json, "loss_steps", where), json_get<double>(json, "last_loss", where),
      json_get<double>(json, "seconds", where)};
  program.load_weights(under(all, weights_prefix), where);
  program.load_optimizer_state(under(all, optimizer_prefix), where);
  return position;
}

}  // namespace hardmoe
