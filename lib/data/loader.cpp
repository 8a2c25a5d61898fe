#include "data/loader.h"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <functional>
#include <limits>
#include <mutex>
#include <unordered_map>
#include <unordered_set>

#include "base/error.h"
#include "base/log.h"
#include "base/workers.h"
#include "data/image_cache.h"
#include "image/view_maker.h"

namespace hardmoe {
namespace {

constexpr int64_t page = 4096;

/// Returns the number of an image's random stream: a function of (epoch, image, number of the
/// copy).
uint64_t stream_of(int64_t epoch, int64_t item, int64_t copy) {
  uint64_t stream = 0;
  for (const int64_t part :
       {epoch, item, copy}) {  // SplitMix64 (Steele et al. 2014) over all three
    stream += static_cast<uint64_t>(part) + 0x9E3779B97F4A7C15;
    stream = (stream ^ stream >> 30) * 0xBF58476D1CE4E5B9;
    stream = (stream ^ stream >> 27) * 0x94D049BB133111EB;
    stream ^= stream >> 31;
  }
  return stream;
}

/// Waits until `value` is `wanted`. The thread that stores it must notify.
template <class T>
void wait_for(const std::atomic<T>& value, T wanted) {
  for (T seen = value.load(); seen != wanted; seen = value.load()) value.wait(seen);
}

/// Touches the bytes, so that waiting for the disk is not counted as decoding.
void read_in(std::span<const std::byte> bytes) {
  for (size_t at = 0; at < bytes.size(); at += page) {
    static_cast<void>(*static_cast<const volatile std::byte*>(&bytes[at]));
  }
}

/// Returns `count` of the numbers 0 … n-1, none twice, all sets equally likely (Floyd's algorithm;
/// Bentley & Floyd, "A sample of brilliance", CACM 1987).
std::vector<int64_t> draw_distinct(int64_t count, int64_t n, Random random) {
  std::unordered_set<int64_t> drawn;
  std::vector<int64_t> numbers;
  for (int64_t last = n - count; last < n; ++last) {
    const auto number = static_cast<int64_t>(random.below(static_cast<uint64_t>(last) + 1));
    numbers.push_back(drawn.insert(number).second ? number : last);
    drawn.insert(numbers.back());
  }
  return numbers;
}

std::vector<int64_t> joined(std::vector<int64_t> items, const std::vector<int64_t>& more) {
  items.insert(items.end(), more.begin(), more.end());
  return items;
}

/// A batch that is prepared or was handed out. Buffers are reused in a ring.
struct BatchBuffer {
  Batch batch;
  std::atomic<int64_t> missing{0};  ///< images still to be written
  std::atomic<int64_t> ready{-1};   ///< number of the batch that is complete
  std::mutex failing;
  int64_t failed =
      std::numeric_limits<int64_t>::max();  ///< position of the first image that failed
  std::exception_ptr error;
};

/// One thread's times, written by that thread only.
struct alignas(64) Times {
  std::atomic<int64_t> images{0};
  std::atomic<double> read{0}, decode{0}, resize{0}, assemble{0};
};

template <class T>
void add(std::atomic<T>& sum, T value) {
  sum.store(sum.load(std::memory_order_relaxed) + value, std::memory_order_relaxed);
}

}  // namespace

// Threads claim runs of images from one counter, without a lock, and sleep when it reaches the end
// of the batches that have a buffer. An image's row in its batch follows from its position in the
// epoch's order, so it does not matter which thread made it, or when.
struct Loader::State {
  const Split& split;
  const LoaderOptions options;
  const int64_t own;                 ///< images that are not extra ones
  const int64_t extra_per_epoch;     ///< drawn from the extra ones
  const float extra_weight;          ///< of their losses
  const std::vector<int64_t> items;  ///< its own, then all extra ones; empty: all of the split
  const int64_t count;               ///< images of an epoch
  /// For items that are listed more than once: the number of the copy, and the position of the
  /// first copy. Both empty if there are no copies.
  std::vector<int64_t> copies, firsts;
  ImageCache cache;  ///< by the position of the first copy in `items`

  const int64_t buffer_count;
  const std::unique_ptr<BatchBuffer[]> buffers;  ///< batch n is in buffer n mod buffer_count
  std::vector<int64_t> order;  ///< positions in the order of this epoch; empty: ascending
  int64_t epoch = 0;
  int64_t end = 0;        ///< batches of this epoch
  int64_t delivered = 0;  ///< number of the batch that next() returns next
  int64_t opened = 0;     ///< batches before this one have, or had, a buffer
  double waited = 0;

  std::atomic<int64_t> claimed{0};    ///< images before this one have been claimed
  std::atomic<int64_t> claimable{0};  ///< images before this one may be claimed
  std::atomic<int> busy{0};           ///< threads that look for work or do it
  std::atomic<int> changes{0};        ///< counts events that sleeping threads must see
  std::atomic<bool> dropped{false};   ///< what is being prepared is no longer wanted
  std::atomic<bool> stopping{false};
  const std::unique_ptr<Times[]> times;
  Workers workers;  // last: they use all of the above

  State(const Split& s, std::vector<int64_t> list, const LoaderOptions& o, const ExtraImages& extra)
      : split(s),
        options(o),
        own(list.empty() ? split.size() : static_cast<int64_t>(list.size())),
        extra_per_epoch(extra.per_epoch),
        extra_weight(extra.weight),
        items(joined(std::move(list), extra.items)),
        count(own + extra_per_epoch),
        cache(listed(), budget()),
        buffer_count(3 + o.threads * run_length() / o.batch),
        buffers(std::make_unique<BatchBuffer[]>(static_cast<size_t>(buffer_count))),
        times(std::make_unique<Times[]>(static_cast<size_t>(o.threads))) {
    check_items();
    count_copies();
    for (int64_t i = 0; i < buffer_count; ++i) {
      buffers[static_cast<size_t>(i)].batch.input =
          Tensor(DType::u8, {options.batch, options.image_size, options.image_size, 3});
    }
    workers.start(options.threads, [this](int i) { serve(times[static_cast<size_t>(i)]); });
  }

  ~State() {
    stopping = true;
    drop();
    wake();
    workers.join();
  }

  /// Returns how many images can be shown, in whatever epoch.
  int64_t listed() const { return items.empty() ? own : static_cast<int64_t>(items.size()); }

  /// Returns the cache's limit: 0 if only few of the images would fit, as these would not be worth
  /// it.
  int64_t budget() const {
    const int64_t all = listed() * 3 * options.image_size * options.image_size;
    return all / 8 <= options.cache_bytes ? options.cache_bytes : 0;
  }

  void check_items() const {
    for (const int64_t item : items) {
      if (item < 0 || item >= split.size()) {
        fail("loading split '{}': asked for image {}, but there are {}", split.name(), item,
             split.size());
      }
    }
  }

  void count_copies() {
    if (items.empty()) return;
    const auto mine = std::span(items).first(static_cast<size_t>(own));
    const auto repeat = std::adjacent_find(mine.begin(), mine.end(), std::greater_equal<>());
    if (repeat == mine.end()) return;  // ascending, as usual: no copies
    struct Seen {
      int64_t first, count;
    };
    std::unordered_map<int64_t, Seen> seen;
    for (const int64_t item : mine) {
      const auto position = static_cast<int64_t>(copies.size());
      Seen& image = seen.try_emplace(item, Seen{position, 0}).first->second;
      copies.push_back(image.count++);
      firsts.push_back(image.first);
    }
  }

  int64_t batches() const {
    return options.training ? count / options.batch : (count + options.batch - 1) / options.batch;
  }

  /// Returns how many images are claimed at once: few enough to share a batch among threads, enough
  /// to be worth the claim.
  int64_t run_length() const {
    return std::clamp<int64_t>(options.batch / (4 * options.threads), 1, 16);
  }

  BatchBuffer& buffer_of(int64_t batch) const {
    return buffers[static_cast<size_t>(batch % buffer_count)];
  }

  int64_t first_of(int64_t batch) const { return std::min(batch * options.batch, count); }

  /// Returns the position in `items` of the epoch's image number `at`.
  int64_t position_of(int64_t at) const {
    return order.empty() ? at : order[static_cast<size_t>(at)];
  }
  int64_t item_at(int64_t position) const {
    return items.empty() ? position : items[static_cast<size_t>(position)];
  }

  /// Draws the epoch's order: a permutation of its own images and those drawn of the extra ones.
  void shuffle() {
    const auto stream = static_cast<uint64_t>(epoch);
    order = random_permutation(count, Random(options.seed, RandomUse::order, stream));
    if (extra_per_epoch == 0) return;
    const auto drawn = draw_distinct(extra_per_epoch, listed() - own,
                                     Random(options.seed, RandomUse::outside, stream));
    for (int64_t& position : order) {
      if (position >= own) position = own + drawn[static_cast<size_t>(position - own)];
    }
  }

  /// Allows batches before `last` to be prepared; their buffers must be free.
  void open(int64_t last) {
    for (last = std::min(last, end); opened < last; ++opened) {
      BatchBuffer& buffer = buffer_of(opened);
      buffer.batch.size = first_of(opened + 1) - first_of(opened);
      buffer.error = nullptr;
      buffer.failed = std::numeric_limits<int64_t>::max();
      buffer.ready = -1;
      buffer.missing = buffer.batch.size;
    }
    claimable = first_of(opened);
    wake();
  }

  /// Stops all claims and waits until threads have given up what they are preparing.
  void drop() {
    dropped = true;
    claimable = 0;
    end = 0;
    wait_for(busy, 0);
    dropped = false;
  }

  void wake() {
    ++changes;
    changes.notify_all();
  }

  void serve(Times& spent) {
    ViewMaker maker(options.image_size, options.training ? Purpose::training : Purpose::evaluation,
                    options.augment, options.crop_share);
    while (true) {
      const int seen = changes;
      if (stopping) return;
      ++busy;
      prepare_all(maker, spent);
      if (--busy == 0) busy.notify_all();
      changes.wait(seen);
    }
  }

  void prepare_all(ViewMaker& maker, Times& spent) {
    int64_t begin = claimed;
    while (true) {
      const int64_t limit = claimable;
      if (begin >= limit) return;
      const int64_t batch = begin / options.batch;
      const int64_t last = std::min({begin + run_length(), first_of(batch + 1), limit});
      if (!claimed.compare_exchange_weak(begin, last)) continue;
      BatchBuffer& buffer = buffer_of(batch);
      for (int64_t at = begin; at < last; ++at) {
        if (dropped) return;
        try {
          write_image(maker, at, spent);
        } catch (...) {
          const std::lock_guard lock(buffer.failing);
          if (at < buffer.failed) {
            buffer.failed = at;
            buffer.error = std::current_exception();
          }
        }
      }
      if (buffer.missing.fetch_sub(last - begin) == last - begin) {
        finish(buffer, batch, spent);
        buffer.ready = batch;
        buffer.ready.notify_all();
      }
      begin = claimed;
    }
  }

  bool has_copies(int64_t position) const { return !copies.empty() && position < own; }
  int64_t cache_index_of(int64_t position) const {
    return has_copies(position) ? firsts[static_cast<size_t>(position)] : position;
  }

  void write_image(ViewMaker& maker, int64_t at, Times& spent) {
    const int64_t position = position_of(at);
    const int64_t item = item_at(position);
    const int64_t cache_index = cache_index_of(position);
    const int64_t copy = has_copies(position) ? copies[static_cast<size_t>(position)] : 0;
    const Random random(options.seed, RandomUse::augment, stream_of(epoch, item, copy));
    const int64_t row = at % options.batch * 3 * options.image_size * options.image_size;
    uint8_t* out = buffer_of(at / options.batch).batch.input.as<uint8_t>().data() + row;
    const double decoded = maker.decode_seconds();
    const double resized = maker.resize_seconds();
    if (const StoredImage* kept = cache.find(cache_index)) {
      maker.write(*kept, random, out);
    } else {
      const double begin = now_seconds();
      const auto bytes = split.image(item);
      read_in(bytes);
      add(spent.read, now_seconds() - begin);
      try {
        maker.open(bytes);
        const int64_t size = maker.kept_bytes();
        if (size > 0 && cache.reserve(cache_index, size)) {
          maker.write(cache.put(cache_index, maker.decode_kept()), random, out);
        } else {
          maker.write(random, out);
        }
      } catch (const Error& error) {
        fail("{}: {}", split.where(item), error.what());
      }
    }
    add(spent.decode, maker.decode_seconds() - decoded);
    add(spent.resize, maker.resize_seconds() - resized);
    add(spent.images, int64_t{1});
  }

  /// Adds tags and weights, and blackens the rows that a partial batch does not fill.
  void finish(BatchBuffer& buffer, int64_t number, Times& spent) const {
    const double begin = now_seconds();
    Batch& batch = buffer.batch;
    batch.tag_ptr.assign(1, 0);
    batch.tag_ids.clear();
    batch.weights.clear();
    try {
      for (int64_t i = 0; i < batch.size; ++i) {
        const int64_t position = position_of(first_of(number) + i);
        if (extra_weight != 1) batch.weights.push_back(position < own ? 1 : extra_weight);
        const int64_t item = item_at(position);
        if (options.labels.empty()) {
          const auto tags = split.tags(item);
          batch.tag_ids.insert(batch.tag_ids.end(), tags.begin(), tags.end());
        } else {
          batch.tag_ids.push_back(options.labels[static_cast<size_t>(item)]);
        }
        batch.tag_ptr.push_back(static_cast<int32_t>(batch.tag_ids.size()));
      }
    } catch (...) {
      if (buffer.error == nullptr) buffer.error = std::current_exception();
    }
    const auto pixels = batch.input.as<uint8_t>();
    const auto used = static_cast<size_t>(batch.size * 3 * options.image_size * options.image_size);
    std::memset(pixels.data() + used, 0, pixels.size() - used);
    add(spent.assemble, now_seconds() - begin);
  }
};

Loader::Loader(const Split& split, std::vector<int64_t> items, LoaderOptions options,
               const ExtraImages& extra) {
  if (options.batch < 1)
    fail_usage("loading images: batch is {}, expected 1 at least", options.batch);
  if (options.image_size < 1 || options.image_size > 1 << 14) {
    fail_usage("loading images: image size is {}, expected 1 to 16384", options.image_size);
  }
  if (options.threads < 1 || options.threads > 1024) {
    fail_usage("loading images: {} threads, expected 1 to 1024", options.threads);
  }
  const auto most = static_cast<int64_t>(extra.items.size());
  if (extra.per_epoch < 0 || extra.per_epoch > most ||
      (most > 0 && (items.empty() || !options.training))) {
    fail(
        "loading images: {} extra images an epoch of {}, besides {} in {}; expected at most all, "
        "besides named ones, in training",
        extra.per_epoch, most, items.size(), options.training ? "training" : "evaluation");
  }
  if (options.training) {
    check_augment(options.augment, options.image_size);
    const int64_t count =
        extra.per_epoch + (items.empty() ? split.size() : static_cast<int64_t>(items.size()));
    if (count < options.batch) {
      fail_usage("{} images of split '{}' do not fill a batch of {}: set the batch to {} at most",
                 count, split.name(), options.batch, count);
    }
  }
  split.require_index();
  state_ = std::make_unique<State>(split, std::move(items), options, extra);
}

Loader::~Loader() = default;

int64_t Loader::items() const { return state_->count; }

int64_t Loader::batches_per_epoch() const { return state_->batches(); }

void Loader::start(int64_t epoch, int64_t first_batch) {
  State& s = *state_;
  s.drop();
  const int64_t batches = s.batches();
  if (first_batch < 0 || first_batch > batches) {
    fail("loading images: epoch {} has {} batches, asked to begin at batch {}", epoch, batches,
         first_batch);
  }
  s.epoch = epoch;
  if (s.options.training) s.shuffle();
  s.end = batches;
  s.delivered = s.opened = first_batch;
  s.claimed = s.first_of(first_batch);
  s.open(first_batch + s.buffer_count);
}

const Batch* Loader::next() {
  State& s = *state_;
  if (s.delivered >= s.end) return nullptr;
  // The buffer handed out last is free now.
  if (s.opened < s.end && s.opened == s.delivered - 1 + s.buffer_count) s.open(s.opened + 1);
  BatchBuffer& buffer = s.buffer_of(s.delivered);
  if (buffer.ready != s.delivered) {
    const double begin = now_seconds();
    wait_for(buffer.ready, s.delivered);
    s.waited += now_seconds() - begin;
  }
  ++s.delivered;
  if (buffer.error != nullptr) {
    const std::exception_ptr error = buffer.error;
    s.drop();  // the epoch cannot go on
    std::rethrow_exception(error);
  }
  return &buffer.batch;
}

double Loader::waited_seconds() const { return state_->waited; }

LoaderTimes Loader::times() const {
  LoaderTimes sum;
  for (int i = 0; i < state_->options.threads; ++i) {
    const Times& one = state_->times[static_cast<size_t>(i)];
    sum.images += one.images;
    sum.read += one.read;
    sum.decode += one.decode;
    sum.resize += one.resize;
    sum.assemble += one.assemble;
  }
  return sum;
}

}  // namespace hardmoe
