"""torchvision's ResNet in plain PyTorch: the same parameter names, with a stem and a width to choose.

Also the closed form that fills its parameters, so that references need not store weights:
  stream(name):  SplitMix64 started at FNV-1a-64(name); draw i is x_i, and u_i = 2·(x_i >> 40)/2²⁴ − 1
  convolution and linear weights   sqrt(6 / fan_in) · u_i      fan_in = product of all extents but the first
  batch norm                       weight 1 + u/4   bias u/4   running_mean u/2   running_var 1 + u/2
  ... bn3, the last of a bottleneck: weight half of that, or gradients of 50 layers lose all digits
  linear bias                      u/10
computed in float64, i over the flattened PyTorch layout, then cast to float32.
"""
import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F


class BasicBlock(nn.Module):
    expansion = 1

    def __init__(self, inputs, width, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, width, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.downsample = shortcut(inputs, width, stride)

    def forward(self, x):
        y = F.relu(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        return F.relu(y + (x if self.downsample is None else self.downsample(x)))


class Bottleneck(nn.Module):
    """ResNet v1.5: the 3×3 convolution has the stride."""
    expansion = 4

    def __init__(self, inputs, width, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, 4 * width, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(4 * width)
        self.downsample = shortcut(inputs, 4 * width, stride)

    def forward(self, x):
        y = F.relu(self.bn1(self.conv1(x)))
        y = F.relu(self.bn2(self.conv2(y)))
        y = self.bn3(self.conv3(y))
        return F.relu(y + (x if self.downsample is None else self.downsample(x)))


def shortcut(inputs, outputs, stride):
    if stride == 1 and inputs == outputs:
        return None
    return nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))


LAYERS = {18: (BasicBlock, (2, 2, 2, 2)), 34: (BasicBlock, (3, 4, 6, 3)),
          50: (Bottleneck, (3, 4, 6, 3))}


class ResNet(nn.Module):
    """stem "imagenet": 7×7 stride 2, 3×3 max pool stride 2; "small": 3×3 stride 1, no pool."""

    def __init__(self, depth, stem, width, tags):
        super().__init__()
        block, counts = LAYERS[depth]
        self.stem = stem
        if stem == "imagenet":
            self.conv1 = nn.Conv2d(3, width, 7, 2, 3, bias=False)
        else:
            self.conv1 = nn.Conv2d(3, width, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        inputs = width
        for stage, count in enumerate(counts):
            blocks = []
            for i in range(count):
                stride = 2 if stage > 0 and i == 0 else 1
                blocks.append(block(inputs, width << stage, stride))
                inputs = (width << stage) * block.expansion
            setattr(self, f"layer{stage + 1}", nn.Sequential(*blocks))
        self.fc = nn.Linear(inputs, tags)

    def features(self, x):
        x = F.relu(self.bn1(self.conv1(x)))
        if self.stem == "imagenet":
            x = F.max_pool2d(x, 3, 2, 1)
        return self.layer4(self.layer3(self.layer2(self.layer1(x)))).mean((2, 3))

    def forward(self, x):
        return self.fc(self.features(x))


def stream(name, count):
    """`count` draws u in [-1, 1) of the stream called `name`, as float64."""
    seed = 0xCBF29CE484222325
    for byte in name.encode():
        seed = ((seed ^ byte) * 0x100000001B3) & 0xFFFFFFFFFFFFFFFF
    with np.errstate(over="ignore"):
        x = np.uint64(seed) + np.arange(1, count + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        x = x ^ (x >> np.uint64(31))
    return (x >> np.uint64(40)).astype(np.float64) / 2**23 - 1


def fill(net):
    """Sets every parameter and statistic of `net` by the closed form above."""
    for name, tensor in net.state_dict().items():
        if name.endswith("num_batches_tracked"):
            continue
        u = stream(name, tensor.numel())
        if tensor.dim() > 1:
            u *= np.sqrt(6.0 / (tensor.numel() // tensor.shape[0]))
        elif name == "fc.bias":
            u /= 10
        elif name.endswith("running_mean"):
            u /= 2
        elif name.endswith("running_var"):
            u = 1 + u / 2
        elif name.endswith("weight"):
            u = (1 + u / 4) * (0.5 if name.endswith("bn3.weight") else 1)
        else:
            u /= 4
        tensor.copy_(torch.from_numpy(u.astype(np.float32).reshape(tensor.shape)))
    return net


def softmax_loss(logits, targets, smoothing=0.0):
    """targets: N×V, 1/k on each of an image's k tags. The mean over images."""
    return F.cross_entropy(logits, targets, label_smoothing=smoothing)


def softmax_teacher_loss(logits, teacher, temperature):
    """The mean over images of τ²·KL(teacher's softmax ‖ own softmax), both at temperature τ."""
    own, theirs = F.log_softmax(logits / temperature, 1), F.log_softmax(teacher / temperature, 1)
    return temperature**2 * F.kl_div(own, theirs, log_target=True, reduction="batchmean")


def sigmoid_teacher_loss(logits, teacher, temperature):
    """As sigmoid_loss, both at temperature τ, times τ²."""
    return temperature**2 * sigmoid_loss(logits / temperature, torch.sigmoid(teacher / temperature))


def sigmoid_loss(logits, targets):
    """targets: N×V of 0 and 1. Summed over tags, the mean over images."""
    return F.binary_cross_entropy_with_logits(logits, targets, reduction="sum") / logits.shape[0]
