#include "tensor/safetensors.h"

#include <array>
#include <cstring>

#include "base/error.h"
#include "base/files.h"
#include "base/json.h"

namespace hardmoe {
namespace {

constexpr std::array<std::string_view, 8> type_names = {"F32", "F64", "F16", "BF16",
                                                        "I64", "I32", "U16", "U8"};

/// Extents as written: get<Shape>() would cut 1.5 down to 1.
Shape parse_shape(const Json& extents, const std::string& where) {
  Shape shape;
  if (!extents.is_array()) fail("{}: field 'shape' is not a list", where);
  for (const Json& extent : extents) {
    if (!extent.is_number_unsigned() || extent.get<uint64_t>() > INT64_MAX) {
      fail("{}: extent {} of the shape is not a size", where, extent.dump());
    }
    shape.push_back(extent.get<int64_t>());
  }
  return shape;
}

DType parse_type(const std::string& name, const std::string& where) {
  for (size_t i = 0; i < type_names.size(); ++i) {
    if (type_names[i] == name) return static_cast<DType>(i);
  }
  fail("{}: unsupported dtype '{}'", where, name);
}

}  // namespace

void save_safetensors(const std::filesystem::path& file, const StateDict& tensors,
                      const Metadata& metadata) {
  Json header = Json::object();
  if (!metadata.empty()) header["__metadata__"] = metadata;
  size_t offset = 0;
  for (const auto& [name, tensor] : tensors) {
    header[name] = {{"dtype", type_names[static_cast<size_t>(tensor.dtype())]},
                    {"shape", tensor.shape()},
                    {"data_offsets", {offset, offset + tensor.bytes()}}};
    offset += tensor.bytes();
  }
  std::string text = header.dump();
  text.resize((text.size() + 7) / 8 * 8, ' ');
  AtomicFile output(file);
  const uint64_t length = text.size();
  output.write(&length, sizeof length);
  output.write(text);
  for (const auto& [name, tensor] : tensors) output.write(tensor.data(), tensor.bytes());
  output.commit();
}

StateDict load_safetensors(const std::filesystem::path& file, Metadata* metadata) {
  const MappedFile map(file);
  const auto bytes = map.bytes();
  const std::string where = file.string();
  uint64_t length = 0;
  if (bytes.size() < sizeof length) fail("{}: truncated: {} bytes", where, bytes.size());
  std::memcpy(&length, bytes.data(), sizeof length);
  if (length > bytes.size() - sizeof length) {
    fail(
        "{}: not a .safetensors file, or truncated: its header is said to be {} bytes long, the "
        "file has {}",
        where, length, bytes.size());
  }
  const Json header =
      parse_json({reinterpret_cast<const char*>(bytes.data()) + sizeof length, length}, where);
  if (!header.is_object()) fail("{}: the header is not a JSON object", where);
  const auto body = bytes.subspan(sizeof length + length);

  StateDict tensors;
  for (const auto& [name, entry] : header.items()) {
    if (name == "__metadata__") {
      const auto texts = json_get<Metadata>(header, "__metadata__", where);
      if (metadata != nullptr) *metadata = texts;
      continue;
    }
    const std::string here = fmt::format("{}, tensor '{}'", where, name);
    const DType dtype = parse_type(json_get<std::string>(entry, "dtype", here), here);
    const Shape shape = parse_shape(json_get<Json>(entry, "shape", here), here);
    const auto offsets = json_get<std::array<uint64_t, 2>>(entry, "data_offsets", here);
    uint64_t wanted = size_of(dtype);
    for (const int64_t extent : shape) {
      if (extent > 0 && wanted > body.size() / static_cast<uint64_t>(extent)) {
        fail("{}: truncated: shape {} does not fit in the file", here, to_string(shape));
      }
      wanted *= static_cast<uint64_t>(extent);
    }
    if (offsets[0] > offsets[1] || offsets[1] > body.size()) {
      fail("{}: truncated: bytes {} to {} asked of {}", here, offsets[0], offsets[1], body.size());
    }
    if (offsets[1] - offsets[0] != wanted) {
      fail("{}: shape {} needs {} bytes, {} given", here, to_string(shape), wanted,
           offsets[1] - offsets[0]);
    }
    Tensor tensor(dtype, shape);
    std::memcpy(tensor.data(), body.data() + offsets[0], wanted);
    tensors.emplace(name, std::move(tensor));
  }
  return tensors;
}

const Tensor& require_tensor(const StateDict& tensors, const std::string& name,
                             const std::string& where, const Shape* shape) {
  const auto found = tensors.find(name);
  if (found == tensors.end()) fail("{}: tensor '{}' is missing", where, name);
  if (shape != nullptr && found->second.shape() != *shape) {
    fail("{}: tensor '{}' has shape {}, expected {}", where, name, to_string(found->second.shape()),
         to_string(*shape));
  }
  return found->second;
}

}  // namespace hardmoe
