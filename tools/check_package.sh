#!/usr/bin/env bash
# Makes the Debian packages, has lintian look at them, and tries them in a new Debian 12: installed by apt, the
# commands ingest, train, pack and predict there, and a program is built with the development package.
#   tools/check_package.sh [--build DIR] OUT
#   OUT          folder for the packages
#   --build DIR  the build to pack (default: build, made where it is missing); it must be without GPU engine
# Needs root, 1.5 GB under TMPDIR, and a mirror of Debian in apt's sources; tools/setup.sh --package installs the
# programs it uses. Exit status: 0 all is well, 1 something is not, 2 usage, 77 no such root is allowed here.
set -euo pipefail

usage() { sed -n '2,8s/^# \{0,1\}//p' "$0"; }
fault() {
  echo "check_package.sh: $1" >&2
  exit 1
}

build=build out=
while (($# > 0)); do
  case $1 in
    --build)
      (($# > 1)) || { echo "check_package.sh: --build needs a folder" >&2; exit 2; }
      build=$2
      shift
      ;;
    --help | -h) usage; exit 0 ;;
    -*) echo "check_package.sh: unknown option '$1'" >&2; usage >&2; exit 2 ;;
    *) [[ -z $out ]] || { echo "check_package.sh: one folder, please, not also '$1'" >&2; exit 2; }
      out=$1 ;;
  esac
  shift
done
[[ -n $out ]] || { usage >&2; exit 2; }
out=$(realpath -m "$out")
build=$(realpath -m "$build")
cd "$(dirname "$0")/.."
PATH=$PATH:/usr/sbin
for program in cpack dpkg-shlibdeps lintian debootstrap; do
  command -v "$program" > /dev/null || fault "there is no $program; tools/setup.sh --package installs it"
done

# ---- the packages ----
if [[ ! -f $build/CMakeCache.txt ]]; then
  [[ $build == "$PWD/build" ]] || fault "$build is no build folder"
  tools/configure.sh -DHARDMOE_CUDA=OFF
fi
cmake --build "$build" --target commands hardmoe >&2
tools/check_third_party.sh "$build" >&2
mkdir -p "$out"
work=$(mktemp -d)
trap 'rm -rf --one-file-system "$work"' EXIT
if ! (cd "$build" && cpack -B "$work/cpack") > "$work/cpack.txt" 2>&1; then
  cat "$work/cpack.txt" >&2
  fault "cpack made no packages"
fi
cp "$work"/cpack/*.deb "$out/"
version=$(sed -n 's/^project(hardmoe VERSION \([^ ]*\).*/\1/p' CMakeLists.txt)
names=({hardmoe,libhardmoe-dev}_"${version}_$(dpkg --print-architecture)".deb)
packages=("${names[@]/#/$out/}")
for package in "${packages[@]}"; do
  [[ -f $package ]] || fault "cpack did not make $package"
done
lintian --allow-root --fail-on error "${packages[@]}"

# ---- a new Debian 12 ----
mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Codename: bookworm' 'Label: Debian' 'Created-By: Packages' |
  head -n 1)
[[ -n $mirror ]] || fault "apt's sources have no mirror of Debian 12 (bookworm)"
root=$work/root
mkdir -p "$root/proc"
# A mount namespace of its own, for /proc: by it the commands find the module beside themselves.
inside() {
  unshare --mount sh -c 'mount --rbind /proc "$0/proc" && exec chroot "$0" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin \
    LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive ${http_proxy:+"http_proxy=$http_proxy"} OMP_WAIT_POLICY=passive "$@"' \
    "$root" "$@"
}
if ! unshare --mount sh -c 'mount --rbind /proc "$0/proc"' "$root" 2> "$work/refused.txt"; then
  cat "$work/refused.txt" >&2
  echo "check_package.sh: no root of its own allowed here; the packages are made, and not tried" >&2
  exit 77
fi
if ! debootstrap --variant=minbase bookworm "$root" "$mirror" > "$work/debootstrap.txt" 2>&1; then
  tail -n 20 "$work/debootstrap.txt" >&2
  fault "debootstrap made no Debian 12 of $mirror"
fi
cp "${packages[@]}" "$root/"
install_inside() {
  if ! inside apt-get install -y --no-install-recommends "$@" > "$work/apt.txt" 2>&1; then
    tail -n 20 "$work/apt.txt" >&2
    fault "apt could not install $*"
  fi
}
install_inside "./${names[0]}"

for command in "$build"/bin/moe-*; do
  name=$(basename "$command")
  said=$(inside "$name" --version)
  [[ $said == "$name (hardmoe) $version" ]] || fault "$name --version in Debian 12: $said"
done
inside moe-device
mkdir "$root/check"
cp -r tests/files/images tests/files/foreign/rgb.tif tests/tools/tiny_mixture.sh "$root/check/"
inside bash /check/tiny_mixture.sh /check/images /check/tiny
images=(/check/images/color.jpg /check/images/rgb.png)
inside moe-predict /check/tiny/pack "${images[@]}" /check/rgb.tif # TIFF: by the module
inside test -f /usr/share/hardmoe/configs/quickstart.yaml
if [[ -f $root/usr/share/man/man1/moe-run.1.gz ]]; then
  install_inside man-db
  inside man moe-run | head -n 5
fi

# ---- a program that uses the library ----
install_inside "./${names[1]}" cmake g++ make
example=/usr/share/doc/hardmoe/docs/examples/tag_images
inside sh -c "cmake -S $example -B /check/example && cmake --build /check/example" > "$work/example.txt" 2>&1 ||
  { cat "$work/example.txt" >&2; fault "the example could not be built in Debian 12"; }
inside /check/example/tag_images /check/tiny/pack "${images[@]}"

# ---- and away ----
inside apt-get purge -y hardmoe libhardmoe-dev > "$work/apt.txt" 2>&1
left=$(find "$root/usr" "$root/etc" "$root/var/lib/dpkg" -name '*hardmoe*' -o -name 'moe-*')
[[ -z $left ]] || fault "still there after the packages were purged: $left"
echo "${names[*]}: installed, used and removed in a Debian 12 of its own" >&2
