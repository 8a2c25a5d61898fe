#include "data/tar.h"

#include <algorithm>
#include <charconv>
#include <cstring>
#include <optional>
#include <unordered_map>

#include "base/error.h"
#include "base/folders.h"
#include "base/unfinished_file.h"

namespace hardmoe {
namespace {

constexpr size_t block_bytes = 512;
constexpr size_t record_bytes = 20 * block_bytes;  // tar programs pad archives to a multiple of it
constexpr size_t longest_text = size_t{1} << 20;   // limit for a long name or a set of pax records

/// Fields of a header block (POSIX.1-1988 ustar): offset and width.
struct Field {
  size_t at, width;
};
constexpr Field name_field{0, 100}, mode_field{100, 8}, owner_field{108, 8}, group_field{116, 8},
    size_field{124, 12}, time_field{136, 12}, checksum_field{148, 8}, target_field{157, 100},
    prefix_field{345, 155};
constexpr size_t type_at = 156;
constexpr size_t magic_at = 257;

std::string_view field_text(std::string_view block, Field field) {
  const std::string_view text = block.substr(field.at, field.width);
  return text.substr(0, text.find('\0'));
}

/// Returns the sum of the block's bytes, with the checksum field's own bytes counted as blanks.
int64_t checksum_of(std::string_view block, bool as_signed) {
  int64_t sum = 0;
  for (size_t i = 0; i < block.size(); ++i) {
    const bool own = i >= checksum_field.at && i < checksum_field.at + checksum_field.width;
    const char c = own ? ' ' : block[i];
    sum += as_signed ? static_cast<signed char>(c) : static_cast<unsigned char>(c);
  }
  return sum;
}

/// Parses octal digits among blanks, or GNU's base 256; nothing if neither, negative or too large.
std::optional<int64_t> field_number(std::string_view block, Field field) {
  const std::string_view raw = block.substr(field.at, field.width);
  int64_t value = 0;
  if ((static_cast<unsigned char>(raw[0]) & 0x80) != 0) {
    if (static_cast<unsigned char>(raw[0]) != 0x80) return {};
    for (const char c : raw.substr(1)) {
      if (value >> 54 != 0) return {};
      value = value << 8 | static_cast<unsigned char>(c);
    }
    return value;
  }
  std::string_view digits = field_text(block, field);
  digits = digits.substr(std::min(digits.find_first_not_of(' '), digits.size()));
  digits = digits.substr(0, digits.find_last_not_of(' ') + 1);
  for (const char c : digits) {
    if (c < '0' || c > '7') return {};
    value = value << 3 | (c - '0');
  }
  return value;
}

/// A file or link, in the archive's order.
struct TarMember {
  bool is_link;
  size_t number;  ///< in TarIndex::files or ::links
  bool is_hard = false;
};

std::string normal(std::string_view name) {
  return std::filesystem::path(name).lexically_normal().string();
}

/// Sets the links' offsets and sizes to those of the files they lead to.
void resolve_links(const std::vector<TarMember>& members, TarIndex& index) {
  if (index.links.empty()) return;
  std::unordered_map<std::string, std::vector<size_t>> by_name;  // member numbers, ascending
  for (size_t m = 0; m < members.size(); ++m) {
    const size_t number = members[m].number;
    by_name[normal(members[m].is_link ? index.links[number].name : index.files[number].name)]
        .push_back(m);
  }
  constexpr int most_steps = 40;  // Linux follows as many; more means a cycle
  for (size_t m = 0; m < members.size(); ++m) {
    if (!members[m].is_link) continue;
    TarLink& link = index.links[members[m].number];
    size_t at = m;
    for (int step = 0; step < most_steps && members[at].is_link; ++step) {
      const std::string target = normal(index.links[members[at].number].target);
      link.leaves = target.starts_with('/') || target == ".." || target.starts_with("../");
      const auto named = by_name.find(target);
      if (link.leaves || named == by_name.end()) break;
      const auto& there = named->second;
      const auto end =
          members[at].is_hard ? std::lower_bound(there.begin(), there.end(), at) : there.end();
      if (end == there.begin()) break;
      at = *std::prev(end);
    }
    if (members[at].is_link) continue;
    link.offset = index.files[members[at].number].offset;
    link.size = index.files[members[at].number].size;
  }
}

bool has_right_checksum(std::string_view block) {
  const auto stored = field_number(block, checksum_field);
  // Accept sums of signed bytes, which some old programs wrote.
  return stored && (*stored == checksum_of(block, false) || *stored == checksum_of(block, true));
}

bool is_blank(std::string_view block) {
  return block.find_first_not_of('\0') == std::string_view::npos;
}

/// Walks an archive's headers; every read is checked against the archive's end.
class TarReader {
 public:
  TarReader(std::string_view archive, std::string_view where) : archive_(archive), where_(where) {}

  TarIndex read() {
    do {
      while (read_member()) {
      }
    } while (another_follows());
    resolve_links(members_, index_);
    return std::move(index_);
  }

 private:
  /// Handles what follows the end of an archive.
  bool another_follows() {
    while (archive_.size() - at_ >= block_bytes && is_blank(archive_.substr(at_, block_bytes))) {
      at_ += block_bytes;
    }
    const std::string_view rest = archive_.substr(at_);
    if (rest.size() >= block_bytes && has_right_checksum(rest.substr(0, block_bytes))) {
      ++index_.archives;
      return true;
    }
    if (!is_blank(rest)) index_.bytes_behind = static_cast<int64_t>(rest.size());
    return false;
  }

  [[noreturn]] void fail_at(std::string_view what) const {
    fail("{}: not a whole tar archive: at byte {}: {}", where_, at_, what);
  }

  bool read_member() {
    if (archive_.size() - at_ < block_bytes) {
      fail_at("the file ends without an end-of-archive block; it is truncated or not a tar");
    }
    const std::string_view block = archive_.substr(at_, block_bytes);
    if (is_blank(block)) return false;
    if (!has_right_checksum(block)) {
      fail_at("the header's checksum is wrong; the file is damaged, compressed or not a tar");
    }
    const char type = block[type_at];
    const int64_t size = size_of_data(block, type);
    const size_t begin = at_ + block_bytes;
    if (static_cast<uint64_t>(size) > archive_.size() - begin) {
      fail_at(fmt::format("a member of {} bytes reaches beyond the end of the file ({} bytes)",
                          size, archive_.size()));
    }
    const std::string_view data = archive_.substr(begin, static_cast<size_t>(size));
    take(block, type, data, begin);
    // The last member's padding may be cut off; the missing end block is reported next.
    const size_t padded = (data.size() + block_bytes - 1) / block_bytes * block_bytes;
    at_ = std::min(begin + padded, archive_.size());
    return true;
  }

  int64_t size_of_data(std::string_view block, char type) const {
    if (type >= '1' && type <= '6') return 0;  // links, devices and folders have no data
    if (type != 'x' && type != 'g' && type != 'L' && type != 'K' && pax_size_) return *pax_size_;
    const auto size = field_number(block, size_field);
    if (!size) fail_at("the member's size is not a number");
    return *size;
  }

  void take(std::string_view block, char type, std::string_view data, size_t begin) {
    switch (type) {
      case 'x':
        read_pax(data);
        return;
      case 'L':
        check_length(data);
        long_name_ = std::string(data.substr(0, data.find('\0')));
        return;
      case 'K':
        check_length(data);
        long_target_ = std::string(data.substr(0, data.find('\0')));
        return;
      case 'g':  // defaults for all members, never names or sizes
        check_length(data);
        return;
      case 'S':
        fail_at("a sparse member; pack the files again without --sparse");
      case '0':
      case '7':
      case '\0': {
        std::string name = name_of(block);
        if (!name.ends_with('/')) {  // with a slash it is a folder, as the first tars stored them
          members_.push_back({false, index_.files.size()});
          index_.files.push_back(
              {std::move(name), static_cast<int64_t>(begin), static_cast<int64_t>(data.size())});
        }
        break;
      }
      case '1':
      case '2': {
        std::string target =
            long_target_.empty() ? std::string(field_text(block, target_field)) : long_target_;
        if (type == '2') {  // relative to the folder of the link
          const std::string name = name_of(block);
          const size_t slash = name.rfind('/');
          if (slash != std::string::npos && !target.starts_with('/')) {
            target = name.substr(0, slash + 1) + target;
          }
        }
        members_.push_back({true, index_.links.size(), type == '1'});
        index_.links.push_back({name_of(block), std::move(target)});
        break;
      }
      case '5':
        break;
      default:
        index_.others.emplace_back(name_of(block), kind_of(type));
        break;
    }
    long_name_.clear();
    long_target_.clear();
    pax_size_.reset();
  }

  static std::string kind_of(char type) {
    if (type == '3' || type == '4') return "device";
    if (type == '6') return "pipe";
    const bool plain = type > ' ' && type < 0x7F;
    return fmt::format("tar member of type {}", plain ? std::string(1, type) : "not known");
  }

  std::string name_of(std::string_view block) const {
    std::string name(field_text(block, name_field));
    const std::string_view prefix = field_text(block, prefix_field);
    const bool ustar = block.substr(magic_at, 6) == std::string_view("ustar\0", 6);
    if (ustar && !prefix.empty()) name = fmt::format("{}/{}", prefix, name);
    if (!long_name_.empty()) name = long_name_;
    while (name.starts_with("./")) name.erase(0, 2);
    return name;
  }

  void check_length(std::string_view data) const {
    if (data.size() > longest_text) {
      fail_at(fmt::format("a name or attributes of {} bytes; at most {} are accepted", data.size(),
                          longest_text));
    }
  }

  /// Parses records "LENGTH KEY=VALUE\n", where LENGTH counts itself too (POSIX.1-2001 pax).
  void read_pax(std::string_view data) {
    check_length(data);
    while (!data.empty() && data[0] != '\0') {
      size_t length = 0;
      const auto [end, error] = std::from_chars(data.data(), data.data() + data.size(), length);
      const auto digits = static_cast<size_t>(end - data.data());
      if (error != std::errc() || length > data.size() || length < digits + 3 ||
          data[digits] != ' ' || data[length - 1] != '\n') {
        fail_at("damaged pax attributes");
      }
      const std::string_view record = data.substr(digits + 1, length - digits - 2);
      const size_t equals = record.find('=');
      if (equals == std::string_view::npos) fail_at("damaged pax attributes");
      take_pax(record.substr(0, equals), record.substr(equals + 1));
      data.remove_prefix(length);
    }
  }

  void take_pax(std::string_view key, std::string_view value) {
    if (key == "path") {
      long_name_ = std::string(value.substr(0, value.find('\0')));
    } else if (key == "linkpath") {
      long_target_ = std::string(value.substr(0, value.find('\0')));
    } else if (key == "size") {
      int64_t size = -1;
      const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), size);
      if (error != std::errc() || end != value.data() + value.size() || size < 0) {
        fail_at("the member's pax size is not a number");
      }
      pax_size_ = size;
    } else if (key.starts_with("GNU.sparse.")) {
      fail_at("a sparse member; pack the files again without --sparse");
    }
  }

  std::string_view archive_;
  std::string_view where_;
  size_t at_ = 0;
  std::string long_name_, long_target_;  // of the next member
  std::optional<int64_t> pax_size_;      // of the next member
  std::vector<TarMember> members_;
  TarIndex index_;
};

void put_text(std::string& block, Field field, std::string_view text) {
  std::copy(text.begin(), text.end(), block.begin() + static_cast<std::ptrdiff_t>(field.at));
}

void put_octal(std::string& block, Field field, size_t value) {
  put_text(block, field, fmt::format("{:0{}o}", value, field.width - 1));
}

/// Returns the prefix for a name too long for its field: up to the last slash that leaves both
/// parts short enough. Returns nothing if there is no such slash.
std::optional<std::string_view> split_prefix(std::string_view name) {
  if (name.size() <= name_field.width) return std::string_view{};
  const size_t slash = name.rfind('/', prefix_field.width);
  if (slash == std::string_view::npos || slash == 0 || name.size() - slash - 1 > name_field.width ||
      slash + 1 == name.size()) {
    return {};
  }
  return name.substr(0, slash);
}

/// Returns "LENGTH path=NAME\n", where LENGTH counts its own digits too.
std::string pax_path(std::string_view name) {
  const std::string record = fmt::format(" path={}\n", name);
  size_t length = record.size() + 1;
  while (fmt::formatted_size("{}", length) + record.size() != length) ++length;
  return fmt::format("{}{}", length, record);
}

}  // namespace

TarIndex read_tar(std::span<const std::byte> archive, std::string_view where) {
  return TarReader({reinterpret_cast<const char*>(archive.data()), archive.size()}, where).read();
}

std::vector<TarEntry> index_tar(std::span<const std::byte> archive, std::string_view where) {
  return read_tar(archive, where).files;
}

bool begins_as_tar(std::string_view bytes) {
  return bytes.size() >= block_bytes && !is_blank(bytes.substr(0, block_bytes)) &&
         has_right_checksum(bytes.substr(0, block_bytes));
}

TarWriter::TarWriter(const std::filesystem::path& file)
    : file_(file),
      unfinished_(unfinished_name(file)),
      output_(open_unfinished(file)),
      keep_unfinished_(false) {}

TarWriter::TarWriter(const std::filesystem::path& file, int64_t keep)
    : file_(file),
      unfinished_(file.string() + ".part"),
      output_(unfinished_, keep),
      size_(keep),
      keep_unfinished_(true) {
  constexpr int64_t piece = int64_t{1} << 20;
  for (int64_t at = 0; at < keep; at += piece) {
    const auto bytes = output_.read(at, static_cast<size_t>(std::min(piece, keep - at)));
    hash_.update(bytes.data(), bytes.size());
  }
}

TarWriter::~TarWriter() {
  if (!finished_ && !keep_unfinished_ && !file_.empty()) try_remove(unfinished_);
}

void TarWriter::put(std::string_view bytes) {
  if (!file_.empty()) output_.write(bytes);
  size_ += static_cast<int64_t>(bytes.size());
  hash_.update(bytes.data(), bytes.size());
}

void TarWriter::put_member(std::string_view name, std::string_view prefix, char type,
                           std::string_view bytes) {
  std::string block(block_bytes, '\0');
  put_text(block, name_field, name);
  put_octal(block, mode_field, 0644);
  put_octal(block, owner_field, 0);
  put_octal(block, group_field, 0);
  put_octal(block, size_field, bytes.size());
  put_octal(block, time_field, 0);
  block[type_at] = type;
  block.replace(magic_at, 8, std::string_view("ustar\00000", 8));
  put_text(block, prefix_field, prefix);
  // Write six digits, a null and a blank, as only this field has them.
  put_text(block, checksum_field, fmt::format("{:06o}", checksum_of(block, false)));
  block[checksum_field.at + 7] = ' ';
  put(block);
  put(bytes);
  put(std::string((block_bytes - bytes.size() % block_bytes) % block_bytes, '\0'));
}

int64_t TarWriter::add(std::string_view name, std::string_view bytes) {
  if (const auto prefix = split_prefix(name)) {
    put_member(prefix->empty() ? name : name.substr(prefix->size() + 1), *prefix, '0', bytes);
  } else {
    put_member("PaxHeaders/name", {}, 'x', pax_path(name));
    put_member(name.substr(0, name_field.width), {}, '0', bytes);
  }
  const size_t padded = (bytes.size() + block_bytes - 1) / block_bytes * block_bytes;
  return size() - static_cast<int64_t>(padded);
}

std::string TarWriter::finish() {
  put(std::string(2 * block_bytes, '\0'));
  const auto over = static_cast<size_t>(size()) % record_bytes;
  put(std::string((record_bytes - over) % record_bytes, '\0'));
  if (file_.empty()) return hash_.hex();
  output_.sync();
  rename_file(unfinished_, file_);
  finished_ = true;
  return hash_.hex();
}

}  // namespace hardmoe
