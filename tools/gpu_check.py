#!/usr/bin/env python3
"""Tests and benchmarks of the GPU engine, part by part; tools/gpu_check.sh calls it.

  gpu_check.py BINARIES OUT --device cuda --part 1

BINARIES is the folder of commands, tests and benchmarks. The four parts of docs/gpu-day.md, the most telling
first, each of steps with a time limit of their own that together fit the part's minutes. A step that fails is
recorded and the next goes on; OUT/gpu.json and OUT/table.txt are written after each. Run again with the same
OUT, it does what has not passed yet. `--device cpu --tiny` tries this script itself on a machine without a GPU.
"""
import argparse
import json
import os
import pathlib
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from gpu_table import table  # noqa: E402
from paced import Paced, last_line  # noqa: E402

ROOT = pathlib.Path(__file__).resolve().parents[1]

# Dense tensor-core TFLOP/s by NVIDIA's data sheets (bf16 with fp32 sums, TF32); the first match counts.
PEAKS = [("H200", 989, 494), ("H100 PCIe", 756, 378), ("H100 NVL", 835, 417), ("H100", 989, 494),
         ("B200", 2250, 1125), ("A100", 312, 156), ("L40S", 362, 183), ("L4", 121, 60), ("A10", 125, 62.5),
         ("RTX 4090", 165, 83), ("RTX 3090", 71, 36)]

# Of a part, what all of its steps may take.
MINUTES = {1: 5, 2: 9, 3: 8, 4: 8}
DEVICE_SECONDS = 30  # of these, for asking which device it is


class Row:
    """One comparison: a network, a precision, training or embedding, and the seconds it may take."""

    def __init__(self, depth, stem, image, precision, mode, batch, steps, seconds, width=64):
        self.depth, self.stem, self.image, self.precision, self.mode = depth, stem, image, precision, mode
        self.batch, self.steps, self.seconds, self.width = batch, steps, seconds, width

    def name(self):
        stem = " small" if self.stem == "small" else ""
        return f"ResNet-{self.depth}{stem} {self.image} px {self.precision} {self.mode}"

    def options(self):
        words = ["--depth", self.depth, "--stem", self.stem, "--width", self.width, "--image", self.image,
                 "--batch", self.batch, "--tags", 1000, "--precision", self.precision, "--steps", self.steps,
                 "--warmup", max(3, self.steps // 4), "--paced"]
        return [str(word) for word in words] + (["--embed"] if self.mode == "embed" else [])


def rows_for(tiny, precision):
    """Most wanted first. A round takes a second or two; the seconds are mostly the peer's compiling."""
    if tiny:
        return [Row(18, "small", 16, "fp32", mode, 8, 2, 60, width=8) for mode in ("train", "embed")
                if precision == "bf16"]
    slower = 1 if precision == "bf16" else 2
    seconds = {"bf16": (135, 65, 70, 50, 40, 30), "tf32": (75, 45, 45, 30, 25, 20)}[precision]
    return [Row(50, "imagenet", 224, precision, "train", 256, 20 // slower, seconds[0]),
            Row(50, "imagenet", 224, precision, "embed", 256, 40 // slower, seconds[1]),
            Row(18, "imagenet", 224, precision, "train", 256, 50 // slower, seconds[2]),
            Row(18, "imagenet", 224, precision, "embed", 256, 100 // slower, seconds[3]),
            Row(18, "small", 32, precision, "train", 512, 80 // slower, seconds[4]),
            Row(18, "small", 32, precision, "embed", 512, 160 // slower, seconds[5])]


class Step:
    """A named piece of a part: what it does, given the seconds it may take."""

    def __init__(self, name, seconds, work):
        self.name, self.seconds, self.work = name, seconds, work


class Check:
    def __init__(self, options):
        self.options = options
        self.binaries = options.binaries.resolve()
        self.out = options.out
        self.out.mkdir(parents=True, exist_ok=True)
        self.logs = self.out / "logs"
        self.logs.mkdir(exist_ok=True)
        self.environment = environment(options.device, self.out)
        self.deadline = None  # of the part at hand
        self.result = {"parts": [], "rows": [], "kmeans": [], "experts": [], "input": {}, "alone": []}
        earlier = self.out / "gpu.json"
        if earlier.exists():
            self.result.update(json.loads(earlier.read_text()))

    def passed(self, name):
        """Whether an earlier run has done this step, the peer's side of it included."""
        done = [step for step in self.result["parts"] if step["name"] == name and step["status"] == "passed"]
        return bool(done) and not self.options.again

    def step(self, name, seconds, work):
        """Does one step and keeps what came of it; its own failure is not the others'."""
        left = self.deadline - time.monotonic()
        record = {"name": name, "status": "passed"}
        start = time.monotonic()
        if left < min(10, seconds):
            record["status"] = "left out: no time"
        else:
            try:
                record.update(work(min(seconds, left)) or {})
            except Exception as error:
                record["status"] = f"failed: {error}"
        record["seconds"] = round(time.monotonic() - start, 1)
        replace(self.result["parts"], "name", record)
        self.save()
        print(f"{record['seconds']:7.1f} s  {name}: {record['status']}", file=sys.stderr, flush=True)

    def save(self):
        written = {"gpu.json": json.dumps(self.result, indent=1) + "\n"}
        if "device" in self.result:
            written["table.txt"] = table(self.result, self.options.rounds)
        for name, text in written.items():
            partial = self.out / f"{name}.part"
            partial.write_text(text)
            partial.rename(self.out / name)

    def run(self, command, limit, log):
        """The standard output of a command that must succeed."""
        path = self.logs / f"{log}.txt"
        with open(path, "w") as stderr:
            try:
                done = subprocess.run([str(word) for word in command], stdout=subprocess.PIPE, stderr=stderr,
                                      text=True, timeout=limit, env=self.environment)
            except subprocess.TimeoutExpired:
                raise RuntimeError(f"not done within {limit:.0f} s") from None
            except OSError as error:
                raise RuntimeError(f"{command[0]}: {error.strerror}") from None
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

    # Steps

    def device(self, limit):
        found = json.loads(self.run([self.program("moe-device"), "--json"], limit, "device"))
        wanted = "cuda:0" if self.options.device == "cuda" else self.options.device
        named = [d for d in found["devices"] if d["device"] == wanted]
        if not named:
            reason = found.get("no_gpu", f"no device {wanted} here")
            sys.exit(f"gpu_check.sh: no GPU to check: {reason}")
        before = self.result.get("device", named[0])
        if before["name"] != named[0]["name"]:
            sys.exit(f"gpu_check.sh: {self.out} has results of {before['name']}, this is {named[0]['name']}; "
                     "choose another OUT")
        self.result.update(machine=found, device=named[0])
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

    def counters(self, row):
        """ncu's figures of batch norm's kernels in a training step, in logs/ncu.txt."""
        def work(limit):
            tool = shutil.which("ncu", path=self.environment["PATH"])
            if tool is None:
                return {"status": "left out: no ncu here"}
            options = [word for word in row.options() if word != "--paced"]
            options[options.index("--warmup") + 1] = options[options.index("--steps") + 1] = "1"
            kernels = "regex:statistics_kernel|apply_kernel|reduce_kernel|differentiate_kernel"
            self.run([tool, "--csv", "--kernel-name", kernels, "--launch-skip", 200, "--launch-count", 40,
                      "--section", "SpeedOfLight", "--section", "MemoryWorkloadAnalysis", "--section", "Occupancy",
                      self.program("bench-step"), *options, "--device", self.options.device], limit, "ncu")
            return {}
        return work

    def alone(self, row, *more):
        """Our side of a row by itself: its rate and where a step's time goes."""
        def work(limit):
            deadline = time.monotonic() + limit
            name = " ".join([row.name(), *more])
            with_profile = ["--profile"] if row.mode == "train" else []
            ours = self.ours(row, name, [*with_profile, *more])
            try:
                ours.ready(limit)
                rounds = [ours.round(deadline - time.monotonic()) for _ in range(self.options.rounds)]
                record = self.record(row, rounds)
                record["row"] = name
                replace(self.result["alone"], "row", record)
                add_profile(record, ours.rest(min(deadline - time.monotonic(), 30)))
            finally:
                ours.stop()
            return {}
        return work

    def ours(self, row, name, more):
        return Paced([self.program("bench-step"), *row.options(), "--device", self.options.device, *more],
                     self.logs / f"{name.replace(' ', '-')}-hardmoe.txt", self.environment)

    def record(self, row, rounds):
        ours = rounds[-1]
        record = {"row": row.name(), "batch": row.batch, "mode": row.mode, "precision": row.precision,
                  "hardmoe": summary(rounds), "compile_seconds": round(ours["compile_seconds"], 1)}
        record["tflops"] = round(record["hardmoe"]["images_per_second"] * ours["flops_an_image"] / 1e12, 2)
        peak = peak_tflops(self.result["device"]["name"], row.precision)
        record["of_peak"] = round(record["tflops"] / peak, 3) if peak else None
        return record

    def row(self, row):
        def work(limit):
            deadline = time.monotonic() + limit
            left = lambda: deadline - time.monotonic()  # noqa: E731
            name = row.name()
            profiled = row.mode == "train"
            ours = self.ours(row, name, ["--profile"] if profiled else [])
            try:
                ours.ready(left())
                rounds = [ours.round(left()) for _ in range(self.options.rounds)]
                record = self.record(row, rounds)
                # Kept before the peer begins to compile: whatever that takes, our figure stands, beside an
                # earlier comparison or in its place.
                compared = any(old["row"] == name and "pytorch" in old for old in self.result["rows"])
                replace(self.result["alone" if compared else "rows"], "row", record)
                self.save()
                try:
                    self.in_turn(row, record, ours, left)
                    replace(self.result["rows"], "row", record)
                except RuntimeError as error:
                    record["without_pytorch"] = str(error)
                if profiled:
                    add_profile(record, ours.rest(max(5, min(left(), 30))))
            finally:
                ours.stop()
            if "without_pytorch" in record:
                return {"status": f"passed, without PyTorch: {record['without_pytorch']}"}
            return {}
        return work

    def in_turn(self, row, record, ours, left):
        """Both sides round by round, once the peer is ready; raises RuntimeError where that has no figure."""
        log = self.logs / f"{row.name().replace(' ', '-')}-pytorch.txt"
        peer = Paced([self.options.peer, ROOT / "tools/bench/torch_step.py", *row.options(), "--device",
                      self.options.device, "--compile", self.options.peer_compile], log, self.environment)
        lines = {"hardmoe": [], "pytorch": []}
        try:
            peer.ready(left())
            for _ in range(self.options.rounds):
                theirs = peer.round(left())
                lines["hardmoe"].append(ours.round(left()))
                lines["pytorch"].append(theirs)
        except RuntimeError:
            if not lines["pytorch"]:
                raise
        finally:
            peer.stop()
        record.update(self.record(row, lines["hardmoe"]))
        theirs = lines["pytorch"][-1]
        record["pytorch"] = {**summary(lines["pytorch"]), "framework": theirs["framework"],
                             "compile": theirs["compile"]}
        record["ratio"] = round(record["hardmoe"]["images_per_second"] /
                                record["pytorch"]["images_per_second"], 3)

    def kmeans(self, limit):
        deadline = time.monotonic() + limit
        self.result["kmeans"] = []
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
        self.result["experts"] = []
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

    def steps(self, part):
        """The steps of a part, in order."""
        tiny, gpu = self.options.tiny, self.options.device != "cpu"
        bf16, tf32 = rows_for(tiny, "bf16"), rows_for(tiny, "tf32")
        if part == 1:
            tests = ["test_gpu_itself", "test_gpu_kernels", "test_gpu_cluster"] if gpu else ["test_cuda_kernels"]
            return [Step("one step of " + bf16[0].name(), 75, self.alone(bf16[0])),
                    *(Step(name, 65, self.tests(name)) for name in tests)]
        if part == 2:
            return [*(Step(row.name(), row.seconds, self.row(row)) for row in bf16),
                    Step("k-means", 60, self.kmeans), Step("input pipeline", 60, self.input)]
        if part == 3:
            plans = [Step("test_cuda_plans", 60, self.tests("test_cuda_plans")),
                     Step("compute-sanitizer", 120, self.sanitizer)] if gpu else []
            return [Step("test_engine on the device", 180, self.tests("test_engine")),
                    Step("whole pipeline on the device", 90,
                         self.tests("test_pipeline", ["--gtest_filter=WholeRun*"])), *plans]
        return [Step("ncu on batch norm's kernels", 120, self.counters(bf16[0])),
                Step("deterministic " + bf16[0].name(), 45, self.alone(bf16[0], "--deterministic")),
                Step("experts", 45, self.experts),
                *(Step(row.name(), row.seconds, self.row(row)) for row in tf32)]

    def all(self):
        wanted = re.compile(self.options.rows)
        names = []
        for part in self.options.part or MINUTES:
            minutes = self.options.minutes or MINUTES[part]
            self.deadline = time.monotonic() + 60 * minutes
            self.step("device", DEVICE_SECONDS, self.device)
            if "device" not in self.result:
                return False
            for step in self.steps(part):
                if not wanted.search(step.name):
                    continue
                names.append(step.name)
                if self.passed(step.name):
                    print(f"    done  {step.name}", file=sys.stderr, flush=True)
                else:
                    self.step(step.name, step.seconds, step.work)
        if not names:
            sys.exit(f"gpu_check.sh: --rows {self.options.rows}: no step of the parts asked for has such a name")
        print(table(self.result, self.options.rounds), end="")
        good = ("passed", "left out: no compute-sanitizer", "left out: no ncu")
        return all(step["status"].startswith(good) for step in self.result["parts"] if step["name"] in names)


def summary(rounds):
    """What is kept of a side's rounds."""
    speeds = [line["images_per_second"] for line in rounds]
    return {"images_per_second": round(statistics.median(speeds), 1),
            "rounds": [round(speed, 1) for speed in speeds], "memory_bytes": rounds[-1].get("memory_bytes")}


def add_profile(record, lines):
    for line in lines:
        record["milliseconds_a_step_in"] = {
            part: round(1000 * seconds, 4) for part, seconds in line["seconds_a_step_in"].items()}


def replace(records, key, record):
    """Puts the record in the place of the one of the same name, or at the end."""
    for i, old in enumerate(records):
        if old[key] == record[key]:
            records[i] = record
            return
    records.append(record)


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


def environment(device, out):
    """As it is, with the tests told their device and files, cuDNN found where pip put it, and the peer's
    compiled kernels kept in OUT, so that a row that is run again compiles less."""
    result = dict(os.environ, HARDMOE_TEST_DEVICE=device, HARDMOE_TEST_FILES=str(ROOT / "tests/files"),
                  OMP_WAIT_POLICY="passive", TORCHINDUCTOR_CACHE_DIR=str(out.resolve() / "peer-cache"))
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
    parser.add_argument("--part", type=int, choices=sorted(MINUTES), action="append",
                        help="of docs/gpu-day.md; may be given more than once (all)")
    parser.add_argument("--rows", default="", metavar="REGEX", help="only the steps whose names it matches (all)")
    parser.add_argument("--minutes", type=float, help="of each part, after which no step begins (5, 9, 8, 8)")
    parser.add_argument("--again", action="store_true", help="what passed before is done again")
    parser.add_argument("--rounds", type=int, default=5, help="of each side, in turn (%(default)s)")
    parser.add_argument("--peer", default=sys.executable, help="the python3 that has PyTorch (%(default)s)")
    parser.add_argument("--peer-compile", default="default", help="torch.compile's mode, or off (%(default)s)")
    parser.add_argument("--tiny", action="store_true", help="sizes that only show that this script works")
    options = parser.parse_args()
    try:
        re.compile(options.rows)
    except re.error as error:
        parser.error(f"--rows {options.rows}: no regular expression: {error}")
    sys.exit(0 if Check(options).all() else 1)


if __name__ == "__main__":
    main()
