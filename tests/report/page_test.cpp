// The page: nothing from elsewhere, hostile names stay text, pictures have names of their own.
#include "report/page.h"

#include <gtest/gtest.h>

#include "image/codec.h"
#include "report/sections.h"

namespace hardmoe {
namespace {

Tensor small_image() { return Tensor(DType::u8, {4, 4, 3}); }

TEST(Page, KeepsNamesAsText) {
  const std::string hostile = "</title></style><script src=\"//x\">";
  Page page;
  page.heading(2, hostile);
  page.text(hostile);
  page.list({hostile});
  page.table(hostile, {{hostile}, {hostile}});
  page.drawings({{"drawing", hostile, 10, 10, ""}});
  page.image("image", hostile, small_image());
  page.gallery({{small_image(), {hostile, hostile}}, {{}, {hostile}}});
  const std::string html = page.html(hostile, hostile);
  EXPECT_EQ(html.find("<script"), std::string::npos);
  EXPECT_EQ(html.find("src=\"//"), std::string::npos);
  EXPECT_NE(html.find("&lt;script src=&quot;//x&quot;&gt;"), std::string::npos);
}

TEST(Page, NamesEachPictureOnce) {
  Page page;
  page.set_picture_prefix("a-");
  page.drawings({{"drawing", "", 10, 10, ""}, {"drawing", "", 10, 10, ""}});
  page.image("sheet", "", small_image());
  page.image("nothing", "", {});
  ASSERT_EQ(page.pictures().size(), 3U);
  EXPECT_EQ(page.pictures()[0].name, "a-drawing");
  EXPECT_EQ(page.pictures()[1].name, "a-drawing-2");
  EXPECT_EQ(page.pictures()[2].name, "a-sheet");
  EXPECT_TRUE(page.pictures()[0].svg.starts_with("<svg xmlns="));
}

TEST(FileWord, HasNothingThatAPathReads) {
  EXPECT_EQ(file_word("../Runs/K = 4, balanced"), "runs-k-4-balanced");
  EXPECT_EQ(file_word("größe"), "gr-e");
}

TEST(ImageBudget, KeepsThePageSmallForAnyNumberOfExperts) {
  for (const int64_t runs : {1, 2, 4, 10, 40}) {
    for (const int64_t experts : {1, 2, 4, 16, 64, 256, 1024}) {
      const ImageBudget budget = image_budget(runs, runs * experts);
      const int64_t shown = runs * std::min(experts, budget.experts);
      const int64_t images = shown * (2 * budget.a_side + budget.errors) +
                             runs * (budget.queries * 9 + 2 * budget.on_map);
      EXPECT_LE(images, 3200) << runs << " runs of " << experts;  // of 3 kB each
      EXPECT_GE(budget.a_side, 4);
    }
  }
}

}  // namespace
}  // namespace hardmoe
