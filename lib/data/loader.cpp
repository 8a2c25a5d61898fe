#include "data/loader.h"

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstring>
#include <functional>
#include <mutex>
#include <thread>
#include <unordered_map>

#include "base/error.h"
#include "base/log.h"

namespace hardmoe {
namespace {

constexpr const char* dropped = "the epoch was dropped";  // never seen: the slot is discarded

/// An image's stream of draws: a function of (epoch, image, which of its copies in the list).
uint64_t stream_of(int64_t epoch, int64_t item, int64_t copy) {
  uint64_t stream = 0;
  for (const int64_t part :
       {epoch, item, copy}) {  // SplitMix64 (Steele et al. 2014) of each in turn
    stream += static_cast<uint64_t>(part) + 0x9E3779B97F4A7C15;
    stream = (stream ^ stream >> 30) * 0xBF58476D1CE4E5B9;
    stream = (stream ^ stream >> 27) * 0x94D049BB133111EB;
    stream ^= stream >> 31;
  }
  return stream;
}

/// Decoded images, one place each, filled by whoever comes first, up to a budget in bytes.
class ImageCache {
 public:
  ImageCache(int64_t places, int64_t budget)
      : images_(static_cast<size_t>(budget > 0 ? places : 0)),
        states_(images_.size()),
        budget_(budget) {}

  /// Null where the image is not (yet) kept.
  const Tensor* find(int64_t place) const {
    const auto at = static_cast<size_t>(place);
    if (at >= images_.size()) return nullptr;
    return states_[at].load(std::memory_order_acquire) == State::ready ? &images_[at] : nullptr;
  }

  void offer(int64_t place, const Tensor& image) {
    const auto at = static_cast<size_t>(place);
    const auto bytes = static_cast<int64_t>(image.bytes());
    if (at >= images_.size()) return;
    if (used_.fetch_add(bytes) + bytes > budget_) {
      used_.fetch_sub(bytes);
      return;
    }
    State expected = State::empty;
    if (!states_[at].compare_exchange_strong(expected, State::filling)) {
      used_.fetch_sub(bytes);
      return;
    }
    images_[at] = image;
    states_[at].store(State::ready, std::memory_order_release);
  }

 private:
  enum class State : uint8_t { empty, filling, ready };
  std::vector<Tensor> images_;
  std::vector<std::atomic<State>> states_;
  std::atomic<int64_t> used_{0};
  int64_t budget_;
};

/// A batch being prepared or handed out. Slots go round, so that their memory is taken once.
struct Slot {
  Batch batch;
  bool ready = false;
  std::exception_ptr error;
};

}  // namespace

struct Loader::State {
  const Split& split;
  const LoaderOptions options;
  const std::vector<int64_t> items;
  /// Where an image is listed more than once: which of its copies an entry of `items` is, and the
  /// position of the first. Both empty where there are no copies.
  std::vector<int64_t> copies, firsts;
  ImageCache cache;  ///< by position in `items`, of the first copy

  std::mutex mutex;
  std::condition_variable work;   ///< something to prepare, or to stop for
  std::condition_variable ready;  ///< a slot was filled, or a worker became idle
  std::vector<Slot> slots;        ///< batch number n is in slot n mod slots
  std::vector<int64_t> order;     ///< positions in `items`, as this epoch visits them
  int64_t epoch = 0;
  int64_t next_prepared = 0;
  int64_t next_delivered = 0;
  int64_t end = 0;
  int busy = 0;
  bool stopping = false;
  std::atomic<int64_t> generation{0};  ///< counts start(); work of an older one is abandoned
  double waited = 0;
  std::vector<std::thread> workers;

  State(const Split& s, std::vector<int64_t> list, const LoaderOptions& o)
      : split(s),
        options(o),
        items(std::move(list)),
        cache(static_cast<int64_t>(items.size()), o.cache_bytes) {
    check_items();
    count_copies();
    slots.resize(static_cast<size_t>(options.threads) + 2);
    for (auto& slot : slots) {
      slot.batch.input =
          Tensor(DType::u8, {options.batch, options.image_size, options.image_size, 3});
    }
    for (int i = 0; i < options.threads; ++i) workers.emplace_back([this] { serve(); });
  }

  ~State() {
    {
      const std::lock_guard lock(mutex);
      stopping = true;
      ++generation;
    }
    work.notify_all();
    for (auto& worker : workers) worker.join();
  }

  void check_items() const {
    for (const int64_t item : items) {
      if (item < 0 || item >= split.size()) {
        fail("loading split '{}': image {} was asked for, there are {}", split.name(), item,
             split.size());
      }
    }
  }

  void count_copies() {
    const auto repeat = std::adjacent_find(items.begin(), items.end(), std::greater_equal<>());
    if (repeat == items.end()) return;  // ascending: the usual case, without copies
    struct Seen {
      int64_t first, count;
    };
    std::unordered_map<int64_t, Seen> seen;
    for (const int64_t item : items) {
      const auto position = static_cast<int64_t>(copies.size());
      Seen& image = seen.try_emplace(item, Seen{position, 0}).first->second;
      copies.push_back(image.count++);
      firsts.push_back(image.first);
    }
  }

  int64_t batches() const {
    const auto count = static_cast<int64_t>(items.size());
    return options.training ? count / options.batch : (count + options.batch - 1) / options.batch;
  }

  /// The image as `write_view` takes it: whole, or the square that evaluation sees where the crop
  /// starts from that, which is what the cache then holds.
  Tensor prepare(int64_t item) const {
    Tensor image;
    try {
      image = decode_image(split.image(item));
    } catch (const Error& error) {
      fail("{}: {}", split.where(item), error.what());
    }
    const int64_t size = options.image_size;
    const bool whole = options.training && options.augment.crop == Crop::random_resized;
    if (whole || image.shape() == Shape{size, size, 3}) return image;
    Tensor square(DType::u8, {size, size, 3});
    center_crop(image, options.image_size, square.as<uint8_t>().data());
    return square;
  }

  void write_view(const Tensor& image, int64_t position, uint8_t* out) const {
    if (!options.training) return center_crop(image, options.image_size, out);
    const auto at = static_cast<size_t>(position);
    const int64_t copy = copies.empty() ? 0 : copies[at];
    const Random random(options.seed, RandomUse::augment, stream_of(epoch, items[at], copy));
    augment(image, options.image_size, options.augment, random, out);
  }

  void fill(Batch& batch, int64_t number, int64_t for_generation) {
    const int64_t begin = number * options.batch;
    batch.size = std::min<int64_t>(options.batch, static_cast<int64_t>(order.size()) - begin);
    batch.tag_ptr.assign(1, 0);
    batch.tag_ids.clear();
    const auto pixels = batch.input.as<uint8_t>();
    const auto row = static_cast<size_t>(3 * options.image_size * options.image_size);
    for (int64_t i = 0; i < batch.size; ++i) {
      if (generation.load(std::memory_order_relaxed) != for_generation) throw Error(dropped);
      const int64_t position = order[static_cast<size_t>(begin + i)];
      const int64_t item = items[static_cast<size_t>(position)];
      uint8_t* out = pixels.data() + static_cast<size_t>(i) * row;
      const int64_t place = firsts.empty() ? position : firsts[static_cast<size_t>(position)];
      if (const Tensor* kept = cache.find(place)) {
        write_view(*kept, position, out);
      } else {
        const Tensor image = prepare(item);
        write_view(image, position, out);
        cache.offer(place, image);
      }
      const auto tags = split.tags(item);
      batch.tag_ids.insert(batch.tag_ids.end(), tags.begin(), tags.end());
      batch.tag_ptr.push_back(static_cast<int32_t>(batch.tag_ids.size()));
    }
    const auto used = static_cast<size_t>(batch.size) * row;
    std::memset(pixels.data() + used, 0, pixels.size() - used);
  }

  /// May batch `next_prepared` be written? The slot handed out last is still being read.
  bool has_work() const {
    return next_prepared < end &&
           next_prepared < next_delivered + static_cast<int64_t>(slots.size()) - 1;
  }

  Slot& slot_of(int64_t number) {
    return slots[static_cast<size_t>(number % static_cast<int64_t>(slots.size()))];
  }

  void serve() {
    std::unique_lock lock(mutex);
    while (true) {
      work.wait(lock, [&] { return stopping || has_work(); });
      if (stopping) return;
      const int64_t number = next_prepared++;
      const int64_t for_generation = generation;
      Slot& slot = slot_of(number);
      slot.ready = false;
      slot.error = nullptr;
      ++busy;
      lock.unlock();
      std::exception_ptr error;
      try {
        fill(slot.batch, number, for_generation);
      } catch (...) {
        error = std::current_exception();
      }
      lock.lock();
      --busy;
      slot.error = error;
      slot.ready = true;
      ready.notify_all();
    }
  }
};

Loader::Loader(const Split& split, std::vector<int64_t> items, LoaderOptions options) {
  if (options.batch < 1)
    fail_usage("loading images: batch is {}, expected 1 at least", options.batch);
  if (options.image_size < 1 || options.image_size > 1 << 14) {
    fail_usage("loading images: image size is {}, expected 1 to 16384", options.image_size);
  }
  if (options.threads < 1 || options.threads > 1024) {
    fail_usage("loading images: {} threads, expected 1 to 1024", options.threads);
  }
  if (items.empty()) {
    items.resize(static_cast<size_t>(split.size()));
    for (size_t i = 0; i < items.size(); ++i) items[i] = static_cast<int64_t>(i);
  }
  if (options.training) {
    check_augment(options.augment, options.image_size);
    if (static_cast<int64_t>(items.size()) < options.batch) {
      fail_usage("training on {} images of split '{}' with a batch of {}: set batch to {} at most",
                 items.size(), split.name(), options.batch, items.size());
    }
  }
  state_ = std::make_unique<State>(split, std::move(items), options);
}

Loader::~Loader() = default;

int64_t Loader::items() const { return static_cast<int64_t>(state_->items.size()); }

int64_t Loader::batches_per_epoch() const { return state_->batches(); }

void Loader::start(int64_t epoch, int64_t first_batch) {
  State& s = *state_;
  std::unique_lock lock(s.mutex);
  ++s.generation;
  s.end = 0;
  s.ready.wait(lock, [&] { return s.busy == 0; });
  s.epoch = epoch;
  const auto count = static_cast<int64_t>(s.items.size());
  if (s.options.training) {
    s.order = random_permutation(
        count, Random(s.options.seed, RandomUse::order, static_cast<uint64_t>(epoch)));
  } else if (s.order.empty()) {
    s.order.resize(s.items.size());
    for (int64_t i = 0; i < count; ++i) s.order[static_cast<size_t>(i)] = i;
  }
  for (auto& slot : s.slots) slot.ready = false;
  s.end = s.batches();
  if (first_batch < 0 || first_batch > s.end) {
    s.end = 0;
    fail("loading images: epoch {} has {} batches, asked to begin at batch {}", epoch, s.batches(),
         first_batch);
  }
  s.next_prepared = s.next_delivered = first_batch;
  s.work.notify_all();
}

const Batch* Loader::next() {
  State& s = *state_;
  std::unique_lock lock(s.mutex);
  if (s.next_delivered >= s.end) return nullptr;
  Slot& slot = s.slot_of(s.next_delivered);
  if (!slot.ready || s.next_prepared <= s.next_delivered) {
    const double begin = now_seconds();
    s.ready.wait(lock, [&] { return s.next_prepared > s.next_delivered && slot.ready; });
    s.waited += now_seconds() - begin;
  }
  ++s.next_delivered;
  s.work.notify_all();
  if (slot.error != nullptr) {
    s.end = 0;  // the epoch cannot go on
    std::rethrow_exception(slot.error);
  }
  return &slot.batch;
}

double Loader::waited_seconds() const {
  const std::lock_guard lock(state_->mutex);
  return state_->waited;
}

}  // namespace hardmoe
