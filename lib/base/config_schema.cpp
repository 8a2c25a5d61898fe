#include "base/config_schema.h"

namespace hardmoe {
namespace {

Json scalar_schema(const Fields::Field& field) {
  const std::string& type = field.type;
  if (type == "true or false") return {{"type", "boolean"}};
  if (type == "a whole number") return {{"type", "integer"}};
  if (type == "a whole number ≥ 0") return {{"type", "integer"}, {"minimum", 0}};
  if (type == "a number" || type.ends_with("numbers")) return {{"type", "number"}};
  Json schema = {{"type", "string"}};
  if (!field.choices.empty()) schema["enum"] = field.choices;
  return schema;
}

Json list_schema(const Fields::Field& field) {
  const Json item = scalar_schema(field);
  Json list = {{"type", "array"}, {"items", item}};
  if (field.type == "a list of 3 numbers") {
    list["minItems"] = list["maxItems"] = 3;
    return list;
  }
  return {{"anyOf", {list, item, {{"type", "null"}}}}};
}

Json section_schema(const std::vector<Fields::Field>& fields) {
  Json properties = Json::object();
  for (const auto& field : fields) {
    const bool section = !field.section.empty();
    Json schema = {{"description", field.help}};
    if (!section) schema["default"] = field.value();
    schema.update(section         ? section_schema(field.section)
                  : field.is_list ? list_schema(field)
                                  : scalar_schema(field));
    properties[field.name] = std::move(schema);
  }
  return {{"type", {"object", "null"}},
          {"additionalProperties", false},
          {"properties", std::move(properties)}};
}

}  // namespace

Json config_schema(const Fields& fields, const std::string& title) {
  Json schema = {{"$schema", "https://json-schema.org/draft/2020-12/schema"}, {"title", title}};
  schema.update(section_schema(fields.list()));
  return schema;
}

}  // namespace hardmoe
