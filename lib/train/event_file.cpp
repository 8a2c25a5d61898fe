#include "train/event_file.h"

#include <unistd.h>

#include <bit>
#include <chrono>

#include "base/crc32c.h"
#include "base/folders.h"

namespace hardmoe {
namespace {

// Protocol-buffer wire format: a key is field·8 + type; type 0 varint, 1 fixed64, 2 bytes, 5
// fixed32.
void put_varint(std::string& out, uint64_t value) {
  for (; value >= 0x80; value >>= 7) out += static_cast<char>(value | 0x80);
  out += static_cast<char>(value);
}

template <class T>
void put_fixed(std::string& out, T value) {
  for (size_t i = 0; i < sizeof value; ++i) out += static_cast<char>(value >> (8 * i));
}

void put_bytes(std::string& out, int field, const std::string& bytes) {
  put_varint(out, static_cast<uint64_t>(field * 8 + 2));
  put_varint(out, bytes.size());
  out += bytes;
}

uint32_t masked_crc(const std::string& bytes) {
  const uint32_t crc = crc32c(bytes);
  return (crc >> 15 | crc << 17) + 0xA282EAD8U;
}

double wall_seconds() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

std::string event_start() {
  std::string event;
  put_varint(event, 1 * 8 + 1);  // wall_time
  put_fixed(event, std::bit_cast<uint64_t>(wall_seconds()));
  return event;
}

}  // namespace

EventFile::EventFile(const std::filesystem::path& folder, int64_t from_step) {
  const auto file = folder / fmt::format("events.out.tfevents.{}.{}",
                                         static_cast<int64_t>(wall_seconds()), ::getpid());
  // This process may have begun it within the same second.
  out_ = AppendFile(file, path_exists(file) ? static_cast<int64_t>(file_size_of(file)) : 0);
  std::string event = event_start();
  put_bytes(event, 3, "brain.Event:2");  // file_version
  record(event);
  std::string session = event_start();
  put_varint(session, 2 * 8);  // step
  put_varint(session, static_cast<uint64_t>(from_step + 1));
  put_bytes(session, 7, "\x08\x01");  // session_log: START, what TensorBoard purges later steps at
  record(session);
}

void EventFile::scalar(const std::string& tag, int64_t step, float value) {
  std::string item;
  put_bytes(item, 1, tag);      // Value.tag
  put_varint(item, 2 * 8 + 5);  // Value.simple_value
  put_fixed(item, std::bit_cast<uint32_t>(value));
  std::string summary;
  put_bytes(summary, 1, item);  // Summary.value
  std::string event = event_start();
  put_varint(event, 2 * 8);  // step
  put_varint(event, static_cast<uint64_t>(step));
  put_bytes(event, 5, summary);
  record(event);
}

void EventFile::record(const std::string& event) {
  std::string length;
  put_fixed(length, static_cast<uint64_t>(event.size()));
  std::string record = length;
  put_fixed(record, masked_crc(length));
  record += event;
  put_fixed(record, masked_crc(event));
  out_.write(record);
}

}  // namespace hardmoe
