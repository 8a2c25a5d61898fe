#include "tasks/asked_networks.h"

#include <algorithm>
#include <bit>
#include <future>
#include <system_error>
#include <utility>

#include "base/error.h"
#include "base/threads.h"
#include "engine/network_facts.h"
#include "moe/unified_embedding.h"
#include "nn/architecture.h"

namespace hardmoe {
namespace {

constexpr int64_t usual_batch = 128;
constexpr int64_t batches_an_expert = 16;  // the last is half empty on average
constexpr int64_t most_bytes = int64_t{1}
                               << 30;  // of a window's views (two are held), and of its scores

/// Returns how many images are looked at together: enough to fill batches of each expert, as far as
/// memory goes.
int64_t window_size(const std::vector<ViewForm>& forms, int64_t experts, int64_t tags) {
  int64_t bytes = 0;
  for (const ViewForm& form : forms) bytes += 3 * int64_t{form.image_size} * form.image_size;
  const int64_t wanted = batches_an_expert * usual_batch * std::max<int64_t>(experts, 1);
  return std::clamp(std::min(most_bytes / bytes, most_bytes / (4 * tags)), usual_batch, wanted);
}

/// Returns the images of a batch, of which a network computes as many however few there are: of
/// `images` in a window each of `experts` fills some.
int64_t batch_size(int64_t images, int64_t experts) {
  constexpr int64_t least = 8;
  const int64_t each =
      std::max<int64_t>(images / (batches_an_expert * std::max<int64_t>(experts, 1)), 1);
  const auto power = static_cast<int64_t>(std::bit_floor(static_cast<uint64_t>(each)));
  return std::min(std::clamp(power, least, usual_batch), std::max<int64_t>(images, 1));
}

}  // namespace

void ImageCounts::require_some() const {
  if (all == 0) fail("no images were named; name files, folders or tars, or - with a list");
}

int64_t AskedNetworks::embedding_values() const {
  const int64_t width = feature_size(network_of(card().model, 0));
  return is_mixture() ? embedding_width(opened_.mixture->embedding, width) : width;
}

Precision AskedNetworks::precision(const Engine& engine, InferencePrecision configured) const {
  const Precision evaluated = opened_.answer.precision;
  const Precision precision =
      inference_precision(configured, engine.supports(evaluated) ? evaluated : Precision::fp32);
  require_precision(engine, precision);
  return precision;
}

int64_t AskedNetworks::batch(int64_t images) const { return batch_size(images, experts()); }

namespace {

/// Begins to read in another thread, or where there is none to be had reads when it is asked for.
template <class Read, class Forms>
std::future<ViewWindow> read_ahead(const Read& read, Forms forms) {
  try {
    return std::async(std::launch::async, read, forms);
  } catch (const std::system_error&) {
    return std::async(std::launch::deferred, read, std::move(forms));
  }
}

}  // namespace

std::unique_ptr<Predictor> AskedNetworks::predictor(Engine& engine, Precision precision,
                                                    int64_t images) const {
  const int64_t size = batch(images);
  if (!is_mixture()) return std::make_unique<Predictor>(engine, *opened_.model, precision, size);
  return std::make_unique<Predictor>(engine, *opened_.mixture, opened_.answer, precision, size);
}

ImageCounts AskedNetworks::for_each_window(
    NamedImages& images, const std::function<std::vector<ViewForm>()>& besides,
    const std::function<void(const ViewWindow&)>& visit) const {
  const auto forms = [&] {
    auto all = is_mixture() ? view_forms(*opened_.mixture) : view_forms(*opened_.model);
    for (const ViewForm& form : besides()) {
      if (std::ranges::find(all, form) == all.end()) all.push_back(form);
    }
    return all;
  };
  const int64_t most = window_size(forms(), experts(), card().tags);
  const auto read = [&](const std::vector<ViewForm>& wanted) {
    return next_window(images, wanted, most, compute_threads());
  };
  ImageCounts counts;
  ViewWindow window = read(forms());
  while (!window.images.empty()) {
    std::future<ViewWindow> next;  // read while the networks work
    if (std::ssize(window.images) == most) next = read_ahead(read, forms());
    counts.all += std::ssize(window.images);
    counts.unreadable += std::ssize(window.images) - window.views.size();
    visit(window);
    window = next.valid() ? next.get() : ViewWindow();
  }
  return counts;
}

}  // namespace hardmoe
