#!/usr/bin/env python3
"""Times embedding by the same ResNet in ONNX Runtime or OpenVINO, as their documents advise for a CPU.

  onnx_peer.py onnxruntime --depth 18 --image 224 --batch 64 --precision fp32

The network is exported by PyTorch; uint8 images N×H×W×3 in memory are normalised inside. OpenVINO is told
whether throughput (a batch of several) or latency counts, and the precision. Prints one JSON line; options
and their defaults are those of torch_step.py, --paced among them.
"""
import argparse
import json
import os
import pathlib
import sys
import tempfile
import time

import numpy as np
import torch

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "tests" / "references"))
from torch_resnet import LAYERS, ResNet  # noqa: E402

STORED = 4  # batches in memory


class Embedding(torch.nn.Module):
    """uint8 N×H×W×3 to features N×F."""

    def __init__(self, net):
        super().__init__()
        self.net = net
        self.register_buffer("mean", torch.tensor([123.7, 116.3, 103.5]).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor([58.4, 57.1, 57.4]).view(1, 3, 1, 1))

    def forward(self, x):
        return self.net.features((x.permute(0, 3, 1, 2).float() - self.mean) / self.std)


def parse_options():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("peer", choices=("onnxruntime", "openvino"))
    parser.add_argument("--depth", type=int, choices=sorted(LAYERS), default=18)
    parser.add_argument("--stem", choices=("small", "imagenet"), default="imagenet")
    parser.add_argument("--width", type=int, default=64)
    parser.add_argument("--image", type=int, default=64, help="pixels (%(default)s)")
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--precision", choices=("fp32", "bf16"), default="fp32", help="bf16: OpenVINO alone")
    parser.add_argument("--steps", type=int, default=20, help="timed (%(default)s)")
    parser.add_argument("--warmup", type=int, default=5, help="steps before them (%(default)s)")
    parser.add_argument("--embed", action="store_true", help="always so; here for the sake of its peers")
    parser.add_argument("--paced", action="store_true",
                        help="print \"ready\" when warm, then a round for each line on standard input")
    options = parser.parse_args()
    if options.peer == "onnxruntime" and options.precision != "fp32":
        parser.error("ONNX Runtime's convolutions on CPUs have no bf16")
    return options


def session(options, path, threads):
    """A function from images to features, and the framework's name."""
    if options.peer == "onnxruntime":
        import onnxruntime
        settings = onnxruntime.SessionOptions()
        settings.intra_op_num_threads = threads
        made = onnxruntime.InferenceSession(path, settings, providers=["CPUExecutionProvider"])
        return lambda x: made.run(None, {"x": x})[0], f"onnxruntime {onnxruntime.__version__}"
    import openvino
    made = openvino.Core().compile_model(path, "CPU", {
        "INFERENCE_NUM_THREADS": threads, "NUM_STREAMS": 1,
        "PERFORMANCE_HINT": "THROUGHPUT" if options.batch > 1 else "LATENCY",
        "INFERENCE_PRECISION_HINT": "bf16" if options.precision == "bf16" else "f32"})
    request = made.create_infer_request()
    return lambda x: request.infer({0: x})[0], f"openvino {openvino.__version__.split('-')[0]}"


def main():
    options = parse_options()
    threads = len(os.sched_getaffinity(0))
    torch.manual_seed(1)
    net = Embedding(ResNet(options.depth, options.stem, options.width, 1)).eval()
    shape = (options.batch, options.image, options.image, 3)
    stored = np.random.default_rng(1).integers(0, 256, (STORED, *shape), dtype=np.uint8)
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/net.onnx"
        torch.onnx.export(net, (torch.from_numpy(stored[0]),), path, input_names=["x"], output_names=["y"],
                          dynamo=True, verbose=False, external_data=False)
        run, framework = session(options, path, threads)
    with torch.inference_mode():
        expected = net(torch.from_numpy(stored[0])).numpy()
    error = float(np.abs(run(stored[0]) - expected).max() / np.abs(expected).max())
    del net, expected

    def steps(count):
        for number in range(count):
            run(stored[number % STORED])

    def measure():
        start = time.perf_counter()
        steps(options.steps)
        seconds = time.perf_counter() - start
        print(json.dumps({"images_per_second": round(options.batch * options.steps / seconds, 2), "mode": "embed",
                          "steps": options.steps, "batch": options.batch, "precision": options.precision,
                          "threads": threads, "largest_error": error, "framework": framework}), flush=True)

    steps(options.warmup)
    if options.paced:
        print("ready", flush=True)
        for _ in sys.stdin:
            measure()
    else:
        measure()


if __name__ == "__main__":
    main()
