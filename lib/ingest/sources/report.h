// What sources were found to be and to contain besides images, for people.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/json.h"

namespace hardmoe {

/// Things of one kind that are neither images nor belong to one.
struct PassedOver {
  int64_t count = 0;
  std::vector<std::string> examples;  ///< the first three
};

/// What was found when a source was opened.
struct SourceReport {
  std::vector<std::string> facts;     ///< "tags: column 'labels', separated by ';'", for --dry-run
  std::vector<std::string> warnings;  ///< logged once a run; the ingest continues
  std::map<std::string, PassedOver> passed_over;  ///< by kind; counted in the ingest's table

  /// Counts one more thing. Beyond 64 kinds, further ones are counted together.
  void pass_over(const std::string& kind, const std::string& example);
  /// Adds what another source, called `name`, passed over and warned of; equal warnings only once.
  void add(const SourceReport& other, const std::string& name);
  void tell_warnings() const;
  /// Throws Error naming everything that was passed over, if anything was.
  void refuse_passed_over() const;
};

/// Returns one line for each kind, such as "\n  3 '.md' files (README.md, …)".
std::string passed_over_text(const std::map<std::string, PassedOver>& passed_over);

/// Returns the warnings and what was passed over as JSON, without the facts.
Json to_json(const SourceReport& report);
/// Parses to_json's result. Throws Error naming `where`, its file, for other JSON.
SourceReport report_from(const Json& json, const std::string& where);
/// Returns {kind: {"count", "examples"}}.
Json to_json(const std::map<std::string, PassedOver>& passed_over);
/// Parses it, as the field "passed_over" of `json`, which may be absent. Throws Error naming `where`
/// for other JSON.
std::map<std::string, PassedOver> passed_over_from(const Json& json, const std::string& where);

}  // namespace hardmoe
