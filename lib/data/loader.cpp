#include "data/loader.h"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <functional>
#include <limits>
#include <mutex>
#include <thread>
#include <unordered_map>

#include "base/error.h"
#include "base/log.h"
#include "data/image_cache.h"
#include "image/view_maker.h"

namespace hardmoe {
namespace {

constexpr int64_t page = 4096;

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

/// Waits until the value is `wanted`; whoever stores that must notify.
template <class T>
void wait_for(const std::atomic<T>& value, T wanted) {
  for (T seen = value.load(); seen != wanted; seen = value.load()) value.wait(seen);
}

/// Touches the bytes, so that waiting for the disk is not mistaken for decoding.
void read_in(std::span<const std::byte> bytes) {
  for (size_t at = 0; at < bytes.size(); at += page) {
    static_cast<void>(*static_cast<const volatile std::byte*>(&bytes[at]));
  }
}

/// A batch being prepared or handed out. Slots go round, so that their memory is taken once.
struct Slot {
  Batch batch;
  std::atomic<int64_t> missing{0};  ///< images still to be written
  std::atomic<int64_t> ready{-1};   ///< number of the batch that is complete
  std::mutex failing;
  int64_t failed = std::numeric_limits<int64_t>::max();  ///< position of the first that failed
  std::exception_ptr error;
};

/// One thread's, written by it alone.
struct alignas(64) Times {
  std::atomic<int64_t> images{0};
  std::atomic<double> read{0}, decode{0}, resize{0}, assemble{0};
};

template <class T>
void add(std::atomic<T>& sum, T value) {
  sum.store(sum.load(std::memory_order_relaxed) + value, std::memory_order_relaxed);
}

}  // namespace

// Threads claim runs of images off one counter, and sleep where it has reached the end of the
// batches that have a slot; there is no lock. An image's place in its batch is its position in the
// epoch's order, so that it does not matter who made it or when.
struct Loader::State {
  const Split& split;
  const LoaderOptions options;
  const std::vector<int64_t> items;  ///< empty: all of the split's
  const int64_t count;
  /// Where an image is listed more than once: which of its copies an entry of `items` is, and the
  /// position of the first. Both empty where there are no copies.
  std::vector<int64_t> copies, firsts;
  ImageCache cache;  ///< by position in `items`, of the first copy

  const int64_t slot_count;
  const std::unique_ptr<Slot[]> slots;  ///< batch number n is in slot n mod slot_count
  std::vector<int64_t> order;  ///< positions, as this epoch visits them; empty: as they are
  int64_t epoch = 0;
  int64_t end = 0;        ///< batches, of this epoch
  int64_t delivered = 0;  ///< number of the batch that next() gives next
  int64_t opened = 0;     ///< batches before this one have, or had, a slot
  double waited = 0;

  std::atomic<int64_t> claimed{0};    ///< images before this one have been claimed
  std::atomic<int64_t> claimable{0};  ///< images before this one may be
  std::atomic<int> busy{0};           ///< threads that look for work, or do it
  std::atomic<int> changes{0};        ///< counts what sleeping threads must look at
  std::atomic<bool> dropped{false};   ///< what is being prepared is not wanted any more
  std::atomic<bool> stopping{false};
  const std::unique_ptr<Times[]> times;
  std::vector<std::thread> workers;

  State(const Split& s, std::vector<int64_t> list, const LoaderOptions& o)
      : split(s),
        options(o),
        items(std::move(list)),
        count(items.empty() ? split.size() : static_cast<int64_t>(items.size())),
        cache(count, budget()),
        slot_count(3 + o.threads * run_length() / o.batch),
        slots(std::make_unique<Slot[]>(static_cast<size_t>(slot_count))),
        times(std::make_unique<Times[]>(static_cast<size_t>(o.threads))) {
    check_items();
    count_copies();
    for (int64_t i = 0; i < slot_count; ++i) {
      slots[static_cast<size_t>(i)].batch.input =
          Tensor(DType::u8, {options.batch, options.image_size, options.image_size, 3});
    }
    for (int i = 0; i < options.threads; ++i) {
      workers.emplace_back([this, i] { serve(times[static_cast<size_t>(i)]); });
    }
  }

  ~State() {
    stopping = true;
    drop();
    wake();
    for (auto& worker : workers) worker.join();
  }

  /// Of many more images than the cache can hold, the few it could would not be worth their places.
  int64_t budget() const {
    const int64_t all = count * 3 * options.image_size * options.image_size;
    return all / 8 <= options.cache_bytes ? options.cache_bytes : 0;
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
    return options.training ? count / options.batch : (count + options.batch - 1) / options.batch;
  }

  /// Images claimed at once: few enough to share out a batch, enough to be worth the claim.
  int64_t run_length() const {
    return std::clamp<int64_t>(options.batch / (4 * options.threads), 1, 16);
  }

  Slot& slot_of(int64_t batch) const { return slots[static_cast<size_t>(batch % slot_count)]; }

  int64_t first_of(int64_t batch) const { return std::min(batch * options.batch, count); }

  /// Where in the list the epoch's image number `at` stands, and which one that is.
  int64_t position_of(int64_t at) const {
    return order.empty() ? at : order[static_cast<size_t>(at)];
  }
  int64_t item_at(int64_t position) const {
    return items.empty() ? position : items[static_cast<size_t>(position)];
  }

  /// Batches up to `last` may be prepared: their slots are free.
  void open(int64_t last) {
    for (last = std::min(last, end); opened < last; ++opened) {
      Slot& slot = slot_of(opened);
      slot.batch.size = first_of(opened + 1) - first_of(opened);
      slot.error = nullptr;
      slot.failed = std::numeric_limits<int64_t>::max();
      slot.ready = -1;
      slot.missing = slot.batch.size;
    }
    claimable = first_of(opened);
    wake();
  }

  /// Nothing more may be claimed, and what is being prepared is given up.
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
      Slot& slot = slot_of(batch);
      for (int64_t at = begin; at < last; ++at) {
        if (dropped) return;
        try {
          write_image(maker, at, spent);
        } catch (...) {
          const std::lock_guard lock(slot.failing);
          if (at < slot.failed) {
            slot.failed = at;
            slot.error = std::current_exception();
          }
        }
      }
      if (slot.missing.fetch_sub(last - begin) == last - begin) {
        finish(slot, batch, spent);
        slot.ready = batch;
        slot.ready.notify_all();
      }
      begin = claimed;
    }
  }

  int64_t place_of(int64_t position) const {
    return firsts.empty() ? position : firsts[static_cast<size_t>(position)];
  }

  void write_image(ViewMaker& maker, int64_t at, Times& spent) {
    const int64_t position = position_of(at);
    const int64_t item = item_at(position);
    const int64_t place = place_of(position);
    const int64_t copy = copies.empty() ? 0 : copies[static_cast<size_t>(position)];
    const Random random(options.seed, RandomUse::augment, stream_of(epoch, item, copy));
    const int64_t row = at % options.batch * 3 * options.image_size * options.image_size;
    uint8_t* out = slot_of(at / options.batch).batch.input.as<uint8_t>().data() + row;
    const double decoded = maker.decode_seconds();
    const double resized = maker.resize_seconds();
    if (const StoredImage* kept = cache.find(place)) {
      maker.write(*kept, random, out);
    } else {
      const double begin = now_seconds();
      const auto bytes = split.image(item);
      read_in(bytes);
      add(spent.read, now_seconds() - begin);
      try {
        maker.open(bytes);
        const int64_t size = maker.kept_bytes();
        if (size > 0 && cache.reserve(place, size)) {
          maker.write(cache.put(place, maker.decode_kept()), random, out);
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

  /// Tags, and black images where the last batch is not full.
  void finish(Slot& slot, int64_t number, Times& spent) const {
    const double begin = now_seconds();
    Batch& batch = slot.batch;
    batch.tag_ptr.assign(1, 0);
    batch.tag_ids.clear();
    try {
      for (int64_t i = 0; i < batch.size; ++i) {
        const auto tags = split.tags(item_at(position_of(first_of(number) + i)));
        batch.tag_ids.insert(batch.tag_ids.end(), tags.begin(), tags.end());
        batch.tag_ptr.push_back(static_cast<int32_t>(batch.tag_ids.size()));
      }
    } catch (...) {
      if (slot.error == nullptr) slot.error = std::current_exception();
    }
    const auto pixels = batch.input.as<uint8_t>();
    const auto used = static_cast<size_t>(batch.size * 3 * options.image_size * options.image_size);
    std::memset(pixels.data() + used, 0, pixels.size() - used);
    add(spent.assemble, now_seconds() - begin);
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
  if (options.training) {
    check_augment(options.augment, options.image_size);
    const int64_t count = items.empty() ? split.size() : static_cast<int64_t>(items.size());
    if (count < options.batch) {
      fail_usage("{} images of split '{}' do not fill a batch of {}: set the batch to {} at most",
                 count, split.name(), options.batch, count);
    }
  }
  split.require_index();
  state_ = std::make_unique<State>(split, std::move(items), options);
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
  if (s.options.training) {
    s.order = random_permutation(
        s.count, Random(s.options.seed, RandomUse::order, static_cast<uint64_t>(epoch)));
  }
  s.end = batches;
  s.delivered = s.opened = first_batch;
  s.claimed = s.first_of(first_batch);
  s.open(first_batch + s.slot_count);
}

const Batch* Loader::next() {
  State& s = *state_;
  if (s.delivered >= s.end) return nullptr;
  // The slot handed out last is free now.
  if (s.opened < s.end && s.opened == s.delivered - 1 + s.slot_count) s.open(s.opened + 1);
  Slot& slot = s.slot_of(s.delivered);
  if (slot.ready != s.delivered) {
    const double begin = now_seconds();
    wait_for(slot.ready, s.delivered);
    s.waited += now_seconds() - begin;
  }
  ++s.delivered;
  if (slot.error != nullptr) {
    const std::exception_ptr error = slot.error;
    s.drop();  // the epoch cannot go on
    std::rethrow_exception(error);
  }
  return &slot.batch;
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
