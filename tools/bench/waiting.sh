#!/usr/bin/env bash
# How fast a small network trains where others use the machine, too: images a second of two threads as the
# commands let them wait, as GNU's OpenMP alone does, sleeping at once, and of one thread; quiet, and beside a
# busy process on each of two processors. Medians of rounds in turn.
#   tools/bench/waiting.sh DATASET [ROUNDS]
set -euo pipefail
if (($# == 0)); then
  sed -n '2,5s/^# \{0,1\}//p' "$0" >&2
  exit 2
fi
dataset=$(realpath "$1") rounds=${2:-3}
cd "$(dirname "$0")/../.."
unset OMP_WAIT_POLICY GOMP_SPINCOUNT
out=$(mktemp -d)
busy=()
trap 'rm -r "$out"; ((${#busy[@]} == 0)) || kill "${busy[@]}"' EXIT

rate() { # SETTING: an entry of the environment
  env "$1" build/bin/moe-train-base "$dataset" --width 8 --image-size 32 --stem small --batch 128 --epochs 0.12 \
    --force --quiet --out "$out/model" 2> /dev/null |
    python3 -c 'import json, sys; print(json.load(sys.stdin)["images_per_second"])'
  rm -r "$out/model"
}
measure() { # LOAD
  local round setting
  for ((round = 0; round < rounds; ++round)); do
    for setting in COMMANDS=own GOMP_SPINCOUNT=300000 OMP_WAIT_POLICY=passive OMP_NUM_THREADS=1; do
      printf '%s\t%s\t%s\n' "$1" "$setting" "$(rate "$setting")" >> "$out/rates"
    done
  done
}
export OMP_NUM_THREADS=2
measure quiet
for processor in 0 1; do
  taskset -c "$processor" sh -c 'while :; do :; done' &
  busy+=($!)
done
measure loaded
python3 - "$out/rates" <<'PYTHON'
import collections, json, statistics, sys
rates = collections.defaultdict(list)
for line in open(sys.argv[1]):
    load, setting, rate = line.split("\t")
    rates[load, setting].append(float(rate))
for (load, setting), found in rates.items():
    print(json.dumps({"load": load, "setting": setting, "images_per_second": round(statistics.median(found))}))
PYTHON
