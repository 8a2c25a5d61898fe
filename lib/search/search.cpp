#include "search/search.h"

#include <cstring>

#include "base/error.h"
#include "base/log.h"
#include "cluster/unit_rows.h"
#include "search/result_writer.h"
#include "search/source.h"
#include "search/tag_direction.h"
#include "tasks/asked_networks.h"
#include "tasks/sheet_file.h"

namespace hardmoe {
namespace {

const ViewForm tile_form = {SearchSheet::tile, 1};

void check_task(const SearchTask& task) {
  const bool queries = !task.images.empty() || !task.tags.empty() || !task.keys.empty();
  if (task.pairs_within && queries) {
    fail_usage(
        "--pairs-within: compares all images with each other; leave IMAGE, --tag and --key "
        "out");
  }
  if (!task.pairs_within && !queries) {
    fail_usage(
        "nothing to look for; name images, a --tag or a --key, or --pairs-within a distance");
  }
  if (task.neighbours < 1) {
    fail_usage("--neighbours: expected 1 or more, found {}", task.neighbours);
  }
  if (task.pairs_within && !(*task.pairs_within >= 0 && *task.pairs_within <= 2)) {
    fail_usage("--pairs-within: expected a cosine distance from 0 to 2, found {}",
               *task.pairs_within);
  }
  if (!task.sheet.empty()) check_sheet_file(task.sheet);
}

/// Returns the views of a window's images as tiles.
Tensor tile_of(const ViewSet& views, size_t view) {
  const auto batches = views.views({static_cast<int64_t>(view)}, 1, tile_form);
  const Batch* batch = batches->next();
  Tensor tile = Tensor::uninitialized(DType::u8, {SearchSheet::tile, SearchSheet::tile, 3});
  std::memcpy(tile.data(), batch->input.data(), tile.bytes());
  return tile;
}

/// Answers queries against the collection.
class Searching {
 public:
  Searching(const SearchTask& task, const SearchSource& source, const Config& config,
            const std::function<void(const std::string&)>& print)
      : task_(task),
        source_(source),
        config_(config),
        print_(print),
        form_(task.json ? SearchForm::json : SearchForm::lines),
        images_(source.dataset, source.embedding),
        sheet_(task.sheet, images_,
               task.pairs_within ? 1 : std::min(task.neighbours, images_.size())) {
    log_info("searching {} images, {} values each", images_.size(), images_.rows().size(1));
    const MatrixView rows = matrix_view(images_.rows());
    search_ = task.approximate ? approximate_search(rows, config.seed) : exact_search(rows);
  }

  void pairs() {
    search_->pairs_within(*task_.pairs_within, [&](const NearPair& pair) {
      print_(pair_line(form_, images_, pair));
      if (sheet_.wants_rows()) sheet_.add(sheet_.tile_of(pair.first), {&pair.second, 1});
      ++found_;
    });
    log_info("pairs: {}", found_);
  }

  /// Throws Error(usage) unless the networks give rows of the collection's width.
  void require_width(const AskedNetworks& asked) const {
    if (asked.embedding_values() == images_.rows().size(1)) return;
    fail_usage("{}: has rows of {} values, the networks of {} give {}; name its own networks",
               source_.embedding, images_.rows().size(1), task_.run, asked.embedding_values());
  }

  void tags(const OpenedNetworks& opened) {
    for (const std::string& tag : task_.tags) {
      const auto row = tag_direction(opened, tag);
      answer({QueryName::Kind::tag, tag}, {}, search_->nearest(view_of(row.data()), count())[0]);
    }
  }

  void keys() {
    for (const std::string& key : task_.keys) {
      for (const int64_t image : images_.with_key(key)) {
        auto found = search_->nearest(view_of(row_of(image)), count() + 1)[0];
        std::erase_if(found, [&](const Neighbour& one) { return one.row == image; });
        if (std::ssize(found) > count()) found.pop_back();
        answer({QueryName::Kind::image, images_.where(image)},
               sheet_.wants_rows() ? sheet_.tile_of(image) : Tensor(), found);
      }
    }
  }

  void named(const AskedNetworks& asked, std::istream& standard_input) {
    const auto engine = make_engine(config_.device);
    const Precision precision = asked.precision(*engine, config_.eval.precision);
    std::unique_ptr<Predictor> predictor;
    NamedImages names(task_.images, standard_input);
    std::vector<ViewForm> besides;
    if (!task_.sheet.empty()) besides.push_back(tile_form);
    asked.for_each_window(names, besides, [&](const ViewWindow& window) {
      std::vector<std::vector<Neighbour>> found;
      if (window.views.size() > 0) {
        if (!predictor) predictor = asked.predictor(*engine, precision, window.views.size());
        found = nearest_to(*predictor, window.views);
      }
      tell(window, found);
    });
    if (named_ == 0) fail("no images were named; name files, folders or tars, or - with a list");
  }

  /// Writes the contact sheet. Throws Error saying what could not be read.
  void finish() const {
    sheet_.write();
    if (unreadable_ > 0) {
      fail("{} of {} images could not be read; all others are done", unreadable_, named_);
    }
  }

 private:
  int64_t count() const { return task_.neighbours; }
  const float* row_of(int64_t image) const {
    return images_.rows().as<float>().data() + image * images_.rows().size(1);
  }
  MatrixView view_of(const float* row) const { return {row, 1, images_.rows().size(1)}; }

  std::vector<std::vector<Neighbour>> nearest_to(Predictor& predictor, const ViewSet& views) const {
    const PredictedImages predicted = predictor.predict(views, true, [](auto, auto, auto) {});
    return search_->nearest(matrix_view(unit_rows(matrix_view(predicted.embedding))), count());
  }

  void tell(const ViewWindow& window, const std::vector<std::vector<Neighbour>>& found) {
    size_t view = 0;
    for (const WindowImage& image : window.images) {
      ++named_;
      const QueryName query = {QueryName::Kind::image, image.name};
      if (!image.error.empty()) {
        ++unreadable_;
        if (form_ == SearchForm::lines) log_warning("{}: {}", image.name, image.error);
        print_(error_line(form_, query, image.error));
        continue;
      }
      answer(query, sheet_.wants_rows() ? tile_of(window.views, view) : Tensor(), found.at(view));
      ++view;
    }
  }

  void answer(const QueryName& query, Tensor tile, const std::vector<Neighbour>& found) {
    print_(found_lines(form_, images_, query, found));
    std::vector<int64_t> shown;
    for (const Neighbour& one : found) shown.push_back(one.row);
    sheet_.add(std::move(tile), shown);
  }

  const SearchTask& task_;
  const SearchSource& source_;
  const Config& config_;
  const std::function<void(const std::string&)>& print_;
  SearchForm form_;
  Collection images_;
  SearchSheet sheet_;
  std::unique_ptr<RowSearch> search_;
  int64_t named_ = 0, unreadable_ = 0, found_ = 0;
};

}  // namespace

void search_images(const SearchTask& task, const Config& config, std::istream& standard_input,
                   const std::function<void(const std::string&)>& print) {
  check_task(task);
  const SearchSource source = find_search_source(task);
  std::optional<AskedNetworks> asked;
  if (!task.images.empty() || !task.tags.empty()) {
    asked.emplace(open_networks(source.networks));
    require_embedding_by(source, asked->opened());
  }
  Searching searching(task, source, config, print);
  if (asked) searching.require_width(*asked);
  if (task.pairs_within) searching.pairs();
  if (asked) searching.tags(asked->opened());
  searching.keys();
  if (!task.images.empty()) searching.named(*asked, standard_input);
  searching.finish();
}

}  // namespace hardmoe
