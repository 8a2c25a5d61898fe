#include "base/ordered_json.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"

namespace hardmoe {
namespace {

/// Throws Error naming a key that the object has twice.
void require_distinct_keys(const Json::object_t& object) {
  std::vector<std::string_view> keys;
  keys.reserve(object.size());
  for (const auto& [key, value] : object) keys.emplace_back(key);
  std::ranges::sort(keys);
  const auto twice = std::ranges::adjacent_find(keys);
  if (twice != keys.end()) fail("an object has the key {} twice", Json(*twice).dump());
}

/// Builds a value from what the library's scanner finds.
class Builder : public nlohmann::json_sax<Json> {
 public:
  Json take() { return std::move(root_); }

  bool null() override { return add(nullptr); }
  bool boolean(bool value) override { return add(value); }
  bool number_integer(number_integer_t value) override { return add(value); }
  bool number_unsigned(number_unsigned_t value) override { return add(value); }
  bool number_float(number_float_t value, const string_t& /*text*/) override { return add(value); }
  bool string(string_t& value) override { return add(std::move(value)); }
  bool binary(binary_t& value) override { return add(Json::binary(std::move(value))); }
  bool start_object(std::size_t /*count*/) override { return open(Json::object()); }
  bool start_array(std::size_t /*count*/) override { return open(Json::array()); }
  bool end_array() override { return close(); }

  bool key(string_t& key) override {
    // Of the ordered map, which looks for an equal key, the vector that it is.
    std::vector<Json::object_t::value_type>& members = opened_.back()->get_ref<Json::object_t&>();
    if (members.size() == most_own_json_keys) {
      fail("an object of more than {} keys", most_own_json_keys);
    }
    next_ = &members.emplace_back(std::move(key), nullptr).second;
    return true;
  }

  bool end_object() override {
    require_distinct_keys(opened_.back()->get_ref<const Json::object_t&>());
    return close();
  }

  bool parse_error(std::size_t /*position*/, const std::string& /*token*/,
                   const nlohmann::detail::exception& error) override {
    throw error;
  }

 private:
  /// Puts a value where the next one belongs; returns it there.
  Json& put(Json value) {
    if (opened_.empty()) return root_ = std::move(value);
    if (opened_.back()->is_array()) {
      return opened_.back()->get_ref<Json::array_t&>().emplace_back(std::move(value));
    }
    return *next_ = std::move(value);
  }

  bool add(Json value) {
    put(std::move(value));
    return true;
  }

  bool open(Json empty) {
    if (opened_.size() == deepest_own_json) fail("nested deeper than {} levels", deepest_own_json);
    opened_.push_back(&put(std::move(empty)));
    return true;
  }

  bool close() {
    opened_.pop_back();
    return true;
  }

  Json root_;
  std::vector<Json*> opened_;  ///< the last one's container alone grows
  Json* next_ = nullptr;       ///< where the value of the key read last belongs
};

}  // namespace

Json parse_ordered_json(std::string_view text) {
  if (text.size() > longest_own_json) {
    fail("{} bytes, at most {} are read", text.size(), longest_own_json);
  }
  Builder builder;
  Json::sax_parse(text, &builder);
  return builder.take();
}

Json parse_json_line(std::string_view text) {
  try {
    return parse_ordered_json(text);
  } catch (const nlohmann::json::exception&) {
    return nullptr;
  } catch (const Error&) {
    return nullptr;
  }
}

}  // namespace hardmoe
