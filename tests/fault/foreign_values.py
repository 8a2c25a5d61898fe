#!/usr/bin/env python3
"""Puts foreign values into the JSON files that the commands write and read again, one at a time: another type,
a number out of range, nothing at all. Each command that reads such a file must end with a result, or with a
sentence of its own: never with a library's message, by a signal, or not at all.

  foreign_values.py --commands build/bin --images tests/files/images              every value of every file
  foreign_values.py --commands build/bin --images tests/files/images --minutes 1  as many as fit, drawn
"""
import argparse
import copy
import json
import os
import pathlib
import random
import re
import subprocess
import sys
import tempfile
import time

SOURCE = pathlib.Path(__file__).resolve().parents[2]
LONGEST_SECONDS = 60
ABSENT = object()
FOREIGN = [None, True, "text", -1, 1.5, 2**63, 1e300, [], {}, [1, "a"], {"a": 1}, ABSENT]
# What libraries say, and nobody should read.
LIBRARYS = re.compile(r"json\.exception|type must be|cannot use|std::|::at\b|vector::|basic_string|stoi|what\(\)")

# Commands that read a folder's JSON files, by what the path of the file begins with.
READERS = {
    "data/": ["moe-tags data", "moe-ingest --verify data", "moe-ingest images.jsonl --out data --val-fraction 0.2 "
              "--min-tag-count 1", "moe-run tiny.yaml --out run --status"],
    "run/base": ["moe-run tiny.yaml --out run", "moe-eval data --model run/base"],
    "run/embedding": ["moe-partition run/embedding --num-experts 2 --out new/partition",
                      "moe-search run --dataset data --embedding run/embedding --row base --pairs-within 0.1"],
    "run/partition": ["moe-eval data --base run/base --partition run/partition --experts run/experts",
                      "moe-run tiny.yaml --out run"],
    "run/experts": ["moe-eval data --base run/base --partition run/partition --experts run/experts",
                    "moe-run tiny.yaml --out run"],
    "run/decoder": ["moe-eval data --base run/base --partition run/partition --experts run/experts "
                    "--decoder run/decoder"],
    "run/eval": ["moe-run tiny.yaml --out run", "moe-compare run/eval/base run/eval/local"],
    "run/": ["moe-run tiny.yaml --out run --status"],
    "pack/": ["moe-eval data --model pack"],
}
EVERY_OF_RUN = "moe-report run --out new/page.html --asked-images 0"


def leaves(value, path=()):
    """The paths of all values but the whole."""
    if path:
        yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for number, (key, inner) in enumerate(items):
        if isinstance(value, dict) or number < 2:  # a list's entries are alike
            yield from leaves(inner, path + (key,))


def changed(value, path, foreign):
    result = copy.deepcopy(value)
    inner = result
    for key in path[:-1]:
        inner = inner[key]
    if foreign is ABSENT:
        del inner[path[-1]]
    else:
        inner[path[-1]] = foreign
    return result


def readers(name):
    commands = next(commands for start, commands in READERS.items() if name.startswith(start))
    return commands + ([EVERY_OF_RUN] if name.startswith("run/") else [])


class Work:
    def __init__(self, options, folder):
        self.commands, self.folder = options.commands.resolve(), folder
        environment = dict(os.environ, PATH=f"{self.commands}:{os.environ['PATH']}", OMP_WAIT_POLICY="passive")
        subprocess.run([SOURCE / "tests/tools/tiny_mixture.sh", options.images, folder], check=True, env=environment)
        self.environment = environment
        self.files = sorted(str(path.relative_to(folder)) for path in folder.rglob("*.json")
                            if "logs" not in path.parts and path.parent != folder)

    def fault_of(self, command):
        """What is wrong with how a command ended; None if nothing is."""
        words = command.split()
        subprocess.run(["rm", "-rf", self.folder / "new"], check=True)
        (self.folder / "new").mkdir()
        try:
            done = subprocess.run([*words, "--quiet"], cwd=self.folder, env=self.environment, timeout=LONGEST_SECONDS,
                                  stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        except subprocess.TimeoutExpired:
            return f"not done after {LONGEST_SECONDS} s"
        text = done.stdout.decode(errors="replace")
        if done.returncode not in (0, 1, 2):
            return f"exit status {done.returncode}: {text[-500:]}"
        # Status 1 names a file; status 2 may name a folder of the command line.
        if LIBRARYS.search(text) or (done.returncode == 1 and "/" not in text):
            return text[-500:]
        return None


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--commands", type=pathlib.Path, required=True)
    parser.add_argument("--images", type=pathlib.Path, required=True)
    parser.add_argument("--minutes", type=float, help="of trying, drawn; without it everything is tried")
    parser.add_argument("--only", default="", metavar="REGEX", help="files whose names match")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        work = Work(options, pathlib.Path(folder))
        trials = []
        for name in work.files:
            if re.search(options.only, name):
                value = json.loads((work.folder / name).read_text())
                trials += [(name, path, foreign) for path in leaves(value) for foreign in FOREIGN]
        if options.minutes:
            random.Random(options.seed).shuffle(trials)
        begin, tried, faults = time.monotonic(), 0, 0
        backup = work.folder.parent / (work.folder.name + "-whole")
        subprocess.run(["cp", "-a", work.folder, backup], check=True)
        try:
            for name, path, foreign in trials:
                if options.minutes and time.monotonic() - begin > 60 * options.minutes:
                    break
                file = work.folder / name
                whole = json.loads((backup / name).read_text())
                file.write_text(json.dumps(changed(whole, path, foreign)))
                for command in readers(name):
                    tried += 1
                    fault = work.fault_of(command)
                    if fault is None:
                        continue
                    faults += 1
                    shown = "absent" if foreign is ABSENT else json.dumps(foreign)
                    print(f"{name} {'/'.join(map(str, path))} = {shown}\n  {command}\n  {fault.strip()}", flush=True)
                # A command may have removed or renewed what it took for foreign.
                subprocess.run(["rm", "-rf", work.folder], check=True)
                subprocess.run(["cp", "-a", backup, work.folder], check=True)
        finally:
            subprocess.run(["rm", "-rf", backup], check=True)
        print(f"{tried} runs of commands over {len(trials)} values in {len(work.files)} files: {faults} faults")
        sys.exit(1 if faults else 0)


if __name__ == "__main__":
    main()
