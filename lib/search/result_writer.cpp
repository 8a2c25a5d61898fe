#include "search/result_writer.h"

#include <map>

#include "base/error.h"
#include "base/json.h"
#include "base/log.h"
#include "base/printable.h"
#include "data/thumbnails.h"
#include "image/contact_sheet.h"
#include "ingest/sources/source.h"
#include "tasks/sheet_file.h"

namespace hardmoe {
namespace {

/// Returns an image of the collection, for people and programs.
Json image_json(const Collection& images, int64_t image) {
  const auto [split, item] = images.place(image);
  Json tags = Json::array();
  for (const int32_t tag : split->tags(item)) {
    tags.push_back(images.vocabulary().tags[static_cast<size_t>(tag)]);
  }
  return {{"image", split->where(item)},
          {"split", split->name()},
          {"row", item},
          {"key", split->key(item)},
          {"tags", std::move(tags)}};
}

std::string line_of(const Json& json) {
  return json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

const char* kind_of(const QueryName& query) {
  return query.kind == QueryName::Kind::tag ? "tag" : "image";
}

}  // namespace

std::string found_lines(SearchForm form, const Collection& images, const QueryName& query,
                        std::span<const Neighbour> found) {
  if (form == SearchForm::json) {
    Json neighbours = Json::array();
    for (const Neighbour& one : found) {
      Json image = image_json(images, one.row);
      image["distance"] = one.distance;
      neighbours.push_back(std::move(image));
    }
    return line_of({{kind_of(query), query.name}, {"neighbours", std::move(neighbours)}});
  }
  const bool tag = query.kind == QueryName::Kind::tag;
  const std::string name = printable(tag ? "tag:" + query.name : query.name);
  std::string text;
  for (const Neighbour& one : found) {
    text += fmt::format("{}\t{:.6g}\t{}\n", name, one.distance, printable(images.where(one.row)));
  }
  return text;
}

std::string error_line(SearchForm form, const QueryName& query, const std::string& error) {
  if (form != SearchForm::json) return {};
  return line_of({{kind_of(query), query.name}, {"error", error}});
}

std::string pair_line(SearchForm form, const Collection& images, const NearPair& pair) {
  if (form == SearchForm::json) {
    return line_of({{"pair", {image_json(images, pair.first), image_json(images, pair.second)}},
                    {"distance", pair.distance}});
  }
  return fmt::format("{}\t{:.6g}\t{}\n", printable(images.where(pair.first)), pair.distance,
                     printable(images.where(pair.second)));
}

void SearchSheet::add(Tensor query, std::span<const int64_t> found) {
  if (!wants_rows()) return;
  ++rows_;
  tiles_.push_back(std::move(query));
  const auto shown = std::min(columns(), std::ssize(found));
  for (Tensor& image : tiles_of(found.first(static_cast<size_t>(shown)))) {
    tiles_.push_back(std::move(image));
  }
  tiles_.resize(tiles_.size() + static_cast<size_t>(columns() - shown));
}

std::vector<Tensor> SearchSheet::tiles_of(std::span<const int64_t> images) const {
  struct Part {
    std::vector<int64_t> items;
    std::vector<size_t> positions;  // in `images`
  };
  std::map<const Split*, Part> parts;
  for (size_t i = 0; i < images.size(); ++i) {
    const auto [split, item] = images_.place(images[i]);
    parts[split].items.push_back(item);
    parts[split].positions.push_back(i);
  }
  std::vector<Tensor> tiles(images.size());
  for (const auto& [split, part] : parts) {
    auto found = thumbnails(*split, part.items, tile);
    for (size_t i = 0; i < found.size(); ++i) tiles[part.positions[i]] = std::move(found[i]);
  }
  return tiles;
}

void SearchSheet::write() const {
  if (file_.empty()) return;
  if (rows_ == 0) {
    return log_warning("--contact-sheet {}: not written, as nothing was found", file_.string());
  }
  const Tensor sheet = contact_sheet(tiles_, columns() + 1, 2, 1);
  if (sheet.elements() == 0) {
    fail("--contact-sheet {}: none of the images could be read, so that there is nothing to show",
         file_.string());
  }
  write_sheet(file_, sheet);
  log_info("{}: a row a query or pair{}, left what was looked for, right what is near it{}{}",
           file_.string(), rows_ < most_rows ? "" : fmt::format(", of the first {}", most_rows),
           neighbours_ > 1 ? ", nearest first" : "",
           neighbours_ > columns() ? fmt::format("; the {} nearest", columns()) : "");
}

}  // namespace hardmoe
