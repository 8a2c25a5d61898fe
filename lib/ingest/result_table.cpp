#include "base/error.h"
#include "base/json_field.h"
#include "base/text.h"
#include "ingest/ingest.h"
#include "ingest/sources/report.h"
#include "ingest/sources/source.h"

namespace hardmoe {

std::string ingest_table(const Json& counts, const std::filesystem::path& out) {
  const std::string where = (out / "stage.json").string();
  const Json& splits = json_object(counts, "splits", where);
  std::vector<std::vector<std::string>> rows{{""}, {"images read"}, {"images kept"}};
  const auto number = [&](const Json& split, const char* key) {
    return fmt::format("{}", json_get<int64_t>(split, key, where));
  };
  for (const auto& [name, split] : splits.items()) {
    rows[0].push_back(name);
    rows[1].push_back(number(split, "read"));
    rows[2].push_back(number(split, "images"));
  }
  bool rejected = false;
  for (size_t r = 1; r < rejection_names.size(); ++r) {
    const bool asked_for = static_cast<Rejection>(r) == Rejection::not_sampled;
    std::vector<std::string> row{
        fmt::format("  {}{}", asked_for ? "" : "rejected: ", rejection_names[r])};
    bool any = false;
    for (const auto& [name, split] : splits.items()) {
      const auto count = json_get_or(json_object(split, "rejected", where),
                                     std::string(rejection_names[r]).c_str(), int64_t{0}, where);
      row.push_back(fmt::format("{}", count));
      any = any || count > 0;
    }
    if (any) rows.push_back(std::move(row));
    rejected = rejected || (any && !asked_for);
  }
  rows.push_back({"tags on images, read"});
  rows.push_back({"tags on images, kept"});
  rows.push_back({"truth tags, kept"});
  for (const auto& [name, split] : splits.items()) {
    rows[rows.size() - 3].push_back(number(split, "tags_before"));
    rows[rows.size() - 2].push_back(number(split, "tags"));
    rows[rows.size() - 1].push_back(number(split, "truth"));
  }
  std::string text = format_table(rows);
  std::vector<std::string> top;
  for (const auto& tag : json_get<std::vector<Json>>(counts, "top_tags", where)) {
    const auto images = json_get<int64_t>(tag, "images", where);
    if (images == 0) continue;
    top.push_back(fmt::format("{} {}", json_get<std::string>(tag, "tag", where), images));
  }
  const auto vocabulary = json_get<int64_t>(counts, "vocabulary", where);
  const auto distinct = json_get<int64_t>(counts, "distinct_tags", where);
  const bool given = json_get_or(counts, "given_vocabulary", false, where);
  const auto dropped = json_get_or(counts, "dropped_tags", int64_t{0}, where);
  if (given) {
    text += fmt::format("vocabulary: {} tags as given, {} of them here{}\n", vocabulary,
                        distinct - dropped, top.empty() ? "" : ", first " + join(top, ", "));
  } else {
    text +=
        fmt::format("vocabulary: {} of {} tags, first {}\n", vocabulary, distinct, join(top, ", "));
  }
  if (dropped > 0) {
    text +=
        fmt::format("dropped, as the given vocabulary lacks them: {} tags, {} times on images\n",
                    dropped, json_get_or(counts, "dropped_tag_uses", int64_t{0}, where));
  }
  const auto passed_over = passed_over_from(counts, where);
  if (!passed_over.empty()) {
    text += fmt::format("passed over:{}\n", passed_over_text(passed_over));
  }
  if (rejected) text += fmt::format("rejected items: {}\n", (out / "rejected.jsonl").string());
  if (!splits.contains("val") && given) {
    text += "to evaluate a model on these images: moe-eval … --split train\n";
  } else if (!splits.contains("val")) {
    text +=
        "no split 'val' to evaluate on: --val-fraction 0.1 or --val-source SOURCE makes one (of "
        "CIFAR, MNIST and the like, their folder again)\n";
  }
  return text;
}

}  // namespace hardmoe
