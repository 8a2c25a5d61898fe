// Images that a person names: in which order they come, what they are called, and what is said of
// those that are none.
#include "ingest/named_images.h"

#include <gtest/gtest.h>

#include <sstream>

#include "image/view_maker.h"
#include "ingest/view_windows.h"
#include "small_dataset.h"
#include "temporary_folder.h"
#include "test_files.h"

namespace hardmoe {
namespace {

namespace fs = std::filesystem;

class NamedImagesTest : public testing::Test {
 protected:
  NamedImagesTest() {
    fs::create_directories(folder_ / "photos/more");
    for (const char* name : {"photos/b.png", "photos/a.png", "photos/more/c.png"}) {
      overwrite(folder_ / name, encode_png(numbered_image(name[7], 8, 8)));
    }
    overwrite(folder_ / "photos/notes.txt", "no image");
    write_numbered_tar(folder_ / "two.tar", 2, 8, 8);
    fs::current_path(folder_.path());
  }
  ~NamedImagesTest() override { fs::current_path("/"); }

  /// Returns the images' names, with errors behind.
  static std::vector<std::string> names(std::vector<std::string> given,
                                        const std::string& input = "") {
    std::istringstream stream(input);
    NamedImages images(std::move(given), stream);
    std::vector<std::string> found;
    while (const auto image = images.next()) {
      found.push_back(image->name);
      if (!image->error.empty()) found.back() += "! " + image->error;
    }
    return found;
  }

  using Names = std::vector<std::string>;
  TemporaryFolder folder_;
};

TEST_F(NamedImagesTest, FilesFoldersAndTarsComeInOrder) {
  EXPECT_EQ(names({"two.tar", "photos/b.png", "photos"}),
            (Names{"two.tar: 0000.png", "two.tar: 0001.png", "photos/b.png", "photos/a.png",
                   "photos/b.png", "photos/more/c.png"}));
}

TEST_F(NamedImagesTest, StandardInputIsAListAnImageOrATar) {
  const Names listed = {"photos/b.png",      "photos/a.png",      "photos/b.png",
                        "photos/more/c.png", "two.tar: 0000.png", "two.tar: 0001.png"};
  EXPECT_EQ(names({"-"}, "photos/b.png\r\n\nphotos\ntwo.tar"), listed);
  Names many;
  std::string lines;
  for (int i = 0; i < 200; ++i) {
    many.emplace_back(i % 2 == 0 ? "photos/a.png" : "photos/more/c.png");
    lines += many.back() + "\n";
  }
  EXPECT_EQ(names({"-"}, lines), many) << "more than what is read to see what it is";
  EXPECT_EQ(names({"-", "photos/b.png"}, read_file("photos/a.png")), (Names{"-", "photos/b.png"}));
  EXPECT_EQ(names({"-"}, read_file("two.tar")), (Names{"-: 0000.png", "-: 0001.png"}));
  EXPECT_EQ(names({"-"}, ""), Names{});
}

TEST_F(NamedImagesTest, WhatIsThereAndNoImageIsTold) {
  fs::create_directories(folder_ / "empty");
  overwrite(folder_ / "cut.tar", read_file("two.tar").substr(0, 700));
  const Names found = names({"nothing.jpg", "empty", "cut.tar", "photos/a.png"});
  ASSERT_EQ(found.size(), 4);
  EXPECT_TRUE(found[0].starts_with("nothing.jpg! no such file")) << found[0];
  EXPECT_EQ(found[1], "empty! this folder has no images");
  EXPECT_TRUE(found[2].starts_with("cut.tar! ")) << found[2];
  EXPECT_EQ(found[3], "photos/a.png");
}

TEST_F(NamedImagesTest, WindowsHoldTheViewsOfThoseThatCanBeRead) {
  const std::string cut = read_file("photos/b.png").substr(0, 60);
  overwrite(folder_ / "photos/b.png", cut);
  std::istringstream none;
  NamedImages images({"photos", "photos/notes.txt", "two.tar"}, none);
  const std::vector<ViewForm> forms = {{8, 1}, {4, 1}};
  const ViewWindow first = next_window(images, forms, 4, 3);
  ASSERT_EQ(first.images.size(), 4);
  EXPECT_EQ(first.image_of, (std::vector<size_t>{0, 2}));
  EXPECT_NE(first.images[1].error, "");
  EXPECT_NE(first.images[3].error, "");
  EXPECT_EQ(first.images[0].path, "photos/a.png");
  EXPECT_EQ(first.views.size(), 2);
  for (const ViewForm& form : forms) {
    const auto views = first.views.views({1, 0}, 2, form);
    views->start(0);
    const Batch* batch = views->next();
    ASSERT_NE(batch, nullptr);
    const auto pixels = batch->input.as<uint8_t>();
    EXPECT_EQ(pixels[0], 'm') << "photos/more/c.png has its seventh letter as red";
    EXPECT_EQ(pixels[pixels.size() / 2], 'a');
    EXPECT_EQ(views->next(), nullptr);
  }
  const ViewWindow second = next_window(images, forms, 4, 3);
  EXPECT_EQ(second.images.size(), 2);
  EXPECT_EQ(second.images[1].name, "two.tar: 0001.png");
  EXPECT_EQ(second.images[1].path, "");
  EXPECT_TRUE(next_window(images, forms, 4, 3).images.empty());
}

}  // namespace
}  // namespace hardmoe
