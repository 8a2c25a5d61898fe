#!/usr/bin/env bash
# tools/check_files.sh refuses the lines of tests/files/file_access that say so, and no other.
#   check_files_test.sh ROOT
set -euo pipefail
cd "$1/tests/files/file_access"
expected=$(grep -rn '// refused' lib | cut -d: -f1,2 | sort)
found=$("$1/tools/check_files.sh" . 2> /dev/null | cut -d: -f1,2 | sort) || true
diff <(echo "$expected") <(echo "$found")
