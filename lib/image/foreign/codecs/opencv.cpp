// BMP and JPEG 2000 by OpenCV. Its TIFF reader is not used: OpenCV 4.6 gives other colours than the
// file's for several kinds, cannot read uncompressed tiles from memory, and shows damaged strips as
// empty ones without a word (see also findings/opencv_valid_images.sh).
#include <iostream>
#include <mutex>
#include <opencv2/core/utils/logger.hpp>
#include <opencv2/imgcodecs.hpp>
#include <string>

#include "image/codec.h"
#include "image/foreign/codecs/codecs.h"

namespace hardmoe {
namespace {

/// What OpenCV complains of while this thread decodes; null at other times.
thread_local std::string* complaints = nullptr;

/// In the place of std::cerr's: OpenCV 4.6 prints there what stopped a decoder, and no setting of
/// its log keeps it from that. Other threads' text goes where it always went.
class Listener : public std::streambuf {
 public:
  explicit Listener(std::streambuf* other) : other_(other) {}

 protected:
  int overflow(int c) override {
    if (complaints == nullptr) return other_->sputc(static_cast<char>(c));
    complaints->push_back(static_cast<char>(c));
    return c;
  }
  std::streamsize xsputn(const char* text, std::streamsize count) override {
    if (complaints == nullptr) return other_->sputn(text, count);
    complaints->append(text, static_cast<size_t>(count));
    return count;
  }
  int sync() override { return complaints == nullptr ? other_->pubsync() : 0; }

 private:
  std::streambuf* other_;
};

void prepare() {
  static std::once_flag once;
  std::call_once(once, [] {
    cv::utils::logging::setLogLevel(cv::utils::logging::LOG_LEVEL_SILENT);
    cv::redirectError([](int, const char*, const char*, const char*, int, void*) { return 0; });
    cv::setNumThreads(1);  // images are decoded in as many threads as are wanted
    static Listener listener(std::cerr.rdbuf());
    std::cerr.rdbuf(&listener);
  });
}

struct Listening {
  std::string heard;
  Listening() { complaints = &heard; }
  ~Listening() { complaints = nullptr; }
  Listening(const Listening&) = delete;
  Listening& operator=(const Listening&) = delete;
};

/// What is wrong, of "imdecode_(''): can't read data: OpenCV(4.6.0) FILE:LINE: error:
/// (-2:Unspecified error) WHAT in function 'NAME'".
std::string reason_in(std::string heard) {
  if (const size_t colon = heard.find("error: ("); colon != std::string::npos) {
    const size_t begin = heard.find(") ", colon);
    if (begin != std::string::npos) heard.erase(0, begin + 2);
  }
  heard = heard.substr(0, heard.find(" in function"));
  return heard.substr(0, heard.find('\n'));
}

/// Rows of gray, BGR or BGRA, of samples from 0 to `most`.
template <class Sample>
void to_rgb(const cv::Mat& image, int most, bool alpha, uint8_t* rgb) {
  const int channels = image.channels();
  const auto to_8_bits = [&](Sample value) {
    return std::min(255, (static_cast<int>(value) * 255 + most / 2) / most);
  };
  for (int y = 0; y < image.rows; ++y) {
    const auto* from = image.ptr<Sample>(y);
    for (int x = 0; x < image.cols; ++x, from += channels, rgb += 3) {
      const int opacity = channels == 4 && alpha ? to_8_bits(from[3]) : 255;
      for (int c = 0; c < 3; ++c) {
        rgb[c] = over_white(to_8_bits(from[channels == 1 ? 0 : 2 - c]), opacity);
      }
    }
  }
}

}  // namespace

bool read_opencv(EncodedBytes file, int bits, bool alpha, RgbTarget target,
                 DecodeReason& reason) try {
  prepare();
  const Listening listening;
  const cv::Mat encoded(1, static_cast<int>(file.size), CV_8U, const_cast<uint8_t*>(file.data));
  // Unchanged, a BMP with OS/2's header would come as gray; as colours, others without their masks.
  const bool os2 = file.size > 14 && file.data[0] == 'B' && file.data[14] == 12;
  const int flags = os2 ? cv::IMREAD_COLOR | cv::IMREAD_IGNORE_ORIENTATION : cv::IMREAD_UNCHANGED;
  const cv::Mat image = cv::imdecode(encoded, flags);
  if (image.empty() || !listening.heard.empty()) {
    const std::string why = reason_in(listening.heard);
    return fail_with(reason, why.empty() ? "OpenCV gives no reason" : why.c_str());
  }
  if (image.cols != target.width || image.rows != target.height) {
    return fail_with(reason, "it decodes to another size than its header says");
  }
  const int channels = image.channels();
  const bool known_depth = image.depth() == CV_8U || image.depth() == CV_16U;
  if (!known_depth || (channels != 1 && channels != 3 && channels != 4)) {
    return fail_with(reason, "its samples are neither gray nor RGB nor RGBA of at most 16 bits");
  }
  if (image.depth() == CV_8U) {
    to_rgb<uint8_t>(image, 255, alpha, target.pixels);
  } else {
    to_rgb<uint16_t>(image, (1 << std::max(9, std::min(16, bits))) - 1, alpha, target.pixels);
  }
  return true;
} catch (const std::exception& error) {
  return fail_with(reason, error.what());
}

}  // namespace hardmoe
