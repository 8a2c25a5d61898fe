#!/usr/bin/env bash
# Fails if code outside lib/base opens, looks at or changes files by itself. Each such access goes
# through base/files.h, base/folders.h or base/append_file.h, and so through FileSystem, or no test could
# make it fail. Left out: comments, pipes and other standard streams, /dev/null, the process's own /proc.
#   tools/check_files.sh [ROOT]
set -euo pipefail
cd "${1:-$(dirname "$0")/..}"

# The system's calls, as this code writes them (::open), the C and C++ libraries', and those of libraries
# that open a file by its name.
system='open|openat|creat|read|write|pread|pwrite|fsync|fdatasync|ftruncate|truncate|rename|renameat'
system+='|unlink|unlinkat|remove|rmdir|mkdir|link|symlink|readlink|stat|lstat|fstat|access|opendir|flock'
system+='|chmod|utimensat'
anywhere='f(re|d)?open|tmpfile|tmpnam|mkstemp|mkostemp|mkdtemp|pread64|pwrite64|opendir|scandir|fdatasync'
queries='exists|status|symlink_status|is_[a-z_]+|file_size|hard_link_count|last_write_time|permissions'
queries+='|directory_entry|directory_iterator|recursive_directory_iterator|equivalent|read_symlink|space'
queries+='|rename|remove|remove_all|resize_file|copy|copy_file|copy_symlink|create_[a-z_]+'
libraries='LoadFile|gzopen|BZ2_bzopen|imread|imwrite|imreadmulti|imcount|DGifOpenFileName'
libraries+='|avifDecoderSetIOFile|avifDecoderReadFile|png_init_io|jpeg_stdio_src'
forbidden="(^|[^[:alnum:]_>)])::($system)\(|(^|[^[:alnum:]_])($anywhere|$libraries)\("
forbidden+="|std::(basic_)?(i|o)?fstream|std::(basic_)?filebuf"
forbidden+="|(^|[^[:alnum:]_])(fs|filesystem)::($queries)([^[:alnum:]_]|$)"
forbidden+="|#[[:space:]]*include[[:space:]]*<(fstream|dirent\.h|sys/stat\.h|sys/file\.h)>"
# Another name for the namespace, or none, would hide the calls from this check.
forbidden+="|namespace[[:space:]]+([a-eg-z]|f[a-rt-z]|fs[[:alnum:]_])[[:alnum:]_]*[[:space:]]*=[[:space:]]*(::)?std::filesystem"
forbidden+="|using[[:space:]]+(namespace[[:space:]]+)?(::)?std::filesystem"
allowed='/dev/null|/proc/self/|STD(IN|OUT|ERR)_FILENO'

[[ -d lib && -d apps ]] || { echo "check_files.sh: no lib and apps in $PWD" >&2; exit 2; }
mapfile -t found < <(
  grep -rnE --include='*.h' --include='*.cpp' --include='*.cu' --include='*.cuh' "$forbidden" lib apps |
    grep -v '^lib/base/' |
    sed -E 's,^([^:]+:[0-9]+:)(.*),\1 \2,; s,([^:])//.*,\1,' |
    grep -E "$forbidden" | grep -vE "$allowed" || true)
((${#found[@]} == 0)) && exit 0
printf '%s\n' "${found[@]}"
echo "files are used by lib/base only: base/files.h, base/folders.h, base/append_file.h" >&2
exit 1
