#!/usr/bin/env bash
# Makes the datasets that a study in configs/studies names, in runs/studies/data.
#   tools/study_data.sh small-networks TINYTAGS    the folder of datasets/tinytags' tars: whole, a half, a quarter
#                                                  and an eighth of its training images, and nine tenths of
#                                                  them with the rest as the split selection
#   tools/study_data.sh worlds TINY_IMAGENET       the folder tiny-imagenet-200, its photos' classes as tags,
#                                                  together with Debian's dataset-fashion-mnist
#   tools/study_data.sh tiny-imagenet TINY_IMAGENET   the same photos alone, half of those to train on
#   tools/study_data.sh cifar-100 CIFAR_100        a folder with train/CLASS/NAME.png and test/CLASS/NAME.png
set -euo pipefail
if [[ $# -ne 2 || ! -d $2 ]]; then
  sed -n '2,9s/^# //p' "$0"
  [[ ${1:-} == --help || ${1:-} == -h ]] && exit 0
  exit 2
fi
study=$1
source=$(realpath "$2")
cd "$(dirname "$0")/.."
data=runs/studies/data

small_networks() {
  local tags=(--min-tag-count 50) # the whole set's for all: so the same images are evaluated
  for part in :1 -half:0.5 -quarter:0.25 -eighth:0.125; do
    build/bin/moe-ingest "$source"/tinytags-train-*.tar --val-source "$source"/tinytags-val-*.tar \
      --sample "${part#*:}" "${tags[@]}" --out "$data/tinytags${part%:*}"
    tags=(--vocabulary $data/tinytags)
  done
  build/bin/moe-ingest "$source"/tinytags-train-*.tar --val-source "$source"/tinytags-val-*.tar \
    --selection-fraction 0.1 "${tags[@]}" --out "$data/tinytags-selection"
}

list_photos() { # photos-train.tsv, photos-val.tsv of Tiny ImageNet
  mkdir -p $data
  { # a photo's tag is its class, train/CLASS/images/NAME.JPEG
    printf 'image\ttags\n'
    find "$source/train" -name '*.JPEG' | LC_ALL=C sort | awk -F/ '{ print $0 "\t" $(NF - 2) }'
  } > $data/photos-train.tsv
  { # NAME.JPEG CLASS and a box a line
    printf 'image\ttags\n'
    awk -v folder="$source/val/images" '{ print folder "/" $1 "\t" $2 }' "$source/val/val_annotations.txt"
  } > $data/photos-val.tsv
}

worlds() {
  local clothes=/usr/share/datasets/fashion-mnist
  [[ -d $clothes ]] || { echo "study_data.sh: no $clothes: sudo apt-get install dataset-fashion-mnist" >&2; exit 2; }
  list_photos
  build/bin/moe-ingest $data/photos-train.tsv $clothes --val-source $data/photos-val.tsv --val-source $clothes \
    --label-names datasets/fashion-mnist/labels.txt --allow-outside --resize 32 --out $data/worlds
}

tiny_imagenet() {
  list_photos
  build/bin/moe-ingest $data/photos-train.tsv --val-source $data/photos-val.tsv --allow-outside --sample 0.5 \
    --resize 32 --out $data/tiny-imagenet-half
}

cifar_100() {
  build/bin/moe-ingest "$source/train" --val-source "$source/test" --out $data/cifar-100
}

case $study in
  small-networks) small_networks ;;
  worlds) worlds ;;
  tiny-imagenet) tiny_imagenet ;;
  cifar-100) cifar_100 ;;
  *) echo "study_data.sh: no data '$study': expected small-networks, worlds, tiny-imagenet or cifar-100" >&2; exit 2 ;;
esac
