#include <algorithm>
#include <charconv>
#include <unordered_map>

#include "base/error.h"
#include "base/files.h"
#include "base/folders.h"
#include "base/json_line.h"
#include "base/text.h"
#include "ingest/sources/compressed.h"
#include "ingest/sources/kinds.h"

namespace hardmoe {
namespace fs = std::filesystem;
namespace {

/// The columns of the official yfcc100m_dataset. An earlier edition lacks the line's number and the
/// photo's hash.
struct Layout {
  size_t id, hash, user_tags, machine_tags, is_video;
};
constexpr size_t no_field = 99;
constexpr Layout with_hash{1, 2, 10, 11, 24}, without_hash{0, no_field, 8, 9, 22};
constexpr size_t with_hash_fields = 25, without_hash_fields = 23;

constexpr size_t longest_line = size_t{1} << 24;

/// Decodes "new+york%2C" → "new york,"; bytes that are not UTF-8 become `undecodable`.
std::string url_decoded(std::string_view text) {
  std::string result;
  for (size_t i = 0; i < text.size(); ++i) {
    unsigned code = 0;
    if (text[i] == '%' && i + 2 < text.size() &&
        std::from_chars(&text[i + 1], &text[i + 1] + 2, code, 16).ptr == &text[i + 1] + 2) {
      result += static_cast<char>(code);
      i += 2;
    } else {
      result += text[i] == '+' ? ' ' : text[i];
    }
  }
  std::string decoded;
  for (std::string_view rest = result; !rest.empty();) {
    const size_t valid = valid_utf8_length(rest);
    decoded += rest.substr(0, valid);
    if (valid < rest.size()) decoded += undecodable;
    rest.remove_prefix(std::min(valid + 1, rest.size()));
  }
  return decoded;
}

/// Writes the metadata of the photos that exist as JSON lines, which a list source then reads. All
/// lines are read once and unpacked on the way: all of YFCC100M is 60 GB of text, and few users
/// have one photo in a hundred.
class Join {
 public:
  explicit Join(const std::vector<fs::path>& images) {
    // Photos are named by id (ID.jpg), by hash (HASH.jpg, as in the AWS copy), or as Flickr names
    // downloads (ID_SECRET.jpg).
    ImageStore(images).for_each([&](const std::string& name, const std::string& stem) {
      const std::string id = stem.substr(0, stem.find('_'));
      photos_.emplace(id, Photo{name});
    });
    if (photos_.empty()) fail_usage("--images: no photo there");
  }

  /// Joins the files. `name`: of the metadata, for messages. Returns what was left out.
  SourceReport write(const fs::path& metadata, const std::string& name, const fs::path& target) {
    AtomicFile output(target);
    std::string rest;  // the beginning of a line that the next piece continues
    int64_t number = 0, taken = 0;
    const auto take = [&](std::string_view line) {
      ++number;
      if (line.ends_with('\r')) line.remove_suffix(1);
      const std::string json = json_of(line, fmt::format("{}, line {}", name, number));
      if (json.empty()) return;
      output.write(json);
      ++taken;
    };
    read_unpacked(metadata, [&](std::string_view piece) {
      for (size_t end = piece.find('\n'); end != std::string_view::npos; end = piece.find('\n')) {
        take(rest.empty() ? piece.substr(0, end) : rest.append(piece.substr(0, end)));
        rest.clear();
        piece.remove_prefix(end + 1);
      }
      rest += piece;
      if (rest.size() > longest_line) {
        fail("{}, line {}: more than {} bytes, which no line of yfcc100m_dataset has", name,
             number + 1, longest_line);
      }
      return true;
    });
    if (!rest.empty()) take(rest);
    if (taken == 0) {
      fail("{}: none of its {} lines is about one of the {} photos of --images", name, number,
           photos_.size());
    }
    output.commit();
    for (const auto& [id, photo] : photos_) {
      if (!photo.used) report_.pass_over("photo without metadata", photo.name);
    }
    if (const auto damaged = report_.passed_over.find(damaged_line);
        damaged != report_.passed_over.end()) {
      report_.warnings.push_back(
          fmt::format("{} of {} lines are passed over, the first is {}: of other than the {} "
                      "fields (or, without "
                      "number and hash, {}) of yfcc100m_dataset",
                      damaged->second.count, number, damaged->second.examples[0], with_hash_fields,
                      without_hash_fields));
    }
    return std::move(report_);
  }

 private:
  static constexpr const char* damaged_line = "damaged line";
  struct Photo {
    std::string name;  ///< in the store
    bool used = false;
  };

  /// Returns a photo's JSON; "" if the photo does not exist or is a video. `where`: the line, for
  /// messages.
  std::string json_of(std::string_view line, const std::string& where) {
    const auto pass_over = [&](const char* kind) {
      report_.pass_over(kind, where);
      return std::string();
    };
    if (trim(line).empty()) return pass_over("blank line");
    const auto fields = split(line, '\t');
    if (fields.size() != with_hash_fields && fields.size() != without_hash_fields) {
      return pass_over(damaged_line);
    }
    const Layout& layout = fields.size() == with_hash_fields ? with_hash : without_hash;
    const std::string& id = fields[layout.id];
    auto photo = photos_.find(id);
    if (photo == photos_.end() && layout.hash != no_field) {
      photo = photos_.find(fields[layout.hash]);
    }
    if (photo != photos_.end()) photo->second.used = true;
    if (fields[layout.is_video] == "1") return pass_over("line about a video");
    if (photo == photos_.end()) return pass_over("line about a photo that is not in --images");
    Json tags = Json::array();
    for (const size_t column : {layout.user_tags, layout.machine_tags}) {
      for (const auto& tag : split(fields[column], ',')) {
        if (!tag.empty()) tags.push_back(url_decoded(tag));
      }
    }
    const Json record = {{"image", photo->second.name}, {"key", id}, {"tags", tags}};
    return json_line(record);
  }

  std::unordered_map<std::string, Photo> photos_;  ///< by id or hash
  SourceReport report_;
};

Json json_of(const SourceReport& report) {
  Json passed = Json::object();
  for (const auto& [kind, things] : report.passed_over) {
    passed[kind] = {{"count", things.count}, {"examples", things.examples}};
  }
  return {{"warnings", report.warnings}, {"passed_over", passed}};
}

/// Adds to a list source the report on what was left out while the lines were joined.
class JoinedSource : public Source {
 public:
  JoinedSource(std::unique_ptr<Source> lines, const fs::path& report) : lines_(std::move(lines)) {
    report_ = lines_->report();
    SourceReport told = report_from(read_json(report), report.string());
    for (auto& warning : told.warnings) report_.warnings.push_back(std::move(warning));
    for (auto& [kind, things] : told.passed_over) report_.passed_over[kind] = std::move(things);
  }
  int64_t size() const override { return lines_->size(); }
  SourceItem item(int64_t number) const override { return lines_->item(number); }
  std::vector<fs::path> tars() const override { return lines_->tars(); }

 private:
  std::unique_ptr<Source> lines_;
};

}  // namespace

std::unique_ptr<Source> open_yfcc100m(const fs::path& metadata, const std::string& name,
                                      const SourceOptions& options, const fs::path& work) {
  if (options.images.empty()) {
    fail_usage(
        "{}: YFCC100M's metadata tell of photos elsewhere; give their folder or tars by "
        "--images",
        name);
  }
  const fs::path joined =
      work / fmt::format("{}.{}.jsonl", metadata.filename().string(),
                         sha256_hex(fs::absolute(metadata).string()).substr(0, 16));
  const fs::path report = fs::path(joined).replace_extension(".json");
  if (!path_exists(joined) || !path_exists(report)) {
    make_writable_folder(work);
    write_json(report, json_of(Join(options.images).write(metadata, name, joined)));
  }
  SourceOptions plain = options;
  plain.columns = {};
  // Lines are counted while they are joined.
  auto lines = open_list(
      {joined, fmt::format("{} joined with --images", name), SourceKind::json_lines, {}}, plain);
  return std::make_unique<JoinedSource>(std::move(lines), report);
}

}  // namespace hardmoe
