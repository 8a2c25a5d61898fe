// NVIDIA's libraries in a Python's packages are found, whatever kind of Python it is.
#include "gpu/python_packages.h"

#include <gtest/gtest.h>

#include <cstdlib>

#include "base/files.h"
#include "base/folders.h"
#include "temporary_folder.h"

namespace hardmoe {
namespace {

namespace fs = std::filesystem;

/// Makes an empty file and the folders that it lies in.
fs::path make(const fs::path& file) {
  fs::create_directories(file.parent_path());
  write_file_atomic(file, "");
  return file;
}

TEST(PythonPackages, OfAnEnvironmentOrOfAPythonInThePath) {
  const TemporaryFolder folder;
  const fs::path venv = folder / "venv/lib/python3.11/site-packages";
  const fs::path system = folder / "usr/lib/python3/dist-packages";
  const fs::path pyenv = folder / "pyenv/versions/3.12.1/lib/python3.12/site-packages";
  for (const fs::path& packages : {venv, system, pyenv}) fs::create_directories(packages);
  make(folder / "usr/bin/python3.11");
  make(folder / "pyenv/shims/python3");
  fs::create_directories(folder / "links");
  fs::create_symlink(folder / "usr/bin/python3.11", folder / "links/python3");
  EXPECT_EQ(package_folders({{folder / "venv", folder / "none"},
                             {folder / "links", folder / "pyenv/shims", folder / "links"}}),
            (std::vector<fs::path>{venv, fs::weakly_canonical(system), pyenv}));
  EXPECT_TRUE(package_folders({{}, {folder / "usr"}}).empty());
}

TEST(PythonPackages, HaveEachLibraryInAFolderOfItsOwnOrAllInOne) {
  const TemporaryFolder folder;
  const fs::path one = folder / "one", all = folder / "all";
  const fs::path cudnn = make(one / "nvidia/cudnn/lib/libcudnn.so.9");
  const fs::path cublas = make(all / "nvidia/cu13/lib/libcublasLt.so.13");
  make(all / "nvidia/cu13/lib/libcudnn.so.9");
  EXPECT_EQ(packaged_library({folder / "none", one, all}, "libcudnn.so.9"), cudnn);
  EXPECT_EQ(packaged_library({one, all}, "libcublasLt.so.13"), cublas);
  EXPECT_EQ(packaged_library({one, all}, "libcublas.so.13"), std::nullopt);
}

TEST(PythonPackages, PlacesAreThoseOfTheEnvironment) {
  const std::string before = std::getenv("PATH");
  setenv("PATH", "/a/bin::/b/bin", 1);
  setenv("VIRTUAL_ENV", "/a", 1);
  const PythonPlaces places = python_places();
  setenv("PATH", before.c_str(), 1);
  unsetenv("VIRTUAL_ENV");
  EXPECT_EQ(places.prefixes.front(), "/a");
  EXPECT_EQ(places.executables, (std::vector<fs::path>{"/a/bin", "/b/bin"}));
}

}  // namespace
}  // namespace hardmoe
