// Files made by NumPy are in tests/files/formats (see tests/references/make_format_files.py).
#include "tensor/npy.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>

#include "expect_error.h"
#include "outside.h"
#include "temporary_folder.h"
#include "test_files.h"

namespace hardmoe {
namespace {

std::filesystem::path stored(const std::string& name) { return test_files() / "formats" / name; }

template <class T>
void expect_grid(const std::string& name, double factor) {
  const Tensor tensor = load_npy(stored(name));
  const MappedNpy mapped(stored(name));
  ASSERT_EQ(tensor.shape(), (Shape{2, 3})) << name;
  ASSERT_EQ(mapped.shape(), tensor.shape()) << name;
  for (size_t i = 0; i < 6; ++i) {
    EXPECT_EQ(static_cast<double>(tensor.as<T>()[i]), static_cast<double>(i) * factor) << name;
    EXPECT_EQ(mapped.as<T>()[i], tensor.as<T>()[i]) << name;
  }
}

TEST(Npy, ReadsWhatNumpyWrote) {
  expect_grid<float>("f4.npy", 1.5);
  expect_grid<double>("f8.npy", 1.5);
  expect_grid<int64_t>("i8.npy", 7);
  expect_grid<int32_t>("i4.npy", 7);
  expect_grid<uint16_t>("u2.npy", 7);
  expect_grid<uint8_t>("u1.npy", 7);
  expect_grid<float>("version2.npy", 1);
  EXPECT_EQ(to_float32(load_npy(stored("f2.npy"))).as<float>()[5], 7.5F);
}

TEST(Npy, ReadsOtherRanks) {
  const Tensor scalar = load_npy(stored("scalar.npy"));
  EXPECT_EQ(scalar.shape(), Shape{});
  EXPECT_EQ(scalar.as<double>()[0], 2.5);
  EXPECT_EQ(load_npy(stored("vector.npy")).shape(), Shape{5});
  EXPECT_EQ(load_npy(stored("empty.npy")).shape(), (Shape{0, 4}));
  EXPECT_TRUE(MappedNpy(stored("empty.npy")).as<float>().empty());
}

TEST(Npy, WritesTheBytesNumpyWrites) {
  const TemporaryFolder folder;
  save_npy(folder / "a.npy", Tensor::from<int32_t>({0, 1, 2, 3, 4}, {5}));
  save_npy(folder / "b.npy", std::vector<int32_t>{0, 1, 2, 3, 4});
  // NumPy 1.24 pads its header to 64 bytes, we to 128, and its text may differ in blanks only.
  const auto body = [](std::string bytes) { return bytes.substr(bytes.find('\n') + 1); };
  EXPECT_EQ(body(read_file(folder / "a.npy")), body(read_file(stored("vector.npy"))));
  EXPECT_EQ(read_file(folder / "a.npy"), read_file(folder / "b.npy"));
}

TEST(Npy, NumpyReadsWhatWeWrote) {
  const auto [python, missing] = python_with("numpy");
  if (!missing.empty()) GTEST_SKIP() << missing;
  const TemporaryFolder folder;
  save_npy(folder / "a.npy", Tensor::from<float>({0, 1, 2, 3, 4, 5}, {2, 1, 3}));
  save_npy(folder / "b.npy", Tensor::from<uint16_t>({7}, {}));
  save_npy(folder / "c.npy", Tensor(DType::f16, {0, 8}));
  NpyWriter writer(folder / "d.npy", DType::i64, {2});
  const int64_t rows[] = {1, 2, 3, 4, 5, 6};
  writer.append(rows, 1);
  writer.append(rows + 2, 2);
  writer.finish();
  const std::string script = "import numpy as np; load = lambda n: np.load('" +
                             folder.path().string() +
                             "/' + n)\n"
                             "a, b, c, d = map(load, ('a.npy', 'b.npy', 'c.npy', 'd.npy'))\n"
                             "assert a.shape == (2, 1, 3) and a.dtype == '<f4' and "
                             "a.ravel().tolist() == [0, 1, 2, 3, 4, 5]\n"
                             "assert b.shape == () and b.dtype == '<u2' and b == 7\n"
                             "assert c.shape == (0, 8) and c.dtype == '<f2'\n"
                             "assert d.dtype == '<i8' and d.tolist() == [[1, 2], [3, 4], [5, 6]]\n";
  EXPECT_EQ(std::system((python.string() + " -c \"" + script + "\"").c_str()), 0);
}

TEST(Npy, RefusesWhatItCannotRead) {
  const auto refused = [](const std::string& name, const std::vector<std::string>& words) {
    expect_error([&] { load_npy(stored(name)); }, words);
    expect_error([&] { MappedNpy mapped(stored(name)); }, words);
  };
  refused("fortran.npy", {"fortran.npy", "Fortran order", "ascontiguousarray"});
  refused("big_endian.npy", {"big_endian.npy", "expected", ">f4", "astype"});
  refused("bool.npy", {"expected", "|b1"});
  refused("record.npy", {"structured array", "('a', '<f4'), ('b', '<i4')", "a['NAME']"});
  refused("bfloat16.npy", {"'<V2'", "bfloat16", "a.view(ml_dtypes.bfloat16)"});
  refused("objects.npy", {"Python objects", "numpy.stack"});
  refused("text.npy", {"text, not numbers"});
  refused("package.safetensors", {"not a .npy file"});
  refused("absent.npy", {"absent.npy", "No such file"});
  expect_error([] { MappedNpy(stored("f4.npy")).as<int32_t>(); }, {"f4.npy", "float32", "int32"});
  const TemporaryFolder folder;
  expect_error([&] { save_npy(folder / "a.npy", Tensor(DType::bf16, {1})); }, {"bfloat16"});
  EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
}

TEST(Npy, EveryTruncationIsNoticed) {
  const TemporaryFolder folder;
  const std::string whole = read_file(stored("f4.npy"));
  for (size_t length = 0; length < whole.size(); ++length) {
    // Not write_file_atomic: hundreds of fsyncs take seconds on some disks.
    std::ofstream(folder / "cut.npy", std::ios::binary) << whole.substr(0, length);
    expect_error([&] { load_npy(folder / "cut.npy"); }, {"cut.npy"});
  }
  write_file_atomic(folder / "long.npy", whole + "x");
  expect_error([&] { load_npy(folder / "long.npy"); }, {"long.npy", "followed by 1 bytes"});
}

TEST(Npy, LyingHeadersAreNoticed) {
  const TemporaryFolder folder;
  const std::string whole = read_file(stored("f4.npy"));
  const auto with_shape = [&](const std::string& shape) {
    std::string bytes = whole;
    const size_t at = bytes.find("(2, 3), }");
    bytes.replace(at, 9 + shape.size() - 6, shape + ", }");
    write_file_atomic(folder / "lie.npy", bytes);
    expect_error([&] { load_npy(folder / "lie.npy"); }, {"lie.npy"});
  };
  with_shape("(2, 4)");
  with_shape("(-2, -3)");
  with_shape("(4611686018427387904, 4)");
  with_shape("(99999999999999999999, 1)");
  with_shape("(2, x)");
}

TEST(NpyReader, ReadsPiecesOfFilesFromNumPy) {
  for (const auto* name : {"f4.npy", "version2.npy"}) {
    const NpyReader reader(stored(name));
    const Tensor whole = load_npy(stored(name));
    EXPECT_EQ(reader.shape(), whole.shape());
    EXPECT_EQ(reader.dtype(), whole.dtype());
    std::vector<std::byte> piece(3 * size_of(whole.dtype()));
    const InputFile file = reader.open();
    reader.prefetch(file, 2, 3);
    reader.read(file, 2, 3, piece.data());
    EXPECT_TRUE(std::equal(piece.begin(), piece.end(), whole.data() + 2 * size_of(whole.dtype())));
    const MappedPiece mapped = reader.map(file, 2, 3);
    EXPECT_TRUE(std::equal(piece.begin(), piece.end(), mapped.data()));
    expect_error([&] { reader.map(file, 2, 10000); }, {name, "ends before byte"});
  }
  expect_error([&] { NpyReader{stored("fortran.npy")}; }, {"fortran.npy", "Fortran order"});
  expect_error([&] { NpyReader{stored("none.npy")}; }, {"none.npy", "No such file"});
}

}  // namespace
}  // namespace hardmoe
