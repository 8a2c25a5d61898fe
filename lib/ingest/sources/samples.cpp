#include "ingest/sources/samples.h"

#include <algorithm>
#include <map>
#include <optional>
#include <set>

#include "base/error.h"
#include "base/text.h"
#include "ingest/sources/kinds.h"

namespace hardmoe {
namespace {

constexpr size_t most_fields_named = 6;

size_t begin_of_base(std::string_view name) {
  const size_t slash = name.rfind('/');
  return slash == std::string_view::npos ? 0 : slash + 1;
}

/// Returns the extension after the last dot, in lower case; "" if there is none.
std::string extension_in(std::string_view name) {
  const size_t dot = name.rfind('.');
  if (dot == std::string_view::npos || dot <= begin_of_base(name)) return {};
  return lower_ascii(std::string(name.substr(dot + 1)));
}

std::string without_extension(const std::string& name) { return name.substr(0, name.rfind('.')); }

/// Returns "input.jpg" for the name "s.input.jpg" and the key "s".
std::string field_name(const std::string& name, const std::string& owner) {
  return name.size() > owner.size() ? name.substr(owner.size() + 1) : name;
}

std::optional<SampleField> field_of_tags(std::string_view extension) {
  if (extension == "json") return SampleField::json;
  if (extension == "txt") return SampleField::text;
  if (extension == "cls") return SampleField::label;
  return {};
}

bool ends_in_field(const std::string& name, const std::string& field) {
  const std::string lower = lower_ascii(name);
  const size_t behind = lower.size() - std::min(lower.size(), field.size());  // where it may begin
  return behind > 0 && lower[behind - 1] == '.' && lower.substr(behind) == lower_ascii(field);
}

}  // namespace

bool Sample::has_tags() const {
  const Sample& self = *this;
  return self[SampleField::json].exists() || self[SampleField::text].exists() ||
         self[SampleField::label].exists();
}

SampleGatherer::SampleGatherer(std::string image_field, std::string tag_field)
    : image_field_(std::move(image_field)), tag_field_(std::move(tag_field)) {}

bool SampleGatherer::tells_field(const std::string& name) {
  const std::string extension = extension_in(name);
  return is_image_extension(extension) || field_of_tags(extension).has_value();
}

/// Returns whether the member is an image or tags, and sets its sample's key and field.
bool SampleGatherer::choose_field(const std::string& name, std::string& key, SampleField& field,
                                  bool is_image) const {
  const auto cut = [&](const std::string& ending) {
    return name.substr(0, name.size() - ending.size() - 1);
  };
  if (!image_field_.empty() && ends_in_field(name, image_field_)) {
    key = cut(image_field_);
    field = SampleField::image;
    return true;
  }
  if (!tag_field_.empty() && ends_in_field(name, tag_field_)) {
    key = cut(tag_field_);
    field = field_of_tags(extension_in("x." + tag_field_)).value_or(SampleField::text);
    return true;
  }
  const std::string extension = extension_in(name);
  if (image_field_.empty() && (is_image || is_image_extension(extension))) {
    // A name without known extension may be the same as its text's: "a.v2" beside "a.v2.txt".
    const bool known = is_image_extension(extension) || !by_key_.contains(name);
    key = known && !extension.empty() ? without_extension(name) : name;
    field = SampleField::image;
    return true;
  }
  const auto tags = field_of_tags(extension);
  if (!tags || !tag_field_.empty()) return false;
  key = without_extension(name);
  if (is_image_extension(extension_in(key))) key = without_extension(key);  // x.jpg.json
  field = *tags;
  return true;
}

void SampleGatherer::add(const std::string& name, MemberLocation location, bool is_image,
                         SourceReport& report) {
  const std::string base = name.substr(begin_of_base(name));
  const std::string extension = extension_in(name);
  if (base.starts_with('.')) {
    report.pass_over("hidden file", name);
    return;
  }
  if (base.ends_with("_stats.json")) {
    report.pass_over("img2dataset's statistics", name);
    return;
  }
  Member member{name, {}, SampleField::image, location};
  if (!choose_field(name, member.key, member.field, is_image)) {
    const bool chosen_against = is_image || is_image_extension(extension);
    report.pass_over(chosen_against             ? "image of another field than --image-field"
                     : field_of_tags(extension) ? "text of another field than --tag-field"
                                                : kind_of_other_file(name),
                     name);
    return;
  }
  members_.push_back(std::move(member));
  gather(members_.size() - 1);
}

SampleGatherer::Gathered& SampleGatherer::gathered_at(const std::string& key, size_t first) {
  const auto [entry, added] = by_key_.emplace(key, gathered_.size());
  if (added) gathered_.push_back({{key, {}, false}, first, {}, false});
  return gathered_[entry->second];
}

void SampleGatherer::gather(size_t number) {
  const Member& member = members_[number];
  Gathered& gathered = gathered_at(member.key, number);
  MemberLocation& location = gathered.sample[member.field];
  if (!location.exists()) {
    location = member.location;
    gathered.members.push_back(number);
    return;
  }
  Sample repeat{member.key, {}, true};
  repeat[member.field] = member.location;
  repeats_.push_back(std::move(repeat));
}

/// Returns the longest beginning of the key, up to a dot of its base name, that is a sample's key;
/// otherwise the shortest beginning; "" if there is no dot.
std::string SampleGatherer::owner_of(const std::string& key) const {
  const size_t base = begin_of_base(key);
  std::string shortest;
  for (size_t dot = key.rfind('.'); dot != std::string::npos && dot > base;
       dot = dot == 0 ? std::string::npos : key.rfind('.', dot - 1)) {
    shortest = key.substr(0, dot);
    if (by_key_.contains(shortest)) return shortest;
  }
  return shortest;
}

void SampleGatherer::join_families(SourceReport& report) {
  std::map<size_t, std::pair<std::string, std::vector<size_t>>> families;  // by their first member
  std::unordered_map<std::string, size_t> numbers;
  for (size_t g = 0; g < gathered_.size(); ++g) {
    const Sample& sample = gathered_[g].sample;
    if (sample[SampleField::image].exists() && sample.has_tags()) continue;
    const std::string owner = owner_of(sample.key);
    if (owner.empty()) continue;
    const auto [entry, added] = numbers.emplace(owner, g);
    auto& family = families[entry->second];
    family.first = owner;
    family.second.push_back(g);
  }
  for (const auto& [first, family] : families) settle(family.first, family.second, report);
}

/// Joins to their owner the `extras`: samples without image or tags whose keys begin with `owner`.
void SampleGatherer::settle(const std::string& owner, const std::vector<size_t>& extras,
                            SourceReport& report) {
  std::vector<size_t> all = extras;
  const auto known = by_key_.find(owner);
  const bool has_owner = known != by_key_.end();
  if (has_owner) all.insert(all.begin(), known->second);
  std::array<int, sample_fields> count{};
  std::set<std::string> names;
  for (const size_t g : all) {
    if (gathered_[g].gone) return;
    for (size_t f = 0; f < sample_fields; ++f) count[f] += gathered_[g].sample.fields[f].exists();
    for (const size_t m : gathered_[g].members) names.insert(field_name(members_[m].name, owner));
  }
  std::vector<std::string> shown(names.begin(), names.end());
  const bool more = shown.size() > most_fields_named;
  if (more) shown.resize(most_fields_named);
  const std::string fields = join(shown, ", ") + (more ? ", …" : "");
  const int tags = count[1] + count[2] + count[3];
  if (count[0] == 0 || tags == 0) return;  // they stay as they are
  const Sample* whole = has_owner ? &gathered_[known->second].sample : nullptr;
  if (whole != nullptr && (*whole)[SampleField::image].exists() && whole->has_tags()) {
    std::vector<std::string> read;
    for (const size_t m : gathered_[known->second].members) {
      read.push_back(field_name(members_[m].name, owner));
    }
    std::sort(read.begin(), read.end());
    for (const size_t g : extras) {
      pass_over(g,
                fmt::format("image or text beside those of its sample (of fields {} are read {})",
                            fields, join(read, ", ")),
                report);
    }
    return;
  }
  if (count[0] == 1 && std::all_of(count.begin() + 1, count.end(), [](int n) { return n <= 1; })) {
    size_t first = members_.size();
    for (const size_t g : all) first = std::min(first, gathered_[g].first);
    Sample united{owner, {}, false};
    for (const size_t g : all) {
      gathered_[g].gone = true;
      for (size_t f = 0; f < sample_fields; ++f) {
        if (gathered_[g].sample.fields[f].exists()) {
          united.fields[f] = gathered_[g].sample.fields[f];
        }
      }
    }
    gathered_.push_back({std::move(united), first, {}, false});
    return;
  }
  for (const size_t g : all) {
    pass_over(g, fmt::format("part of a sample of several images or texts (fields {})", fields),
              report);
  }
}

void SampleGatherer::pass_over(size_t gathered, const std::string& kind, SourceReport& report) {
  gathered_[gathered].gone = true;
  for (const size_t m : gathered_[gathered].members) report.pass_over(kind, members_[m].name);
  const std::string warning =
      kind + ": not read; --image-field NAME and --tag-field NAME choose among them";
  if (std::find(report.warnings.begin(), report.warnings.end(), warning) == report.warnings.end()) {
    report.warnings.push_back(warning);
  }
}

std::vector<Sample> SampleGatherer::finish(SourceReport& report) {
  join_families(report);
  std::stable_sort(gathered_.begin(), gathered_.end(),
                   [](const Gathered& a, const Gathered& b) { return a.first < b.first; });
  std::vector<Sample> samples;
  samples.reserve(gathered_.size() + repeats_.size());
  for (Gathered& gathered : gathered_) {
    if (!gathered.gone) samples.push_back(std::move(gathered.sample));
  }
  std::move(repeats_.begin(), repeats_.end(), std::back_inserter(samples));
  return samples;
}

}  // namespace hardmoe
