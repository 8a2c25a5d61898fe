// Never compiled: tools/check_files.sh must refuse each line that says so, and no other.
#include <sys/stat.h>  // refused
#include <filesystem>
#include <fstream>  // refused

namespace fs = std::filesystem;
namespace files = std::filesystem;  // refused
using namespace std::filesystem;    // refused

void wrong(const fs::path& path, Dataset& data, YAML::Node& node) {
  std::ifstream in(path);                                       // refused
  int descriptor = ::open(path.c_str(), O_RDONLY);              // refused
  if (::fsync(descriptor) != 0) return;                         // refused
  FILE* file = fopen(path.c_str(), "r");                        // refused
  std::FILE* other = std::fopen(path.c_str(), "r");             // refused
  if (fs::exists(path)) return;                                 // refused
  std::filesystem::rename(path, path);                          // refused
  for (auto& entry : fs::directory_iterator(path)) use(entry);  // refused
  cv::Mat image = cv::imread(path);                             // refused
  node = YAML::LoadFile(path);                                  // refused
}

// ::open() and std::ifstream are what this does without.
void right(const fs::path& path, Dataset& data, YAML::Node& node) {
  data = Dataset::open(path);
  data.open(path);
  fs::path absolute = fs::absolute(path).lexically_normal();
  int nothing = ::open("/dev/null", O_RDONLY);
  ::write(STDERR_FILENO, "", 0);
  node = YAML::Load(read_file(path));
  if (path_exists(path)) remove_file(path);
}
