#include "ingest/view_windows.h"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <deque>

#include "base/error.h"
#include "base/signals.h"
#include "base/workers.h"
#include "image/foreign/foreign.h"
#include "image/view_maker.h"

namespace hardmoe {
namespace {

constexpr int64_t piece = 1024;  // files open at a time

/// Returns an image of a format that training does not read as the PNG that moe-ingest writes; empty
/// for others.
std::string as_png(std::span<const std::byte> bytes) {
  if (!foreign_format(bytes)) return {};
  std::string why;
  if (!can_read_foreign(why)) {
    fail("{}, which this installation cannot read ({}); convert it to PNG or JPEG",
         known_image_format(bytes), why);
  }
  const ForeignHeader header = foreign_header(bytes);
  return encode_png(turn_upright(decode_foreign(bytes, header), header.orientation));
}

/// Makes an image's views in all forms.
class Maker {
 public:
  explicit Maker(const std::vector<ViewForm>& forms) {
    for (const ViewForm& form : forms) {
      makers_.emplace_back(form.image_size, Purpose::evaluation, AugmentConfig{}, form.crop_share);
    }
  }
  /// Writes the views to row `row`; throws Error with the reason.
  void make(std::span<const std::byte> bytes, std::vector<uint8_t*>& rows) {
    const std::string png = as_png(bytes);
    if (!png.empty()) bytes = std::as_bytes(std::span(png));
    for (size_t form = 0; form < makers_.size(); ++form) {
      makers_[form].open(bytes);
      makers_[form].write(Random(1, RandomUse::augment), rows[form]);
    }
  }

 private:
  std::deque<ViewMaker> makers_;
};

/// Fills the rows of a window.
class Filler {
 public:
  Filler(const std::vector<ViewForm>& forms, int64_t most) : forms_(forms) {
    for (const ViewForm& form : forms) {
      views_.push_back(
          Tensor::uninitialized(DType::u8, {most, form.image_size, form.image_size, 3}));
    }
  }

  /// Decodes images into the rows behind those in use, notes faults, and closes the gaps.
  void add(std::vector<NamedImage>& images, int threads, ViewWindow& window) {
    std::atomic<size_t> next{0};
    const auto work = [&] {
      Maker maker(forms_);
      std::vector<uint8_t*> rows(forms_.size());
      for (size_t i = next++; i < images.size(); i = next++) {
        NamedImage& image = images[i];
        if (!image.error.empty()) continue;
        for (size_t form = 0; form < rows.size(); ++form) rows[form] = row(form, used_ + i);
        try {
          maker.make(image.bytes, rows);
        } catch (const std::exception& error) {
          image.error = error.what();
        }
      }
    };
    const size_t count = std::min(images.size(), static_cast<size_t>(std::max(threads, 1)));
    Workers others;
    if (count > 1)
      others.start(
          static_cast<int>(count) - 1, [&](int) { work(); }, 0);
    work();
    others.join();
    const size_t first = used_;
    for (size_t i = 0; i < images.size(); ++i) {
      NamedImage& image = images[i];
      if (image.error.empty()) {
        close_gap(first + i);
        window.image_of.push_back(window.images.size());
      }
      window.images.push_back(
          {std::move(image.name), std::move(image.path), std::move(image.error)});
    }
  }

  ViewSet views() const {
    std::map<ViewForm, Tensor> by_form;
    for (size_t form = 0; form < forms_.size(); ++form) by_form[forms_[form]] = views_[form];
    return {std::move(by_form), static_cast<int64_t>(used_)};
  }

 private:
  size_t bytes(size_t form) const {
    return views_[form].bytes() / static_cast<size_t>(views_[form].size(0));
  }
  uint8_t* row(size_t form, size_t at) {
    return views_[form].as<uint8_t>().data() + at * bytes(form);
  }
  /// Moves the views at `from` to the first row that is not in use.
  void close_gap(size_t from) {
    for (size_t form = 0; form < forms_.size() && from != used_; ++form) {
      std::memcpy(row(form, used_), row(form, from), bytes(form));
    }
    ++used_;
  }

  const std::vector<ViewForm>& forms_;
  std::vector<Tensor> views_;
  size_t used_ = 0;
};

}  // namespace

ViewWindow next_window(NamedImages& images, const std::vector<ViewForm>& forms, int64_t most,
                       int threads) {
  ViewWindow window;
  Filler filler(forms, most);
  bool ended = false;
  while (!ended && std::ssize(window.images) < most) {
    throw_if_interrupted();
    std::vector<NamedImage> some;
    const int64_t wanted = std::min(piece, most - std::ssize(window.images));
    while (std::ssize(some) < wanted) {
      auto image = images.next();
      if (!image) {
        ended = true;
        break;
      }
      some.push_back(std::move(*image));
    }
    filler.add(some, threads, window);
  }
  window.views = filler.views();
  return window;
}

}  // namespace hardmoe
