// Prints images' tags: tag_images PACK IMAGE…
#include <hardmoe/tagger.h>

#include <exception>
#include <iostream>
#include <string>
#include <vector>

int main(int argc, char** argv) {
  if (argc < 3) {
    std::cerr << "usage: tag_images PACK IMAGE...\n";
    return 2;
  }
  try {
    hardmoe::Tagger tagger(argv[1]);
    for (const auto& image : tagger.tag(std::vector<std::string>(argv + 2, argv + argc))) {
      std::cout << image.name << '\n';
      if (!image.error.empty()) std::cout << "  cannot be read: " << image.error << '\n';
      for (const auto& [tag, probability] : image.tags) {
        std::cout << "  " << probability << ' ' << tag << '\n';
      }
    }
    return 0;
  } catch (const std::exception& error) {
    std::cerr << "tag_images: " << error.what() << '\n';
    return 1;
  }
}
