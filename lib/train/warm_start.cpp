#include "train/warm_start.h"

#include <algorithm>
#include <unordered_map>

#include "base/text.h"
#include "nn/sparse.h"
#include "train/model_folder.h"

namespace hardmoe {

std::string begin_with(const EarlierWeights& earlier, const Vocabulary& vocabulary,
                       StateDict& weights) {
  int64_t trunk = 0;
  for (const auto& [name, tensor] : earlier.tensors) {
    if (name.starts_with("fc.") || is_gate_state(name)) continue;
    weights.insert_or_assign(name, tensor.clone());
    ++trunk;
  }
  std::string text =
      fmt::format("begins with {}: all {} tensors of the trunk; ", earlier.file.string(), trunk);
  if (earlier.vocabulary.empty()) {
    return text + fmt::format("fc begins fresh, with a row for each of {} tags", vocabulary.size());
  }
  const bool same = earlier.vocabulary == vocabulary_hash(vocabulary);
  const auto& tags = same ? vocabulary.tags : earlier.tags;
  if (tags.empty()) {
    return text + fmt::format(
                      "fc begins fresh, with a row for each of {} tags: the model's folder "
                      "has no {} and is of another vocabulary",
                      vocabulary.size(), model_tags_name);
  }
  std::unordered_map<std::string_view, size_t> rows;
  for (size_t row = 0; row < tags.size(); ++row) rows.emplace(tags[row], row);
  const Tensor& from_weight = require_tensor(earlier.tensors, "fc.weight", earlier.file.string());
  const Tensor& from_bias = require_tensor(earlier.tensors, "fc.bias", earlier.file.string());
  const auto width = static_cast<size_t>(from_weight.size(1));
  const auto weight = weights.at("fc.weight").as<float>(), bias = weights.at("fc.bias").as<float>();
  std::vector<std::string> fresh;
  for (size_t id = 0; id < vocabulary.tags.size(); ++id) {
    const auto row = rows.find(vocabulary.tags[id]);
    if (row == rows.end()) {
      fresh.push_back(vocabulary.tags[id]);
      continue;
    }
    std::ranges::copy(from_weight.as<float>().subspan(row->second * width, width),
                      weight.begin() + static_cast<std::ptrdiff_t>(id * width));
    bias[id] = from_bias.as<float>()[row->second];
  }
  text += fmt::format("fc keeps the rows of {} of {} tags", vocabulary.tags.size() - fresh.size(),
                      vocabulary.tags.size());
  if (fresh.empty()) return text;
  const size_t shown = std::min<size_t>(fresh.size(), 8);
  const std::string more = shown < fresh.size() ? ", …" : "";
  return text + fmt::format(
                    ", {} begin fresh: {}{}", fresh.size(),
                    join({fresh.begin(), fresh.begin() + static_cast<std::ptrdiff_t>(shown)}, ", "),
                    more);
}

}  // namespace hardmoe
