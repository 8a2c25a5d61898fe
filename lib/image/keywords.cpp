#include "image/keywords.h"

#include <map>
#include <unordered_set>

#include "base/error.h"
#include "base/files.h"
#include "base/folders.h"
#include "base/text.h"
#include "image/exif.h"
#include "image/image_metadata.h"
#include "image/unicode_text.h"
#include "image/xmp.h"

namespace hardmoe {
namespace fs = std::filesystem;
namespace {

size_t number(std::string_view text, size_t at, size_t width) {
  size_t value = 0;
  for (size_t i = 0; i < width; ++i) value = value << 8 | static_cast<unsigned char>(text[at + i]);
  return value;
}

/// Keywords in their order, each once.
class Union {
 public:
  void add(const std::vector<std::string>& keywords) {
    for (const auto& keyword : keywords) {
      if (known_.insert(keyword).second) all_.push_back(keyword);
    }
  }
  std::vector<std::string> take() { return std::move(all_); }

 private:
  std::vector<std::string> all_;
  std::unordered_set<std::string> known_;
};

/// The resource of this number within Photoshop's (8BIM, number, name, length, data, padded).
std::string_view photoshop_resource(std::string_view resources, size_t wanted) {
  size_t at = 0;
  while (at + 12 <= resources.size()) {
    const size_t name = static_cast<unsigned char>(resources[at + 6]);
    const size_t data = at + 6 + (name + 2) / 2 * 2 + 4;
    if (data > resources.size()) return {};
    const size_t length = number(resources, data - 4, 4);
    if (length > resources.size() - data) return {};
    if (number(resources, at + 4, 2) == wanted && resources.substr(at, 4) == "8BIM") {
      return resources.substr(data, length);
    }
    at = data + length + length % 2;
  }
  return {};
}

/// JPEG's further XMP comes in parts: GUID, whole length, offset, data.
class ExtendedXmp {
 public:
  void add(std::string_view part) {
    constexpr size_t lead = 32 + 4 + 4;
    if (part.size() < lead) return;
    const size_t length = number(part, 32, 4), offset = number(part, 36, 4);
    const std::string_view data = part.substr(lead);
    if (length > max_metadata_bytes || offset > length || data.size() > length - offset) return;
    std::string& whole = packets_[std::string(part.substr(0, 32))];
    whole.resize(std::max(whole.size(), offset + data.size()), ' ');
    whole.replace(offset, data.size(), data);
  }
  std::string_view packet(const std::string& guid) const {
    const auto found = packets_.find(guid);
    return found == packets_.end() ? std::string_view() : found->second;
  }

 private:
  std::map<std::string, std::string> packets_;
};

}  // namespace

std::vector<std::string> iptc_keywords(std::string_view data) {
  constexpr size_t character_set = 0x015A, keyword = 0x0219;  // 1:90, 2:25
  std::vector<std::string> keywords;
  bool utf8 = false;
  // Data sets: 0x1C, record, number, length.
  for (size_t at = 0; at + 5 <= data.size() && data[at] == '\x1C';) {
    const size_t which = number(data, at + 1, 2);  // record and number
    size_t length = number(data, at + 3, 2);
    at += 5;
    if (length >= 0x8000) {  // the length's length
      const size_t width = length & 0x7FFF;
      if (width > 4 || width > data.size() - at) break;
      length = number(data, at, width);
      at += width;
    }
    if (length > data.size() - at) break;
    const std::string_view value = data.substr(at, length);
    if (which == character_set) utf8 = value == "\x1B%G";
    if (which == keyword && keywords.size() < max_keywords) {
      const bool as_it_is = utf8 || valid_utf8_length(value) == value.size();
      const std::string text = as_it_is ? std::string(value) : utf8_of_latin1(value);
      const auto end = text.find_last_not_of('\0');
      if (end != std::string::npos && !trim(text.substr(0, end + 1)).empty()) {
        keywords.emplace_back(trim(text.substr(0, end + 1)));
      }
    }
    at += length;
  }
  return keywords;
}

std::vector<std::string> embedded_keywords(std::span<const std::byte> image) {
  std::vector<std::string> xmp, iptc, windows, guids;
  std::string photoshop;
  ExtendedXmp extended;
  for_each_metadata(image, [&](MetadataKind kind, std::string_view data) {
    switch (kind) {
      case MetadataKind::xmp: {
        XmpKeywords found = xmp_keywords(data);
        xmp.insert(xmp.end(), found.keywords.begin(), found.keywords.end());
        if (!found.extended.empty()) guids.push_back(found.extended);
        break;
      }
      case MetadataKind::extended_xmp:
        extended.add(data);
        break;
      case MetadataKind::iptc:
        for (auto& keyword : iptc_keywords(data)) iptc.push_back(std::move(keyword));
        break;
      case MetadataKind::photoshop:
        if (photoshop.size() + data.size() <= max_metadata_bytes) photoshop += data;
        break;
      case MetadataKind::exif:
        windows = exif_keywords(std::as_bytes(std::span(data)));
        break;
    }
    return true;
  });
  Union all;
  all.add(xmp);
  for (const auto& guid : guids) all.add(xmp_keywords(extended.packet(guid)).keywords);
  constexpr size_t iptc_resource = 0x0404;
  all.add(iptc_keywords(photoshop_resource(photoshop, iptc_resource)));
  all.add(iptc);
  all.add(windows);
  return all.take();
}

std::vector<fs::path> sidecars_of(const fs::path& image) {
  std::vector<fs::path> there;
  for (const char* extension : {".xmp", ".XMP"}) {
    for (fs::path file :
         {fs::path(image).replace_extension(extension), fs::path(image.string() + extension)}) {
      if (path_kind(file) == PathKind::file) there.push_back(std::move(file));
    }
  }
  return there;
}

std::vector<std::string> photo_keywords(const fs::path& image) {
  Union all;
  for (const auto& file : sidecars_of(image)) {
    try {
      const MappedFile map(file);
      all.add(xmp_keywords({reinterpret_cast<const char*>(map.bytes().data()), map.bytes().size()})
                  .keywords);
    } catch (const Error& error) {
      fail("{}: {}", file.filename().string(), error.what());
    }
  }
  const MappedFile map(image);
  all.add(embedded_keywords(map.bytes()));
  return all.take();
}

}  // namespace hardmoe
