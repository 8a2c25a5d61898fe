#include "image/foreign/codecs/codecs.h"

#include <cstdio>

namespace hardmoe {

bool fail_with(DecodeReason& reason, const char* text) {
  std::snprintf(reason.text, sizeof reason.text, "%s", text);
  return false;
}

}  // namespace hardmoe

extern "C" __attribute__((visibility("default")))
const hardmoe::ForeignCodecs hardmoe_foreign_codecs = {
    hardmoe::foreign_interface, hardmoe::read_tiff,        hardmoe::read_opencv,
    hardmoe::read_gif,          hardmoe::read_avif_header, hardmoe::read_avif};
