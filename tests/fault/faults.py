#!/usr/bin/env python3
"""Runs every command that writes files again and again, each time with a fault at another of the calls by
which it changes files: it is killed before the call, or the call fails as on a full or a broken disk. Then
the same command runs again without a fault, and must end with the same bytes as one that nothing disturbed.

  faults.py --commands build/bin                      every call of every command, each kind of fault: hours
  faults.py --commands build/bin --sample 30          some 30 faults a command, spread over its calls
  faults.py --commands build/bin --minutes 2          as many as fit, of all commands alike
  faults.py --commands build/bin --only '^moe-embed$' --at 12 --kind EIO      one of them, told in full
"""
import argparse
import collections
import dataclasses
import gzip
import json
import os
import pathlib
import queue
import random
import re
import select
import shlex
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import threading
import time
import zlib

HERE = pathlib.Path(__file__).resolve().parent
KINDS = ("kill", "ENOSPC", "EIO")
REASONS = {"ENOSPC": "No space left on device", "EIO": "Input/output error"}
LONGEST_SECONDS = 120  # of a command and its children


# ---- pictures

COLOURS = {"red": (220, 30, 30), "green": (30, 200, 30), "blue": (30, 30, 220), "yellow": (220, 220, 30)}
SHAPES = {"square": (8, 8), "stripe": (16, 4)}  # width, height
SIDE = 16
PICTURES = 80
BROKEN = ("0003.png", "0017.png")  # where a command is to meet unreadable images


def png_of(rows):
    """An RGB image's bytes; a row is a list of 3 × SIDE numbers."""
    def chunk(kind, content):
        check = struct.pack(">I", zlib.crc32(kind + content))
        return struct.pack(">I", len(content)) + kind + content + check
    header = struct.pack(">IIBBBBB", SIDE, SIDE, 8, 2, 0, 0, 0)
    pixels = zlib.compress(b"".join(b"\0" + bytes(row) for row in rows))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def picture(colour, shape, rng):
    """A square or a stripe of one colour, somewhere on noise."""
    width, height = SHAPES[shape]
    rows = [[rng.randrange(80, 160) for _ in range(3 * SIDE)] for _ in range(SIDE)]
    top, left = rng.randrange(SIDE - height + 1), rng.randrange(SIDE - width + 1)
    for row in rows[top:top + height]:
        row[3 * left:3 * (left + width)] = COLOURS[colour] * width
    return png_of(rows)


def write_pictures(folder):
    """FOLDER/images.jsonl and the pictures it names, tagged with colour and shape, one in eight wrongly."""
    rng = random.Random(1)
    folder.mkdir()
    lines = []
    for i in range(PICTURES):
        colour, shape = list(COLOURS)[i % 4], list(SHAPES)[i // 4 % 2]
        tagged = rng.choice(list(COLOURS)) if rng.randrange(8) == 0 else colour
        name = f"{i:04}.png"
        (folder / name).write_bytes(picture(colour, shape, rng))
        lines.append(json.dumps({"image": name, "tags": [tagged, shape], "truth": [colour, shape]}) + "\n")
    (folder / "images.jsonl").write_text("".join(lines))
    (folder / "images.jsonl.gz").write_bytes(gzip.compress("".join(lines).encode(), mtime=0))


def break_pictures(here):
    for picture in (here / "pictures" / name for name in BROKEN):
        picture.rename(picture.with_suffix(".whole"))
        picture.write_bytes(b"no image")


def mend_pictures(here):
    for picture in (here / "pictures" / name for name in BROKEN):
        picture.with_suffix(".whole").rename(picture)


# ---- what is run

CONFIG = """
model: {depth: 18, stem: small, width: 8, image_size: 16}
base: {epochs: 1, batch: 16, lr: 0.05, log_every: 1, checkpoint_minutes: 0.0000001}
partition: {experts: 2, pca: 4, tolerance: 0.2, checkpoint_seconds: 0}
expert: {epochs: 1, batch: 8, lr: 0.02, log_every: 1, checkpoint_minutes: 0.0000001}
decoder: {epochs: 1, batch: 16, lr: 0.1, log_every: 1, checkpoint_minutes: 0.0000001}
router: {epochs: 1, batch: 16, log_every: 1, checkpoint_minutes: 0.0000001}
finetune: {epochs: 1, batch: 8, log_every: 1, turn_steps: 1, checkpoint_minutes: 0.0000001}
sparse: {epochs: 1, batch: 16, log_every: 1, checkpoint_minutes: 0.0000001, layer: {experts: 2, chosen: 1}}
ingest: {sources: [pictures/images.jsonl], val_fraction: 0.2}
run: {parallel: 1, controls: none}
"""
LIST = "pictures/images.jsonl"
INGEST = f"moe-ingest {LIST} --val-fraction 0.15 --selection-fraction 0.35 --out data"
MIXTURE = "--base base --partition partition --experts experts --config c.yaml"
BASE = "moe-train-base data --config c.yaml --out base"
PARTITION = "moe-partition embedding --config c.yaml --out partition"
EXPERT = "moe-train-expert data --base base --partition partition --config c.yaml --expert"
MIXED = ("data", "base", "partition", "experts")

# What commands read besides c.yaml, made once; each line makes the folder of this name.
PREPARED = {
    "pictures": [],
    "data": [INGEST],
    "base": [BASE],
    "embedding": ["moe-embed data --model base --split train val --out embedding"],
    "partition": [PARTITION],
    "experts": [f"{EXPERT} {k} --out experts/{k}" for k in (0, 1)],
    "decoder": [f"moe-train-decoder data {MIXTURE} --out decoder"],
    "run": ["moe-run c.yaml --out run"],
}
RUN_CHILDREN = ("moe-ingest", "moe-train-base", "moe-embed", "moe-partition", "moe-train-expert",
                "moe-train-decoder", "moe-eval")


@dataclasses.dataclass(frozen=True)
class Scenario:
    """A command that is disturbed, and what lies in the folder where it runs."""
    name: str
    line: str
    needs: tuple = ()  # names of PREPARED
    before: tuple = ()  # what happens before, undisturbed: lines, functions of the folder
    children: tuple = ()  # programs that it starts, to be disturbed themselves
    after: str = ""  # a line that must succeed once all is done
    stdin: str = "/dev/null"
    tool: str = ""  # a program that must be there


def scenarios():
    """All that is tried."""
    retry = INGEST + " --max-bad 1"
    found = [
        Scenario("moe-ingest", INGEST, needs=("pictures",), after=INGEST + " --retry-failed"),
        Scenario("moe-ingest --retry-failed", retry + " --retry-failed", needs=("pictures",),
                 before=(break_pictures, retry, mend_pictures)),
        Scenario("moe-ingest with unreadable images", retry, needs=("pictures",),
                 before=(break_pictures,), after=retry + " --retry-failed"),
        Scenario("moe-ingest of standard input", INGEST.replace(LIST, "- --images pictures"),
                 needs=("pictures",), stdin=LIST),
        Scenario("moe-ingest of a compressed list", INGEST.replace(LIST, LIST + ".gz"),
                 needs=("pictures",)),
        Scenario("moe-ingest --copy", "moe-ingest data/shards --out copied --copy --near-duplicates 0",
                 needs=("data",)),
        Scenario("moe-ingest --force", INGEST + " --seed 2 --force", needs=("pictures", "data")),
        Scenario("moe-tags", "moe-tags data --suggest-stop-tags stop.tsv", needs=("data",)),
        Scenario("moe-train-base", BASE, needs=("data",)),
        Scenario("moe-train-base --force", BASE + " --seed 2 --force", needs=("data", "base")),
        Scenario("moe-embed", "moe-embed data --model base --split train val --out embedding",
                 needs=("data", "base")),
        Scenario("moe-partition", PARTITION, needs=("embedding",)),
        Scenario("moe-partition --write-shards",
                 PARTITION.replace("embedding", "data embedding") + " --write-shards laid",
                 needs=("data", "embedding")),
        Scenario("moe-partition --contact-sheet",
                 PARTITION.replace("embedding", "data embedding") + " --contact-sheet parts.png",
                 needs=("data", "embedding", "partition")),
        Scenario("moe-partition --reroute",
                 f"moe-partition data embedding --reroute partition --out rerouted {MIXTURE}"
                 .replace("--partition partition ", ""), needs=MIXED + ("embedding",)),
        Scenario("moe-train-expert", EXPERT + " 0 --out experts/0", needs=("data", "base", "partition")),
        Scenario("moe-train-decoder", f"moe-train-decoder data {MIXTURE} --out decoder", needs=MIXED),
        Scenario("moe-train-router",
                 "moe-train-router data --base base --partition partition --config c.yaml --out router",
                 needs=MIXED),
        Scenario("moe-train-sparse", "moe-train-sparse data --config c.yaml --out sparse", needs=("data",)),
        Scenario("moe-finetune", f"moe-finetune data {MIXTURE} --decoder decoder --out tuned",
                 needs=MIXED + ("decoder",)),
        Scenario("moe-eval", f"moe-eval data {MIXTURE} --decoder decoder --out eval",
                 needs=MIXED + ("decoder",)),
        Scenario("moe-report", "moe-report run --out report.html", needs=("run",)),
        Scenario("moe-report --png", "moe-report run --out report.html --asked-images 0 --png slides",
                 needs=("run",), tool="rsvg-convert"),
        Scenario("moe-export", "moe-export run --out onnx", needs=("run",)),
        Scenario("moe-pack", "moe-pack run --row shared --out packed", needs=("run",)),
        Scenario("moe-search", "moe-search run --tag red --contact-sheet found.png", needs=("run",)),
        Scenario("moe-predict", "moe-predict run pictures --embedding rows.npy",
                 needs=("pictures", "run")),
        Scenario("moe-predict --write-xmp",
                 "moe-predict run pictures/0001.png pictures/0002.png --write-xmp",
                 needs=("pictures", "run")),
        Scenario("moe-run", "moe-run c.yaml --out run", needs=("pictures",), children=RUN_CHILDREN),
        Scenario("moe-run --force", "moe-run c.yaml --out run --seed 2 --force", needs=("pictures", "run")),
    ]
    return [scenario for scenario in found if not scenario.tool or shutil.which(scenario.tool)]


@dataclasses.dataclass(frozen=True)
class Target:
    """A program of a scenario, whose calls are counted."""
    scenario: Scenario
    program: str

    @property
    def name(self):
        own = self.program == self.scenario.line.split()[0]
        return self.scenario.name if own else f"{self.scenario.name}, {self.program}"


@dataclasses.dataclass(frozen=True)
class Fault:
    """What happens at the n-th call of a target."""
    target: Target
    at: int
    kind: str


# ---- what a folder holds

VOLATILE = ("machine", "images_per_second", "warnings")  # fields of JSON that may differ, and times


def is_volatile(key):
    """Whether a field may differ; checksums of a record do, as that has such fields itself."""
    return key in VOLATILE or key.endswith(("seconds", "/stage.json"))


def without_volatile(value, name=""):
    """A JSON value's leaves by their path, without what may differ between two runs."""
    if isinstance(value, dict):
        parts = ((f"{name}.{key}", part) for key, part in value.items() if not is_volatile(key))
    elif isinstance(value, list):
        parts = ((f"{name}[{i}]", part) for i, part in enumerate(value))
    else:
        return {name: value}
    leaves = {name: type(value).__name__}
    for path, part in parts:
        leaves.update(without_volatile(part, path))
    return leaves


def content_of(path):
    """What is compared of a file: its bytes, or a dictionary of JSON's leaves."""
    text = path.read_bytes()
    try:
        if path.suffix == ".json":
            return without_volatile(json.loads(text))
        if path.suffix == ".jsonl":
            return without_volatile([json.loads(line) for line in text.splitlines()])
    except ValueError:
        pass
    return text


def is_temporary(name):
    return name.endswith((".tmp", ".part"))


def is_ignored(path):
    """Locks, logs and events, whose names and times are each run's own."""
    log = "logs" in path.parts[:-1] and not is_temporary(path.name)
    return path.name == ".lock" or path.name.startswith("events.out.tfevents.") or log


def contents_of(folder):
    """All that a folder holds, by its path: None for a folder."""
    found = {}
    for path in sorted(folder.rglob("*")):
        below = path.relative_to(folder)
        if not is_ignored(below):
            found[str(below)] = None if path.is_dir() else content_of(path)
    return found


def difference_of(content, expected):
    """How a file differs, in a few words; "" where it does not."""
    if content == expected:
        return ""
    if not isinstance(content, dict) or not isinstance(expected, dict):
        sizes = [len(c) if isinstance(c, bytes) else "?" for c in (content, expected)]
        return f"{sizes[0]} bytes, expected {sizes[1]}" if sizes[0] != sizes[1] else "other bytes"
    key = next(k for k in [*expected, *content] if content.get(k) != expected.get(k))
    return f"{key} is {content.get(key)!r}, expected {expected.get(key)!r}"


def topmost_without(names, others):
    """The names that are not among others, without what lies in such a folder."""
    lacking = {name for name in names if name not in others}
    return [name for name in lacking if not lacking.intersection(map(str, pathlib.PurePath(name).parents))]


def differences(found, expected):
    """What is wrong in a folder, in sentences."""
    lines = [f"left over: {name}" for name in topmost_without(found, expected)]
    lines += [f"missing: {name}" for name in topmost_without(expected, found)]
    for name in found.keys() & expected.keys():
        difference = difference_of(found[name], expected[name])
        lines += [f"differs: {name}: {difference}"] if difference else []
    return sorted(lines)


def warnings_of(folder):
    """The warnings that stages of the folder recorded."""
    found = {}
    for path in sorted(folder.rglob("stage.json")):
        try:
            found[str(path.relative_to(folder))] = json.loads(path.read_bytes()).get("warnings", [])
        except ValueError:
            pass
    return found


# ---- running

@dataclasses.dataclass
class Outcome:
    """How a command ended."""
    status: int  # -9 where SIGKILL ended it
    out: str
    err: str
    lasted: bool  # it or a child of it was still running when its time was up


@dataclasses.dataclass
class Reference:
    """What a scenario leaves that nothing disturbed, and how many calls each of its programs made."""
    contents: dict
    warnings: dict
    calls: dict


class Place:
    """A folder in which one command at a time runs, always under the same path, as some results hold it."""

    def __init__(self, folder, commands, library):
        self.here = folder / "here"
        self.stored = folder / "stored"
        self.messages = folder / "messages"
        self.commands, self.library = commands, library
        self.references = {}
        self.messages.mkdir(parents=True)
        self.prepare()

    def prepare(self):
        """Makes what commands read: the folders of PREPARED, each from those before it."""
        (self.here / "tmp").mkdir(parents=True)
        (self.here / "c.yaml").write_text(CONFIG)
        shutil.copytree(self.here, self.stored / "nothing")
        write_pictures(self.here / "pictures")
        for name, lines in PREPARED.items():
            for line in lines:
                self.must(line)
            shutil.copytree(self.here / name, self.stored / name)

    def run(self, line, stdin="/dev/null", **fault):
        """Runs a line, waits until all its processes have ended, and returns its Outcome."""
        environment = {"PATH": f"{self.commands}:{os.environ['PATH']}", "HOME": str(self.here),
                       "TMPDIR": str(self.here / "tmp"), "LC_ALL": "C.UTF-8",
                       "OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "passive"}
        if fault:
            environment.update(LD_PRELOAD=str(self.library), FAULT_ROOT=str(self.here), **fault)
        out, err = self.messages / "out", self.messages / "err"
        alive, held = os.pipe()  # every process holds one end; it closes with the last of them
        with open(self.here / stdin) as given, open(out, "wb") as told, open(err, "wb") as said:
            process = subprocess.Popen(shlex.split(line) + ["--threads", "1"], cwd=self.here,
                                       env=environment, stdin=given, stdout=told, stderr=said,
                                       pass_fds=[held], start_new_session=True)
        os.close(held)
        ended = bool(select.select([alive], [], [], LONGEST_SECONDS)[0])
        os.close(alive)
        if not ended:
            os.killpg(process.pid, signal.SIGKILL)
        return Outcome(process.wait(), out.read_text(errors="replace"), err.read_text(errors="replace"),
                       not ended)

    def must(self, line, stdin="/dev/null", **fault):
        """Runs a line that nothing disturbs, and ends everything where it fails."""
        outcome = self.run(line, stdin, **fault)
        if outcome.status != 0:
            raise Failed(f"failed without any fault: {line}\n{outcome.err}")

    def lay(self, scenario):
        """Lays what the scenario begins with."""
        world = self.stored / ("world of " + scenario.name)
        if not world.exists():
            replace_folder(self.here, self.stored / "nothing")
            for name in scenario.needs:
                shutil.copytree(self.stored / name, self.here / name)
            for step in scenario.before:
                step(self.here) if callable(step) else self.must(step)
            shutil.copytree(self.here, world)
        replace_folder(self.here, world)

    def reference(self, scenario):
        """Runs the scenario without a fault, twice, as what differs between the two cannot be compared."""
        if scenario.name not in self.references:
            count = self.messages / "count"
            count.unlink(missing_ok=True)
            self.lay(scenario)
            self.must(scenario.line, scenario.stdin, FAULT_COUNT=str(count))
            first = Reference(contents_of(self.here), warnings_of(self.here), calls_of(count.read_text()))
            self.lay(scenario)
            self.must(scenario.line, scenario.stdin)
            different = differences(contents_of(self.here), first.contents)
            if different:
                raise Failed(f"two runs without a fault differ: {scenario.line}\n" + "\n".join(different))
            self.references[scenario.name] = first
        return self.references[scenario.name]


class Failed(Exception):
    """What ends the whole suite."""


def replace_folder(folder, by):
    if folder.exists():
        shutil.rmtree(folder)
    shutil.copytree(by, folder)


def calls_of(count):
    """The calls of each program, by the lines of FAULT_COUNT; of several processes the most."""
    calls = {}
    for line in count.splitlines():
        program, number = line.split()[:2]
        calls[program] = max(calls.get(program, 0), int(number))
    return calls


# ---- a fault, and what becomes of it

@dataclasses.dataclass
class Verdict:
    """How a command took a fault."""
    taken: str = ""  # one of WAYS
    call: str = ""  # the call that was hit, and its path
    problems: list = dataclasses.field(default_factory=list)
    notes: list = dataclasses.field(default_factory=list)
    story: list = dataclasses.field(default_factory=list)  # (line, Outcome) of what was run


WAYS = ("killed", "refused", "tolerated", "not reached")


def try_fault(place, fault):
    """Runs the scenario with the fault, then again without one."""
    scenario, verdict = fault.target.scenario, Verdict()
    expected = place.reference(scenario)
    place.lay(scenario)
    hit = place.messages / "hit"
    hit.unlink(missing_ok=True)
    first = place.run(scenario.line, scenario.stdin, FAULT_AT=str(fault.at), FAULT_KIND=fault.kind,
                      FAULT_PROGRAM=fault.target.program, FAULT_HIT=str(hit))
    verdict.story.append((scenario.line, first))
    verdict.call = " ".join(hit.read_text().split()[2:]) if hit.exists() else ""
    verdict.taken = judge_first(fault, first, verdict)
    if first.status == 0:
        verdict.problems += ["although its status was 0: " + line
                             for line in differences(contents_of(place.here), expected.contents)]
    second = place.run(scenario.line, scenario.stdin)
    verdict.story.append((scenario.line, second))
    judge_second(place, expected, second, verdict)
    if scenario.after and not verdict.problems:
        third = place.run(scenario.after, scenario.stdin)
        verdict.story.append((scenario.after, third))
        if third.status != 0:
            verdict.problems.append(f"then {scenario.after}: status {third.status}: {last_line(third.err)}")
    return verdict


def judge_first(fault, outcome, verdict):
    """Notes what is wrong with how a disturbed command ended, and returns how it took the fault."""
    problems = verdict.problems
    if outcome.lasted:
        problems.append(f"ran for more than {LONGEST_SECONDS} s")
    if "terminate called" in outcome.err:
        problems.append("ended by an exception that nobody caught")
    if not verdict.call:
        if outcome.status != 0:
            problems.append(f"status {outcome.status} without a fault: {last_line(outcome.err)}")
        return "not reached"
    own = fault.target.program == fault.target.scenario.line.split()[0]
    if fault.kind == "kill" and own:
        if outcome.status != -signal.SIGKILL:
            problems.append(f"killed, but its status was {outcome.status}")
        return "killed"
    if outcome.status not in (0, 1):
        problems.append(f"status {outcome.status}: {last_line(outcome.err)}")
    if outcome.status == 0:
        return "tolerated"
    if not is_told(fault, verdict.call, outcome.err):
        problems.append(f"does not tell file and reason: {last_line(outcome.err)}")
    return "killed" if fault.kind == "kill" else "refused"


def is_told(fault, call, err):
    """Whether a line of the messages names what was hit, or its folder, and the reason. Where a folder's
    names were synced it names the new one among them."""
    if fault.kind == "kill":
        return "killed by signal 9" in err
    path = pathlib.PurePath(call.split(maxsplit=1)[1])
    if path.name.endswith(" (deleted)"):  # it never had a name; the messages call it what it stands for
        return REASONS[fault.kind] in err
    whole = re.sub(r"(\.\d+\.tmp|\.part|\.\d+-[0-9a-f]+-\d+)$", "", path.name)
    names = [name for name in (whole, path.parent.name, str(path)) if name and name != "."] or [""]
    return any(REASONS[fault.kind] in line and any(name in line for name in names)
               for line in err.splitlines())


def judge_second(place, expected, outcome, verdict):
    """Notes what is wrong with the command that ran again, and with what there is then."""
    if outcome.lasted:
        verdict.problems.append(f"again: ran for more than {LONGEST_SECONDS} s")
    if outcome.status != 0:
        verdict.problems.append(f"again: status {outcome.status}: {last_line(outcome.err)}")
        return
    verdict.problems += ["again: " + line
                         for line in differences(contents_of(place.here), expected.contents)]
    if warnings_of(place.here) != expected.warnings:
        verdict.notes.append(f"other warnings: {warnings_of(place.here)}")


def last_line(text):
    lines = [line for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else "no message"


# ---- which faults

def targets_of(place, only):
    """All programs to be disturbed whose names match, with their numbers of calls."""
    found = {}
    for scenario in scenarios():
        programs = (scenario.line.split()[0], *scenario.children)
        for target in (Target(scenario, program) for program in programs):
            if re.search(only, target.name):
                found[target] = place.reference(scenario).calls.get(target.program, 0)
    return found


def faults_of(target, calls, sample, kinds, rng):
    """All faults of a target, or some `sample` of them, spread over its calls with the kinds in turn."""
    everything = [Fault(target, at, kind) for at in range(1, calls + 1) for kind in kinds]
    if sample == 0 or sample >= len(everything):
        return everything
    first = rng.randrange(len(kinds))
    chosen = {Fault(target, 1 + int((i + rng.random()) * calls / sample), kinds[(first + i) % len(kinds)])
              for i in range(sample)}
    return sorted(chosen, key=lambda fault: fault.at)


class Tally:
    """What has been tried so far; prints what is wrong."""

    def __init__(self, commands):
        self.commands = commands
        self.lock = threading.Lock()
        self.ways = collections.Counter()  # by (target, kind, way)
        self.failed = collections.Counter()  # by (target, kind)
        self.tolerated = collections.Counter()  # by what the call is

    def add(self, fault, verdict):
        with self.lock:
            self.ways[fault.target, fault.kind, verdict.taken] += 1
            if verdict.taken == "tolerated":
                self.tolerated[verdict.call.split()[0]] += 1
            if verdict.problems:
                self.failed[fault.target, fault.kind] += 1
                what = "; ".join(verdict.problems)
                print(f"FAILED {fault.target.name}: {fault.kind} at {verdict.call or 'no call'}: {what}"
                      f"\n       {self.repeat(fault)}", flush=True)
            for note in verdict.notes:
                print(f"note   {fault.target.name}: {fault.kind} at {verdict.call}: {note}", flush=True)

    def repeat(self, fault):
        only = shlex.quote(f"^{re.escape(fault.target.name)}$".replace("\\ ", " ").replace("\\-", "-"))
        return (f"{sys.argv[0]} --commands {self.commands} --only {only} --at {fault.at} "
                f"--kind {fault.kind}")

    def table(self, kinds):
        """The counts per command and kind."""
        targets = sorted({target for target, _, _ in self.ways}, key=lambda target: target.name)
        lines = [f"{'':36} {'kind':8}" + "".join(f"{way:>12}" for way in WAYS) + f"{'failed':>9}"]
        for target in targets:
            for kind in kinds:
                counts = [self.ways[target, kind, way] for way in WAYS]
                if sum(counts) > 0:
                    lines.append(f"{target.name:36} {kind:8}" + "".join(f"{n:12}" for n in counts)
                                 + f"{self.failed[target, kind]:9}")
        tolerated = ", ".join(f"{call} {count}" for call, count in sorted(self.tolerated.items()))
        return "\n".join(lines + [f"tolerated: {tolerated or 'none'}"])


def tell_in_full(place, fault, verdict):
    """Prints what was run and what came of it."""
    print(f"{fault.kind} at call {fault.at}: {verdict.call or 'not reached'}; {verdict.taken}")
    for line, outcome in verdict.story:
        print(f"\n$ {line}\n{outcome.out}{outcome.err}status {outcome.status}")
    print("\nwhat is there now: " + str(place.here))


def try_all(faults, place_of, jobs, until, tally):
    """Tries faults until the time is up, in several places at a time; returns how many it has tried."""
    waiting, tried, problems = queue.SimpleQueue(), [], []
    for fault in faults:
        waiting.put(fault)

    def work(number):
        try:
            place = place_of(number)
            while time.monotonic() < until and not problems:
                fault = waiting.get_nowait()
                verdict = try_fault(place, fault)
                tally.add(fault, verdict)
                tried.append(fault)
        except queue.Empty:
            pass
        except Exception as error:  # in a thread: the others stop, too, and it is told at the end
            problems.append(error)

    workers = [threading.Thread(target=work, args=(number,)) for number in range(jobs)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    if problems:
        raise problems[0]
    return len(tried)


def read_arguments():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--commands", required=True, metavar="FOLDER", type=pathlib.Path,
                        help="where the commands are, such as build/bin")
    parser.add_argument("--only", default="", metavar="REGEX",
                        help="only what this matches of the names that --list prints")
    parser.add_argument("--list", action="store_true",
                        help="print what there is to try, with its number of calls, and stop")
    parser.add_argument("--sample", type=int, default=0, metavar="N",
                        help="about N faults of each, spread over its calls and the kinds (default: all)")
    parser.add_argument("--minutes", type=float, default=float("inf"), metavar="M",
                        help="try no more after so many minutes; faults come in a random order")
    parser.add_argument("--seed", type=int, default=1, metavar="N",
                        help="of the sample and the order (default: 1)")
    parser.add_argument("--kind", choices=KINDS, action="append", help="only this kind (repeatable)")
    parser.add_argument("--at", type=int, metavar="N",
                        help="only the N-th call, from 1; with one --kind told in full, and what there is "
                             "then is kept")
    parser.add_argument("--jobs", type=int, default=1, metavar="N", help="so many at a time (default: 1)")
    return parser.parse_args()


def build_library(folder):
    library = folder / "inject.so"
    compiler = shlex.split(os.environ.get("CC", "cc"))
    subprocess.run(compiler + ["-shared", "-fPIC", "-O1", "-o", library, HERE / "inject.c"], check=True)
    return library


def print_targets(targets):
    for target, calls in targets.items():
        print(f"{calls:6} {target.name}")


def run_one(place, targets, at, kind):
    """Tries one fault and tells all about it."""
    if len(targets) != 1:
        names = ", ".join(target.name for target in targets)
        raise Failed(f"--only must match one name for --at, and matches {len(targets)}: {names}")
    fault = Fault(next(iter(targets)), at, kind)
    verdict = try_fault(place, fault)
    tell_in_full(place, fault, verdict)
    for problem in verdict.problems:
        print("FAILED " + problem)
    return 1 if verdict.problems else 0


def run_suite(arguments, first, place_of, targets, kinds, start):
    """Tries what was asked for, and prints what is wrong and the counts."""
    rng = random.Random(arguments.seed)
    faults = []
    for target, calls in targets.items():
        faults += faults_of(target, calls, arguments.sample, kinds, rng)
    if arguments.at is not None:
        faults = [fault for fault in faults if fault.at == arguments.at]
    rng.shuffle(faults)
    print(f"{len(targets)} targets, {sum(targets.values())} calls, {len(faults)} faults to try", flush=True)
    tally = Tally(arguments.commands)
    until = start + 60 * arguments.minutes
    places = {0: first}
    tried = try_all(faults, lambda number: places.get(number) or place_of(number), arguments.jobs, until,
                    tally)
    failed = sum(tally.failed.values())
    print(tally.table(kinds))
    print(f"{tried} of {len(faults)} faults tried in {(time.monotonic() - start) / 60:.1f} minutes, "
          f"{failed} failed")
    return 1 if failed else 0


def main():
    arguments = read_arguments()
    start = time.monotonic()
    arguments.commands = arguments.commands.resolve()
    folder = pathlib.Path(tempfile.mkdtemp(prefix="faults-")).resolve()
    kinds = [kind for kind in KINDS if kind in (arguments.kind or KINDS)]
    one = arguments.at is not None and len(kinds) == 1
    try:
        library = build_library(folder)

        def place_of(number):
            return Place(folder / str(number), arguments.commands, library)

        first = place_of(0)
        targets = targets_of(first, arguments.only)
        if arguments.list:
            return print_targets(targets)
        if one:
            return run_one(first, targets, arguments.at, kinds[0])
        return run_suite(arguments, first, place_of, targets, kinds, start)
    except Failed as error:
        print(f"faults.py: {error}", file=sys.stderr)
        return 1
    finally:
        if not one:
            shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
