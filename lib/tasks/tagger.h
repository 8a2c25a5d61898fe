// Tags of images by trained networks, the same as moe-predict finds. For programs that link hardmoe
// (docs/installing.md), where this is <hardmoe/tagger.h>; it needs no other header of hardmoe.
#pragma once

#include <memory>
#include <string>
#include <vector>

namespace hardmoe {

/// A tag of an image.
struct TagProbability {
  std::string tag;
  float probability = 0;  ///< from 0 to 1
};

/// What was found of an image.
struct TaggedImage {
  std::string name;                  ///< a path; of an image in a tar "SHARD.tar: MEMBER"
  std::string error;                 ///< why it cannot be read; else empty
  std::vector<TagProbability> tags;  ///< best first; none of an image that cannot be read
};

/// Networks in memory, asked about some images after others. For one thread at a time; it computes
/// in as many as OpenMP has.
class Tagger {
 public:
  /// Opens the networks in `folder`: a packed mixture (moe-pack), a run (moe-run) or a model
  /// (moe-train-base). `device`: one that moe-device lists. Throws std::runtime_error with a sentence
  /// for people if there are none, if they are damaged or of a later version, or if this machine has
  /// no such device.
  explicit Tagger(const std::string& folder, const std::string& device = "cpu");
  ~Tagger();
  Tagger(Tagger&& other) noexcept;
  Tagger& operator=(Tagger&& other) noexcept;

  /// Returns what is found of the images, in order: the `top` best tags of each. `images`: files;
  /// folders and tars, which stand for all images in them; "-" for what standard input names. Many
  /// at once take less time than one after another. Throws std::runtime_error if `top` is below 1.
  std::vector<TaggedImage> tag(const std::vector<std::string>& images, int top = 5);

 private:
  struct Networks;
  std::unique_ptr<Networks> networks_;
};

}  // namespace hardmoe
