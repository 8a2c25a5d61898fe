// Reads keywords from XMP, which is RDF/XML in photographs and in .xmp files beside them
// (ISO 16684-1).
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace hardmoe {

/// The keywords in an XMP packet.
struct XmpKeywords {
  std::vector<std::string> keywords;  ///< in the packet's order
  std::string extended;               ///< GUID of the JPEG's extended XMP packet; "": none
};

/// The most keywords in a packet; one with more is refused.
inline constexpr size_t max_keywords = 10'000;
/// The greatest depth of nested elements in a packet; a deeper one is refused.
inline constexpr int max_xmp_depth = 100;

/// Returns the keywords, without repeats, in dc:subject, lr:hierarchicalSubject ("places|Paris"),
/// digiKam:TagsList ("places/Paris") and MicrosoftPhoto:LastKeywordXMP (like digiKam's). Each level
/// of a hierarchy is a keyword: "places", "Paris". Text is UTF-8 or UTF-16. Throws Error ("XMP: …"
/// or "XMP, line N: …") if the packet is not well-formed, declares a document type (which may
/// define entities), or exceeds the limits above or 16 MB.
XmpKeywords xmp_keywords(std::string_view packet);

}  // namespace hardmoe
