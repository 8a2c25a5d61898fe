#!/usr/bin/env bash
# K-means, ours and FAISS's in turn on the same machine; medians and their ratios. Then our balanced fit
# beside our plain one.
#   tools/bench/partition.sh X.npy [ROUNDS] [K …]
#   tools/bench/partition.sh /tmp/x.npy 3 64 1000
# X.npy is made (1,000,000 × 256 float32, 1 GB) where it is not there. PYTHON may name another python3;
# OURS options for ours, such as OURS="--memory 1G".
set -euo pipefail

if (($# == 0)); then
  sed -n '2,7s/^# \{0,1\}//p' "$0" >&2
  exit 2
fi
file=$(realpath "$1")
shift
cd "$(dirname "$0")/../.."
rounds=3
if (($# > 0)); then
  rounds=$1
  shift
fi
clusters=("$@")
((${#clusters[@]} > 0)) || clusters=(64 1000)
python=${PYTHON:-/usr/bin/python3}

[[ -f build/CMakeCache.txt ]] || tools/configure.sh
cmake --build build --target bench-kmeans >&2
[[ -f $file ]] || "$python" tools/bench/faiss_kmeans.py "$file" --make

results=$(mktemp)
trap 'rm -f "$results"' EXIT
note() {  # SIDE COMMAND…
  local side=$1 line
  shift
  line=$("$@")
  printf '%s\t%s\n' "$side" "$(tail -n 1 <<< "$line")" | tee -a "$results" >&2
}
for k in "${clusters[@]}"; do
  for ((round = 1; round <= rounds; ++round)); do
    # Unquoted on purpose: OURS may be several options.
    note plain build/bin/bench-kmeans "$file" --clusters "$k" ${OURS:-}
    note faiss "$python" tools/bench/faiss_kmeans.py "$file" --clusters "$k"
    note balanced build/bin/bench-kmeans "$file" --clusters "$k" --tolerance 0.05 ${OURS:-}
  done
done

python3 - "$results" <<'PYTHON'
import json, statistics, sys
found = {}
for line in open(sys.argv[1]):
    side, text = line.rstrip("\n").split("\t", 1)
    row = json.loads(text)
    found.setdefault((row["k"], side), []).append(row)
median = lambda key, field: statistics.median(row[field] for row in found[key])
for k in sorted({k for k, _ in found}):
    total = {side: median((k, side), "train_s") + median((k, side), "assign_s") for side in ("plain", "faiss", "balanced")}
    print(json.dumps({
        "k": k, "rounds": len(found[k, "plain"]),
        **{f"{side}_s": round(seconds, 3) for side, seconds in total.items()},
        "faiss_over_plain": round(total["faiss"] / total["plain"], 3),
        "balanced_over_plain": round(total["balanced"] / total["plain"], 3),
        **{f"{side}_inertia": round(median((k, side), "inertia"), 3) for side in total},
        **{f"{side}_rss_mb": median((k, side), "rss_mb") for side in total},
        "balanced_sizes": [median((k, "balanced"), "min"), median((k, "balanced"), "max")],
        "floor_s": round(median((k, "plain"), "floor_float_s"), 3),
        "integer_floor_s": round(median((k, "plain"), "floor_integer_s"), 3)}))
PYTHON
