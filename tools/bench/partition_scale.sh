#!/usr/bin/env bash
# moe-partition on embeddings larger than memory: time and peak memory against their size, under a memory
# limit that the system enforces (page cache included, where it is a control group's).
#   tools/bench/partition_scale.sh FOLDER [ROWS …]
#   tools/bench/partition_scale.sh /tmp/scale 3000000 30000000 100000000
# Each size is written to FOLDER (128 bytes a row), partitioned and removed. LIMIT (1536M), MEMORY (--memory,
# 1300M), COLS (64), EXPERTS (256) and ITERATIONS (5) may be set.
set -euo pipefail

if (($# == 0)); then
  sed -n '2,7s/^# \{0,1\}//p' "$0" >&2
  exit 2
fi
folder=$(realpath -m "$1")
shift
sizes=("$@")
((${#sizes[@]} > 0)) || sizes=(3000000 30000000 100000000)
cd "$(dirname "$0")/../.."
limit=${LIMIT:-1536M} memory=${MEMORY:-1300M} cols=${COLS:-64} experts=${EXPERTS:-256} iterations=${ITERATIONS:-5}
[[ -f build/CMakeCache.txt ]] || tools/configure.sh
cmake --build build --target moe-partition bench-embedding >&2
mkdir -p "$folder"

group=/sys/fs/cgroup/memory/hardmoe-scale-$$
if systemd-run --quiet --scope -p MemoryMax="$limit" true 2> /dev/null; then
  how=systemd-run
elif mkdir "$group" 2> /dev/null; then
  how="memory control group"
  echo "$limit" > "$group/memory.limit_in_bytes"
  trap 'rmdir "$group"' EXIT
else
  how="address space (ulimit -v)"
fi
echo "limit: $limit by $how" >&2
limited() {
  case $how in
    systemd-run) systemd-run --quiet --scope -p MemoryMax="$limit" -p MemorySwapMax=0 "$@" ;;
    memory*) (echo $BASHPID > "$group/cgroup.procs" && exec "$@") ;;
    *) (ulimit -v $(($(numfmt --from=iec "$limit") / 1024)) && exec "$@") ;;
  esac
}

export OMP_WAIT_POLICY=passive  # waiting is not counted as the processor's time
for rows in "${sizes[@]}"; do
  rm -rf "$folder/embedding" "$folder/partition"
  limited build/bin/bench-embedding --out "$folder/embedding" --rows "$rows" --cols "$cols"
  limited python3 - "$folder" "$memory" "$experts" "$iterations" "$how" "$limit" <<'PYTHON'
import json, os, resource, subprocess, sys, time
folder, memory, experts, iterations, how, limit = sys.argv[1:]
parts = os.path.join(folder, "embedding")
start = time.time()
subprocess.run(["build/bin/moe-partition", parts, "--out", os.path.join(folder, "partition"), "--num-experts", experts,
                "--pca", "0", "--iterations", iterations, "--memory", memory], check=True, stdout=subprocess.DEVNULL)
seconds = time.time() - start
record = json.load(open(os.path.join(folder, "partition/partition.json")))
usage = resource.getrusage(resource.RUSAGE_CHILDREN)
peak = usage.ru_maxrss // 1024
print(json.dumps({
    "rows": record["images"], "gb": round(sum(e.stat().st_size for e in os.scandir(parts)) / 1e9, 3),
    "experts": record["experts"], "iterations": len(record["iterations"]), "seconds": round(seconds, 1),
    "seconds_a_million": round(seconds / record["images"] * 1e6, 3),
    "cpu_seconds_a_million": round((usage.ru_utime + usage.ru_stime) / record["images"] * 1e6, 3), "peak_mb": peak, "limit": limit, "by": how,
    "balanced": record["balanced"], "smallest": min(record["sizes"]), "largest": max(record["sizes"]),
    "imbalance": round(record["imbalance"], 4)}))
PYTHON
  rm -rf "$folder/embedding" "$folder/partition"
done
