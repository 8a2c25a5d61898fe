#include <algorithm>
#include <charconv>
#include <unordered_map>

#include "base/error.h"
#include "base/files.h"
#include "base/log.h"
#include "base/text.h"
#include "data/compressed.h"
#include "data/source_kinds.h"

namespace hardmoe {
namespace fs = std::filesystem;
namespace {

/// Where the official yfcc100m_dataset has what; an earlier edition lacks the line's number and the
/// photo's hash.
struct Layout {
  size_t id, hash, user_tags, machine_tags, is_video;
};
constexpr size_t no_field = 99;
constexpr Layout with_hash{1, 2, 10, 11, 24}, without_hash{0, no_field, 8, 9, 22};
constexpr size_t with_hash_fields = 25, without_hash_fields = 23;

/// "new+york%2C" → "new york,".
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
  return result;
}

/// The metadata of photos there are, as JSON lines that a list source reads. All lines are passed
/// once, unpacked on the way: the whole of YFCC100M is 60 GB of text, of which few have one photo
/// in a hundred.
class Join {
 public:
  explicit Join(const std::vector<fs::path>& images) {
    // Photos are named by id (ID.jpg), by hash (HASH.jpg, as the AWS copy has them), or as Flickr
    // names downloads (ID_SECRET.jpg).
    ImageStore(images).for_each([&](const std::string& name, const std::string& stem) {
      const std::string id = stem.substr(0, stem.find('_'));
      photos_.emplace(id, name);
    });
    if (photos_.empty()) fail_usage("--images: no photo there");
  }

  /// `name`: of the metadata, for messages.
  void write(const fs::path& metadata, const std::string& name, const fs::path& target) {
    AtomicFile output(target);
    std::string rest;  // of a line that goes on in the next piece
    int64_t number = 0, taken = 0, damaged = 0, first_damaged = 0;
    const auto take = [&](std::string_view line) {
      ++number;
      if (line.ends_with('\r')) line.remove_suffix(1);
      if (line.empty()) return;
      const auto fields = split(line, '\t');
      if (fields.size() != with_hash_fields && fields.size() != without_hash_fields) {
        if (damaged++ == 0) first_damaged = number;
        return;
      }
      const std::string json = json_of(fields);
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
      return true;
    });
    if (!rest.empty()) take(rest);
    if (damaged > 0) {
      log_warning(
          "{}: {} of {} lines are passed over, from line {} on: of other than the {} fields (or, "
          "without number and hash, {}) of yfcc100m_dataset",
          name, damaged, number, first_damaged, with_hash_fields, without_hash_fields);
    }
    if (taken == 0) {
      fail("{}: none of its {} lines is about one of the {} photos of --images", name, number,
           photos_.size());
    }
    output.commit();
  }

 private:
  /// Empty for a photo that is not there, and for videos.
  std::string json_of(const std::vector<std::string>& fields) const {
    const Layout& layout = fields.size() == with_hash_fields ? with_hash : without_hash;
    if (fields[layout.is_video] == "1") return {};
    const std::string& id = fields[layout.id];
    auto photo = photos_.find(id);
    if (photo == photos_.end() && layout.hash != no_field) {
      photo = photos_.find(fields[layout.hash]);
    }
    if (photo == photos_.end()) return {};
    Json tags = Json::array();
    for (const size_t column : {layout.user_tags, layout.machine_tags}) {
      for (const auto& tag : split(fields[column], ',')) {
        if (!tag.empty()) tags.push_back(url_decoded(tag));
      }
    }
    const Json record = {{"image", photo->second}, {"key", id}, {"tags", tags}};
    return record.dump(-1, ' ', false, Json::error_handler_t::replace) + '\n';
  }

  std::unordered_map<std::string, std::string> photos_;  ///< by id or hash: name in the store
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
  if (!fs::exists(joined)) {
    make_writable_folder(work);
    Join(options.images).write(metadata, name, joined);
  }
  SourceOptions plain = options;
  plain.columns = {};
  // Lines are counted among those joined.
  return open_list(
      {joined, fmt::format("{} joined with --images", name), SourceKind::json_lines, {}}, plain);
}

}  // namespace hardmoe
