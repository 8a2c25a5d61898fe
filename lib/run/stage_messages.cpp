#include "run/stage_messages.h"

namespace hardmoe {

StageMessages::StageMessages() = default;

void StageMessages::read() {
  unread_ += pipe_.read_available();
  size_t begin = 0;
  for (size_t end; (end = unread_.find('\n', begin)) != std::string::npos; begin = end + 1) {
    take(unread_.substr(begin, end - begin));
  }
  unread_.erase(0, begin);
}

void StageMessages::take(const std::string& line) {
  Json told = Json::parse(line, nullptr, false);
  if (!told.is_object()) return;  // not one of our commands
  if (told.value("level", "") == "error") {
    failure_ = told.value("message", "");
  } else if (told.contains("locked") && told["locked"].is_string()) {
    locked_ = told["locked"].get<std::string>();
  } else if (told.contains("done") && told["done"].is_number() && told.contains("total") &&
             told["total"].is_number()) {
    progress_ = std::move(told);
  }
}

}  // namespace hardmoe
