#include "train/checkpoint.h"

#include "base/error.h"
#include "base/json.h"
#include "tensor/saved_state.h"

namespace hardmoe {
namespace {
constexpr std::string_view weights_prefix = "weights.";
constexpr std::string_view optimizer_prefix = "optimizer.";
constexpr std::string_view best_prefix = "best.";

StateDict under(const StateDict& all, std::string_view prefix) {
  StateDict part;
  for (const auto& [name, tensor] : all) {
    if (name.starts_with(prefix)) part.emplace(name.substr(prefix.size()), tensor);
  }
  return part;
}

void add(std::string_view prefix, const StateDict& tensors, StateDict& all) {
  for (const auto& [name, tensor] : tensors) all.emplace(std::string(prefix) + name, tensor);
}
}  // namespace

std::filesystem::path checkpoint_file(const std::filesystem::path& folder) {
  return folder / "checkpoint.safetensors";
}

void save_checkpoint(const std::filesystem::path& file, const Program& program,
                     const Position& position, const std::string& run) {
  StateDict all;
  add(weights_prefix, program.weights(), all);
  add(optimizer_prefix, program.optimizer_state(), all);
  Json json = {{"step", position.step},
               {"loss_sum", position.loss_sum},
               {"loss_steps", position.loss_steps},
               {"last_loss", position.last_loss},
               {"seconds", position.seconds}};
  if (position.each_loss_sum.size() > 1) json["each_loss_sum"] = position.each_loss_sum;
  if (const BestWeights& best = position.best; best.judged_at > 0) {
    add(best_prefix, best.weights, all);
    json["best"] = {{"judged_at", best.judged_at}, {"step", best.step}, {"loss", best.loss}};
  }
  save_state(file, {std::move(all), {{"position", json.dump()}}}, run);
}

std::optional<Position> load_checkpoint(const std::filesystem::path& file, Program& program,
                                        const std::string& run) {
  auto saved = load_state(file, run);
  if (!saved) return std::nullopt;
  auto& [all, metadata] = *saved;
  const std::string where = file.string();
  if (!metadata.contains("position")) {
    fail("{}: not a checkpoint of a training run; remove it to begin anew", where);
  }
  const Json json = parse_json(metadata["position"], where);
  Position position{
      json_get<int64_t>(json, "step", where), json_get<double>(json, "loss_sum", where),
      json_get<int64_t>(json, "loss_steps", where), json_get<double>(json, "last_loss", where),
      json_get<double>(json, "seconds", where)};
  if (json.contains("each_loss_sum")) {
    position.each_loss_sum = json_get<std::vector<double>>(json, "each_loss_sum", where);
  }
  if (json.contains("best")) {
    const Json best = json_get<Json>(json, "best", where);
    position.best = {json_get<int64_t>(best, "judged_at", where),
                     json_get<int64_t>(best, "step", where), json_get<double>(best, "loss", where),
                     under(all, best_prefix)};
  }
  program.load_weights(under(all, weights_prefix), where);
  program.load_optimizer_state(under(all, optimizer_prefix), where);
  return position;
}

void remove_checkpoints(const std::filesystem::path& folder) {
  remove_states(checkpoint_file(folder));
}

}  // namespace hardmoe
