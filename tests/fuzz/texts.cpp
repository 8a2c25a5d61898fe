// JSON, tables, lists written into one text, and lists that are packed.
#include "base/foreign_json.h"
#include "base/text.h"
#include "fuzz/input_files.h"
#include "fuzz/targets.h"
#include "ingest/sources/compressed.h"
#include "ingest/sources/kinds.h"
#include "ingest/sources/list_text.h"
#include "small_dataset.h"
#include "temporary_folder.h"

namespace hardmoe {
namespace {

/// Reads all items of the list and checks what they promise.
void read_list(std::string_view bytes, SourceKind kind) {
  static const TemporaryFolder folder;
  const auto file = folder / "list";
  overwrite(file, std::string(bytes));
  SourceOptions options;
  options.images = {folder.path()};
  const auto source = open_list({file, "list", kind, folder.path()}, options);
  for (int64_t i = 0; i < source->size(); ++i) {
    const SourceItem item = source->item(i);
    require(safe_key(item.key) == item.key || item.rejection != Rejection::none ||
                !item.path.empty() || !item.made.empty(),
            "an item is neither an image nor refused");
    require(item.rejection == Rejection::none || !item.detail.empty(), "refused without a reason");
  }
}

}  // namespace

void fuzz_json(std::string_view bytes) {
  const Json value = parse_foreign_json(bytes);
  require(Json::parse(value.dump()) == value, "written and read again it differs");
}

void fuzz_list_text(std::string_view bytes) {
  constexpr size_t most = 100;
  const ListText list = parse_list_text(bytes, most);
  require(list.elements.size() <= most, "more elements than asked for");
  require((list.kind == ListText::Kind::broken) == !list.fault.empty(),
          "broken without a reason, or whole with one");
  path_of_image_text(bytes);
}

void fuzz_csv(std::string_view bytes) { read_list(bytes, SourceKind::csv); }

void fuzz_tsv(std::string_view bytes) { read_list(bytes, SourceKind::tsv); }

void fuzz_json_lines(std::string_view bytes) { read_list(bytes, SourceKind::json_lines); }

void fuzz_packed(std::string_view bytes) {
  constexpr size_t most = size_t{1} << 21;  // more takes long, and nothing new comes
  const auto file = file_of(bytes);
  size_t unpacked = 0;
  read_unpacked(file, [&](std::string_view piece) {
    unpacked += piece.size();
    return unpacked < most;
  });
  require(read_head(file, 100).size() == std::min<size_t>(unpacked, 100), "another beginning");
  require(is_compressed(file) || unpacked == bytes.size(), "a plain file is not as it was");
}

}  // namespace hardmoe
