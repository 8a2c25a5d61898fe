// How fast libjpeg-turbo alone decodes a folder's JPEGs whole, from memory into memory: a ceiling
// for loaders that decode whole images. Prints a JSON line.
//   bench-jpeg FOLDER THREADS SECONDS
#include <cstdio>
// <cstdio> first: jpeglib.h needs FILE and size_t.
#include <jpeglib.h>

#include <atomic>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <thread>
#include <vector>

namespace {

double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

std::vector<std::string> read_folder(const std::string& folder) {
  std::vector<std::string> files;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder)) {
    if (entry.path().extension() != ".jpg") continue;
    std::ifstream file(entry.path(), std::ios::binary);
    files.emplace_back(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>());
  }
  return files;
}

/// Decodes with the library's defaults, as everybody does, but keeps its state and the memory.
void decode(jpeg_decompress_struct& info, const std::string& file, std::vector<JSAMPLE>& pixels) {
  jpeg_mem_src(&info, reinterpret_cast<const unsigned char*>(file.data()), file.size());
  jpeg_read_header(&info, TRUE);
  info.out_color_space = JCS_RGB;
  jpeg_start_decompress(&info);
  const size_t stride = size_t{3} * info.output_width;
  pixels.resize(stride * info.output_height);
  while (info.output_scanline < info.output_height) {
    constexpr JDIMENSION most = 16;
    JSAMPROW rows[most];
    for (JDIMENSION i = 0; i < most; ++i) {
      rows[i] = pixels.data() + stride * std::min(info.output_scanline + i, info.output_height - 1);
    }
    jpeg_read_scanlines(&info, rows, most);
  }
  jpeg_finish_decompress(&info);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4) {
    std::fprintf(stderr, "usage: bench-jpeg FOLDER THREADS SECONDS\n");
    return 2;
  }
  const auto files = read_folder(argv[1]);
  const int threads = std::stoi(argv[2]);
  const double seconds = std::stod(argv[3]);
  if (files.empty()) {
    std::fprintf(stderr, "bench-jpeg: %s: no .jpg files\n", argv[1]);
    return 1;
  }
  std::atomic<size_t> next{0};
  std::atomic<bool> stop{false};
  std::atomic<int64_t> decoded{0};
  std::vector<std::thread> workers;
  const double begin = now();
  for (int i = 0; i < threads; ++i) {
    workers.emplace_back([&] {
      jpeg_decompress_struct info = {};
      jpeg_error_mgr errors;
      info.err = jpeg_std_error(&errors);
      jpeg_create_decompress(&info);
      std::vector<JSAMPLE> pixels;
      while (!stop) {
        decode(info, files[next++ % files.size()], pixels);
        ++decoded;
      }
      jpeg_destroy_decompress(&info);
    });
  }
  std::this_thread::sleep_for(std::chrono::duration<double>(seconds));
  stop = true;
  for (auto& worker : workers) worker.join();
  std::printf("{\"images\": %lld, \"threads\": %d, \"images_per_second\": %.1f}\n",
              static_cast<long long>(decoded), threads,
              static_cast<double>(decoded) / (now() - begin));
}
