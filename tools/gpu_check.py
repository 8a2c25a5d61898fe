#!/usr/bin/env python3
"""Tests and benchmarks of the GPU engine, part by part; tools/gpu_check.sh calls it.

  gpu_check.py BINARIES OUT --device cuda

BINARIES is the folder of commands, tests and benchmarks. Every part has a time limit of its own; one that
fails is recorded and the next goes on. OUT/gpu.json is written after each. `--device cpu --tiny` tries this
script itself on a machine without a GPU.
"""
import argparse
import json
import os
import pathlib
import queue
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]

# Dense tensor-core TFLOP/s by NVIDIA's data sheets (bf16 with fp32 sums, TF32); the first match counts.
PEAKS = [("H200", 989, 494), ("H100 PCIe", 756, 378), ("H100 NVL", 835, 417), ("H100", 989, 494),
         ("B200", 2250, 1125), ("A100", 312, 156), ("L40S", 362, 183), ("L4", 121, 60), ("A10", 125, 62.5),
         ("RTX 4090", 165, 83), ("RTX 3090", 71, 36)]


class Row:
    """One comparison: a network, a precision, training or embedding."""

    def __init__(self, depth, stem, image, precision, mode, batch, steps, width=64):
        self.depth, self.stem, self.image, self.precision, self.mode = depth, stem, image, precision, mode
        self.batch, self.steps, self.width = batch, steps, width

    def name(self):
        stem = " small" if self.stem == "small" else ""
        return f"ResNet-{self.depth}{stem} {self.image} px {self.precision} {self.mode}"

    def options(self):
        words = ["--depth", self.depth, "--stem", self.stem, "--width", self.width, "--image", self.image,
                 "--batch", self.batch, "--tags", 1000, "--precision", self.precision, "--steps", self.steps,
                 "--warmup", max(3, self.steps // 4), "--paced"]
        return [str(word) for word in words] + (["--embed"] if self.mode == "embed" else [])


def rows_for(tiny):
    """Most wanted first: the last ones are dropped where time runs out. A round takes a second or two."""
    if tiny:
        return [Row(18, "small", 16, "fp32", mode, 8, 2, width=8) for mode in ("train", "embed")]
    rows = []
    for precision in ("bf16", "tf32"):
        slower = 1 if precision == "bf16" else 2
        for mode in ("train", "embed"):
            more = 1 if mode == "train" else 2
            rows.append(Row(50, "imagenet", 224, precision, mode, 256, 20 * more // slower))
            rows.append(Row(18, "imagenet", 224, precision, mode, 256, 50 * more // slower))
            rows.append(Row(18, "small", 32, precision, mode, 512, 80 * more // slower))
    return rows


class Paced:
    """A process that says "ready" and then measures one round for each line it is sent."""

    def __init__(self, command, log, environment):
        self.log = log
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                                        stderr=open(log, "w"), env=environment)
        self.lines = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        for line in self.process.stdout:
            self.lines.put(line.strip())
        self.lines.put(None)

    def line(self, limit):
        try:
            line = self.lines.get(timeout=max(limit, 0.1))
        except queue.Empty:
            raise RuntimeError(f"no answer within {limit:.0f} s") from None
        if line is None:
            raise RuntimeError(last_line(self.log))
        return line

    def ready(self, limit):
        deadline = time.monotonic() + limit
        while self.line(deadline - time.monotonic()) != "ready":
            pass

    def round(self, limit):
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return json.loads(self.line(limit))

    def rest(self, limit):
        """What it still prints once its input ends."""
        self.process.stdin.close()
        found, deadline = [], time.monotonic() + limit
        while True:
            try:
                found.append(json.loads(self.line(deadline - time.monotonic())))
            except RuntimeError:
                return found

    def stop(self):
        self.process.kill()
        self.process.wait()


def last_line(log):
    lines = [line for line in pathlib.Path(log).read_text(errors="replace").splitlines() if line.strip()]
    return lines[-1][:500] if lines else "it ended without a message"


class Check:
    def __init__(self, options):
        self.options = options
        self.binaries = options.binaries.resolve()
        self.out = options.out
        self.out.mkdir(parents=True, exist_ok=True)
        self.logs = self.out / "logs"
        self.logs.mkdir(exist_ok=True)
        self.deadline = time.monotonic() + 60 * options.minutes
        self.environment = environment(options.device)
        self.result = {"parts": [], "rows": [], "kmeans": [], "experts": [], "input": {}}

    def part(self, name, limit, work):
        """Runs one part and keeps what came of it; its own failure is not the others'."""
        left = self.deadline - time.monotonic()
        record = {"name": name, "status": "passed"}
        start = time.monotonic()
        if left < min(10, limit):
            record["status"] = "left out: no time"
        else:
            try:
                record.update(work(min(limit, left)) or {})
            except Exception as error:
                record["status"] = f"failed: {error}"
        record["seconds"] = round(time.monotonic() - start, 1)
        self.result["parts"].append(record)
        self.save()
        print(f"{record['seconds']:7.1f} s  {name}: {record['status']}", file=sys.stderr, flush=True)

    def save(self):
        partial = self.out / "gpu.json.part"
        partial.write_text(json.dumps(self.result, indent=1) + "\n")
        partial.rename(self.out / "gpu.json")

    def run(self, command, limit, log):
        """The standard output of a command that must succeed."""
        path = self.logs / f"{log}.txt"
        with open(path, "w") as stderr:
            try:
                done = subprocess.run([str(word) for word in command], stdout=subprocess.PIPE, stderr=stderr,
                                      text=True, timeout=limit, env=self.environment)
            except subprocess.TimeoutExpired:
                raise RuntimeError(f"not done within {limit:.0f} s") from None
        with open(path, "a") as file:
            file.write(done.stdout)
        if done.returncode != 0:
            raise RuntimeError(f"exit status {done.returncode}: {last_line(path)}")
        return done.stdout

    def program(self, name):
        path = self.binaries / name
        if not path.exists():
            raise RuntimeError(f"{name} is not among the binaries")
        return path

    # Parts

    def device(self, limit):
        found = json.loads(self.run([self.program("moe-device"), "--json"], limit, "device"))
        self.result["machine"] = found
        wanted = "cuda:0" if self.options.device == "cuda" else self.options.device
        named = [d for d in found["devices"] if d["device"] == wanted]
        if not named:
            reason = found.get("no_gpu", f"no device {wanted} here")
            sys.exit(f"gpu_check.sh: no GPU to check: {reason}")
        self.result["device"] = named[0]
        if self.options.device != "cpu":
            self.run([self.program("moe-device"), "--device", wanted, "--save-description",
                      self.out / "device.json"], limit, "description")
        return {"name_of_device": named[0]["name"]}

    def tests(self, name, arguments=(), wrapper=(), log=None):
        def work(limit):
            log_name = log or name
            report = self.logs / f"{log_name}.json"
            report.unlink(missing_ok=True)
            command = [*wrapper, self.program(name), *arguments, f"--gtest_output=json:{report}"]
            try:
                self.run(command, limit, log_name)
            finally:
                counts = count_tests(report)
            if counts["run"] == 0:
                raise RuntimeError("no test ran")
            return {"tests": counts}
        return work

    def sanitizer(self, limit):
        tool = shutil.which("compute-sanitizer", path=self.environment["PATH"])
        if tool is None:
            return {"status": "left out: no compute-sanitizer here"}
        work = self.tests("test_gpu_kernels", wrapper=[tool, "--tool", "memcheck", "--error-exitcode", "9"],
                          log="compute-sanitizer")
        return work(limit)

    def row(self, row):
        def work(limit):
            deadline = time.monotonic() + limit
            left = lambda: deadline - time.monotonic()  # noqa: E731
            name = row.name().replace(" ", "-")
            device = self.options.device
            record = {"row": row.name(), "batch": row.batch, "mode": row.mode, "precision": row.precision}
            sides, failures = {}, {}
            commands = {
                "hardmoe": [self.program("bench-step"), *row.options(), "--device", device]
                           + (["--profile"] if row.mode == "train" else []),
                "pytorch": [self.options.peer, ROOT / "tools/bench/torch_step.py", *row.options(),
                            "--device", device, "--compile", self.options.peer_compile]}
            try:
                for side, command in commands.items():
                    process = Paced([str(word) for word in command], self.logs / f"{name}-{side}.txt",
                                    self.environment)
                    sides[side] = process
                    try:  # one after the other: both choose their algorithms by timing
                        process.ready(left())
                    except RuntimeError as error:
                        failures[side] = str(error)
                        process.stop()
                        del sides[side]
                        if side == "hardmoe":
                            raise
                lines = {side: [] for side in sides}
                for _ in range(self.options.rounds):
                    for side, process in sides.items():
                        lines[side].append(process.round(left()))
                rest = sides["hardmoe"].rest(min(left(), 30))
            finally:
                for process in sides.values():
                    process.stop()
            self.result["rows"].append(record)
            for side in lines:
                speeds = [line["images_per_second"] for line in lines[side]]
                record[side] = {"images_per_second": round(statistics.median(speeds), 1),
                                "rounds": [round(speed, 1) for speed in speeds],
                                "memory_bytes": lines[side][-1].get("memory_bytes")}
            ours = lines["hardmoe"][-1]
            speed = record["hardmoe"]["images_per_second"]
            record["compile_seconds"] = round(ours["compile_seconds"], 1)
            record["tflops"] = round(speed * ours["flops_an_image"] / 1e12, 2)
            peak = peak_tflops(self.result["device"]["name"], row.precision)
            record["of_peak"] = round(record["tflops"] / peak, 3) if peak else None
            for line in rest:
                record["milliseconds_a_step_in"] = {
                    part: round(1000 * seconds, 4) for part, seconds in line["seconds_a_step_in"].items()}
            if "pytorch" in record:
                record["ratio"] = round(speed / record["pytorch"]["images_per_second"], 3)
                record["pytorch"]["framework"] = lines["pytorch"][-1]["framework"]
                record["pytorch"]["compile"] = lines["pytorch"][-1]["compile"]
            else:
                record["without_pytorch"] = failures["pytorch"]
                return {"status": f"passed, without PyTorch: {failures['pytorch']}"}
            return {}
        return work

    def kmeans(self, limit):
        deadline = time.monotonic() + limit
        rows, cols, clusters = (4000, 32, (8, 16)) if self.options.tiny else (1_000_000, 256, (64, 1024))
        with tempfile.TemporaryDirectory() as folder:
            self.run([self.program("bench-embedding"), "--out", folder, "--rows", rows, "--cols", cols], limit,
                     "embedding")
            for k in clusters:
                for tolerance in (0, 0.05):
                    text = self.run([self.program("bench-kmeans"), folder, "--clusters", k, "--tolerance",
                                     tolerance, "--iterations", 6, "--memory", "8G",
                                     "--device", self.options.device],
                                    deadline - time.monotonic(), f"kmeans-{k}-{tolerance}")
                    self.result["kmeans"].append(json.loads(text))

    def experts(self, limit):
        """A stage of experts beside the stage alone, and beside PyTorch's loop over experts."""
        deadline = time.monotonic() + limit
        sizes = {"map": 6, "channels": 8, "batch": 8, "steps": 2, "warmup": 1} if self.options.tiny else {}
        options = [word for name, value in sizes.items() for word in (f"--{name}", value)]
        options += ["--device", self.options.device]
        for chosen in (1, 2):
            line = {"chosen": chosen}
            line["hardmoe"] = json.loads(self.run([self.program("bench-experts"), "--chosen", chosen, *options],
                                                  deadline - time.monotonic(), f"experts-{chosen}"))
            try:
                text = self.run([self.options.peer, ROOT / "tools/bench/torch_experts.py", "--chosen", chosen,
                                 *options], deadline - time.monotonic(), f"experts-{chosen}-pytorch")
                line["pytorch"] = json.loads(text)
                line["ratio"] = round(line["hardmoe"]["images_per_second"] /
                                      line["pytorch"]["images_per_second"], 3)
            except RuntimeError as error:
                line["without_pytorch"] = str(error)
            self.result["experts"].append(line)

    def input(self, limit):
        """The loader's rate on 256-px JPEGs, and how many times each network's step that is."""
        images, size, epochs = (64, 32, 2) if self.options.tiny else (4096, 256, 6)
        with tempfile.TemporaryDirectory() as folder:
            made = self.run([self.program("bench-images"), f"{folder}/images.tar", "--images", images,
                             "--size", size], limit, "images")
            self.run([self.program("moe-ingest"), f"{folder}/images.tar", "--val-fraction", 0,
                      "--min-tag-count", 1, "--out", f"{folder}/data"], limit, "ingest")
            text = self.run([self.program("moe-bench-loader"), f"{folder}/data", "--batch", min(256, images),
                             "--image-size", min(224, size), "--crop", "random_resized", "--epochs", epochs,
                             "--json", "--quiet"], limit, "loader")
        line = json.loads(text.splitlines()[-1])
        speed = line["images_per_second"]
        self.result["input"] = {
            "images_per_second": speed, "mean_bytes": json.loads(made)["mean_bytes"],
            "processors": len(os.sched_getaffinity(0)), "pixels": size, "loader": line,
            "of_the_step": {row["row"]: round(speed / row["hardmoe"]["images_per_second"], 2)
                            for row in self.result["rows"] if " 224 px" in row["row"] or self.options.tiny}}

    def all(self):
        tiny = self.options.tiny
        self.part("device", 60, self.device)
        if self.options.only in (None, "tests"):
            gpu = self.options.device != "cpu"
            for name in (["test_gpu_kernels", "test_gpu_cluster", "test_cuda_plans"]
                         if gpu else ["test_cuda_kernels"]):
                self.part(name, 90, self.tests(name))
            self.part("test_engine on the device", 150, self.tests("test_engine"))
            self.part("whole pipeline on the device", 90,
                      self.tests("test_pipeline", ["--gtest_filter=WholeRun*"]))
            if gpu:
                self.part("compute-sanitizer", 120, self.sanitizer)
        if self.options.only in (None, "bench"):
            for row in rows_for(tiny):
                self.part(row.name(), 120, self.row(row))
            self.part("k-means", 90, self.kmeans)
            self.part("experts", 90, self.experts)
            self.part("input pipeline", 60, self.input)
        table = self.table()
        (self.out / "table.txt").write_text(table)
        print(table, end="")
        return all(part["status"].startswith("passed") or part["status"].startswith("left out: no compute")
                   for part in self.result["parts"])

    # What people read

    def table(self):
        lines = [f"{self.result['device']['name']}"]
        if self.result["rows"]:
            lines += ["", f"{'images/s, medians of ' + str(self.options.rounds) + ' rounds in turn':44}"
                      f"{'hardmoe':>10}{'PyTorch':>10}{'ratio':>7}{'of peak':>9}{'memory':>9}{'theirs':>9}"]
        for row in self.result["rows"]:
            peer = row.get("pytorch", {})
            cells = [f"{row['hardmoe']['images_per_second']:.0f}", number(peer.get("images_per_second"), ".0f"),
                     number(row.get("ratio"), ".2f"), number(row["of_peak"], ".1%"),
                     memory(row["hardmoe"]["memory_bytes"]), memory(peer.get("memory_bytes"))]
            lines.append(f"{row['row'] + ', batch ' + str(row['batch']):44}" +
                         "".join(f"{cell:>{width}}" for cell, width in zip(cells, (10, 10, 7, 9, 9, 9))))
        for row in self.result["rows"]:
            parts = row.get("milliseconds_a_step_in")
            if not parts:
                continue
            total = sum(parts.values()) or 1
            lines += ["", f"{row['row']}: milliseconds a step"]
            lines += [f"  {part:42}{value:10.3f}{value / total:8.1%}"
                      for part, value in list(parts.items())[:15]]
        if self.result["kmeans"]:
            lines += ["", "k-means, seconds an iteration"]
        for line in self.result["kmeans"]:
            kind = "balanced" if line["tolerance"] > 0 else "plain"
            lines.append(f"  {line['n']} x {line['d']}, K = {line['k']}, {kind}".ljust(44) +
                         f"{line['iteration_s']:10.4f}")
        if self.result["experts"]:
            lines += ["", "a stage of 8 experts, over k stages alone (PyTorch's, and how much faster than it)"]
        for line in self.result["experts"]:
            peer = line.get("pytorch", {})
            lines.append(f"  k = {line['chosen']}".ljust(44) +
                         f"{line['hardmoe']['ratio_to_chosen_stages']:10.2f}"
                         f"{number(peer.get('ratio_to_chosen_stages'), '.2f'):>10}"
                         f"{number(line.get('ratio'), '.2f'):>10}")
        if self.result["input"]:
            found = self.result["input"]
            lines += ["", f"input pipeline: {found['images_per_second']:.0f} images/s of {found['pixels']}-px"
                      f" JPEGs ({found['mean_bytes']} bytes) on {found['processors']} processors; that is"]
            lines += [f"  {name + ' x':42}{times:10.2f}" for name, times in found["of_the_step"].items()]
        lines += ["", "parts"]
        for part in self.result["parts"]:
            tests = part.get("tests")
            counts = ""
            if tests:
                counts = f" ({tests['run']} run, {tests['skipped']} skipped, {tests['failed']} failed)"
            lines.append(f"  {part['name']}: {part['status']}{counts}, {part['seconds']} s")
        return "\n".join(lines) + "\n"


def number(value, form):
    return "-" if value is None else format(value, form)


def memory(value):
    return "-" if not value else f"{value / 2**30:.1f} GiB"


def peak_tflops(name, precision):
    for part, bf16, tf32 in PEAKS:
        if re.search(rf"\b{re.escape(part)}\b", name):
            return {"bf16": bf16, "tf32": tf32}.get(precision)
    return None


def count_tests(report):
    counts = {"run": 0, "skipped": 0, "failed": 0}
    if not report.exists():
        return counts
    for suite in json.loads(report.read_text())["testsuites"]:
        for test in suite["testsuite"]:
            if test.get("failures"):
                counts["failed"] += 1
            counts["skipped" if test.get("result") == "SKIPPED" else "run"] += 1
    return counts


def environment(device):
    """As it is, with the tests told their device and files, and cuDNN found where pip put it."""
    result = dict(os.environ, HARDMOE_TEST_DEVICE=device, HARDMOE_TEST_FILES=str(ROOT / "tests/files"),
                  OMP_WAIT_POLICY="passive")
    folders = [folder for path in sys.path for folder in pathlib.Path(path or ".").glob("nvidia/*/lib")
               if any(folder.glob("libcudnn.so*")) or any(folder.glob("libcublas*.so*"))
               or any(folder.glob("libnvrtc*.so*"))]
    paths = [result["LD_LIBRARY_PATH"]] if result.get("LD_LIBRARY_PATH") else []
    result["LD_LIBRARY_PATH"] = ":".join(paths + [str(folder) for folder in folders])
    result["PATH"] = result.get("PATH", "") + ":/usr/local/cuda/bin"
    return result


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("binaries", type=pathlib.Path)
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--only", choices=("tests", "bench"))
    parser.add_argument("--minutes", type=float, default=9, help="no part begins after (%(default)s)")
    parser.add_argument("--rounds", type=int, default=5, help="of each side, in turn (%(default)s)")
    parser.add_argument("--peer", default=sys.executable, help="the python3 that has PyTorch (%(default)s)")
    parser.add_argument("--peer-compile", default="default", help="torch.compile's mode, or off (%(default)s)")
    parser.add_argument("--tiny", action="store_true", help="sizes that only show that this script works")
    options = parser.parse_args()
    sys.exit(0 if Check(options).all() else 1)


if __name__ == "__main__":
    main()
