#!/usr/bin/env bash
# Makes tests/files/fuzz_folders: seeds that are several files in one (fuzz/input_files.h), or made by our own
# commands. BIN: the folder of those. safetensors and numpy of Python are needed.
#   make_seeds.sh BIN
set -euo pipefail
bin=$(cd "$1" && pwd)
cd "$(dirname "$0")"
files=$(cd ../files && pwd)
out=$files/fuzz_folders
work=$(mktemp -d)
trap 'rm -r "$work"' EXIT
rm -rf "$out"
mkdir -p "$out"/{dataset,idx,wordnet,tag_rules,config,model,earlier_weights,decoder,pack,gater,partition,evaluation,stage}
cd "$work"

# FOLDER SEED NAMES…: the files of the folder that there are, one behind the other.
together() {
  local folder=$1 seed=$2 names=() name
  shift 2
  for name in "$@"; do
    if [[ -e $folder/$name ]]; then names+=("$name"); fi
  done
  (cd "$folder" && head -v -c -0 "${names[@]}") > "$out/$seed.folder"
}

# A few images of a few pixels, and a network of a few weights.
mkdir -p src/cat src/dog
cp "$files"/lists/{0,1}.png "$files"/images/adam7_5x3.png src/cat
cp "$files"/lists/2.png "$files"/sources/tables/{a,c}.png "$files"/images/adam7_9x8.png src/dog
index() { printf "$1/%s.npy " shard offset length tag_ptr tag_ids truth_ptr truth_ids; echo "$1/keys.txt"; }
list=(dataset.json tags.tsv $(index train) $(index val))
moe() { "$bin/moe-$1" "${@:2}" --quiet; }
moe ingest src --out data --set ingest.storage=copy --val-fraction 0.3 > /dev/null
together data dataset/with_stage stage.json "${list[@]}"
mkdir -p few/cat
cp src/cat/[01].png few/cat
moe ingest few --out few_data --set ingest.storage=copy > /dev/null
together few_data dataset/whole "${list[@]}" shards/train-000000.tar
cp -r data unsized  # with shards of which nothing is recorded, so that the index is read to its end
python3 - <<'PYTHON'
import json
record = json.load(open('unsized/dataset.json'))
for split in record['splits'].values():
    split['files'] = {}
for number, shard in enumerate(record['shards']):
    shard['bytes'] = 300
    open('unsized/' + shard['path'], 'wb').write(bytes(300))
record['splits'] = {'train': record['splits']['train']}
json.dump(record, open('unsized/dataset.json', 'w'))
PYTHON
together unsized dataset/no_images dataset.json tags.tsv $(index train) shards/{train,val}-000000.tar

network=(--image-size 8 --set model.architecture=vit --set model.vit.width=4 --set model.vit.depth=1
         --set model.vit.heads=1 --set model.vit.patch_size=8 --set model.vit.mlp_ratio=1)
training=(--epochs 1 --batch 4)
moe train-base data --out base "${network[@]}" "${training[@]}" > /dev/null
moe embed data --model base --out embedding > /dev/null
model=(model.yaml model.safetensors tags.tsv)
together base model/vit "${model[@]}"
together base model/recorded "${model[@]}" stage.json
together "$files/format_1/base" model/earlier "${model[@]}" stage.json
moe train-base data --out resnet --image-size 8 --width 1 "${training[@]}" > /dev/null
together resnet model/resnet_without_weights model.yaml tags.tsv
moe train-sparse data --out sparse "${network[@]}" --set sparse.layer.kind=vmoe --set sparse.layer.experts=2 \
  --set sparse.layer.chosen=1 --set sparse.layer.last=1 --set model.vit.depth=2 --set sparse.epochs=1 > /dev/null
together sparse model/vmoe "${model[@]}"
together base earlier_weights/ours model.safetensors
mkdir half
echo '{"architecture": "vit_tiny", "pretrained_cfg": {"mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5]}}' \
  > half/config.json
python3 - <<'PYTHON'
import numpy
from safetensors.numpy import load_file, save_file
weights = load_file('base/model.safetensors')
save_file({('head' + name[2:] if name.startswith('fc.') else name): value.astype(numpy.float16)
           for name, value in weights.items()}, 'half/model.safetensors')
PYTHON
together half earlier_weights/half model.safetensors config.json

# Partitions and gaters of each kind.
moe partition embedding --out partition --num-experts 2 > /dev/null
moe partition embedding --out rotated --num-experts 2 --pca 2 --set partition.whiten=true > /dev/null
moe partition embedding --out random --num-experts 2 --method random > /dev/null
for kind in partition rotated random; do
  cp $kind/gater.safetensors "$out/gater/$kind.safetensors"
  together $kind partition/$kind partition.json gater.safetensors assignment.npy
done
cp "$files/format_1/partition/gater.safetensors" "$out/gater/earlier.safetensors"
together "$files/format_1/partition" partition/earlier partition.json gater.safetensors assignment.npy stage.json
python3 - <<'PYTHON'
import numpy
from safetensors import safe_open
from safetensors.numpy import save_file
with safe_open('partition/gater.safetensors', 'numpy') as file:
    metadata = file.metadata()
    tensors = {name: file.get_tensor(name) for name in file.keys()}
centroids, prices = tensors['centroids'], tensors['prices']
fine = dict(tensors, centroids=numpy.vstack([centroids, centroids + 1]), prices=numpy.tile(prices, 2),
            expert_of=numpy.array([0, 1, 1, 0], numpy.int32))
save_file(fine, 'fine.safetensors', metadata)
halved = dict(tensors)
halved['splits.experts'] = numpy.array([[1, 2]], numpy.int32)
halved['splits.prices'] = numpy.zeros((1, 2), numpy.float32)
halved['splits.centroids'] = numpy.vstack([centroids[1] - 1, centroids[1] + 1]).astype(numpy.float32)
save_file(halved, 'halved.safetensors', dict(metadata, experts='3'))
PYTHON
cp fine.safetensors halved.safetensors "$out/gater"

# A mixture with a shared decoder, its evaluation, and all of it packed.
for k in 0 1; do
  moe train-expert data --base base --partition partition --expert $k --out experts/$k "${training[@]}" > /dev/null
done
mixture=(--base base --partition partition --experts experts)
moe train-decoder data "${mixture[@]}" --out decoder "${training[@]}" > /dev/null
together decoder decoder/ours decoder.yaml decoder.safetensors
together decoder decoder/recorded decoder.yaml decoder.safetensors stage.json
together "$files/format_1/decoder" decoder/earlier decoder.safetensors stage.json
moe eval data "${mixture[@]}" --decoder decoder --out eval > /dev/null
moe eval data --model base --out eval_base > /dev/null
together eval evaluation/mixture stage.json images.npy experts.npy
together eval_base evaluation/base stage.json images.npy
moe pack . --row shared --out pack > /dev/null
parts=({base,partition,experts/0,experts/1,decoder}/stage.json base/model.yaml partition/partition.json)
python3 - "${parts[@]}" <<'PYTHON'
import json
import sys
record = json.load(open('pack/stage.json'))  # of the files that are in the seed
kept = ['mixture.yaml', 'tags.tsv', *sys.argv[1:]]
record['outputs'] = {name: sha256 for name, sha256 in record['outputs'].items() if name in kept}
json.dump(record, open('pack/stage.json', 'w'), indent=1)
PYTHON
together pack pack/whole mixture.yaml stage.json tags.tsv "${parts[@]}"
together . pack/run "${parts[@]}"

# What others write.
python3 - <<'PYTHON'
import gzip
import struct
images = struct.pack('>IIII', 0x803, 2, 2, 3) + bytes(range(12))
labels = struct.pack('>II', 0x801, 2) + bytes([1, 0])
import os
os.makedirs('idx')
open('idx/images-idx3-ubyte', 'wb').write(images)
open('idx/labels-idx1-ubyte', 'wb').write(labels)
os.makedirs('packed')
open('packed/images-idx3-ubyte', 'wb').write(gzip.compress(images, mtime=0))
open('packed/labels-idx1-ubyte', 'wb').write(gzip.compress(labels, mtime=0))

# In the form of WordNet's data.noun and index.noun (wndb(5WN)): a synset's number is where it begins.
synsets = [('entity', []), ('animal', ['entity']), ('dog domestic_dog', ['animal']), ('Fido', ['dog']),
           ('cat true_cat', ['animal'])]
data, at = '  1 a licence\n', {}
for words, above in synsets:
    words, offset = words.split(), len(data)
    at[words[0]] = offset
    pointers = [f'{"@i" if words[0] == "Fido" else "@"} {at[name]:08} n 0000' for name in above]
    data += (f'{offset:08} 05 n {len(words):02x} ' + ' '.join(f'{word} 0' for word in words) +
             f' {len(pointers):03} ' + ''.join(pointer + ' ' for pointer in pointers) + '| a gloss  \n')
index = '  1 a licence\n' + ''.join(
    f'{word.lower()} n 1 1 @ 1 0 {at[words.split()[0]]:08}  \n'
    for word, words in sorted((word, words) for words, _ in synsets for word in words.split()))
os.makedirs('wordnet')
open('wordnet/data.noun', 'w').write(data)
open('wordnet/index.noun', 'w').write(index)
os.makedirs('rules')
open('rules/stop.txt', 'w').write('# words\nphoto\n#nofilter\n\nStraße\n')
open('rules/merge.tsv', 'w').write('cats\tcat\nkitten\tcats\nNew York\tnyc\n')
PYTHON
together idx idx/plain images-idx3-ubyte labels-idx1-ubyte
together packed idx/packed images-idx3-ubyte labels-idx1-ubyte
together wordnet wordnet/few data.noun index.noun
cp data/tags.tsv rules
together rules tag_rules/few stop.txt merge.tsv tags.tsv

# What was once read wrongly.
python3 - "$out" <<'PYTHON'
import json
import sys
import numpy
from safetensors.numpy import save_file
out = sys.argv[1]
wordnet = open(f'{out}/wordnet/few.folder').read()
for name, was, numbers in [('words', ' n 01 entity', ' n 7fffffffffffffff entity'),
                           ('pointers', 'entity 0 000 ', f'entity 0 {2**62} ')]:
    open(f'{out}/wordnet/many_{name}.folder', 'w').write(wordnet.replace(was, numbers, 1))
kind = dict(format='hardmoe gater 1', kind='kmeans', experts='2', inputs='2', seed='1', whitened='false')
float32, int32 = numpy.float32, numpy.int32
def gater(name, centroids, halved, **metadata):
    tensors = {'centroids': numpy.zeros((centroids, 2), float32), 'prices': numpy.zeros(centroids, float32),
               'expert_of': numpy.zeros(centroids, int32), 'splits.experts': numpy.array(halved, int32),
               'splits.prices': numpy.zeros((1, 2), float32), 'splits.centroids': numpy.zeros((2, 2), float32)}
    save_file(tensors, f'{out}/gater/{name}.safetensors', dict(kind, **metadata))
gater('halves_of_nothing', 1, [[1, 1]])
gater('no_centroids', 0, [[0, 0]], experts='1')
gater('halves_are_a_number', 2, 3)
record = {'command': 'moe-train-base', 'inputs': {'seed': 1}, 'done': False, 'outputs': {}, 'results': {}}
for name, changed in [('command', {'command': 5}), ('clearing', {'clearing': [5]}), ('kept', {'kept': {'weights': 5}}),
                      ('inputs', {'inputs': 5}), ('warnings', {'done': True, 'warnings': 5}), ('whole', {})]:
    json.dump(dict(record, **changed), open(f'{out}/stage/{name}.json', 'w'))
open(f'{out}/stage/list.json', 'w').write('[]')
for name, inputs in [('loss', {'base': {'loss': 5}}), ('number', {'number': 5})]:
    command = 'moe-train-expert' if name == 'number' else 'moe-train-base'
    text = json.dumps({'command': command, 'inputs': inputs, 'done': True, 'outputs': {}})
    open(f'{out}/model/{name}.folder', 'w').write(
        f'==> model.yaml <==\nmodel: {{width: 1, image_size: 8}}\ntags: 2\n\n==> stage.json <==\n{text}')
found = {'parameters': 1, 'flops_per_image': 1}
for name, results in [('temperature', {'temperature': 'x'}), ('no_gates', {'layers': [{'layer': 'a', 'gates': []}]})]:
    text = json.dumps({'command': 'moe-eval', 'done': True, 'outputs': {}, 'results': dict(found, **results)})
    open(f'{out}/evaluation/{name}.folder', 'w').write(f'==> stage.json <==\n{text}')
open(f'{out}/dataset/record_of_another_kind.folder', 'w').write('==> stage.json <==\n{"command": 5}')
open(f'{out}/pack/no_outputs.folder', 'w').write(
    '==> mixture.yaml <==\nformat: "hardmoe mixture 1"\n\n==> stage.json <==\n{"command": "moe-pack", "done": true}')
PYTHON
for stage in base data decoder embedding partition; do
  cp "$files/format_1/$stage/stage.json" "$out/stage/$stage.json"
done

cat > "$out/config/flow.yaml" <<'YAML'
ingest: {sources: [a, "b c", 'd'], val_fraction: 1e-1, columns: ["image=file", tags=t], max_aspect: .5, strict: true}
model: {depth: 50, stem: imagenet, vit: {size: S, pooling: mean}, sparse: {stages: [3, 4]}}
YAML
cat > "$out/config/blocks.yaml" <<'YAML'
# Anchors, blocks of text, and a text that goes on.
ingest:
  sources: &list
    - one
    - |
      two
    - "t\x68ree"
  images: *list
input:
  mean: [0.5, 0.5, 0.5]
  deviation:
    - 0.25
    - 0.25
    - 2.5e-1
  resampling: antialiased_bilinear
model:
  ? width
  : 16
YAML
