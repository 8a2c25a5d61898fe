// Archives and arrays: what is said to be in them lies in them.
#include "data/tar.h"
#include "fuzz/input_files.h"
#include "fuzz/targets.h"
#include "tensor/npy.h"
#include "tensor/safetensors.h"

namespace hardmoe {
namespace {

/// Reads every byte, so that a span beyond its memory is noticed.
unsigned touch(std::span<const std::byte> bytes) {
  unsigned sum = 0;
  for (const std::byte b : bytes) sum = sum * 31 + std::to_integer<unsigned>(b);
  return sum;
}

}  // namespace

void fuzz_tar(std::string_view bytes) {
  const TarIndex index = read_tar(std::as_bytes(std::span(bytes)), "input");
  const auto size = static_cast<int64_t>(bytes.size());
  const auto lies_inside = [&](int64_t offset, int64_t length) {
    return offset >= 0 && length >= 0 && offset <= size && length <= size - offset;
  };
  for (const TarEntry& entry : index.files) {
    require(lies_inside(entry.offset, entry.size), "a member lies outside its archive");
  }
  for (const TarLink& link : index.links) {
    require(link.size == -1 || lies_inside(link.offset, link.size),
            "a link's target lies outside the archive");
  }
}

void fuzz_npy(std::string_view bytes) {
  const auto file = file_of(bytes);
  const Tensor loaded = load_npy(file);
  require(loaded.bytes() <= bytes.size(), "more values than bytes");
  touch({static_cast<const std::byte*>(loaded.data()), loaded.bytes()});
  const MappedNpy mapped(file);
  require(mapped.shape() == loaded.shape(), "mapped and loaded shapes differ");
}

void fuzz_safetensors(std::string_view bytes) {
  Metadata metadata;
  size_t total = 0;
  for (const auto& [name, tensor] : load_safetensors(file_of(bytes), &metadata)) {
    total += tensor.bytes();
    touch({static_cast<const std::byte*>(tensor.data()), tensor.bytes()});
  }
  require(total <= bytes.size(), "more values than bytes");
}

}  // namespace hardmoe
