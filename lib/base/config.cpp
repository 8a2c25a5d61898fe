#include "base/config.h"

#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <charconv>
#include <cmath>

#include "base/files.h"
#include "base/folders.h"
#include "base/text.h"

namespace hardmoe {
namespace {

template <class Number>
bool parse_number(const std::string& text, Number& value) {
  Number parsed{};
  const auto [rest, error] = std::from_chars(text.data(), text.data() + text.size(), parsed);
  if (error != std::errc() || rest != text.data() + text.size()) return false;
  if constexpr (std::is_floating_point_v<Number>) {
    if (!std::isfinite(parsed)) return false;
  }
  value = parsed;
  return true;
}

template <class Number>
Fields::Field number_field(std::string name, Number& value, std::string help, std::string type) {
  return {std::move(name),
          std::move(help),
          std::move(type),
          false,
          [&value](const auto& text) { return text.size() == 1 && parse_number(text[0], value); },
          [&value] { return Json(value); }};
}

/// The keys at one level of the configuration.
struct Level {
  const std::vector<Fields::Field>& fields;
  const std::vector<Fields::Moved>& moved;
};
Level inside(const Fields::Field& section) { return {section.section, section.moved}; }
Level top_of(const Fields& fields) { return {fields.list(), fields.moved()}; }

const Fields::Field* find(const std::vector<Fields::Field>& fields, const std::string& name) {
  const auto found =
      std::find_if(fields.begin(), fields.end(), [&](const auto& f) { return f.name == name; });
  return found == fields.end() ? nullptr : &*found;
}

const Fields::Field& known_field(const Level& level, const std::string& name,
                                 const std::string& prefix, const std::string& where) {
  if (const auto* field = find(level.fields, name)) return *field;
  for (const auto& moved : level.moved) {
    if (moved.name != name) continue;
    fail_usage("{}: '{}{}' is no key any more: {}", where, prefix, name, moved.instead);
  }
  std::vector<std::string> names;
  for (const auto& f : level.fields) names.push_back(f.name);
  const std::string nearest = nearest_name(name, names);
  fail_usage("{}: unknown key '{}{}'; {}", where, prefix, name,
             nearest.empty() ? "known here: " + join(names, ", ")
                             : fmt::format("did you mean '{}{}'?", prefix, nearest));
}

void set_field(const Fields::Field& field, const std::vector<std::string>& values,
               const std::string& path, const std::string& where) {
  if (field.parse(values)) return;
  fail_usage("{}: '{}' takes {}, found '{}'", where, path, field.type, join(values, ", "));
}

YAML::Node parse_yaml(const std::filesystem::path& file) {
  const std::string text = read_file(file);
  try {
    return YAML::Load(text);
  } catch (const YAML::Exception& error) {
    // YAML takes a text that begins with * for the name of an anchor.
    const bool star = error.msg.find("anchor") != std::string::npos;
    fail_usage("{}, line {}: not valid YAML: {}{}", file.string(), error.mark.line + 1, error.msg,
               star ? "; put quotes around a text that begins with *" : "");
  }
}

void load_node(const YAML::Node& node, const Level& level, const std::string& prefix,
               const std::string& file) {
  if (node.IsNull()) return;
  const auto where = [&](const YAML::Node& n) {
    return fmt::format("{}, line {}", file, n.Mark().line + 1);
  };
  if (!node.IsMap()) {
    fail_usage(
        "{}: expected 'key: value' lines{}, found '{}'", where(node),
        prefix.empty() ? "" : fmt::format(" under '{}'", prefix.substr(0, prefix.size() - 1)),
        node.IsScalar() ? node.Scalar() : "a list");
  }
  std::vector<std::string> seen;
  for (const auto& entry : node) {
    const std::string name = entry.first.Scalar();
    const auto& field = known_field(level, name, prefix, where(entry.first));
    const std::string path = prefix + name;
    if (std::find(seen.begin(), seen.end(), name) != seen.end()) {
      fail_usage("{}: '{}' is given a second time; keep one of the two", where(entry.first), path);
    }
    seen.push_back(name);
    if (!field.section.empty()) {
      load_node(entry.second, inside(field), path + ".", file);
      continue;
    }
    std::vector<std::string> values;
    if (entry.second.IsSequence() && field.is_list) {
      for (const auto& item : entry.second) {
        if (!item.IsScalar()) {
          fail_usage("{}: '{}' takes {}, found an item that is not one", where(entry.first), path,
                     field.type);
        }
        values.push_back(item.Scalar());
      }
    } else if (entry.second.IsScalar()) {
      values.push_back(entry.second.Scalar());
    } else if (!entry.second.IsNull() || !field.is_list) {
      fail_usage("{}: '{}' takes {}, found {}", where(entry.first), path, field.type,
                 entry.second.IsNull()  ? "nothing"
                 : entry.second.IsMap() ? "a section"
                                        : "a list");
    }
    set_field(field, values, path, where(entry.first));
  }
}

Json values_of(const std::vector<Fields::Field>& fields) {
  Json json = Json::object();
  for (const auto& field : fields) {
    json[field.name] = field.section.empty() ? field.value() : values_of(field.section);
  }
  return json;
}

void list_keys(const std::vector<Fields::Field>& fields, const std::string& prefix,
               std::vector<ConfigKey>& keys) {
  for (const auto& field : fields) {
    const bool section = !field.section.empty();
    keys.push_back({prefix + field.name, field.type, field.help, section ? Json() : field.value(),
                    field.choices});
    if (section) list_keys(field.section, prefix + field.name + ".", keys);
  }
}

void emit(YAML::Emitter& out, const std::vector<Fields::Field>& fields) {
  out << YAML::BeginMap;
  for (const auto& field : fields) {
    out << YAML::Key << field.name << YAML::Value;
    if (!field.section.empty()) {
      if (!field.help.empty()) out << YAML::Comment(field.help);
      emit(out, field.section);
      continue;
    }
    const Json value = field.value();
    const auto scalar = [&](const Json& v) {
      if (v.is_string()) {
        out << YAML::DoubleQuoted << v.get<std::string>() << YAML::Auto;
      } else {
        out << v.dump();
      }
    };
    if (value.is_array()) {
      out << YAML::Flow << YAML::BeginSeq;
      for (const auto& item : value) scalar(item);
      out << YAML::EndSeq;
    } else {
      scalar(value);
    }
    if (!field.help.empty()) out << YAML::Comment(field.help);
  }
  out << YAML::EndMap;
}

}  // namespace

void Fields::add(std::string name, bool& value, std::string help) {
  fields_.push_back({std::move(name),
                     std::move(help),
                     "true or false",
                     false,
                     [&value](const auto& text) {
                       if (text.size() != 1 || (text[0] != "true" && text[0] != "false"))
                         return false;
                       value = text[0] == "true";
                       return true;
                     },
                     [&value] { return Json(value); },
                     {},
                     {},
                     {"true", "false"}});
}

void Fields::add(std::string name, int& value, std::string help) {
  fields_.push_back(number_field(std::move(name), value, std::move(help), "a whole number"));
}

void Fields::add(std::string name, int64_t& value, std::string help) {
  fields_.push_back(number_field(std::move(name), value, std::move(help), "a whole number"));
}

void Fields::add(std::string name, uint64_t& value, std::string help) {
  fields_.push_back(number_field(std::move(name), value, std::move(help), "a whole number ≥ 0"));
}

void Fields::add(std::string name, double& value, std::string help) {
  fields_.push_back(number_field(std::move(name), value, std::move(help), "a number"));
}

void Fields::add(std::string name, std::string& value, std::string help) {
  fields_.push_back({std::move(name), std::move(help), "text", false,
                     [&value](const auto& text) {
                       if (text.size() != 1) return false;
                       value = text[0];
                       return true;
                     },
                     [&value] { return Json(value); }});
}

void Fields::add(std::string name, std::vector<std::string>& value, std::string help) {
  fields_.push_back({std::move(name), std::move(help), "a list of texts", true,
                     [&value](const auto& text) {
                       value = text;
                       return true;
                     },
                     [&value] { return Json(value); }});
}

void Fields::add(std::string name, std::vector<double>& value, std::string help) {
  fields_.push_back({std::move(name), std::move(help), "a list of numbers", true,
                     [&value](const auto& text) {
                       std::vector<double> parsed(text.size());
                       for (size_t i = 0; i < text.size(); ++i) {
                         if (!parse_number(text[i], parsed[i])) return false;
                       }
                       value = parsed;
                       return true;
                     },
                     [&value] { return Json(value); }});
}

void Fields::add(std::string name, std::filesystem::path& value, std::string help) {
  fields_.push_back({std::move(name), std::move(help), "a path", false,
                     [&value](const auto& text) {
                       if (text.size() != 1) return false;
                       value = text[0];
                       return true;
                     },
                     [&value] { return Json(value.string()); }});
}

void Fields::add(std::string name, std::vector<std::filesystem::path>& value, std::string help) {
  fields_.push_back({std::move(name), std::move(help), "a list of paths", true,
                     [&value](const auto& text) {
                       value.assign(text.begin(), text.end());
                       return true;
                     },
                     [&value] {
                       Json paths = Json::array();
                       for (const auto& path : value) paths.push_back(path.string());
                       return paths;
                     }});
}

void Fields::add_list(std::string name, std::function<std::vector<std::string>()> get,
                      std::function<void(const std::vector<std::string>&)> set, std::string help,
                      std::vector<std::string> choices) {
  fields_.push_back({std::move(name),
                     std::move(help),
                     "a list of texts",
                     true,
                     [set = std::move(set)](const auto& text) {
                       set(text);
                       return true;
                     },
                     [get = std::move(get)] { return Json(get()); },
                     {},
                     {},
                     std::move(choices)});
}

void Fields::add_moved(std::string name, std::string instead) {
  moved_.push_back({std::move(name), std::move(instead)});
}

void Fields::add(std::string name, std::array<double, 3>& value, std::string help) {
  fields_.push_back({std::move(name),
                     std::move(help),
                     "a list of 3 numbers",
                     true,
                     [&value](const auto& text) {
                       std::array<double, 3> parsed{};
                       if (text.size() != parsed.size()) return false;
                       for (size_t i = 0; i < parsed.size(); ++i) {
                         if (!parse_number(text[i], parsed[i])) return false;
                       }
                       value = parsed;
                       return true;
                     },
                     [&value] { return Json(value); },
                     {}});
}

void Fields::add_choice(std::string name, std::vector<std::string> names,
                        std::function<size_t()> get, std::function<void(size_t)> set,
                        std::string help) {
  const std::string type = "one of " + join(names, ", ");
  fields_.push_back({std::move(name),
                     fmt::format("{} ({})", help, join(names, " | ")),
                     type,
                     false,
                     [names, set = std::move(set)](const auto& text) {
                       const auto found = std::find(names.begin(), names.end(), text.at(0));
                       if (text.size() != 1 || found == names.end()) return false;
                       set(static_cast<size_t>(found - names.begin()));
                       return true;
                     },
                     [names, get = std::move(get)] { return Json(names.at(get())); },
                     {},
                     {},
                     std::move(names)});
}

void Fields::add_fields(std::string name, Fields inner, std::string help) {
  fields_.push_back({std::move(name),
                     std::move(help),
                     "a section",
                     false,
                     {},
                     {},
                     std::move(inner.fields_),
                     std::move(inner.moved_)});
}

void load_yaml(const std::filesystem::path& file, const Fields& fields) {
  if (!path_exists(file)) fail_usage("{}: no such configuration file", file.string());
  if (is_folder(file)) {
    fail_usage("{}: it is a folder, expected a YAML configuration file", file.string());
  }
  load_node(parse_yaml(file), top_of(fields), "", file.string());
}

std::string yaml_text(const std::filesystem::path& file, const std::string& key) {
  const YAML::Node top = parse_yaml(file);
  if (!top.IsMap() || !top[key] || !top[key].IsScalar()) return "";
  return top[key].Scalar();
}

Fields::Field field_at(const Fields& fields, std::string_view path, const std::string& where) {
  const auto names = split(path, '.');
  const Fields::Field* field = nullptr;
  std::string prefix;
  for (const std::string& name : names) {
    if (field != nullptr && field->section.empty()) {
      fail_usage("{}: '{}' has no keys inside", where, prefix.substr(0, prefix.size() - 1));
    }
    field = &known_field(field == nullptr ? top_of(fields) : inside(*field), name, prefix, where);
    prefix += name + ".";
  }
  if (!field->section.empty()) {
    fail_usage("{}: '{}' is a section, name a key inside it", where, path);
  }
  return *field;
}

void set_key(const Fields& fields, std::string_view path, const std::vector<std::string>& values,
             const std::string& where) {
  set_field(field_at(fields, path, where), values, std::string(path), where);
}

void apply_override(std::string_view assignment, const Fields& fields) {
  const size_t equals = assignment.find('=');
  const std::string where = fmt::format("--set {}", assignment);
  if (equals == std::string_view::npos) fail_usage("{}: expected KEY=VALUE", where);
  const std::string path(trim(assignment.substr(0, equals)));
  std::string value(trim(assignment.substr(equals + 1)));
  const auto field = field_at(fields, path, where);
  std::vector<std::string> values{value};
  if (field.is_list && value.size() >= 2 && value.front() == '[' && value.back() == ']') {
    values.clear();
    const auto inside = trim(std::string_view(value).substr(1, value.size() - 2));
    for (const auto& item : inside.empty() ? std::vector<std::string>{} : split(inside, ',')) {
      values.emplace_back(trim(item));
    }
  }
  set_field(field, values, path, where);
}

std::vector<ConfigKey> config_keys(const Fields& fields) {
  std::vector<ConfigKey> keys;
  list_keys(fields.list(), "", keys);
  return keys;
}

Json config_json(const Fields& fields) { return values_of(fields.list()); }

std::string config_yaml(const Fields& fields) {
  YAML::Emitter out;
  emit(out, fields.list());
  return std::string(out.c_str()) + "\n";
}

}  // namespace hardmoe
