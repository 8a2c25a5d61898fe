// package.safetensors was written by the safetensors package (see tests/references).
#include "tensor/safetensors.h"

#include <gtest/gtest.h>

#include <chrono>
#include <cstring>
#include <fstream>

#include "base/files.h"
#include "base/json.h"
#include "expect_error.h"
#include "temporary_folder.h"
#include "test_files.h"

namespace hardmoe {
namespace {

std::filesystem::path stored() { return test_files() / "formats/package.safetensors"; }

TEST(Safetensors, ReadsWhatThePackageWrote) {
  Metadata metadata;
  const StateDict tensors = load_safetensors(stored(), &metadata);
  EXPECT_EQ(metadata, (Metadata{{"made by", "safetensors"}, {"é", "ü"}}));
  ASSERT_EQ(tensors.size(), 6U);
  const Tensor& weight = tensors.at("weight");
  EXPECT_EQ(weight.shape(), (Shape{2, 3}));
  for (size_t i = 0; i < 6; ++i) EXPECT_EQ(weight.as<float>()[i], 0.5F * static_cast<float>(i));
  EXPECT_EQ(to_float32(tensors.at("half")).as<float>()[5], 2.5F);
  EXPECT_EQ(tensors.at("steps").as<int64_t>()[0], int64_t{1} << 40);
  EXPECT_EQ(tensors.at("bytes").as<uint8_t>()[3], 3);
  EXPECT_EQ(tensors.at("scalar").shape(), Shape{});
  EXPECT_EQ(tensors.at("scalar").as<double>()[0], 0.125);
  EXPECT_EQ(tensors.at("nothing").shape(), (Shape{0, 3}));
}

TEST(Safetensors, WrittenAndReadBackIsTheSame) {
  const TemporaryFolder folder;
  Metadata metadata, again;
  const StateDict tensors = load_safetensors(stored(), &metadata);
  save_safetensors(folder / "a.safetensors", tensors, metadata);
  const StateDict back = load_safetensors(folder / "a.safetensors", &again);
  EXPECT_EQ(again, metadata);
  ASSERT_EQ(back.size(), tensors.size());
  for (const auto& [name, tensor] : tensors) {
    EXPECT_EQ(back.at(name).dtype(), tensor.dtype());
    EXPECT_EQ(back.at(name).shape(), tensor.shape());
    EXPECT_EQ(std::memcmp(back.at(name).data(), tensor.data(), tensor.bytes()), 0) << name;
  }
  save_safetensors(folder / "b.safetensors", back, again);
  EXPECT_EQ(read_file(folder / "a.safetensors"), read_file(folder / "b.safetensors"));
}

TEST(Safetensors, EveryTruncationIsNoticed) {
  const TemporaryFolder folder;
  const std::string whole = read_file(stored());
  for (size_t length = 0; length < whole.size(); ++length) {
    // Not write_file_atomic: hundreds of fsyncs take seconds on some disks.
    std::ofstream(folder / "cut.safetensors", std::ios::binary) << whole.substr(0, length);
    expect_error([&] { load_safetensors(folder / "cut.safetensors"); }, {"cut.safetensors"});
  }
}

TEST(Safetensors, LyingHeadersAreNoticed) {
  const TemporaryFolder folder;
  const auto refused = [&](const std::string& header, const std::vector<std::string>& words,
                           const std::string& body = std::string(8, '\0')) {
    const uint64_t length = header.size();
    std::string bytes(reinterpret_cast<const char*>(&length), 8);
    write_file_atomic(folder / "lie.safetensors", bytes + header + body);
    expect_error([&] { load_safetensors(folder / "lie.safetensors"); }, words);
  };
  refused(R"({"w":{"dtype":"F32","shape":[2],"data_offsets":[0,16]}})", {"tensor 'w'", "0 to 16"});
  refused(R"({"w":{"dtype":"F32","shape":[2],"data_offsets":[8,0]}})", {"tensor 'w'"});
  refused(R"({"w":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}})", {"2", "8 bytes", "found 4"});
  refused(R"({"w":{"dtype":"F32","shape":[2],"data_offsets":[-8,0]}})", {"tensor 'w'"});
  refused(R"({"w":{"dtype":"F32","shape":[-2],"data_offsets":[0,8]}})", {"extent -2"});
  refused(R"({"w":{"dtype":"F32","shape":[1e300],"data_offsets":[0,8]}})", {"not a size"});
  refused(R"({"w":{"dtype":"F32","shape":"2","data_offsets":[0,8]}})", {"not a list"});
  refused(R"({"w":{"dtype":"F32","shape":[4611686018427387904,4],"data_offsets":[0,0]}})",
          {"does not fit"});
  refused(R"({"w":{"dtype":"F8","shape":[2],"data_offsets":[0,8]}})", {"unsupported dtype 'F8'"});
  refused(R"({"w":{"shape":[2],"data_offsets":[0,8]}})", {"'dtype' is missing"});
  refused(R"({"w":[1]})", {"tensor 'w'"});
  refused(R"({"__metadata__":{"a":1}})", {"__metadata__"});
  refused("[1]", {"not a JSON object"});
  refused("{", {"not valid JSON"});
}

/// A file of this header and as many zeros.
void write_with_header(const std::filesystem::path& file, const std::string& header, size_t body) {
  const uint64_t length = header.size();
  std::ofstream(file, std::ios::binary)
      << std::string(reinterpret_cast<const char*>(&length), 8) << header << std::string(body, 0);
}

TEST(Safetensors, ReadsWhatThePackageReadsAndNothingElse) {
  const TemporaryFolder folder;
  const auto file = folder / "x.safetensors";
  const Json verdicts = read_json(test_files() / "formats/safetensors_verdicts.json");
  ASSERT_GT(verdicts.size(), 70U);
  for (const Json& verdict : verdicts) {
    SCOPED_TRACE(verdict["name"]);
    write_with_header(file, verdict["header"], verdict["body"]);
    if (verdict["accepted"].get<bool>()) {
      EXPECT_NO_THROW(load_safetensors(file));
    } else {
      expect_error([&] { load_safetensors(file); }, {"x.safetensors"});
    }
  }
  write_with_header(file, "{\"\xFF\":{\"dtype\":\"U8\",\"shape\":[],\"data_offsets\":[0,1]}}", 1);
  expect_error([&] { load_safetensors(file); }, {"x.safetensors", "UTF-8"});
}

TEST(Safetensors, AHeaderOfVeryManyTensorsTakesSecondsAtMost) {
  const TemporaryFolder folder;
  std::string header = "{";
  for (int i = 0; i < 100'000; ++i) {
    header += (i > 0 ? "," : "") + ("\"t" + std::to_string(i)) +
              R"(":{"dtype":"U8","shape":[0],"data_offsets":[0,0]})";
  }
  write_with_header(folder / "many.safetensors", header + "}", 0);
  const auto start = std::chrono::steady_clock::now();
  EXPECT_EQ(load_safetensors(folder / "many.safetensors").size(), 100'000U);
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(20));
}

TEST(Safetensors, AHeaderIsNotNestedWithoutEnd) {
  const TemporaryFolder folder;
  const std::string deep = std::string(100'000, '[') + std::string(100'000, ']');
  write_with_header(folder / "deep.safetensors",
                    R"({"w":{"dtype":"U8","shape":[0],"data_offsets":[0,0],"more":)" + deep + "}}",
                    0);
  expect_error([&] { load_safetensors(folder / "deep.safetensors"); },
               {"deep.safetensors", "nested deeper than 256 levels"});
}

TEST(Safetensors, SaysWhatIsWrongWithItsBytes) {
  const TemporaryFolder folder;
  const std::string whole = read_file(stored());
  std::ofstream(folder / "long.safetensors", std::ios::binary) << whole << "four";
  expect_error([&] { load_safetensors(folder / "long.safetensors"); },
               {"long.safetensors", "4 bytes follow that belong to none"});
  write_with_header(folder / "hole.safetensors",
                    R"({"w":{"dtype":"F32","shape":[2],"data_offsets":[4,12]}})", 12);
  expect_error([&] { load_safetensors(folder / "hole.safetensors"); },
               {"tensor 'w'", "begins at byte 4", "ends at 0"});
}

TEST(Safetensors, LeavesOutTypesItHasNot) {
  const TemporaryFolder folder;
  write_with_header(folder / "x.safetensors",
                    R"({"mask":{"dtype":"BOOL","shape":[3],"data_offsets":[0,3]},)"
                    R"("w":{"dtype":"F32","shape":[2],"data_offsets":[3,11]}})",
                    11);
  const StateDict tensors = load_safetensors(folder / "x.safetensors");
  EXPECT_EQ(tensors.size(), 1U);
  EXPECT_EQ(tensors.at("w").shape(), Shape{2});
}

TEST(RequireTensor, NamesWhatIsMissing) {
  const StateDict tensors = {{"fc.weight", Tensor(DType::f32, {10, 4})}};
  const Shape right = {10, 4}, wrong = {9, 4};
  EXPECT_EQ(&require_tensor(tensors, "fc.weight", "m", &right), &tensors.at("fc.weight"));
  expect_error([&] { require_tensor(tensors, "fc.bias", "m.safetensors"); },
               {"m.safetensors", "'fc.bias' is missing"});
  expect_error([&] { require_tensor(tensors, "fc.weight", "m.safetensors", &wrong); },
               {"'fc.weight'", "10×4", "9×4"});
}

}  // namespace
}  // namespace hardmoe
