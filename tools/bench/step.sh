#!/usr/bin/env bash
# Training steps, ours and PyTorch's in turn on the same machine; medians and their ratio.
#   tools/bench/step.sh DATASET [ROUNDS] [OPTIONS of both …]
#   tools/bench/step.sh runs/quickstart/dataset 5 --width 64 --image 64 --batch 64 --precision bf16
# DATASET was written by moe-ingest; the peer takes images of the same size from memory. OURS and PEER may
# be set to other commands that print a JSON line with "images_per_second".
set -euo pipefail

if (($# == 0)); then
  sed -n '2,6s/^# \{0,1\}//p' "$0" >&2
  exit 2
fi
dataset=$(realpath "$1")
shift
cd "$(dirname "$0")/../.."
rounds=3
if [[ ${1:-} =~ ^[0-9]+$ ]]; then
  rounds=$1
  shift
fi

if [[ -z ${OURS:-} ]]; then
  [[ -f build/CMakeCache.txt ]] || tools/configure.sh
  cmake --build build --target bench-step >&2
  OURS="build/bin/bench-step $dataset"
fi
PEER=${PEER:-/usr/bin/python3 tools/bench/torch_step.py}

results=$(mktemp)
trap 'rm -f "$results"' EXIT
for ((round = 1; round <= rounds; ++round)); do
  for side in ours peer; do
    command=$OURS
    [[ $side == ours ]] || command=$PEER
    # Unquoted on purpose: a command with its own arguments.
    if ! line=$($command "$@"); then
      echo "step.sh: failed: $command $*" >&2
      exit 1
    fi
    printf '%s\t%s\n' "$side" "$(tail -n 1 <<< "$line")" | tee -a "$results" >&2
  done
done

python3 - "$results" "$*" <<'PYTHON'
import json, statistics, sys
speeds = {"ours": [], "peer": []}
for line in open(sys.argv[1]):
    side, text = line.rstrip("\n").split("\t", 1)
    speeds[side].append(json.loads(text)["images_per_second"])
medians = {side: statistics.median(values) for side, values in speeds.items()}
ratio = medians["ours"] / medians["peer"]
print(f"{'':6}{'images/s':>10}{'lowest':>10}{'highest':>10}", file=sys.stderr)
for side, values in speeds.items():
    print(f"{side:6}{medians[side]:10.1f}{min(values):10.1f}{max(values):10.1f}", file=sys.stderr)
print(f"{'ratio':6}{ratio:10.3f}", file=sys.stderr)
print(json.dumps({"options": sys.argv[2], "ours": medians["ours"], "peer": medians["peer"],
                  "ratio": round(ratio, 4), "rounds": speeds}))
PYTHON
