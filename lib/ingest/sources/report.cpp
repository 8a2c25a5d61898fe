#include "ingest/sources/report.h"

#include <algorithm>

#include "base/error.h"
#include "base/json_field.h"
#include "base/log.h"
#include "base/text.h"

namespace hardmoe {
namespace {

constexpr size_t most_examples = 3;
constexpr size_t most_kinds = 64;
constexpr size_t most_warnings = 32;

PassedOver& kind_in(std::map<std::string, PassedOver>& kinds, const std::string& kind) {
  const bool known = kinds.contains(kind) || kinds.size() < most_kinds;
  return kinds[known ? kind : "of other kinds"];
}

}  // namespace

void SourceReport::pass_over(const std::string& kind, const std::string& example) {
  PassedOver& passed = kind_in(passed_over, kind);
  ++passed.count;
  if (passed.examples.size() < most_examples) passed.examples.push_back(example);
}

void SourceReport::add(const SourceReport& other, const std::string& name) {
  for (const auto& [kind, there] : other.passed_over) {
    PassedOver& passed = kind_in(passed_over, kind);
    passed.count += there.count;
    for (const auto& example : there.examples) {
      if (passed.examples.size() < most_examples) passed.examples.push_back(example);
    }
  }
  for (const auto& warning : other.warnings) {
    const auto ends = [&](const std::string& told) { return told.ends_with(": " + warning); };
    if (std::any_of(warnings.begin(), warnings.end(), ends)) continue;
    if (warnings.size() < most_warnings) warnings.push_back(fmt::format("{}: {}", name, warning));
  }
}

void SourceReport::tell_warnings() const {
  for (const auto& warning : warnings) log_warning("{}", warning);
}

void SourceReport::refuse_passed_over() const {
  if (passed_over.empty()) return;
  fail("passed over, which --strict makes an error:{}", passed_over_text(passed_over));
}

std::string passed_over_text(const std::map<std::string, PassedOver>& passed_over) {
  std::string text;
  for (const auto& [kind, passed] : passed_over) {
    const bool more = passed.count > static_cast<int64_t>(passed.examples.size());
    text += fmt::format("\n  {} × {} ({}{})", passed.count, kind, join(passed.examples, ", "),
                        more ? ", …" : "");
  }
  return text;
}

Json to_json(const std::map<std::string, PassedOver>& passed_over) {
  Json json = Json::object();
  for (const auto& [kind, passed] : passed_over) {
    json[kind] = {{"count", passed.count}, {"examples", passed.examples}};
  }
  return json;
}

std::map<std::string, PassedOver> passed_over_from(const Json& json, const std::string& where) {
  std::map<std::string, PassedOver> passed_over;
  if (!json.contains("passed_over")) return passed_over;
  for (const auto& [kind, entry] : json_object(json, "passed_over", where).items()) {
    passed_over[kind] = {json_get<int64_t>(entry, "count", where),
                         json_get<std::vector<std::string>>(entry, "examples", where)};
  }
  return passed_over;
}

Json to_json(const SourceReport& report) {
  return {{"warnings", report.warnings}, {"passed_over", to_json(report.passed_over)}};
}

SourceReport report_from(const Json& json, const std::string& where) {
  SourceReport report;
  report.warnings = json_get<std::vector<std::string>>(json, "warnings", where);
  report.passed_over = passed_over_from(json, where);
  return report;
}

}  // namespace hardmoe
