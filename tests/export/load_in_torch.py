"""Loads ResNets strictly into torchvision or timm, and stores theirs.

  load_in_torch.py LIBRARY FOLDER

LIBRARY is torchvision or timm. FOLDER has ours/DEPTH/model.safetensors for each depth, and images.npy, float32
N×3×S×S as the network's first layer takes them. Writes ours/DEPTH.npy, the library's logits with these weights;
and weights of the library's own, theirs/DEPTH.safetensors, with their logits, theirs/DEPTH.npy.
"""
import importlib
import pathlib
import sys

import numpy
import safetensors.torch
import torch

library = importlib.import_module(sys.argv[1])
folder = pathlib.Path(sys.argv[2])
images = torch.from_numpy(numpy.load(folder / "images.npy"))


def network(depth, classes):
    if library.__name__ == "timm":
        return library.create_model(f"resnet{depth}", num_classes=classes)
    return getattr(library.models, f"resnet{depth}")(num_classes=classes)


def answer(net, file):
    with torch.no_grad():
        numpy.save(file, net.eval()(images).numpy())


torch.manual_seed(1)
for path in sorted((folder / "ours").iterdir()):
    weights = safetensors.torch.load_file(path / "model.safetensors")
    net = network(int(path.name), len(weights["fc.bias"]))
    net.load_state_dict(weights, strict=True)
    answer(net, folder / "ours" / f"{path.name}.npy")

    net = network(int(path.name), 7)
    for name, value in net.state_dict().items():
        if name.endswith("running_mean") or name.endswith("bias"):
            value.normal_(0, 0.1)
    safetensors.torch.save_file(net.state_dict(), folder / "theirs" / f"{path.name}.safetensors")
    answer(net, folder / "theirs" / f"{path.name}.npy")
print(library.__version__)
