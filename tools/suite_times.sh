#!/usr/bin/env bash
# Adds up what ctest printed (standard input): the seconds of each suite's tests, the slowest suite first, and
# the slowest test of each.
#   tools/suite_times.sh [SUITES] < LOG     SUITES: as many are printed, 25 unless given
set -euo pipefail
if [[ ${1:-} == --help || ${1:-} == -h ]]; then
  sed -n '2,4s/^# \{0,1\}//p' "$0"
  exit 0
fi

# "  7/9 Test  #3: Precisions/Norms.Apply/fp32 .....   Passed    0.02 sec": the suite is Precisions/Norms.
awk '
  match($0, /Test +#[0-9]+: /) && / sec *$/ {
    rest = substr($0, RSTART + RLENGTH)
    split(rest, word, " ")
    suite = name = word[1]
    sub(/^GPU\./, "GPU ", suite)
    sub(/\..*$/, "", suite)
    seconds = $(NF - 1)
    total[suite] += seconds
    ++tests[suite]
    if (seconds >= most[suite]) { most[suite] = seconds; slowest[suite] = name }
  }
  END {
    for (suite in total) {
      printf "%8.1f  %-28s %4d tests, the slowest %.1f: %s\n", total[suite], suite, tests[suite],
             most[suite], slowest[suite]
    }
  }
' | sort -rn | sed -n "1,${1:-25}p"
