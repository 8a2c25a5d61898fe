// An embedding that moe-embed recorded is compared with its checksum while it is read.
#include "moe/embedding.h"

#include <gtest/gtest.h>

#include <cmath>
#include <fstream>

#include "base/random.h"
#include "base/stage.h"
#include "expect_error.h"
#include "temporary_folder.h"

namespace hardmoe {
namespace {
namespace fs = std::filesystem;

constexpr int64_t rows = 20000, cols = 24;

class RecordedEmbedding : public testing::TestWithParam<DType> {
 protected:
  RecordedEmbedding() {
    Stage stage({folder / "e", "moe-embed", {{"dataset", "d"}, {"model", "m"}}});
    NpyWriter writer(file, GetParam(), {cols});
    Random random(1, RandomUse::test);
    for (int64_t i = 0; i < rows * cols; ++i) {
      const float value = random.uniform();
      const Float16 half = to_float16(value);
      const double wide = value;
      const void* element = GetParam() == DType::f16   ? static_cast<const void*>(&half)
                            : GetParam() == DType::f64 ? static_cast<const void*>(&wide)
                                                       : &value;
      bytes.append(static_cast<const char*>(element), size_of(GetParam()));
    }
    writer.append(bytes.data(), rows);
    writer.finish();
    stage.finish({"train.npy"}, {});
    bytes = read_file(file);
  }

  void overwrite(size_t at, const std::string& text) const {
    std::fstream out(file, std::ios::in | std::ios::out | std::ios::binary);
    out.seekp(static_cast<std::streamoff>(at));
    out << text;
  }

  /// All rows in order, `block` at a time; in place where that can be.
  static void pass(const Embedding& embedding, int64_t block, bool view) {
    std::vector<float> values(static_cast<size_t>(block * cols));
    for (int64_t first = 0; first < rows; first += block) {
      const int64_t count = std::min(block, rows - first);
      if (!view || embedding.view(first, count) == nullptr) {
        embedding.read(first, count, values.data());
      }
    }
  }

  TemporaryFolder folder;
  fs::path file = folder / "e/train.npy";
  std::string bytes;
};

INSTANTIATE_TEST_SUITE_P(Types, RecordedEmbedding,
                         testing::Values(DType::f16, DType::f32, DType::f64));

TEST_P(RecordedEmbedding, WholeItIsReadInAnyOrder) {
  for (const bool view : {false, true}) {
    for (const int64_t block : {int64_t{1000}, int64_t{6001}, rows}) {
      const Embedding embedding({file});
      std::vector<float> row(cols);
      for (const int64_t first : {int64_t{7}, int64_t{0}, rows - 1}) {
        embedding.read(first, 1, row.data());
      }
      pass(embedding, block, view);
      pass(embedding, block, view);
      embedding.require_as_recorded();
    }
    const Embedding barely({file});
    barely.require_as_recorded();
  }
}

TEST_P(RecordedEmbedding, FourBytesAnywhereAreNoticed) {
  const size_t begin = bytes.size() - static_cast<size_t>(rows * cols) * size_of(GetParam());
  for (const size_t at : {begin, begin + 777777 % (bytes.size() - begin), bytes.size() - 4}) {
    std::string other = bytes.substr(at, 4);
    for (char& c : other) c = static_cast<char>(c ^ 1);  // still numbers
    overwrite(at, other);
    for (const bool view : {false, true}) {
      const Embedding embedding({file});
      expect_error([&] { pass(embedding, 3000, view); },
                   {"train.npy: damaged or replaced", "SHA-256", "run `moe-embed` again"});
      const Embedding unread({file});
      expect_error([&] { unread.require_as_recorded(); }, {"train.npy: damaged"});
    }
    overwrite(at, bytes.substr(at, 4));
  }
}

TEST_P(RecordedEmbedding, DamageThatIsNoNumberIsToldAsDamage) {
  overwrite(bytes.size() - 8, "\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF");
  const Embedding embedding({file});
  expect_error([&] { pass(embedding, rows / 3, false); }, {"train.npy: damaged or replaced"});
}

TEST(Embedding, NumbersBeyondFloat32HaveAScaleToo) {
  const TemporaryFolder folder;
  const auto refused = [&](double value, const std::string& expected) {
    const Tensor wide = Tensor::from(std::vector<double>{1, 2, 3, value, 5, 6}, {3, 2});
    save_npy(folder / "wide.npy", wide);
    const Embedding embedding({folder / "wide.npy"});
    std::vector<float> values(6);
    expect_error([&] { embedding.read(0, 3, values.data()); }, {"wide.npy: row 1 ", expected});
  };
  refused(-1e300,
          "magnitude 1e+300, and squared distances of such values overflow float32; multiply");
  refused(2e40, "multiply the embedding by 1e-41");
  refused(2e30, "multiply the embedding by 1e-31");
  refused(INFINITY, "holds a NaN or an infinity");
  refused(NAN, "holds a NaN or an infinity");
}

}  // namespace
}  // namespace hardmoe
