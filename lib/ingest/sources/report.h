// What sources were found to be and to hold beside images, for people.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/json.h"

namespace hardmoe {

/// Things of one kind that are no image and belong to none.
struct PassedOver {
  int64_t count = 0;
  std::vector<std::string> examples;  ///< the first three
};

/// What a source was found to be when it was opened.
struct SourceReport {
  std::vector<std::string> facts;     ///< "tags: column 'labels', separated by ';'", for --dry-run
  std::vector<std::string> warnings;  ///< told once a run, and the ingest goes on
  std::map<std::string, PassedOver> passed_over;  ///< by kind; counted in the ingest's table

  /// Counts one thing more. Beyond 64 kinds they become one.
  void pass_over(const std::string& kind, const std::string& example);
  /// Adds what another source, `name`, passed over and warns of; the same warning once only.
  void add(const SourceReport& other, const std::string& name);
  void tell_warnings() const;
  /// Throws Error naming everything that was passed over, if anything was.
  void refuse_passed_over() const;
};

/// "\n  3 '.md' files (README.md, …)" a kind.
std::string passed_over_text(const std::map<std::string, PassedOver>& passed_over);

/// Warnings and what was passed over; facts are left out.
Json to_json(const SourceReport& report);
/// Throws Error for JSON that to_json() does not make.
SourceReport report_from(const Json& json);
/// {kind: {"count", "examples"}}.
Json to_json(const std::map<std::string, PassedOver>& passed_over);
std::map<std::string, PassedOver> passed_over_from(const Json& json);

}  // namespace hardmoe
