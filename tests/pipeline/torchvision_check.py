"""Loads a trained model into PyTorch and compares what it answers with what the commands wrote.

  torchvision_check.py MODEL IMAGES.npy FEATURES.npy

MODEL: a folder of moe-train-base. IMAGES: uint8 N×H×W×3. FEATURES: float32 N×D of moe-embed.
Prints PyTorch's N×V logits as JSON, for the comparison with moe-eval. The model is torchvision's own where
that is installed and has the architecture, else the one in tests/references/torch_resnet.py.
"""
import json
import os
import re
import sys

import numpy as np
import torch

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "references"))
import torch_resnet


def load_safetensors(path):
    with open(path, "rb") as file:
        header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
        data = file.read()
    header.pop("__metadata__", None)
    tensors = {}
    for name, entry in header.items():
        assert entry["dtype"] == "F32", name
        begin, end = entry["data_offsets"]
        values = np.frombuffer(data[begin:end], "<f4").reshape(entry["shape"])
        tensors[name] = torch.from_numpy(values.copy())
    return tensors


def network(card, tags):
    depth, width = int(card["depth"]), int(card["width"])
    if card["stem"] == "imagenet" and width == 64:
        try:
            import torchvision
            return getattr(torchvision.models, f"resnet{depth}")(num_classes=tags), "torchvision"
        except ImportError:
            pass
    return torch_resnet.ResNet(depth, card["stem"], width, tags), "torch_resnet"


model_folder, images_file, features_file = sys.argv[1:]
with open(os.path.join(model_folder, "model.yaml")) as file:
    card = dict(re.findall(r'(\w+): "?([\w-]+)', file.read()))
weights = load_safetensors(os.path.join(model_folder, "model.safetensors"))
net, source = network(card, int(card["tags"]))
net.load_state_dict(weights, strict=True)
net.eval()

features = []
net.fc.register_forward_pre_hook(lambda module, inputs: features.append(inputs[0]))
images = torch.from_numpy(np.load(images_file)).permute(0, 3, 1, 2).float() / 255
mean = torch.tensor([0.485, 0.456, 0.406]).reshape(1, 3, 1, 1)
deviation = torch.tensor([0.229, 0.224, 0.225]).reshape(1, 3, 1, 1)
with torch.no_grad():
    logits = net((images - mean) / deviation)

ours = np.load(features_file)
theirs = features[0].numpy()
assert ours.shape == theirs.shape, (ours.shape, theirs.shape)
error = np.abs(ours - theirs).max() / np.abs(theirs).max()
assert np.abs(theirs).max() > 1e-3, "the features are all zero"
assert error < 1e-4, f"features differ by {error:.2g} of the largest"
print(f"{source}: features of {len(ours)} images differ by {error:.2g}", file=sys.stderr)
print(json.dumps(logits.tolist()))
