#include "tasks/predict.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <utility>

#include "base/error.h"
#include "base/files.h"
#include "base/folders.h"
#include "base/log.h"
#include "base/text.h"
#include "image/sidecar.h"
#include "tasks/asked_networks.h"
#include "tensor/npy.h"

namespace hardmoe {
namespace {

void check_task(const PredictTask& task) {
  if (task.top < 1) fail_usage("--top: expected 1 at least, found {}", task.top);
  if (!(task.threshold >= 0 && task.threshold <= 1)) {
    fail_usage("--threshold: expected a probability from 0 to 1, found {}", task.threshold);
  }
  if (task.temperature && !(*task.temperature > 0)) {
    fail_usage("--temperature: expected more than 0, found {}", *task.temperature);
  }
  if (is_folder(task.embedding)) {
    fail_usage("--embedding {}: is a folder; give the name of the file, such as {}", task.embedding,
               (std::filesystem::path(task.embedding) / "rows.npy").string());
  }
  if (const auto folder = std::filesystem::path(task.embedding).parent_path(); !folder.empty()) {
    make_writable_folder(folder);
  }
}

/// The rows of --embedding, one an image; NaN for one that could not be read.
class EmbeddingRows {
 public:
  EmbeddingRows(const std::string& file, int64_t width) : width_(width) {
    if (!file.empty()) writer_.emplace(behind_links(file), DType::f32, Shape{width});
  }
  bool wanted() const { return writer_.has_value(); }
  void add(const Tensor& rows, const std::vector<size_t>& image_of, size_t images) {
    if (!writer_) return;
    std::vector<float> all(images * static_cast<size_t>(width_),
                           std::numeric_limits<float>::quiet_NaN());
    for (size_t row = 0; row < image_of.size(); ++row) {
      std::copy_n(rows.as<float>().data() + static_cast<int64_t>(row) * width_, width_,
                  all.data() + static_cast<int64_t>(image_of[row]) * width_);
    }
    writer_->append(all.data(), static_cast<int64_t>(images));
  }
  void finish() {
    if (writer_) writer_->finish();
  }

 private:
  int64_t width_;
  std::optional<NpyWriter> writer_;
};

/// Returns the networks with the settings that the task names in place of those that were evaluated.
OpenedNetworks with_settings(OpenedNetworks opened, const PredictTask& task) {
  if (task.top_experts) opened.answer.top_experts = *task.top_experts;
  if (task.temperature) opened.answer.temperature = *task.temperature;
  if (!opened.mixture && (task.top_experts || task.temperature)) {
    fail_usage("{}: is a single network; --top-experts and --temperature are a mixture's",
               task.run);
  }
  if (task.temperature && opened.answer.top_experts == 1) {
    fail_usage(
        "--temperature {}: weights the answers of several experts, and one is asked; give "
        "--top-experts, too",
        *task.temperature);
  }
  return opened;
}

/// Returns the experts of image number `image`.
std::vector<PredictedExpert> experts_of(const AskedNetworks& asked, const ExpertChoices& choices,
                                        size_t image) {
  std::vector<PredictedExpert> experts;
  const ExpertChoices own = slice(choices, static_cast<int64_t>(image), 1);
  const auto weights = choices.experts > 1 ? gating_weights(own, asked.opened().answer.temperature)
                                           : std::vector<float>{1};
  for (size_t c = 0; c < own.expert.size(); ++c) {
    const auto found = static_cast<double>(own.squared_distance[c]);
    experts.push_back({own.expert[c], asked.by_router() ? std::exp(-found) : std::sqrt(found),
                       static_cast<double>(weights[c])});
  }
  return experts;
}

/// Writes the tags into files beside the images; counts those that could not be written.
class Sidecars {
 public:
  explicit Sidecars(const Vocabulary& vocabulary) : vocabulary_(vocabulary) {}
  void add(const WindowImage& image, const Prediction& prediction) {
    if (image.path.empty()) {
      ++without_path_;
      return;
    }
    std::vector<std::string> names;
    for (const auto& [tag, ignored] : prediction.tags) {
      names.push_back(vocabulary_.tags[static_cast<size_t>(tag)]);
    }
    if (names.empty()) return;
    try {
      add_to_sidecar(image.path, names);
    } catch (const Error& error) {
      log_warning("{}", error.what());
      ++failed_;
    }
  }
  int64_t failed() const { return failed_; }
  int64_t without_path() const { return without_path_; }

 private:
  const Vocabulary& vocabulary_;
  int64_t failed_ = 0, without_path_ = 0;
};

/// Answers for the images of one window after another.
class Answering {
 public:
  Answering(const PredictTask& task, const AskedNetworks& asked, Engine& engine,
            Precision precision)
      : task_(task),
        asked_(asked),
        engine_(engine),
        precision_(precision),
        writer_(task.form, asked.opened().vocabulary, asked.is_mixture(), asked.by_router()),
        rows_(task.embedding, asked.embedding_values()),
        sidecars_(asked.opened().vocabulary) {}

  /// Returns what is printed of a window's images.
  std::string lines(const ViewWindow& window) {
    std::vector<Prediction> predictions(window.images.size());
    for (size_t i = 0; i < predictions.size(); ++i) {
      predictions[i].image = window.images[i].name;
      predictions[i].error = window.images[i].error;
    }
    if (window.views.size() > 0) ask(window, predictions);
    if (window.views.size() == 0) rows_.add({}, {}, predictions.size());
    for (size_t i = 0; task_.write_xmp && i < predictions.size(); ++i) {
      if (predictions[i].error.empty()) sidecars_.add(window.images[i], predictions[i]);
    }
    const std::string heading = std::exchange(is_first_, false) ? writer_.heading() : "";
    return heading + writer_.lines(predictions);
  }

  /// Completes files. Throws Error saying what could not be read or written.
  void finish(const ImageCounts& images) {
    rows_.finish();
    if (sidecars_.without_path() > 0) {
      log_warning(
          "--write-xmp: {} images are in a tar or came on standard input, where nothing is written "
          "beside them",
          sidecars_.without_path());
    }
    std::vector<std::string> faults;
    if (images.unreadable > 0) {
      faults.push_back(fmt::format("{} of {} could not be read", images.unreadable, images.all));
    }
    if (sidecars_.failed() > 0) {
      faults.push_back(
          fmt::format("the tags of {} could not be written beside them", sidecars_.failed()));
    }
    images.require_some();
    if (!faults.empty()) fail("{}; all others are done", join(faults, ", and "));
  }

 private:
  void ask(const ViewWindow& window, std::vector<Prediction>& predictions) {
    if (!predictor_) predictor_ = asked_.predictor(engine_, precision_, window.views.size());
    const PredictedImages found = predictor_->predict(
        window.views, rows_.wanted(), [&](size_t image, auto scores, auto probabilities) {
          predictions[window.image_of[image]].tags =
              best_tags(scores, probabilities, task_.top, task_.threshold);
        });
    rows_.add(found.embedding, window.image_of, predictions.size());
    if (!asked_.is_mixture()) return;
    for (size_t image = 0; image < window.image_of.size(); ++image) {
      predictions[window.image_of[image]].experts = experts_of(asked_, found.choices, image);
    }
  }

  const PredictTask& task_;
  const AskedNetworks& asked_;
  Engine& engine_;
  Precision precision_;
  std::unique_ptr<Predictor> predictor_;  ///< made for the size of the first window
  PredictionWriter writer_;
  EmbeddingRows rows_;
  Sidecars sidecars_;
  bool is_first_ = true;
};

}  // namespace

void predict_images(const PredictTask& task, Config& config, std::istream& standard_input,
                    const std::function<void(const std::string&)>& print) {
  check_task(task);
  FoundNetworks found = find_networks(task.run, task.row);
  found.networks.sparse = task.sparse;
  const AskedNetworks asked(with_settings(open_networks(found), task));
  const auto engine = make_engine(config.device);
  Answering answering(task, asked, *engine, asked.precision(*engine, config.eval.precision));
  NamedImages images(task.images, standard_input);
  answering.finish(asked.for_each_window(
      images, [] { return std::vector<ViewForm>(); },
      [&](const ViewWindow& window) { print(answering.lines(window)); }));
}

}  // namespace hardmoe
