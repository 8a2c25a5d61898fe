#!/usr/bin/env python3
"""Makes tests/files/torchvision.safetensors with the real torchvision and timm.

  python3 make_torchvision.py ../files

What torchvision.models.resnet18(num_classes=10) answers for one image, with the weights of
torch_resnet.py's closed form, in float64; and in the metadata the names and shapes of the tensors that
torchvision's ResNet-18, 34 and 50 consist of, in their order. timm's are the same, which is checked here.
"""
import json
import sys

import numpy as np
import timm
import torch
import torchvision

import safetensors_file
from make_resnet_references import TAGS, make_images, normalised, store
from torch_resnet import fill

out, metadata = {}, {"torchvision": torchvision.__version__, "timm": timm.__version__}
for depth in (18, 34, 50):
    name = f"resnet{depth}"
    tensors = getattr(torchvision.models, name)().state_dict()
    theirs = timm.create_model(name).state_dict()
    shapes = {key: list(value.shape) for key, value in tensors.items()}
    assert shapes == {key: list(value.shape) for key, value in theirs.items()}, name
    metadata[name] = json.dumps(shapes)

net = fill(torchvision.models.resnet18(num_classes=TAGS).double()).eval()
features = []
net.fc.register_forward_pre_hook(lambda module, inputs: features.append(inputs[0]))
images = make_images("torchvision", 1, 64)
with torch.no_grad():
    logits = net(normalised(images, torch.float64))
out["images"] = images
store(out, "features", features[0])
store(out, "logits", logits)
safetensors_file.save(sys.argv[1] + "/torchvision.safetensors", out, metadata)
print({name: np.abs(value).max() for name, value in out.items()})
