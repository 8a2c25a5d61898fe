#include "image/xmp.h"

#include <expat.h>

#include <algorithm>
#include <array>
#include <memory>
#include <unordered_set>

#include "base/error.h"
#include "base/text.h"

namespace hardmoe {
namespace {

using namespace std::string_view_literals;

// expat gives a name behind its namespace and a blank.
constexpr std::string_view rdf = "http://www.w3.org/1999/02/22-rdf-syntax-ns# ";
constexpr size_t most_packet = size_t{16} << 20;
constexpr std::string_view extended_name = "http://ns.adobe.com/xmp/note/ HasExtendedXMP";

/// Properties that hold keywords, by namespace and name as expat joins them; what separates the
/// parts of a hierarchy, if it is one.
struct Property {
  std::string_view name;
  char separator;
};
constexpr std::array properties = {
    Property{"http://purl.org/dc/elements/1.1/ subject", '\0'},
    Property{"http://ns.adobe.com/lightroom/1.0/ hierarchicalSubject", '|'},
    Property{"http://www.digikam.org/ns/1.0/ TagsList", '/'},
    Property{"http://ns.microsoft.com/photo/1.0/ LastKeywordXMP", '/'},
    Property{"http://ns.microsoft.com/photo/1.0 LastKeywordXMP", '/'},  // as exiftool writes it
};

const Property* property_named(std::string_view name) {
  const auto* const found = std::find_if(properties.begin(), properties.end(),
                                         [&](const Property& one) { return one.name == name; });
  return found == properties.end() ? nullptr : &*found;
}

bool is_rdf(std::string_view name, std::string_view local) {
  return name.starts_with(rdf) && name.substr(rdf.size()) == local;
}

/// Gathers the text of a property's values. RDF writes the same in many ways: a value may be the
/// property's own text, an attribute, or items of a container; an item may be text, an attribute
/// rdf:resource, or a structure whose rdf:value is meant and whose other members qualify it.
class Reader {
 public:
  Reader() : parser_(XML_ParserCreateNS(nullptr, ' '), XML_ParserFree) {
    if (parser_ == nullptr) throw std::bad_alloc();
    XML_SetUserData(parser_.get(), this);
    XML_SetElementHandler(
        parser_.get(),
        [](void* self, const XML_Char* name, const XML_Char** attributes) {
          static_cast<Reader*>(self)->open(name, attributes);
        },
        [](void* self, const XML_Char*) { static_cast<Reader*>(self)->close(); });
    XML_SetCharacterDataHandler(parser_.get(), [](void* self, const XML_Char* text, int length) {
      static_cast<Reader*>(self)->add_text({text, static_cast<size_t>(length)});
    });
    // No packet needs one, and entities can make little text much.
    XML_SetStartDoctypeDeclHandler(
        parser_.get(), [](void* self, const XML_Char*, const XML_Char*, const XML_Char*, int) {
          static_cast<Reader*>(self)->refuse("it declares a document type, which XMP has none of");
        });
  }

  XmpKeywords read(std::string_view text) {
    if (XML_Parse(parser_.get(), text.data(), static_cast<int>(text.size()), XML_TRUE) ==
        XML_STATUS_OK) {
      return std::move(found_);
    }
    if (!why_.empty()) fail("XMP: {}", why_);
    fail("XMP, line {}: {}", XML_GetCurrentLineNumber(parser_.get()),
         XML_ErrorString(XML_GetErrorCode(parser_.get())));
  }

 private:
  void refuse(std::string why) {
    if (why_.empty()) why_ = std::move(why);
    XML_StopParser(parser_.get(), XML_FALSE);
  }

  void open(std::string_view name, const XML_Char** attributes) {
    if (++depth_ > max_xmp_depth) {
      return refuse(fmt::format("elements nested deeper than {}", max_xmp_depth));
    }
    if (property_ == nullptr && !in_extended_) {
      property_ = property_named(name);
      in_extended_ = name == extended_name;
      begin_ = depth_;
      text_.clear();
      for (; *attributes != nullptr; attributes += 2) take_attribute(attributes[0], attributes[1]);
      return;
    }
    // Within a property: an element begins a new value, unless it is one that only qualifies.
    const bool value = is_rdf(name, "value");
    const bool container = is_rdf(name, "Bag") || is_rdf(name, "Seq") || is_rdf(name, "Alt");
    const bool item = is_rdf(name, "li") || (name.starts_with(rdf) && name[rdf.size()] == '_');
    const bool structure = is_rdf(name, "Description");
    if (!(value || container || item || structure) && ignored_ == 0) ignored_ = depth_;
    if (ignored_ != 0) return;
    text_.clear();
    for (; *attributes != nullptr; attributes += 2) {
      if (is_rdf(attributes[0], "resource") || is_rdf(attributes[0], "value")) {
        add_value(attributes[1]);
      }
    }
  }

  void close() {
    if (ignored_ == depth_) {
      ignored_ = 0;
      text_.clear();
    } else if (ignored_ == 0 && (property_ != nullptr || in_extended_)) {
      add_value(text_);
      text_.clear();
    }
    if (depth_-- == begin_) {
      property_ = nullptr;
      in_extended_ = false;
    }
  }

  void add_text(std::string_view text) {
    if ((property_ != nullptr || in_extended_) && ignored_ == 0) text_ += text;
  }

  /// Of an element that is no property: it may have properties as attributes. Of a property:
  /// rdf:resource is its value.
  void take_attribute(std::string_view name, std::string_view value) {
    if (property_ != nullptr) {
      if (is_rdf(name, "resource") || is_rdf(name, "value")) add_value(value);
      return;
    }
    if (name == extended_name) found_.extended = trim(value);
    if (const Property* property = property_named(name)) add_keyword(*property, value);
  }

  void add_value(std::string_view value) {
    if (in_extended_) {
      if (!trim(value).empty()) found_.extended = trim(value);
    } else {
      add_keyword(*property_, value);
    }
  }

  void add_keyword(const Property& property, std::string_view value) {
    if (property.separator == '\0') return add_part(value);
    for (const auto& part : split(value, property.separator)) add_part(part);
  }

  void add_part(std::string_view part) {
    part = trim(part);
    if (part.empty() || !known_.emplace(part).second) return;
    if (found_.keywords.size() == max_keywords) {
      return refuse(fmt::format("more than {} keywords", max_keywords));
    }
    found_.keywords.emplace_back(part);
  }

  std::unique_ptr<XML_ParserStruct, decltype(&XML_ParserFree)> parser_;
  XmpKeywords found_;
  std::unordered_set<std::string> known_;
  std::string why_;   ///< it was refused
  std::string text_;  ///< of the value that is being read
  const Property* property_ = nullptr;
  bool in_extended_ = false;
  int depth_ = 0;
  int begin_ = 0;    ///< of the property's element
  int ignored_ = 0;  ///< of the outermost element that only qualifies a value; 0: none
};

}  // namespace

XmpKeywords xmp_keywords(std::string_view packet) {
  // Some writers fill up with NULs. In UTF-16 every second byte may be one.
  const bool wide = packet.substr(0, 2).find_first_of("\xFE\0"sv) != std::string_view::npos;
  const std::string_view filling = wide ? "\0\0"sv : "\0"sv;
  while (packet.ends_with(filling)) packet.remove_suffix(filling.size());
  if (trim(packet).empty()) return {};
  if (packet.size() > most_packet) fail("XMP of more than {} MB", most_packet >> 20);
  return Reader().read(packet);
}

}  // namespace hardmoe
