#include "image/xmp_merge.h"

#include <expat.h>

#include <algorithm>
#include <memory>
#include <optional>

#include "base/error.h"
#include "base/text.h"
#include "image/xmp.h"

namespace hardmoe {
namespace {

// expat gives a name behind its namespace and a blank.
constexpr std::string_view rdf = "http://www.w3.org/1999/02/22-rdf-syntax-ns# ";
constexpr std::string_view subject_name = "http://purl.org/dc/elements/1.1/ subject";

constexpr std::string_view empty_packet =
    "<?xpacket begin=\"\xEF\xBB\xBF\" id=\"W5M0MpCehiHzreSzNTczkc9d\"?>\n"
    "<x:xmpmeta xmlns:x=\"adobe:ns:meta/\">\n"
    " <rdf:RDF xmlns:rdf=\"http://www.w3.org/1999/02/22-rdf-syntax-ns#\">\n"
    " </rdf:RDF>\n"
    "</x:xmpmeta>\n"
    "<?xpacket end=\"w\"?>\n";

/// Returns whether the element is one whose items xmp_keywords() reads.
bool is_container(std::string_view name) {
  if (!name.starts_with(rdf)) return false;
  name.remove_prefix(rdf.size());
  return name == "Bag" || name == "Seq" || name == "Alt";
}

/// An element in the packet's text.
struct Place {
  size_t begin = 0;        ///< of its start tag
  size_t content_end = 0;  ///< of its end tag; of an empty one, behind its only tag
  bool only_tag = false;   ///< written <name/>
  std::string name;        ///< as written, with its prefix
};

/// Finds where subjects are, or where they can be added.
class Finder {
 public:
  explicit Finder(std::string_view text)
      : text_(text), parser_(XML_ParserCreateNS(nullptr, ' '), XML_ParserFree) {
    if (parser_ == nullptr) throw std::bad_alloc();
    XML_SetUserData(parser_.get(), this);
    XML_SetElementHandler(
        parser_.get(),
        [](void* self, const XML_Char* name, const XML_Char** attributes) {
          static_cast<Finder*>(self)->open(name, attributes);
        },
        [](void* self, const XML_Char*) { static_cast<Finder*>(self)->close(); });
    XML_SetCharacterDataHandler(parser_.get(), [](void* self, const XML_Char* piece, int length) {
      static_cast<Finder*>(self)->item_ += std::string_view(piece, static_cast<size_t>(length));
    });
    XML_SetXmlDeclHandler(parser_.get(),
                          [](void* self, const XML_Char*, const XML_Char* encoding, int) {
                            if (encoding != nullptr)
                              static_cast<Finder*>(self)->encoding_ = fold_case(encoding);
                          });
    if (XML_Parse(parser_.get(), text.data(), static_cast<int>(text.size()), XML_TRUE) !=
        XML_STATUS_OK) {
      fail("XMP, line {}: {}", XML_GetCurrentLineNumber(parser_.get()),
           XML_ErrorString(XML_GetErrorCode(parser_.get())));
    }
  }

  /// Returns whether the packet is written in UTF-8.
  bool is_utf8() const {
    return (encoding_.empty() || encoding_ == "utf-8" || encoding_ == "us-ascii") &&
           valid_utf8_length(text_) == text_.size();
  }

  std::optional<Place> root, subject, container;  ///< rdf:RDF, dc:subject, the list in that
  std::vector<std::string> subjects;              ///< in the container
  bool attribute = false;                         ///< dc:subject is written as one

 private:
  size_t here() const { return static_cast<size_t>(XML_GetCurrentByteIndex(parser_.get())); }

  Place place_here() const {
    Place place;
    place.begin = here();
    const size_t end = text_.find_first_of(" \t\r\n/>", place.begin + 1);
    place.name = text_.substr(place.begin + 1, end - place.begin - 1);
    return place;
  }

  void open(std::string_view name, const XML_Char** attributes) {
    ++depth_;
    item_.clear();
    for (; *attributes != nullptr; attributes += 2) {
      if (subject_name == attributes[0]) attribute = true;
    }
    if (name.starts_with(rdf) && name.ends_with(" RDF") && !root) begin(root, root_depth_);
    if (name == subject_name && !subject) begin(subject, subject_depth_);
    if (subject_depth_ != 0 && depth_ == subject_depth_ + 1 && is_container(name) && !container) {
      begin(container, container_depth_);
    }
  }

  void begin(std::optional<Place>& place, int& depth) {
    place = place_here();
    depth = depth_;
  }

  void close() {
    if (container_depth_ != 0 && depth_ == container_depth_ + 1) {
      subjects.emplace_back(trim(item_));
    }
    end(root, root_depth_);
    end(subject, subject_depth_);
    end(container, container_depth_);
    --depth_;
  }

  void end(std::optional<Place>& place, int& depth) const {
    if (depth == 0 || depth != depth_) return;
    depth = 0;
    const size_t tag_end = end_of_tag(place->begin);
    place->only_tag = text_[tag_end - 2] == '/';
    place->content_end = place->only_tag ? tag_end : here();
  }

  /// Returns where the tag that begins at `at` has ended; a > in an attribute's value does not end
  /// it.
  size_t end_of_tag(size_t at) const {
    char quote = 0;
    for (; at < text_.size(); ++at) {
      const char c = text_[at];
      if (quote != 0) {
        if (c == quote) quote = 0;
      } else if (c == '"' || c == '\'') {
        quote = c;
      } else if (c == '>') {
        return at + 1;
      }
    }
    return at;
  }

  std::string_view text_;
  std::unique_ptr<XML_ParserStruct, decltype(&XML_ParserFree)> parser_;
  std::string item_, encoding_;
  int depth_ = 0, root_depth_ = 0, subject_depth_ = 0, container_depth_ = 0;
};

std::string escaped(std::string_view text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      default:
        out += c;
    }
  }
  return out;
}

/// Returns the text with `inner` at the end of an element's content.
std::string with_content(std::string_view text, const Place& place, const std::string& inner) {
  if (!place.only_tag) {
    return std::string(text.substr(0, place.content_end)) + inner +
           std::string(text.substr(place.content_end));
  }
  const std::string_view tag = text.substr(0, place.content_end - 2);  // without "/>"
  return std::string(tag) + ">" + inner + "</" + place.name + ">" +
         std::string(text.substr(place.content_end));
}

}  // namespace

std::string with_subjects(std::string_view packet, const std::vector<std::string>& keywords) {
  static_cast<void>(xmp_keywords(packet));  // within its limits
  constexpr const char* other_text =
      "XMP: not in UTF-8; have the program that wrote it write UTF-8";
  if (is_utf16(packet)) fail("{}", other_text);
  while (packet.ends_with('\0')) packet.remove_suffix(1);
  if (trim(packet).empty()) packet = empty_packet;
  const Finder found(packet);
  if (!found.is_utf8()) fail("{}", other_text);
  if (found.attribute) fail("XMP: dc:subject is an attribute, expected a list of keywords");
  if (!found.root) fail("XMP: no rdf:RDF in it");
  std::vector<std::string> added;
  for (const std::string& keyword : keywords) {
    const bool known = std::ranges::find(found.subjects, keyword) != found.subjects.end() ||
                       std::ranges::find(added, keyword) != added.end();
    if (!known) added.push_back(keyword);
  }
  if (added.empty()) return std::string(packet);
  // What is added declares its namespaces, whatever prefixes the packet has for them.
  constexpr const char* rdf_prefix = "xmlns:rdf=\"http://www.w3.org/1999/02/22-rdf-syntax-ns#\"";
  constexpr const char* dc_prefix = "xmlns:dc=\"http://purl.org/dc/elements/1.1/\"";
  std::string items;
  for (const std::string& keyword : added) {
    items += found.container ? fmt::format("<rdf:li {}>{}</rdf:li>\n", rdf_prefix, escaped(keyword))
                             : fmt::format("<rdf:li>{}</rdf:li>\n", escaped(keyword));
  }
  if (found.container) return with_content(packet, *found.container, items);
  const std::string bag = fmt::format("<rdf:Bag {}>\n{}</rdf:Bag>\n", rdf_prefix, items);
  if (found.subject) return with_content(packet, *found.subject, bag);
  return with_content(packet, *found.root,
                      fmt::format(" <rdf:Description {} rdf:about=\"\" {}>\n<dc:subject>\n{}"
                                  "</dc:subject>\n </rdf:Description>\n",
                                  rdf_prefix, dc_prefix, bag));
}

}  // namespace hardmoe
