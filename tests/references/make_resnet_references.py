#!/usr/bin/env python3
"""Makes tests/files/*.safetensors for the networks, operators and losses, with PyTorch in float64.

  python3 make_resnet_references.py ../files

Weights are not stored: torch_resnet.py has the closed form that makes them. What PyTorch itself loses
in float32 is in each file's metadata ("float32 error"), as ‖a − b‖ / ‖b‖, for choosing tolerances.
README.md in the output folder says what each file holds.
"""
import copy
import sys

import numpy as np
import torch
import torch.nn.functional as F

import safetensors_file
from torch_resnet import (ResNet, fill, sigmoid_loss, sigmoid_teacher_loss, softmax_loss,
                          softmax_teacher_loss, stream)

MEAN = torch.tensor([0.485, 0.456, 0.406], dtype=torch.float64) * 255
STD = torch.tensor([0.229, 0.224, 0.225], dtype=torch.float64) * 255
TAGS = 10
PREFIX = 16384  # of a larger gradient only this many leading elements are stored, and its norm


def make_images(name, count, size):
    """uint8 N×H×W×3: 4×4 coloured squares under noise, so that images differ in more than noise."""
    squares = stream(name + ".squares", count * 4 * 4 * 3).reshape(count, 4, 4, 3)
    noise = stream(name + ".noise", count * size * size * 3).reshape(count, size, size, 3)
    squares = squares.repeat(size // 4, 1).repeat(size // 4, 2)
    return np.clip(127.5 + 90 * squares + 50 * noise, 0, 255).astype(np.uint8)


def make_tags(count):
    """CSR of ascending tag ids: image n has 1 + n mod 3 tags."""
    pointers, ids = [0], []
    for n in range(count):
        ids += sorted({(3 * n + 4 * j + n // 4) % TAGS for j in range(1 + n % 3)})
        pointers.append(len(ids))
    return np.array(pointers, np.int32), np.array(ids, np.int32)


def one_hot(pointers, ids, rows):
    dense = torch.zeros(len(rows), TAGS, dtype=torch.float64)
    for i, row in enumerate(rows):
        dense[i, ids[pointers[row]:pointers[row + 1]].astype(np.int64)] = 1
    return dense


def normalised(images, dtype):
    x = (torch.from_numpy(images).double() - MEAN) / STD
    return x.permute(0, 3, 1, 2).contiguous().to(dtype)


def store(out, name, tensor):
    out[name] = tensor.detach().double().numpy().astype(np.float32)


def one_step(net, images, targets, dtype, all_gradients):
    """Evaluation, then one forward and backward pass in training mode."""
    out = {}
    x, y = normalised(images, dtype), targets.to(dtype)
    y = y / y.sum(1, keepdim=True)
    net.eval()
    with torch.no_grad():
        store(out, "eval.features", net.features(x))
        store(out, "eval.logits", net(x))
    net.train()
    features = net.features(x)
    logits = net.fc(features)
    logits.retain_grad()
    loss = softmax_loss(logits, y)
    loss.backward()
    store(out, "train.features", features)
    store(out, "train.logits", logits)
    store(out, "train.loss", loss.reshape(1))
    store(out, "train.loss_smoothing_0.1", softmax_loss(logits, y, 0.1).reshape(1))
    store(out, "grad.logits", logits.grad)
    for name, parameter in net.named_parameters():
        store(out, "grad_norm." + name, parameter.grad.norm().reshape(1))
        if all_gradients or name in FEW_GRADIENTS:
            gradient = parameter.grad
            row = gradient[0].numel()
            store(out, "grad." + name, gradient[:max(1, PREFIX // row)])
    for name, statistic in net.named_buffers():
        if "running" in name:
            store(out, "after." + name, statistic)
    return out


FEW_GRADIENTS = {"conv1.weight", "bn1.weight", "bn1.bias", "layer1.0.conv1.weight",
                 "layer1.0.conv3.weight", "layer2.0.conv2.weight", "layer2.0.bn2.bias",
                 "layer2.0.downsample.0.weight", "layer4.0.bn1.weight", "fc.weight", "fc.bias"}
KEPT_WEIGHTS = ("conv1.weight", "bn1.weight", "bn1.bias", "bn1.running_mean", "bn1.running_var",
                "layer1.0.conv1.weight", "layer2.0.downsample.0.weight", "layer4.1.conv2.weight",
                "layer4.1.bn2.running_var", "fc.weight", "fc.bias")
STEPS, BATCH, STORED = 20, 8, 16


def train(net, make_optimizer, images, pointers, ids, dtype, prefix):
    """STEPS updates; step s sees images (8s + i) mod 16, i = 0 … 7. EMA begins at the initial weights."""
    net.train()
    optimizer = make_optimizer(net.parameters())
    average = {k: v.clone() for k, v in net.named_parameters()}
    losses, out = [], {}
    for step in range(STEPS):
        rows = [(BATCH * step + i) % STORED for i in range(BATCH)]
        y = one_hot(pointers, ids, rows).to(dtype)
        loss = softmax_loss(net(normalised(images[rows], dtype)), y / y.sum(1, keepdim=True))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
        with torch.no_grad():
            for name, parameter in net.named_parameters():
                average[name].mul_(0.9).add_(parameter, alpha=0.1)
        if step + 1 in (3, STEPS):  # rounding grows with every step: three allow a tight tolerance
            state = net.state_dict()
            for name in KEPT_WEIGHTS:
                rows_kept = max(1, PREFIX // state[name][0].numel())
                store(out, f"{prefix}.after{step + 1}.{name}", state[name][:rows_kept])
    out[prefix + ".losses"] = np.array(losses, np.float32)
    for name in ("conv1.weight", "bn1.weight", "layer2.0.downsample.0.weight", "fc.weight"):
        store(out, f"{prefix}.ema.{name}", average[name])
    return out


def sgd(parameters):
    return torch.optim.SGD(parameters, lr=0.01, momentum=0.9, weight_decay=5e-4, nesterov=True)


def adamw(parameters):
    return torch.optim.AdamW(parameters, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.01)


def network_reference(depth, stem, size, count, full):
    images = make_images(f"images.{depth}.{stem}", STORED if full else count, size)
    pointers, ids = make_tags(len(images))
    first = fill(ResNet(depth, stem, 16, TAGS))
    results = []
    for dtype in (torch.float64, torch.float32):
        fresh = lambda: copy.deepcopy(first).to(dtype)
        out = one_step(fresh(), images[:count], one_hot(pointers, ids, range(count)), dtype, full)
        if full:
            out |= train(fresh(), sgd, images, pointers, ids, dtype, "sgd")
            out |= train(fresh(), adamw, images, pointers, ids, dtype, "adamw")
        results.append(out)
    exact, rounded = results
    errors = {k: float(np.linalg.norm(rounded[k] - exact[k]) / max(np.linalg.norm(exact[k]), 1e-30))
              for k in exact}
    groups = {}
    for name, error in errors.items():
        group = ".".join(name.split(".")[:2]) if name.startswith(("sgd", "adamw")) else name.split(".")[0]
        groups[group] = max(groups.get(group, 0), error)
    inputs = {"images": images, "tag_ptr": pointers, "tag_ids": ids}
    metadata = {"network": f"ResNet-{depth}, {stem} stem, width 16, {TAGS} tags",
                "float32 error": ", ".join(f"{k} {v:.1e}" for k, v in sorted(groups.items()))}
    return inputs | exact, metadata


def drawn(name, *shape, scale=1.0):
    u = (stream(name, int(np.prod(shape))) * scale).astype(np.float32)
    return torch.from_numpy(u.reshape(shape)).double().requires_grad_()


def nhwc(tensor):
    return tensor.permute(0, 2, 3, 1).contiguous()


def operator_references():
    """Activations are stored N×H×W×C, weights as PyTorch lays them out."""
    out = {}

    def activation(name, tensor):
        store(out, name, nhwc(tensor))
        if tensor.is_leaf:
            store(out, name.replace(".", ".grad_", 1), nhwc(tensor.grad))

    def parameter(name, tensor):
        store(out, name, tensor)
        store(out, name.replace(".", ".grad_", 1), tensor.grad)

    def backward(name, result):
        upstream = drawn(name + ".grad_output", *result.shape).detach()
        result.backward(upstream)
        activation(name + ".output", result)
        store(out, name + ".grad_output", nhwc(upstream))

    for name, kernel, stride, padding, inputs, outputs, height, width in (
            ("conv3x3", 3, 1, 1, 16, 32, 6, 5), ("conv3x3_s2", 3, 2, 1, 16, 16, 7, 8),
            ("conv1x1", 1, 1, 0, 16, 24, 5, 6), ("conv1x1_s2", 1, 2, 0, 16, 32, 7, 6),
            ("conv7x7_s2", 7, 2, 3, 3, 16, 17, 16), ("conv3x3_rgb", 3, 1, 1, 3, 16, 6, 7)):
        x = drawn(name + ".input", 3, inputs, height, width)
        w = drawn(name + ".weight", outputs, inputs, kernel, kernel, scale=0.3)
        backward(name, F.conv2d(x, w, None, stride, padding))
        activation(name + ".input", x)
        parameter(name + ".weight", w)

    for name in ("bn", "bn_relu", "bn_add_relu"):
        x = drawn(name + ".input", 4, 16, 5, 3, scale=2)
        weight, bias = drawn(name + ".weight", 16), drawn(name + ".bias", 16)
        residual = drawn(name + ".residual", 4, 16, 5, 3)
        mean = drawn(name + ".running_mean", 16).detach()
        var = 1 + drawn(name + ".running_var", 16).detach() / 2
        store(out, name + ".running_mean", mean)
        store(out, name + ".running_var", var)
        finish = {"bn": lambda y: y, "bn_relu": F.relu,
                  "bn_add_relu": lambda y: F.relu(y + residual)}[name]
        store(out, name + ".eval_output",
              nhwc(finish(F.batch_norm(x, mean, var, weight, bias, False, 0.1, 1e-5))))
        backward(name, finish(F.batch_norm(x, mean, var, weight, bias, True, 0.1, 1e-5)))
        store(out, name + ".running_mean_after", mean)
        store(out, name + ".running_var_after", var)
        activation(name + ".input", x)
        parameter(name + ".weight", weight)
        parameter(name + ".bias", bias)
        if name == "bn_add_relu":
            activation(name + ".residual", residual)

    # Few distinct values, so that most windows have ties: the gradient goes to the first maximum.
    x = (drawn("maxpool.input", 2, 16, 9, 8).detach() * 3).round().requires_grad_()
    backward("maxpool", F.max_pool2d(x, 3, 2, 1))
    activation("maxpool.input", x)

    x = drawn("avgpool.input", 3, 16, 4, 5)
    pooled = x.mean((2, 3))
    upstream = drawn("avgpool.grad_output", *pooled.shape).detach()
    pooled.backward(upstream)
    store(out, "avgpool.output", pooled)
    store(out, "avgpool.grad_output", upstream)
    activation("avgpool.input", x)

    x, w, b = drawn("linear.input", 5, 24), drawn("linear.weight", 7, 24), drawn("linear.bias", 7)
    y = F.linear(x, w, b)
    upstream = drawn("linear.grad_output", *y.shape).detach()
    y.backward(upstream)
    store(out, "linear.output", y)
    store(out, "linear.grad_output", upstream)
    for name, tensor in (("input", x), ("weight", w), ("bias", b)):
        parameter("linear." + name, tensor)
    return out


def loss_references():
    """Small logits, and large ones that overflow a careless exp()."""
    out = {}
    pointers, ids = make_tags(6)
    out["tag_ptr"], out["tag_ids"] = pointers, ids
    hot = one_hot(pointers, ids, range(6))
    for case, scale in (("", 4.0), ("large_", 200.0)):
        store(out, case + "logits", drawn("losses.logits", 6, TAGS, scale=scale))
        for kind, loss_of in (("softmax", lambda z: softmax_loss(z, hot / hot.sum(1, keepdim=True))),
                              ("softmax_smoothing_0.1",
                               lambda z: softmax_loss(z, hot / hot.sum(1, keepdim=True), 0.1)),
                              ("sigmoid", lambda z: sigmoid_loss(z, hot))):
            z = drawn("losses.logits", 6, TAGS, scale=scale)
            loss = loss_of(z)
            loss.backward()
            store(out, f"{case}{kind}.loss", loss.reshape(1))
            store(out, f"{case}{kind}.grad", z.grad)
        teacher = drawn("losses.teacher", 6, TAGS, scale=scale).detach()
        store(out, case + "teacher", teacher)
        for kind, loss_of in (("softmax", softmax_teacher_loss), ("sigmoid", sigmoid_teacher_loss)):
            for temperature in (1.0, 2.5):
                z = drawn("losses.logits", 6, TAGS, scale=scale)
                loss = loss_of(z, teacher, temperature)
                loss.backward()
                store(out, f"{case}{kind}_teacher_{temperature}.loss", loss.reshape(1))
                store(out, f"{case}{kind}_teacher_{temperature}.grad", z.grad)
    return out


def main():
    folder = sys.argv[1] if len(sys.argv) > 1 else "../files"
    torch.set_num_threads(1)
    for name, arguments in (("resnet18_small_w16", (18, "small", 32, 4, True)),
                            ("resnet50_small_w16", (50, "small", 32, 4, False)),
                            ("resnet18_imagenet_w16", (18, "imagenet", 64, 4, False))):
        tensors, metadata = network_reference(*arguments)
        safetensors_file.save(f"{folder}/{name}.safetensors", tensors, metadata)
        print(name, metadata["float32 error"])
    safetensors_file.save(f"{folder}/operators.safetensors", operator_references())
    safetensors_file.save(f"{folder}/losses.safetensors", loss_references())


if __name__ == "__main__":
    main()
