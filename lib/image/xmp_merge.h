// Adds keywords to XMP and leaves all else as it is, byte for byte. Reading them: image/xmp.h.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace hardmoe {

/// Returns the packet with those of `keywords` (UTF-8) that its dc:subject lacks added to that, which
/// is made if there is none; an empty packet becomes a new one. Nothing else changes. Throws Error
/// ("XMP: …") as xmp_keywords() does, and if the packet is not UTF-8, has no rdf:RDF, or writes
/// dc:subject as an attribute.
std::string with_subjects(std::string_view packet, const std::vector<std::string>& keywords);

}  // namespace hardmoe
