#!/usr/bin/env python3
"""Runs a study: the same run with other settings, cell by cell, and keeps each cell's results.

  study.py configs/studies/NAME.yaml --set run.dataset=DATASET    run the cells that have no result yet
  study.py configs/studies/NAME.yaml --table                      print the table of the results there are

NAME.yaml holds what all cells share, a configuration of moe-run. NAME.cells, beside it, lists the cells: a
line each has a name and the settings of moe-run's --set that are the cell's own. A cell's run goes into
runs/studies/NAME/CELL, and is gone on with where it was interrupted; its results, with settings and machine,
into tools/bench/results/studies/NAME/CELL.json, and a cell that has them is not run again; results of
other settings than the cell's are refused.
"""
import argparse
import hashlib
import json
import os
import pathlib
import re
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
RESULTS = ROOT / "tools" / "bench" / "results" / "studies"


class Cell:
    """One line of NAME.cells."""

    def __init__(self, study, name, settings, shared):
        self.study, self.name, self.settings, self.shared = study, name, settings, shared

    def result(self):
        return RESULTS / self.study / f"{self.name}.json"

    def read_result(self):
        """The cell's result; None if there is none. Ends the program if it is of other settings."""
        if not self.result().exists():
            return None
        result = json.loads(self.result().read_text(encoding="utf-8"))
        if (result["settings"], result["shared_settings"]) != (self.settings, self.shared):
            sys.exit(f"study.py: {self.result()}: is of other settings ({' '.join(result['settings'])}, or another "
                     f"{self.study}.yaml); give the cell another name, or delete the file")
        return result


def fingerprint_of(path):
    """A hash of what the configuration says, whatever its comments."""
    lines = (line.split(" #")[0].rstrip() for line in path.read_text(encoding="utf-8").splitlines())
    said = "\n".join(line for line in lines if line and not line.startswith("#"))
    return hashlib.sha256(said.encode()).hexdigest()


def read_cells(path):
    """The cells listed in the file; '#' begins a comment."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        sys.exit(f"study.py: {path}: {error.strerror}; a study has its cells there, a line each: NAME KEY=VALUE …")
    shared = fingerprint_of(path.with_suffix(".yaml"))
    cells = []
    for number, line in enumerate(text.splitlines(), 1):
        words = line.split("#")[0].split()
        if not words:
            continue
        name, settings = words[0], words[1:]
        wrong = [word for word in settings if "=" not in word]
        if wrong or not re.fullmatch(r"[\w.-]+", name):
            sys.exit(f"study.py: {path}:{number}: expected NAME KEY=VALUE …, found '{(wrong or [name])[0]}'")
        if name in [cell.name for cell in cells]:
            sys.exit(f"study.py: {path}:{number}: a second cell called {name}")
        cells.append(Cell(path.stem, name, settings, shared))
    return cells


def machine():
    """The processor's name and the number of them, as the results' reader wants to know."""
    try:
        names = re.findall(r"model name\s*: (.*)", pathlib.Path("/proc/cpuinfo").read_text(encoding="utf-8"))
    except OSError:
        names = []
    return {"processor": names[0] if names else "unknown", "processors": os.cpu_count()}


def shown_images(out):
    """How many images the base was shown in training, with repetition: its steps times its batch."""
    record = json.loads((out / "base" / "stage.json").read_text(encoding="utf-8"))
    return record["results"]["steps"] * record["inputs"]["base"]["batch"]


def run_cell(cell, options):
    """Runs the cell, or the rest of it, and writes its result. Returns whether it is done."""
    out = pathlib.Path(options.out) / cell.study / cell.name
    settings = options.set + cell.settings
    command = [str(pathlib.Path(options.bin) / "moe-run"), options.config, "--out", str(out)]
    for setting in settings:
        command += ["--set", setting]
    began = time.monotonic()
    status = subprocess.run(command, stdout=subprocess.DEVNULL, check=False).returncode
    seconds = time.monotonic() - began
    if status != 0:
        print(f"study.py: {cell.name}: moe-run ended with status {status}", file=sys.stderr)
        return False
    summary = json.loads((out / "summary.json").read_text(encoding="utf-8"))
    commit = subprocess.run(["git", "-C", str(ROOT), "rev-parse", "--short", "HEAD"], capture_output=True,
                            text=True, check=False).stdout.strip()
    result = {"study": cell.study, "cell": cell.name, "settings": cell.settings,
              "shared_settings": cell.shared, "machine": machine(),
              "commit": commit, "seconds_of_last_call": round(seconds, 1), "images_shown": shown_images(out),
              "table": summary["table"]}
    cell.result().parent.mkdir(parents=True, exist_ok=True)
    unfinished = cell.result().with_suffix(".part")
    unfinished.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    unfinished.replace(cell.result())
    print(f"study.py: {cell.name}: done in {seconds:.0f} s", file=sys.stderr)
    return True


def human(number):
    """1234567 → 1.23M, as moe-run's table writes it."""
    if number is None:
        return "–"
    for unit in ("", "k", "M", "G", "T", "P"):
        if abs(number) < 1000:
            return f"{number:.3g}{unit}"
        number /= 1000
    return f"{number:.3g}E"


def with_error(row, metric):
    """A mean in percent, with its standard error where there is one."""
    if row.get(metric) is None:
        return "–"
    error = row.get(f"{metric}_error")
    return f"{100 * row[metric]:.1f}" + (f" ± {100 * error:.1f}" if error is not None else "")


def lead_text(row, name="lead"):
    """The lead `name` in points, with its interval; nothing if the row has none."""
    if row.get(name) is None:
        return ""
    points = (round(100 * row[name + end], 1) + 0.0 for end in ("", "_low", "_high"))  # + 0.0: no -0.0
    return "{:+.1f} [{:+.1f}, {:+.1f}]".format(*points)


def print_table(cells):
    """Prints a Markdown table for each cell that has a result."""
    for cell in cells:
        result = cell.read_result()
        if result is None:
            continue
        rows = [row for row in result["table"] if row["labels"] == "truth"]
        against = "truth" if rows else "tags"
        rows = rows or result["table"]
        base = next(row for row in rows if row["key"] == "base")
        print(f"\n**{cell.name}**: `{' '.join(cell.settings)}`; {result['images_shown'] / base['parameters']:.1f} "
              f"images shown a parameter; {rows[0]['seeds']} seed{'s' if rows[0]['seeds'] > 1 else ''}; "
              f"against {against}\n")
        levers = [row for row in rows if row.get("over")]  # each has its own lead over base and controls
        heads = ["mixture's lead in P@1"] + [f"{lever['name'].split(',')[0]}: lead" for lever in levers]
        print(f"| | P@1 | P@5 | R@10 | {' | '.join(heads)} | FLOPs an image | training FLOPs | parameters |")
        print("|---" * (7 + len(heads)) + "|")
        for row in rows:
            metrics = " | ".join(with_error(row, metric) for metric in ("P@1", "P@5", "R@10"))
            leads = [lead_text(row)] + [lead_text(lever, f"ahead_of_{row['key']}") for lever in levers]
            print(f"| {row['name']} | {metrics} | {' | '.join(leads)} | {human(row['flops_per_image'])} | "
                  f"{human(row['training_flops'])} | {human(row['parameters'])} |")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0],
                                     epilog="\n".join(__doc__.split("\n")[2:]),
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config", help="configs/studies/NAME.yaml")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE",
                        help="for every cell: run.dataset=DATASET, run.parallel=2; not kept with the results")
    parser.add_argument("--only", default="", metavar="REGEX", help="cells whose names match")
    parser.add_argument("--minutes", type=float, metavar="N", help="begin no cell after so long")
    parser.add_argument("--out", default="runs/studies", help="where the runs go (%(default)s)")
    parser.add_argument("--bin", default=str(ROOT / "build" / "bin"), help="folder of the commands")
    parser.add_argument("--list", action="store_true", help="only list the cells, and which have results")
    parser.add_argument("--table", action="store_true", help="only print the results, as Markdown")
    options = parser.parse_args()
    config = pathlib.Path(options.config)
    cells = [cell for cell in read_cells(config.with_suffix(".cells")) if re.search(options.only, cell.name)]
    if options.list:
        for cell in cells:
            print(f"{cell.name}\t{'done' if cell.read_result() else 'to do'}\t{' '.join(cell.settings)}")
        return 0
    if options.table:
        print_table(cells)
        return 0
    began = time.monotonic()
    failed = 0
    for cell in cells:
        if cell.read_result():
            continue
        if options.minutes is not None and time.monotonic() - began > 60 * options.minutes:
            print(f"study.py: {cell.name} and those after it are left for another call", file=sys.stderr)
            break
        failed += not run_cell(cell, options)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
