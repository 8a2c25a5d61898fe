// moe-report as a person uses it: on a small run, finished or not; and the contact sheet of
// moe-partition.
#include <algorithm>
#include <set>

#include "image/augment.h"
#include "outside.h"
#include "pipeline/commands.h"

namespace hardmoe {
namespace {

class Report : public testing::Test {
 protected:
  /// A run whose tags are markup.
  void make_run(const std::string& more = "") const {
    write_pictures(folder.path(), 240, "<script src=//x>&\"");
    std::ofstream(folder / "c.yaml") << R"(
model: {depth: 18, stem: small, width: 8, image_size: 16}
base: {epochs: 2, batch: 32, lr: 0.05, log_every: 1}
partition: {experts: 2, pca: 8}
expert: {epochs: 1, batch: 32, lr: 0.02, log_every: 1}
decoder: {epochs: 1, batch: 32, lr: 0.1}
ingest: {sources: [images.jsonl], val_fraction: 0.25}
)";
    sh("moe-run c.yaml --out run " + more);
  }
  std::string sh(const std::string& line) const { return output_of(folder.path(), line); }
  void refused(const std::string& line, const std::vector<std::string>& words) const {
    const Outcome outcome = run(folder.path(), line);
    EXPECT_EQ(outcome.status, 2) << line << "\n" << outcome.err;
    for (const auto& word : words) {
      EXPECT_NE(outcome.err.find(word), std::string::npos) << word << "\n" << outcome.err;
    }
    EXPECT_EQ(std::ranges::count(outcome.err, '\n'), 1) << outcome.err;
  }
  std::string page(const std::string& name) const { return read_file(folder / name); }

  TemporaryFolder folder;
};

/// Whatever a browser would fetch: addresses in attributes and in styles that are not in the page.
std::vector<std::string> references(const std::string& html) {
  std::vector<std::string> found;
  for (const char* attribute : {" src=\"", " href=\"", "url(", "@import", " srcset=\""}) {
    for (size_t at = html.find(attribute); at != std::string::npos;
         at = html.find(attribute, at + 1)) {
      const std::string target = html.substr(at + std::string_view(attribute).size(), 12);
      if (!target.starts_with("data:image/") && !target.starts_with("#")) found.push_back(target);
    }
  }
  return found;
}

TEST_F(Report, IsOnePageThatStandsAlone) {
  make_run();
  EXPECT_EQ(sh("moe-report run --out report.html"), "report.html\n");
  const std::string html = page("report.html");
  EXPECT_LT(html.size(), 3'000'000U);
  EXPECT_EQ(references(html), std::vector<std::string>());
  EXPECT_EQ(html.find("<script"), std::string::npos) << "a tag was read as markup";
  EXPECT_NE(html.find("&lt;script src=//x&gt;&amp;&quot;red"), std::string::npos);
  for (const char* heading :
       {"Is the mixture better", "Learning", "Sizes of parts", "Tags by expert", "Expert 1",
        "Frequent and rare tags", "The embedding in the plane", "Neighbours across experts",
        "Calibration", "Times and machines"}) {
    EXPECT_NE(html.find(heading), std::string::npos) << heading;
  }
  EXPECT_EQ(html.find("not finished"), std::string::npos);
  EXPECT_EQ(html.find("Left out"), std::string::npos);
  // The table has what moe-run printed.
  const Json table = read_json(folder / "run/summary.json")["table"];
  for (const Json& row : table) {
    EXPECT_NE(html.find(fmt::format("<td>{:.3f}</td>", row["P@1"].get<double>())),
              std::string::npos)
        << row;
  }
  // The same again but for nothing: no time or place is in it.
  sh("moe-report run --out again.html");
  EXPECT_EQ(page("again.html"), html);
}

TEST_F(Report, IsReadByOtherParsers) {
  make_run();
  sh("moe-report run --out report.html");
  const Outside python = python_with("xml.dom.minidom");
  if (!python.missing.empty()) GTEST_SKIP() << python.missing;
  // Well-formed XML, ids named once, links to ids that are there, a text for each image.
  std::ofstream(folder / "check.py") << R"(
import sys, xml.etree.ElementTree as tree
root = tree.parse(sys.argv[1]).getroot()
ids = [e.get("id") for e in root.iter() if e.get("id")]
assert len(ids) == len(set(ids)), ids
for e in root.iter():
    if e.tag == "a": assert e.get("href")[1:] in ids, e.get("href")
    if e.tag == "img": assert e.get("alt"), "an image without a text"
    if e.tag.endswith("svg"): assert e.get("role") == "img"
tables = [[[c for c in row] for row in t.iter("tr")] for t in root.iter("table")]
assert len(tables) > 4
for rows in tables: assert len({len(row) for row in rows}) == 1, "a row of another length"
)";
  sh(python.path.string() + " check.py report.html");
  const Outside html5lib = python_with("html5lib");
  if (!html5lib.missing.empty()) return;
  sh(html5lib.path.string() +
     " -c 'import html5lib; html5lib.HTMLParser(strict=True).parse(open(\"report.html\", "
     "\"rb\"))'");
}

TEST_F(Report, IsLaidOutByABrowser) {
  const Outside chromium = program_on_path("chromium", "chromium");
  if (!chromium.missing.empty()) GTEST_SKIP() << chromium.missing;
  make_run();
  sh("moe-report run --out report.html");
  const std::string browser =
      "chromium --headless --no-sandbox --disable-gpu --user-data-dir=browser "
      "--virtual-time-budget=2000 ";
  const std::string dom = sh(browser + "--dump-dom report.html 2> browser.txt");
  // A parser closes what was left open and moves what stands in the wrong place; here it finds
  // nothing to do.
  const auto count = [](const std::string& text, const std::string& word) {
    size_t found = 0;
    for (size_t at = text.find(word); at != std::string::npos; at = text.find(word, at + 1)) {
      ++found;
    }
    return found;
  };
  const std::string html = page("report.html");
  for (const char* word : {"<table", "<tr>", "<td>", "<figure", "<svg", "<img", "<h3", "<p"}) {
    EXPECT_EQ(count(dom, word), count(html, word)) << word;
  }
  sh(browser + "--window-size=390,2000 --screenshot=phone.png report.html 2> browser.txt");
  const std::string bytes = page("phone.png");
  const Tensor phone =
      decode_image({reinterpret_cast<const std::byte*>(bytes.data()), bytes.size()});
  std::set<int> colours;
  for (const uint8_t value : phone.as<uint8_t>()) colours.insert(value);
  EXPECT_GT(colours.size(), 50U) << "an empty page";
}

TEST_F(Report, ShowsWhatAnUnfinishedRunHas) {
  make_run("--set run.controls=none");
  for (const char* stage : {"base", "partition"}) {
    fs::rename(folder / "run" / stage, folder / "away");
    sh("moe-report run --out report.html");
    EXPECT_NE(page("report.html").find("base or its partition is not there"), std::string::npos);
    fs::rename(folder / "away", folder / "run" / stage);
  }
  for (const char* stage : {"eval/shared", "eval/local", "decoder", "experts/1"}) {
    fs::remove_all(folder / "run" / stage);
  }
  fs::remove(folder / "run/summary.json");
  sh("moe-report run --out report.html");
  std::string html = page("report.html");
  EXPECT_NE(html.find("not finished: 6 of its 10 stages"), std::string::npos);
  EXPECT_NE(html.find("Left out: not all experts are trained yet."), std::string::npos);
  EXPECT_NE(html.find("Tags by expert"), std::string::npos);
  // Elsewhere without its data set: what the run itself has.
  fs::rename(folder / "run/dataset", folder / "elsewhere");
  const Outcome outcome = run(folder.path(), "moe-report run --out report.html");
  EXPECT_EQ(outcome.status, 0);
  EXPECT_NE(outcome.err.find("warning: run: images and tags are left out"), std::string::npos)
      << outcome.err;
  sh("moe-report run --dataset elsewhere --out report.html");
  html = page("report.html");
  EXPECT_NE(html.find("Tags by expert"), std::string::npos);
}

TEST_F(Report, RefusesWhatIsNoRunAndLosesNothing) {
  std::ofstream(folder / "report.html") << "mine";
  fs::create_directories(folder / "empty");
  refused("moe-report empty --out report.html", {"empty", "is no run", "moe-run"});
  refused("moe-report nowhere --out report.html", {"nowhere", "is no run"});
  std::ofstream(folder / "empty/config.yaml") << "{}\n";
  refused("moe-report empty --out report.html", {"empty: is no run of moe-run", "config.yaml"});
  std::ofstream(folder / "empty/config.yaml") << "run: {dataset: data}\n";
  refused("moe-report empty --out report.html", {"empty", "is no run of moe-run"});
  fs::create_directories(folder / "empty/logs");
  refused("moe-report empty --out report.html", {"none of this run's stages is done"});
  refused("moe-report empty --out empty", {"--out empty", "is a folder", "empty/report.html"});
  refused("moe-report empty --out report.html --asked-images 6000",
          {"--asked-images", "0 to 5000", "6000"});
  EXPECT_EQ(page("report.html"), "mine");
}

TEST_F(Report, ComparesRunsAndWritesTheirPictures) {
  make_run("--set run.controls=none");
  sh("moe-run c.yaml --out three --set run.controls=none --set partition.experts=3 "
     "--set ingest.sources=[] --set run.dataset=run/dataset");
  refused("moe-report run ./run/ --out both.html", {"is named twice"});
  refused("PATH=${PATH%%:*} moe-report run --out both.html --png slides",
          {"--png", "rsvg-convert", "librsvg2-bin"});
  sh("moe-report run three --out both.html --asked-images 0");
  const std::string html = page("both.html");
  EXPECT_NE(html.find("The runs side by side"), std::string::npos);
  EXPECT_NE(html.find("<th scope=\"row\">partition.experts</th><td>2</td><td>3</td>"),
            std::string::npos);
  EXPECT_EQ(html.find("<th scope=\"row\">base.lr</th>"), std::string::npos) << "the same in both";
  EXPECT_NE(html.find("(--asked-images 0)"), std::string::npos);
  const Outside converter = program_on_path("rsvg-convert", "librsvg2-bin");
  if (!converter.missing.empty()) GTEST_SKIP() << converter.missing;
  const auto lines = split(sh("moe-report run three --out both.html --png slides"), '\n');
  ASSERT_GT(lines.size(), 20U);
  for (size_t i = 1; i + 1 < lines.size(); ++i) {
    const std::string bytes = page(lines[i]);
    EXPECT_EQ(known_image_format({reinterpret_cast<const std::byte*>(bytes.data()), 64}), "PNG");
  }
  EXPECT_TRUE(fs::exists(folder / "slides/three-learning-curves.png"));
  EXPECT_EQ(std::distance(fs::directory_iterator(folder / "slides"), {}), std::ssize(lines) - 2)
      << "work was left behind";
}

TEST_F(Report, PartsAreSeenBeforeAnyExpertIsTrained) {
  write_pictures(folder.path(), 120);
  sh("moe-ingest images.jsonl --out data --val-fraction 0.2");
  sh("moe-train-base data --out base --width 8 --image-size 16 --stem small --epochs 1 --batch 32");
  sh("moe-embed data --model base --out embedding");
  const std::string line = "moe-partition data embedding --out parts --num-experts 3 ";
  refused(line + "--contact-sheet parts.gif", {"parts.gif", ".png"});
  refused("moe-partition embedding --out parts --contact-sheet parts.png",
          {"--contact-sheet", "needs the dataset"});
  EXPECT_FALSE(fs::exists(folder / "parts"));
  const std::string text = sh(line + "--contact-sheet parts.png");
  EXPECT_NE(text.find("parts.png: a row an expert"), std::string::npos) << text;
  sh(line + "--contact-sheet parts.JPG");  // the partition is done already
  for (const char* name : {"parts.png", "parts.JPG"}) {
    const std::string bytes = page(name);
    const Tensor sheet =
        decode_image({reinterpret_cast<const std::byte*>(bytes.data()), bytes.size()});
    EXPECT_EQ(sheet.shape(), (Shape{3 * 64 + 2 * 2, 16 * 64 + 15 * 2 + 4, 3})) << name;
  }
}

}  // namespace
}  // namespace hardmoe
