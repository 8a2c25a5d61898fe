#include "tasks/tagger.h"

#include <iostream>

#include "base/error.h"
#include "tasks/asked_networks.h"
#include "tasks/prediction.h"

namespace hardmoe {

struct Tagger::Networks {
  AskedNetworks asked;
  std::unique_ptr<Engine> engine;
  Precision precision;
  int64_t batch = 0;                     ///< of the predictor
  std::unique_ptr<Predictor> predictor;  ///< kept while windows take batches of that size

  Predictor& predictor_for(int64_t images) {
    if (!predictor || asked.batch(images) != batch) {
      predictor = asked.predictor(*engine, precision, images);
      batch = asked.batch(images);
    }
    return *predictor;
  }
};

Tagger::Tagger(const std::string& folder, const std::string& device) {
  AskedNetworks asked(open_networks(find_networks(folder)));
  auto engine = make_engine(device);
  const Precision precision = asked.precision(*engine, InferencePrecision::training);
  networks_ = std::make_unique<Networks>(
      Networks{std::move(asked), std::move(engine), precision, 0, nullptr});
}

Tagger::~Tagger() = default;
Tagger::Tagger(Tagger&& other) noexcept = default;
Tagger& Tagger::operator=(Tagger&& other) noexcept = default;

std::vector<TaggedImage> Tagger::tag(const std::vector<std::string>& images, int top) {
  if (top < 1) fail_usage("tags of an image: expected 1 at least, found {}", top);
  const std::vector<std::string>& names = networks_->asked.opened().vocabulary.tags;
  std::vector<TaggedImage> all;
  Predictor* predictor = nullptr;  // the first window's, for smaller ones, too
  NamedImages named(images, std::cin);
  const auto nothing_besides = [] { return std::vector<ViewForm>(); };
  networks_->asked.for_each_window(named, nothing_besides, [&](const ViewWindow& window) {
    const size_t first = all.size();
    for (const WindowImage& image : window.images) all.push_back({image.name, image.error, {}});
    if (window.views.size() == 0) return;
    if (predictor == nullptr) predictor = &networks_->predictor_for(window.views.size());
    predictor->predict(window.views, false, [&](size_t view, auto scores, auto probabilities) {
      for (const auto& [tag, probability] : best_tags(scores, probabilities, top, 0)) {
        all[first + window.image_of[view]].tags.push_back(
            {names[static_cast<size_t>(tag)], probability});
      }
    });
  });
  return all;
}

}  // namespace hardmoe
