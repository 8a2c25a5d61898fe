// Numbers out of a file's bytes, for the headers of foreign formats.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "base/error.h"

namespace hardmoe {

enum class ByteOrder { little, big };

class ByteReader {
 public:
  /// `what`: the format, for messages.
  ByteReader(std::span<const std::byte> bytes, ByteOrder order, std::string_view what)
      : bytes_(bytes), order_(order), what_(what) {}

  size_t size() const { return bytes_.size(); }
  std::string_view what() const { return what_; }

  /// The unsigned number of `width` bytes (1 … 8) at `at`. Throws Error if the file ends before.
  uint64_t number(size_t at, size_t width) const {
    if (at > bytes_.size() || bytes_.size() - at < width) {
      fail("truncated {}: its header goes on behind the file's {} bytes", what_, bytes_.size());
    }
    uint64_t value = 0;
    for (size_t i = 0; i < width; ++i) {
      const size_t place = order_ == ByteOrder::big ? width - 1 - i : i;
      value |= std::to_integer<uint64_t>(bytes_[at + i]) << (8 * place);
    }
    return value;
  }

 private:
  std::span<const std::byte> bytes_;
  ByteOrder order_;
  std::string_view what_;
};

}  // namespace hardmoe
