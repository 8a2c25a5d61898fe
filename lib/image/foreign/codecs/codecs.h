// The functions behind the module's table (image/foreign/codecs.h). They use nothing of the program
// but what its headers define inline.
#pragma once

#include "image/foreign/codecs.h"

namespace hardmoe {

bool read_tiff(EncodedBytes file, RgbTarget target, DecodeReason& reason);
bool read_opencv(EncodedBytes file, int bits, bool alpha, RgbTarget target, DecodeReason& reason);
bool read_gif(EncodedBytes file, RgbTarget target, DecodeReason& reason);
bool read_avif_header(EncodedBytes file, AvifHeader& header, DecodeReason& reason);
bool read_avif(EncodedBytes file, RgbTarget target, DecodeReason& reason);

/// Writes the reason and returns false.
bool fail_with(DecodeReason& reason, const char* text);

}  // namespace hardmoe
