#!/usr/bin/env python3
"""Times mixtures as ONNX files in ONNX Runtime on the CPU: milliseconds an image, by experts and batch.

  onnx_rows.py build/bin/bench-onnx [--experts 4,16,64] [--batches 1,32,256] [--forms rows,branches]

Each image of a batch goes to an expert drawn at random, all equally likely. Forms: base (the base alone, not
the mixture), rows, and branches for one image. Forms and numbers of experts alternate within a round; a line
of JSON each: medians of wall-clock and of processor time (of all threads together, which other work on the
machine changes less), and all rounds' processor time. Needs numpy and onnxruntime. Files are written below --folder (K = 64:
6 GB) and removed; in memory each form of K = 64 takes some 6 GB.
"""
import argparse
import json
import pathlib
import shutil
import statistics
import subprocess
import tempfile
import time

import numpy
import onnxruntime

parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
numbers = lambda text: [int(word) for word in text.split(",")]  # noqa: E731
parser.add_argument("writer", help="bench-onnx")
parser.add_argument("--experts", type=numbers, default=[4, 16, 64])
parser.add_argument("--batches", type=numbers, default=[1, 32, 256])
parser.add_argument("--forms", type=lambda text: text.split(","), default=["rows", "branches"])
parser.add_argument("--rounds", type=int, default=5)
parser.add_argument("--threads", type=int, default=2)
parser.add_argument("--width", type=int, default=64)
parser.add_argument("--image", type=int, default=64)
parser.add_argument("--folder", default=None)
options = parser.parse_args()

folder = pathlib.Path(tempfile.mkdtemp(dir=options.folder))
settings = onnxruntime.SessionOptions()
settings.intra_op_num_threads = options.threads
settings.add_session_config_entry("session.intra_op.allow_spinning", "0")


def session_of(experts, form):
    return onnxruntime.InferenceSession(str(folder / str(experts) / f"{form}.onnx"), settings,
                                        providers=["CPUExecutionProvider"])


def milliseconds(session, images, rows, least=1.0):
    """An image's of wall clock and processor, over batches of other images for at least so many seconds."""
    runs, spent, computed = 0, 0.0, 0.0
    while runs < 2 or spent < least:
        batch = images[rows[runs % len(rows)]]
        began, had = time.perf_counter(), time.process_time()
        session.run(["probabilities"], {"images": batch})
        spent += time.perf_counter() - began
        computed += time.process_time() - had
        runs += 1
    return 1000 * spent / runs / len(batch), 1000 * computed / runs / len(batch)


try:
    for experts in options.experts:
        subprocess.run([options.writer, "--out", folder / str(experts), "--experts", str(experts), "--width",
                        str(options.width), "--image", str(options.image)], check=True)
    sessions = {(experts, form): session_of(experts, form)
                for experts in options.experts for form in options.forms}
    sessions[(0, "base")] = session_of(options.experts[0], "base")
    images = {experts: numpy.load(folder / str(experts) / "images.npy") for experts in options.experts}
    images[0] = images[options.experts[0]]
    for (experts, form), session in sessions.items():
        if form != "rows":
            continue
        chosen = session.run(["expert"], {"images": images[experts]})[0]
        assert list(chosen) == list(range(experts)), chosen
    times = {}
    draws = numpy.random.default_rng(1)
    for _ in range(options.rounds):
        for batch in options.batches:
            for (experts, form), session in sessions.items():
                if form == "branches" and batch > 1:
                    continue
                rows = draws.integers(0, len(images[experts]), (64, batch))
                session.run(["probabilities"], {"images": images[experts][rows[-1]]})
                times.setdefault((experts, form, batch), []).append(
                    milliseconds(session, images[experts], rows))
    for (experts, form, batch), values in times.items():
        print(json.dumps({"form": form, "experts": experts, "batch": batch, "width": options.width,
                          "image": options.image, "threads": options.threads,
                          "ms_an_image": round(statistics.median(wall for wall, _ in values), 3),
                          "processor_ms_an_image": round(statistics.median(cpu for _, cpu in values), 3),
                          "rounds": [round(cpu, 3) for _, cpu in values]}), flush=True)
finally:
    shutil.rmtree(folder)
