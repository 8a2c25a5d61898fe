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
constexpr int64_t most_held = int64_t{1} << 20;  // neighbours of some queries at a time

void check_task(const SearchTask& task) {
  const bool queries = !task.images.empty() || !task.tags.empty() || !task.keys.empty();
  if (task.pairs_within && queries) {
    fail_usage(
        "--pairs-within: compares all images with each other; leave IMAGE, --tag and --key out");
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

/// Returns one of a window's views as a tile.
Tensor tile_of(const ViewSet& views, size_t view) {
  const auto batches = views.views({static_cast<int64_t>(view)}, 1, tile_form);
  const Batch* batch = batches->next();
  Tensor tile = Tensor::uninitialized(DType::u8, {SearchSheet::tile, SearchSheet::tile, 3});
  std::memcpy(tile.data(), batch->input.data(), tile.bytes());
  return tile;
}

/// The networks that embed images and tags that are named, and the engine for images.
struct Asked {
  Asked(const SearchTask& task, const SearchSource& source, const Config& config)
      : networks(open_networks(source.networks)) {
    require_embedding_by(source, networks.opened());
    if (task.images.empty()) return;
    engine = make_engine(config.device);
    precision = networks.precision(*engine, config.eval.precision);
  }

  AskedNetworks networks;
  std::unique_ptr<Engine> engine;
  Precision precision = Precision::fp32;
};

/// Answers queries against the collection. What is wrong with the task is said before an answer is.
class Searching {
 public:
  /// `asked`: null where no image or tag is named.
  Searching(const SearchTask& task, const SearchSource& source, const Asked* asked, uint64_t seed,
            const std::function<void(const std::string&)>& print)
      : task_(task),
        asked_(asked),
        print_(print),
        form_(task.json ? SearchForm::json : SearchForm::lines),
        images_(source.dataset, source.embedding),
        count_(std::min(task.neighbours, images_.size())),
        sheet_(task.sheet, images_, task.pairs_within ? 1 : count_) {
    log_info("searching {} images, {} values each", images_.size(), images_.rows().size(1));
    if (asked != nullptr) require_width(source);
    for (const std::string& tag : task.tags) {
      directions_.push_back(tag_direction(asked->networks.opened(), tag));
      require_finite(view_of(directions_.back().data()));
    }
    for (const std::string& key : task.keys) {
      const auto found = images_.with_key(key);
      own_.insert(own_.end(), found.begin(), found.end());
    }
    const MatrixView rows = matrix_view(images_.rows());
    index_ = task.approximate ? approximate_index(rows, seed) : exact_index(rows);
  }

  void pairs() {
    int64_t found = 0;
    index_->pairs_within(*task_.pairs_within, [&](const NearPair& pair) {
      print_(pair_line(form_, images_, pair));
      if (sheet_.wants_rows()) sheet_.add(sheet_.tile_of(pair.first), {&pair.second, 1});
      ++found;
    });
    log_info("pairs: {}", found);
  }

  void tags() {
    for (size_t i = 0; i < directions_.size(); ++i) {
      const MatrixView row = view_of(directions_[i].data());
      answer({QueryName::Kind::tag, task_.tags[i]}, {}, index_->nearest(row, count_)[0]);
    }
  }

  void keys() {
    for (const int64_t image : own_) {
      auto found = index_->nearest(view_of(row_of(image)), count_ + 1)[0];
      std::erase_if(found, [&](const Neighbour& one) { return one.row == image; });
      if (std::ssize(found) > count_) found.pop_back();
      answer({QueryName::Kind::image, images_.where(image)},
             sheet_.wants_rows() ? sheet_.tile_of(image) : Tensor(), found);
    }
  }

  void named(std::istream& standard_input) {
    std::unique_ptr<Predictor> predictor;
    NamedImages names(task_.images, standard_input);
    const auto besides = [&] {
      return sheet_.wants_rows() ? std::vector{tile_form} : std::vector<ViewForm>();
    };
    named_ = asked_->networks.for_each_window(names, besides, [&](const ViewWindow& window) {
      if (window.views.size() > 0 && !predictor) {
        predictor =
            asked_->networks.predictor(*asked_->engine, asked_->precision, window.views.size());
      }
      tell(window, window.views.size() > 0 ? embedded(*predictor, window.views) : Tensor());
    });
  }

  /// Writes the contact sheet. Throws Error saying what could not be read.
  void finish() const {
    const std::string unreadable =
        named_.unreadable == 0
            ? ""
            : fmt::format("{} of {} images could not be read", named_.unreadable, named_.all);
    try {
      sheet_.write();
    } catch (const Error& error) {
      if (unreadable.empty()) throw;
      fail("{}, and {}", unreadable, error.what());
    }
    if (!task_.images.empty()) named_.require_some();
    if (!unreadable.empty()) fail("{}; all others are done", unreadable);
  }

 private:
  void require_width(const SearchSource& source) const {
    const int64_t values = asked_->networks.embedding_values();
    if (values == images_.rows().size(1)) return;
    fail_usage("{}: has rows of {} values, the networks of {} give {}; name its own networks",
               source.embedding, images_.rows().size(1), task_.run, values);
  }

  /// Throws Error if networks give rows that have no neighbours.
  void require_finite(MatrixView rows) const {
    if (first_row_beyond(rows, 2) < 0) return;  // they are at length 1
    fail(
        "{}: its networks give rows that hold a NaN or an infinity; their training diverged: train "
        "them again with a smaller learning rate",
        task_.run);
  }

  const float* row_of(int64_t image) const {
    return images_.rows().as<float>().data() + image * images_.rows().size(1);
  }
  MatrixView view_of(const float* row) const { return {row, 1, images_.rows().size(1)}; }

  Tensor embedded(Predictor& predictor, const ViewSet& views) const {
    const PredictedImages predicted = predictor.predict(views, true, [](auto, auto, auto) {});
    Tensor rows = unit_rows(matrix_view(predicted.embedding));
    require_finite(matrix_view(rows));
    return rows;
  }

  /// Answers for a window's images, of which `rows` has those that could be read, in their order.
  void tell(const ViewWindow& window, const Tensor& rows) {
    const int64_t together = std::max<int64_t>(most_held / count_, 1), all = window.views.size();
    std::vector<std::vector<Neighbour>> found;  // of the views from `first` on
    int64_t first = 0, view = 0;
    for (const WindowImage& image : window.images) {
      const QueryName query = {QueryName::Kind::image, image.name};
      if (!image.error.empty()) {
        if (form_ == SearchForm::lines) log_warning("{}: {}", image.name, image.error);
        print_(error_line(form_, query, image.error));
        continue;
      }
      if (view == first + std::ssize(found)) {
        first = view;
        const int64_t end = std::min(first + together, all);
        found = index_->nearest(matrix_view(rows).slice(first, end), count_);
      }
      const auto at = static_cast<size_t>(view);
      answer(query, sheet_.wants_rows() ? tile_of(window.views, at) : Tensor(),
             found[static_cast<size_t>(view - first)]);
      ++view;
    }
  }

  void answer(const QueryName& query, Tensor tile, const std::vector<Neighbour>& found) {
    print_(found_lines(form_, images_, query, found));
    if (!sheet_.wants_rows()) return;
    std::vector<int64_t> shown;
    for (const Neighbour& one : found) shown.push_back(one.row);
    sheet_.add(std::move(tile), shown);
  }

  const SearchTask& task_;
  const Asked* asked_;
  const std::function<void(const std::string&)>& print_;
  SearchForm form_;
  Collection images_;
  int64_t count_;  ///< neighbours of a query
  SearchSheet sheet_;
  std::vector<std::vector<float>> directions_;  ///< of task_.tags
  std::vector<int64_t> own_;                    ///< images that task_.keys name
  std::unique_ptr<NeighbourIndex> index_;
  ImageCounts named_;
};

}  // namespace

void search_images(const SearchTask& task, const Config& config, std::istream& standard_input,
                   const std::function<void(const std::string&)>& print) {
  check_task(task);
  const SearchSource source = find_search_source(task);
  std::optional<Asked> asked;
  if (!task.images.empty() || !task.tags.empty()) asked.emplace(task, source, config);
  Searching searching(task, source, asked ? &*asked : nullptr, config.seed, print);
  if (task.pairs_within) searching.pairs();
  searching.tags();
  searching.keys();
  if (!task.images.empty()) searching.named(standard_input);
  searching.finish();
}

}  // namespace hardmoe
