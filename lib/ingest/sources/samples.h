// Gathers the members of a WebDataset tar into samples: an image and the members that hold its
// tags. For webdataset.cpp.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "ingest/sources/source.h"

namespace hardmoe {

/// Where a member's bytes are in the tar.
struct MemberLocation {
  int64_t offset = 0;
  int64_t size = -1;    ///< -1: there is no such member, or its bytes are missing:
  int32_t broken = -1;  ///< the index in TarIndex::links of a link that leads to no file
  bool exists() const { return size >= 0 || broken >= 0; }
};

/// The role of a member in its sample.
enum class SampleField { image, json, text, label };
inline constexpr size_t sample_fields = 4;

/// The members that share a key.
struct Sample {
  std::string key;
  std::array<MemberLocation, sample_fields> fields;
  bool is_repeat = false;  ///< a second member for the same field of the same key
  const MemberLocation& operator[](SampleField field) const {
    return fields[static_cast<size_t>(field)];
  }
  MemberLocation& operator[](SampleField field) { return fields[static_cast<size_t>(field)]; }
  bool has_tags() const;
};

/// Gathers members by their names, which webdataset writes as KEY.EXTENSION; keys may contain dots.
/// A member belongs to the sample of its name up to the extension ("b.v2.jpg", "b.v2.txt"; also
/// "x.jpg.json"). A member without counterpart there belongs to the sample whose key its name
/// begins with ("s.input.jpg", "s.outputs.txt"), if that leaves one image and one text of each
/// kind.
class SampleGatherer {
 public:
  /// `image_field`, `tag_field`: the ends of the names of images and of tags, without the dot; "":
  /// any image extension; json, txt and cls.
  SampleGatherer(std::string image_field, std::string tag_field);

  /// Returns whether the name alone tells that the member is an image or tags.
  static bool tells_field(const std::string& name);
  /// Adds a member. `is_image`: by its content, if its name does not tell. Counts in `report` what
  /// is passed over.
  void add(const std::string& name, MemberLocation location, bool is_image, SourceReport& report);

  /// Returns the samples in the order of their first members. Members that could belong together in
  /// several ways are passed over.
  std::vector<Sample> finish(SourceReport& report);

 private:
  struct Member {
    std::string name, key;
    SampleField field;
    MemberLocation location;
  };
  struct Gathered {
    Sample sample;
    size_t first;  ///< its first member
    std::vector<size_t> members;
    bool gone = false;
  };

  bool choose_field(const std::string& name, std::string& key, SampleField& field,
                    bool is_image) const;
  Gathered& gathered_at(const std::string& key, size_t first);
  void gather(size_t number);
  std::string owner_of(const std::string& key) const;
  void join_families(SourceReport& report);
  void settle(const std::string& owner, const std::vector<size_t>& extras, SourceReport& report);
  void pass_over(size_t gathered, const std::string& kind, SourceReport& report);

  std::string image_field_, tag_field_;
  std::vector<Member> members_;
  std::vector<Gathered> gathered_;
  std::unordered_map<std::string, size_t> by_key_;
  std::vector<Sample> repeats_;
};

}  // namespace hardmoe
