#!/usr/bin/env bash
# Loading beside torchvision's DataLoader (RandomResizedCrop 224, flip) and beside libjpeg-turbo decoding
# whole images and doing nothing else: in turn, as many threads each, on the same JPEGs; medians.
#   tools/bench/loader.sh [ROUNDS] [WIDTHxHEIGHT:QUALITY …]
#   tools/bench/loader.sh 5 256x256:75 500x375:75 500x375:95
# Needs tools/setup.sh --bench. The JPEGs are cuts of the photographs PHOTOS (Debian's mate-backgrounds),
# COUNT a set, made once in build/bench-loader. THREADS defaults to the processors there are.
set -euo pipefail

cd "$(dirname "$0")/../.."
rounds=3
if [[ ${1:-} =~ ^[0-9]+$ ]]; then
  rounds=$1
  shift
elif [[ ${1:-} == -* ]]; then
  sed -n '2,7s/^# \{0,1\}//p' "$0" >&2
  exit 2
fi
(($# > 0)) || set -- 256x256:75 500x375:75 500x375:95
for set in "$@"; do
  [[ $set =~ ^[0-9]+x[0-9]+:[0-9]+$ ]] && continue
  echo "loader.sh: '$set': expected WIDTHxHEIGHT:QUALITY, such as 256x256:75" >&2
  exit 2
done
count=${COUNT:-2048}
threads=${THREADS:-$(nproc)}
read -ra photos <<< "${PHOTOS:-$(echo /usr/share/backgrounds/mate/nature/*.jpg)}"
if [[ ! -f ${photos[0]} ]]; then
  echo "loader.sh: ${photos[0]}: no such photograph; run tools/setup.sh --bench, or set PHOTOS" >&2
  exit 1
fi
python=/usr/bin/python3 # the distribution's, which has torchvision

[[ -f build/CMakeCache.txt ]] || tools/configure.sh
cmake --build build --target bench-jpeg moe-ingest moe-bench-loader >&2

results=$(mktemp)
trap 'rm -f "$results"' EXIT
for set in "$@"; do
  size=${set%:*}
  folder=build/bench-loader/$size-q${set#*:}-$count
  if [[ ! -f $folder/data/dataset.json ]]; then
    rm -rf "$folder"
    $python tools/bench/make_jpegs.py "$folder/jpegs" "${size%x*}" "${size#*x}" "$count" "${set#*:}" \
      "${photos[@]}"
    build/bin/moe-ingest "$folder/jpegs/images.jsonl" --val-fraction 0 --min-tag-count 1 \
      --out "$folder/data" >&2
  fi
  bytes=$(cat "$folder"/jpegs/?/*.jpg | wc -c)
  for ((round = 1; round <= rounds; ++round)); do
    for side in libjpeg-turbo torchvision hardmoe; do
      case $side in
        libjpeg-turbo) command=(build/bin/bench-jpeg "$folder/jpegs" "$threads" 4) ;;
        torchvision) command=("$python" tools/bench/torch_loader.py "$folder/jpegs" 224 "$threads") ;;
        hardmoe) command=(build/bin/moe-bench-loader "$folder/data" --batch 64 --image-size 224
          --crop random_resized --min-area 0.08 --threads "$threads" --epochs 6 --json --quiet) ;;
      esac
      line=$("${command[@]}" | tail -n 1)
      printf '%s\t%s\t%s\t%s\n' "$set" "$((bytes / count))" "$side" "$line" | tee -a "$results" >&2
    done
  done
done

$python - "$results" <<'PYTHON'
import collections, json, statistics, sys
sets = collections.defaultdict(lambda: collections.defaultdict(list))
for line in open(sys.argv[1]):
    name, size, side, text = line.rstrip("\n").split("\t")
    sets[name, int(size)][side].append(json.loads(text))
print(f"{'set':14}{'kB':>5}{'libjpeg-turbo':>15}{'torchvision':>13}{'hardmoe':>9}"
      f"{'×torchvision':>14}{'×libjpeg':>10}", file=sys.stderr)
for (name, size), sides in sets.items():
    rates = {side: [run["images_per_second"] for run in runs] for side, runs in sides.items()}
    bare, peer, ours = (statistics.median(rates[side])
                        for side in ("libjpeg-turbo", "torchvision", "hardmoe"))
    stages = {stage: round(statistics.median(run[stage] for run in sides["hardmoe"]))
              for stage in ("read", "decode", "resize", "assemble")}
    print(f"{name:14}{size / 1000:5.0f}{bare:15.0f}{peer:13.0f}{ours:9.0f}{ours / peer:14.2f}"
          f"{ours / bare:10.2f}", file=sys.stderr)
    print(json.dumps({"set": name, "bytes_an_image": size, "libjpeg_turbo": bare, "torchvision": peer,
                      "hardmoe": ours, "ratio_torchvision": round(ours / peer, 3),
                      "ratio_libjpeg_turbo": round(ours / bare, 3), "stages": stages, "rounds": rates}))
PYTHON
