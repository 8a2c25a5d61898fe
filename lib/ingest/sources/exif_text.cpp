// The EXIF data that img2dataset keeps of an image: a JSON text inside its JSON.
#include <algorithm>
#include <array>

#include "ingest/sources/kinds.h"

namespace hardmoe {
namespace {

/// The words of exifread 3 (which img2dataset 1.47 uses), in the order of EXIF's numbers.
constexpr std::array<std::string_view, 8> orientation_words = {
    "Horizontal (normal)",
    "Mirrored horizontal",
    "Rotated 180",
    "Mirrored vertical",
    "Mirrored horizontal then rotated 90 CCW",
    "Rotated 90 CW",
    "Mirrored horizontal then rotated 90 CW",
    "Rotated 90 CCW",
};

constexpr size_t most_text = 1 << 20;

}  // namespace

void read_exif_text(const Json& metadata, SourceItem& item) {
  const auto field = metadata.find("exif");
  if (field == metadata.end() || !field->is_string()) return;
  const auto& text = field->get_ref<const std::string&>();
  if (text.size() > most_text) return;
  const Json exif = Json::parse(text, nullptr, false);
  if (!exif.is_object()) return;
  const auto words = exif.find("Image Orientation");
  if (words == exif.end() || !words->is_string()) return;
  const auto* const found = std::find(orientation_words.begin(), orientation_words.end(),
                                      words->get_ref<const std::string&>());
  if (found == orientation_words.end()) return;
  item.orientation = static_cast<int>(found - orientation_words.begin()) + 1;
  const auto length = [&](const char* name) {
    const auto value = metadata.find(name);
    return value != metadata.end() && value->is_number_integer() ? value->get<int64_t>() : 0;
  };
  item.stored_width = length("width");
  item.stored_height = length("height");
}

}  // namespace hardmoe
