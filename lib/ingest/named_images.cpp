#include "ingest/named_images.h"

#include <algorithm>
#include <sstream>

#include "base/error.h"
#include "base/folders.h"
#include "base/text.h"
#include "image/codec.h"
#include "ingest/sources/folder_walk.h"
#include "ingest/sources/kinds.h"

namespace hardmoe {
namespace fs = std::filesystem;
namespace {

constexpr size_t head_bytes = 512;  // a tar's first header

NamedImage faulty(std::string name, std::string error) {
  return {std::move(name), {}, {}, std::move(error), {}};
}

NamedImage readable(std::string name, fs::path path, std::span<const std::byte> bytes,
                    std::shared_ptr<const void> keeps) {
  return {std::move(name), std::move(path), bytes, {}, std::move(keeps)};
}

bool is_image(std::span<const std::byte> bytes) {
  return !known_image_format(bytes.first(std::min(bytes.size(), head_bytes))).empty();
}

std::string_view head_of(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), std::min(bytes.size(), head_bytes)};
}

bool is_image_member(const TarEntry& entry, std::span<const std::byte> bytes) {
  const std::string extension = lower_ascii(fs::path(entry.name).extension().string());
  const bool named =
      !extension.empty() && is_image_extension(std::string_view(extension).substr(1));
  return named || is_image(bytes);
}

}  // namespace

NamedImages::NamedImages(std::vector<std::string> names, std::istream& standard_input)
    : names_(names.begin(), names.end()), input_(standard_input) {}

std::optional<NamedImage> NamedImages::next() {
  while (true) {
    if (!images_.empty()) {
      NamedImage image = std::move(images_.front());
      images_.pop_front();
      return image;
    }
    if (!files_.empty()) {
      const std::string file = files_.front();
      files_.pop_front();
      expand(file);
    } else if (listing_) {
      std::string line;
      listing_ = static_cast<bool>(std::getline(input_, line));
      line.insert(0, begun_);
      begun_.clear();
      if (line.ends_with('\r')) line.pop_back();
      if (!line.empty()) expand(line);
    } else if (!names_.empty()) {
      const std::string name = names_.front();
      names_.pop_front();
      if (name == "-") {
        expand_standard_input();
      } else {
        expand(name);
      }
    } else {
      return std::nullopt;
    }
  }
}

/// Adds the images of a path.
void NamedImages::expand(const std::string& name) {
  try {
    if (is_folder(name)) {
      const auto found = images_in(name);
      if (found.empty()) images_.push_back(faulty(name, "this folder has no images"));
      for (auto file = found.rbegin(); file != found.rend(); ++file) {
        files_.push_front(fs::path(name) / *file);
      }
      return;
    }
    require_file(name, "expected an image, a folder or a tar");
    const auto file = std::make_shared<const MappedFile>(name);
    if (begins_as_tar(head_of(file->bytes())) && !is_image(file->bytes())) {
      return expand_tar(name, file->bytes(), file);
    }
    images_.push_back(readable(name, name, file->bytes(), file));
  } catch (const Error& error) {
    if (error.status() == ExitStatus::interrupted) throw;
    std::string why = error.what();
    if (why.starts_with(name + ": ")) why.erase(0, name.size() + 2);
    images_.push_back(faulty(name, why));
  }
}

void NamedImages::expand_tar(const std::string& name, std::span<const std::byte> bytes,
                             const std::shared_ptr<const void>& keeps) {
  for (const TarEntry& entry : index_tar(bytes, name)) {
    const auto member =
        bytes.subspan(static_cast<size_t>(entry.offset), static_cast<size_t>(entry.size));
    if (!is_image_member(entry, member)) continue;
    images_.push_back(readable(name + ": " + entry.name, {}, member, keeps));
  }
  if (images_.empty()) images_.push_back(faulty(name, "this tar has no images"));
}

std::string NamedImages::rest_of_input() {
  std::ostringstream rest;
  rest << begun_;
  begun_.clear();
  if (input_.peek() != std::istream::traits_type::eof()) rest << input_.rdbuf();
  return std::move(rest).str();
}

/// Decides by its first bytes whether standard input is an image, a tar or a list.
void NamedImages::expand_standard_input() {
  begun_.resize(head_bytes);
  input_.read(begun_.data(), static_cast<std::streamsize>(head_bytes));
  begun_.resize(static_cast<size_t>(input_.gcount()));
  const auto head = std::as_bytes(std::span(begun_));
  const bool tar = begins_as_tar(begun_) && !is_image(head);
  if (!tar && !is_image(head)) {
    if (begun_.find('\0') != std::string::npos) {
      begun_.clear();
      images_.push_back(faulty("-",
                               "standard input is no image of a known format, no tar, and no "
                               "list of names, a line each"));
      return;
    }
    // What was read may hold several lines: all but the last are names of their own.
    auto lines = split(begun_, '\n');
    begun_ = std::move(lines.back());
    lines.pop_back();
    for (auto line = lines.rbegin(); line != lines.rend(); ++line) {
      if (line->ends_with('\r')) line->pop_back();
      if (!line->empty()) files_.emplace_front(*line);
    }
    listing_ = true;
    return;
  }
  const auto bytes = std::make_shared<const std::string>(rest_of_input());
  const auto view = std::as_bytes(std::span(*bytes));
  if (tar) return expand_tar("-", view, bytes);
  images_.push_back(readable("-", {}, view, bytes));
}

}  // namespace hardmoe
