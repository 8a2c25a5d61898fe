// Keywords in XMP: RDF/XML inside photographs and in .xmp files beside them (ISO 16684-1).
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace hardmoe {

/// What an XMP packet says of keywords, in its order.
struct XmpKeywords {
  std::vector<std::string> keywords;  ///< dc:subject; of hierarchies each part (see xmp_keywords)
  std::string extended;               ///< GUID of JPEG's further part, where the packet names one
};

/// Keywords beyond this many, and elements nested deeper than this, are refused.
inline constexpr size_t max_keywords = 10'000;
inline constexpr int max_xmp_depth = 100;

/// Reads dc:subject, lr:hierarchicalSubject ("places|Paris"), digiKam:TagsList ("places/Paris") and
/// MicrosoftPhoto:LastKeywordXMP (as digiKam's): of a hierarchy every part is a keyword ("places",
/// "Paris"), and no keyword comes twice. Text is UTF-8 or UTF-16. Throws Error for what is not
/// well-formed, has a document type (entities of its own), or exceeds the limits.
XmpKeywords xmp_keywords(std::string_view packet);

}  // namespace hardmoe
