#include "tensor/safetensors.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <optional>
#include <set>
#include <utility>

#include "base/error.h"
#include "base/files.h"
#include "base/json.h"

namespace hardmoe {
namespace {

/// All types of the format, with the matching DType.
struct TypeName {
  std::string_view name;
  uint64_t bits;
  std::optional<DType> dtype = {};
};
constexpr std::array<TypeName, 22> types = {{{"F32", 32, DType::f32},
                                             {"F64", 64, DType::f64},
                                             {"F16", 16, DType::f16},
                                             {"BF16", 16, DType::bf16},
                                             {"I64", 64, DType::i64},
                                             {"I32", 32, DType::i32},
                                             {"U16", 16, DType::u16},
                                             {"U8", 8, DType::u8},
                                             {"BOOL", 8},
                                             {"I8", 8},
                                             {"I16", 16},
                                             {"U32", 32},
                                             {"U64", 64},
                                             {"C64", 64},
                                             {"F4", 4},
                                             {"F6_E2M3", 6},
                                             {"F6_E3M2", 6},
                                             {"F8_E5M2", 8},
                                             {"F8_E4M3", 8},
                                             {"F8_E8M0", 8},
                                             {"F8_E4M3FNUZ", 8},
                                             {"F8_E5M2FNUZ", 8}}};
constexpr uint64_t longest_header = 100'000'000;  // as in the safetensors package
constexpr int deepest_header = 256;               // a tensor's entry takes 3 levels

std::string_view name_in_header(DType dtype) {
  return std::find_if(types.begin(), types.end(), [&](auto& type) { return type.dtype == dtype; })
      ->name;
}

/// One tensor's entry in the header; its bytes are [begin, end) after the header.
struct Entry {
  std::string name;
  const TypeName* type = nullptr;
  Shape shape;
  uint64_t begin = 0, end = 0;
};

/// Returns whole numbers as written, where get<>() would cut 1.5 down to 1.
std::vector<uint64_t> whole_numbers(const Json& entry, const char* key, const char* what,
                                    const std::string& where) {
  const Json list = json_get<Json>(entry, key, where);
  if (!list.is_array()) fail("{}: field '{}' is not a list", where, key);
  std::vector<uint64_t> numbers;
  for (const Json& number : list) {
    if (!number.is_number_unsigned() || number.get<uint64_t>() > INT64_MAX) {
      fail("{}: {} {} of '{}' is not a size", where, what, number.dump(), key);
    }
    numbers.push_back(number.get<uint64_t>());
  }
  return numbers;
}

uint64_t bytes_of(const Entry& entry, const std::string& where) {
  uint64_t bits = entry.type->bits;
  for (const int64_t extent : entry.shape) {
    if (__builtin_mul_overflow(bits, static_cast<uint64_t>(extent), &bits)) {
      fail("{}: shape {} does not fit in any file", where, to_string(entry.shape));
    }
  }
  if (bits % 8 != 0) fail("{}: shape {} ends within a byte", where, to_string(entry.shape));
  return bits / 8;
}

Entry parse_entry(const std::string& name, const Json& json, uint64_t body,
                  const std::string& where) {
  Entry entry;
  entry.name = name;
  const auto type = json_get<std::string>(json, "dtype", where);
  const auto* const known = std::ranges::find(types, type, &TypeName::name);
  if (known == types.end()) fail("{}: unsupported dtype '{}'", where, type);
  entry.type = &*known;
  for (const uint64_t extent : whole_numbers(json, "shape", "extent", where)) {
    entry.shape.push_back(static_cast<int64_t>(extent));
  }
  const auto offsets = whole_numbers(json, "data_offsets", "offset", where);
  if (offsets.size() != 2) fail("{}: {} data_offsets, expected 2", where, offsets.size());
  entry.begin = offsets[0];
  entry.end = offsets[1];
  if (entry.begin > entry.end || entry.end > body) {
    fail("{}: truncated: expected bytes {} to {} after the header, found {}", where, entry.begin,
         entry.end, body);
  }
  const uint64_t wanted = bytes_of(entry, where);
  if (entry.end - entry.begin != wanted) {
    fail("{}: shape {} needs {} bytes, found {}", where, to_string(entry.shape), wanted,
         entry.end - entry.begin);
  }
  return entry;
}

/// Throws Error unless the tensors cover all `body` bytes after the header, each byte once.
void require_cover(std::vector<Entry> entries, uint64_t body, const std::string& where) {
  std::ranges::sort(entries, {}, [](const Entry& e) { return std::pair(e.begin, e.end); });
  uint64_t end = 0;
  for (const Entry& entry : entries) {
    if (entry.begin != end) {
      fail("{}, tensor '{}': begins at byte {} of the data, the tensor before it ends at {}", where,
           entry.name, entry.begin, end);
    }
    end = entry.end;
  }
  if (end != body) {
    fail("{}: its tensors end at byte {} of the data, {} bytes follow that belong to none", where,
         end, body - end);
  }
}

/// Looks through a header for keys that may be there only once, and for its depth: a tensor may be
/// named twice (the last counts, as in the safetensors package), other keys may not.
class HeaderKeys : public nlohmann::json_sax<nlohmann::json> {
 public:
  explicit HeaderKeys(const std::string& where) : where_(where) {}

  bool null() override { return true; }
  bool boolean(bool /*value*/) override { return true; }
  bool number_integer(number_integer_t /*value*/) override { return true; }
  bool number_unsigned(number_unsigned_t /*value*/) override { return true; }
  bool number_float(number_float_t /*value*/, const string_t& /*text*/) override { return true; }
  bool string(string_t& /*value*/) override { return true; }
  bool binary(binary_t& /*value*/) override { return true; }
  bool start_object(std::size_t /*count*/) override { return open(); }
  bool start_array(std::size_t /*count*/) override { return open(); }
  bool end_object() override { return close(); }
  bool end_array() override { return close(); }

  bool key(string_t& key) override {
    const bool twice = depth_ == 1 ? key == "__metadata__" && std::exchange(metadata_, true)
                                   : depth_ == 2 && is_field(key) && !fields_.insert(key).second;
    if (twice) fail("{}: '{}' is in the header twice", where_, key);
    return true;
  }

  /// What is no JSON is told when the header is parsed.
  bool parse_error(std::size_t /*position*/, const std::string& /*token*/,
                   const nlohmann::json::exception& /*error*/) override {
    return false;
  }

 private:
  static bool is_field(const std::string& key) {
    return key == "dtype" || key == "shape" || key == "data_offsets";
  }

  bool open() {
    if (++depth_ > deepest_header) {
      fail("{}: a header nested deeper than {} levels", where_, deepest_header);
    }
    if (depth_ == 2) fields_.clear();
    return true;
  }

  bool close() {
    --depth_;
    return true;
  }

  const std::string& where_;
  int depth_ = 0;
  bool metadata_ = false;
  std::set<std::string> fields_;  ///< of the tensor that is being read
};

/// Parses the header like parse_json. A tree, as a header may name very many tensors.
nlohmann::json parse_header(std::string_view text, const std::string& where) {
  // Refuse what the parser would skip.
  if (text.starts_with("\xEF\xBB\xBF")) fail("{}: a byte order mark before the header", where);
  if (text.find('\0') != std::string_view::npos) fail("{}: a null byte in the header", where);
  // Not by the parser's callback: with one it looks through all tensors so far after each.
  HeaderKeys keys(where);
  nlohmann::json::sax_parse(text, &keys);
  try {
    return nlohmann::json::parse(text);
  } catch (const nlohmann::json::exception& error) {
    fail("{}: the header is not valid JSON, {}", where, json_fault(text, error));
  }
}

}  // namespace

void save_safetensors(const std::filesystem::path& file, const StateDict& tensors,
                      const Metadata& metadata) {
  Json header = Json::object();
  if (!metadata.empty()) header["__metadata__"] = metadata;
  size_t offset = 0;
  for (const auto& [name, tensor] : tensors) {
    Json entry = {{"dtype", name_in_header(tensor.dtype())},
                  {"shape", tensor.shape()},
                  {"data_offsets", {offset, offset + tensor.bytes()}}};
    // Names are distinct: none is looked for among all before it.
    header.get_ref<Json::object_t&>().Json::object_t::Container::emplace_back(name,
                                                                              std::move(entry));
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

StateDict load_safetensors(const std::filesystem::path& file, Metadata* metadata,
                           const std::function<bool(const std::string& name)>& wanted) {
  const MappedFile map(file);
  const auto bytes = map.bytes();
  const std::string where = file.string();
  uint64_t length = 0;
  if (bytes.size() < sizeof length) fail("{}: truncated: {} bytes", where, bytes.size());
  std::memcpy(&length, bytes.data(), sizeof length);
  if (length > longest_header || length > bytes.size() - sizeof length) {
    fail(
        "{}: not a .safetensors file, or truncated: it gives its header's length as {} bytes, but "
        "the file has {}",
        where, length, bytes.size());
  }
  const nlohmann::json header =
      parse_header({reinterpret_cast<const char*>(bytes.data()) + sizeof length, length}, where);
  if (!header.is_object()) fail("{}: the header is not a JSON object", where);
  const auto body = bytes.subspan(sizeof length + length);

  std::vector<Entry> entries;
  for (const auto& [name, entry] : header.items()) {
    if (name == "__metadata__") {
      if (entry.is_null()) continue;
      const auto texts = json_get<Metadata>({{name, Json(entry)}}, "__metadata__", where);
      if (metadata != nullptr) *metadata = texts;
      continue;
    }
    const std::string here = fmt::format("{}, tensor '{}'", where, name);
    entries.push_back(parse_entry(name, Json(entry), body.size(), here));
  }
  require_cover(entries, body.size(), where);
  StateDict tensors;
  for (const Entry& entry : entries) {
    if (!entry.type->dtype || (wanted && !wanted(entry.name))) continue;
    Tensor tensor(*entry.type->dtype, entry.shape);
    if (tensor.bytes() > 0) std::memcpy(tensor.data(), body.data() + entry.begin, tensor.bytes());
    tensors.emplace(entry.name, std::move(tensor));
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
