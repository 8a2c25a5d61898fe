#!/usr/bin/env python3
"""A network's training steps or embedding, ours and today's peers' in turn on the same machine.

     tools/bench/network.py --sides ours torch onnxruntime openvino --rounds 5 -- --embed --image 224
     tools/bench/network.py --sides ours torch torch-compile -- --image 64 --batch 64 --precision bf16

   All sides are started and warmed up, then take rounds in turn; those that wait sleep. After -- come the
   options that bench-step and its peers share. Prints a line a round, then for each side its median, the
   ratio of ours to it, and the most memory its process has held. ours=COMMAND names another build.
"""
import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools"))
from paced import Paced  # noqa: E402

LONGEST = 600  # seconds, of getting warm and of a round


def command(side, options):
    peer = [options.python, ROOT / "tools/bench/torch_step.py"]
    if side.startswith("ours"):
        _, _, program = side.partition("=")
        return [program or ROOT / "build/bin/bench-step"]
    if side in ("onnxruntime", "openvino"):
        return [options.python, ROOT / "tools/bench/onnx_peer.py", side]
    return {"torch": peer, "torch-nchw": [*peer, "--contiguous"],
            "torch-compile": [*peer, "--compile", "default"]}[side]


class Side:
    """A program that waits between rounds."""

    def __init__(self, name, options, shared, log):
        self.name, self.rates, self.framework = name.partition("=")[0], [], ""
        self.paced = Paced([*command(name, options), *shared, "--paced"], log, os.environ)
        self.paced.ready(LONGEST)

    def round(self):
        line = self.paced.round(LONGEST)
        self.rates.append(line["images_per_second"])
        self.framework = line.get("framework") or line.get("engine")
        return line

    def most_memory(self):
        """The most that the process has held so far, MB."""
        status = pathlib.Path(f"/proc/{self.paced.process.pid}/status").read_text(encoding="ascii")
        most = next(line for line in status.splitlines() if line.startswith("VmHWM"))
        return round(int(most.split()[1]) / 1024)


def measure(options, shared, folder):
    """The sides, after their rounds; their programs are still there."""
    sides = []
    for name in options.sides:
        try:
            sides.append(Side(name, options, shared, f"{folder}/{len(sides)}.txt"))
        except RuntimeError as error:
            for side in sides:
                side.paced.stop()
            sys.exit(f"network.py: {name}: {error}")
    for _ in range(options.rounds):
        for side in sides:
            print(side.name, json.dumps(side.round()), file=sys.stderr)
    return sides


def main():
    arguments = sys.argv[1:]
    cut = arguments.index("--") if "--" in arguments else len(arguments)
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sides", nargs="+", default=["ours", "torch"],
                        help="ours[=COMMAND], torch, torch-nchw, torch-compile, onnxruntime, openvino")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--python", default=ROOT / ".cache/peers/bin/python")
    parser.add_argument("--out", help="where the medians are appended")
    parser.add_argument("--machine", default="", help="told in each line of --out")
    options = parser.parse_args(arguments[:cut])
    shared = arguments[cut + 1:]
    if not pathlib.Path(options.python).exists():
        sys.exit(f"network.py: {options.python} is not there; run tools/setup.sh --peers, or name one by --python")
    if "ours" in options.sides:
        subprocess.run(["cmake", "--build", ROOT / "build", "--target", "bench-step"], check=True, stdout=sys.stderr)
    with tempfile.TemporaryDirectory() as folder:
        sides = measure(options, shared, folder)
        first = statistics.median(sides[0].rates)
        for side in sides:
            median = statistics.median(side.rates)
            line = {"options": " ".join(shared), "side": side.name, "framework": side.framework,
                    "images_per_second": round(median, 1), "lowest": round(min(side.rates), 1),
                    "highest": round(max(side.rates), 1), "ours_times": round(first / median, 3),
                    "peak_mb": side.most_memory(), "rounds": options.rounds}
            side.paced.stop()
            print(json.dumps(line), flush=True)
            if options.out:
                with open(options.out, "a", encoding="utf-8") as file:
                    file.write(json.dumps({**line, "machine": options.machine}) + "\n")


if __name__ == "__main__":
    main()
