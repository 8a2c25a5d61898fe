// Members of a WebDataset tar gathered into samples: an image, and what says its tags. For
// source_webdataset.cpp.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "ingest/sources/source.h"

namespace hardmoe {

/// Where a member's bytes are.
struct MemberPlace {
  int64_t offset = 0;
  int64_t size = -1;    ///< -1: there is no such member, or …
  int32_t broken = -1;  ///< … it is that one of TarIndex::links, which leads to no file
  bool exists() const { return size >= 0 || broken >= 0; }
};

/// What a member may be to its sample.
enum class SampleField { image, json, text, label };
inline constexpr size_t sample_fields = 4;

struct Sample {
  std::string key;
  std::array<MemberPlace, sample_fields> fields;
  bool is_repeat = false;  ///< a second member for the same field of the same key
  const MemberPlace& operator[](SampleField field) const {
    return fields[static_cast<size_t>(field)];
  }
  MemberPlace& operator[](SampleField field) { return fields[static_cast<size_t>(field)]; }
  bool has_tags() const;
};

/// Names like webdataset's writer makes them: KEY.EXTENSION, the key perhaps with dots. A member
/// belongs to the sample of its name up to the extension ("b.v2.jpg", "b.v2.txt"; also
/// "x.jpg.json"); one that finds no counterpart there to the one whose key its name begins with
/// ("s.input.jpg", "s.outputs.txt"), if that leaves one image and one text of each kind.
class SampleGatherer {
 public:
  /// `image_field`, `tag_field`: what the names of images and of tags end in, without the dot; "":
  /// any extension of images; json, txt and cls.
  SampleGatherer(std::string image_field, std::string tag_field);

  /// Whether the name alone says that the member is an image or tags.
  static bool tells_field(const std::string& name);
  /// `is_image`: by its content, where its name does not tell. Counts what is passed over.
  void add(const std::string& name, MemberPlace place, bool is_image, SourceReport& report);

  /// The samples, by their first member; what could go together in several ways is passed over.
  std::vector<Sample> finish(SourceReport& report);

 private:
  struct Member {
    std::string name, key;
    SampleField field;
    MemberPlace place;
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
