#!/usr/bin/env python3
"""Runs a study: the same run with other settings, cell by cell, and keeps each cell's results.

  study.py configs/studies/NAME.yaml --set run.dataset=DATASET    run the cells that have no result yet
  study.py configs/studies/NAME.yaml --table                      print the table of the results there are

NAME.yaml holds what all cells share, a configuration of moe-run. NAME.cells, beside it, lists the cells: a
line each has a name and the settings of moe-run's --set that are the cell's own. A cell's run goes into
runs/studies/NAME/CELL, and is gone on with where it was interrupted; its results, with settings and machine,
into tools/bench/results/studies/NAME/CELL.json, and a cell that has them is not run again; results of
other settings than the cell's are refused.

Where a line has moe-train-base or moe-train-sparse between name and settings, the cell is one network: trained
by that command and evaluated for each of run.seeds seeds, as moe-run would have it, and compared, image by image,
with the mixture of the first cell before it that is moe-run's. The table of such a study has a row for each cell.

  study.py configs/studies/NAME.yaml --name OTHER --set run.dataset=DATASET

is the same study of other data: a study OTHER, of the settings in NAME.yaml, NAME.cells and --set.
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

NETWORK_COMMANDS = {"moe-train-base": "base", "moe-train-sparse": "sparse"}  # with the section of each
METRICS = ("P@1", "P@5", "R@10")
LEADS = {"P@1": "lead", "R@10": "lead_in_R@10"}  # a network's row: how far the mixture is ahead of it
ROOT = pathlib.Path(__file__).resolve().parents[1]
RESULTS = ROOT / "tools" / "bench" / "results" / "studies"


class Cell:
    """One line of NAME.cells. `mixture`: of a network's cell, the moe-run's cell that it is compared with."""

    def __init__(self, study, name, command, settings, shared, mixture=None):
        self.study, self.name, self.command, self.settings, self.shared = study, name, command, settings, shared
        self.mixture = mixture

    def is_network(self):
        return self.command in NETWORK_COMMANDS

    def result(self):
        return RESULTS / self.study / f"{self.name}.json"

    def read_result(self):
        """The cell's result; None if there is none. Ends the program if it is of other settings."""
        if not self.result().exists():
            return None
        result = json.loads(self.result().read_text(encoding="utf-8"))
        made_by = (result.get("command", "moe-run"), result["settings"], result["shared_settings"])
        if made_by != (self.command, self.settings, self.shared):
            sys.exit(f"study.py: {self.result()}: is of other settings ({' '.join(result['settings'])}, or another "
                     f"configuration of the study {self.study}); give the cell another name, or delete the file")
        return result


def fingerprint_of(path, also=()):
    """A hash of what the configuration says, whatever its comments, and of the lines `also`."""
    lines = (line.split(" #")[0].rstrip() for line in path.read_text(encoding="utf-8").splitlines())
    said = "\n".join([line for line in lines if line and not line.startswith("#")] + list(also))
    return hashlib.sha256(said.encode()).hexdigest()


def added_settings(options):
    """Those of --set that make another study of the same cells, whatever their order."""
    return sorted(word for word in options.set if options.name and not word.startswith("run.parallel="))


def read_cells(path, options):
    """The cells listed in the file; '#' begins a comment. Of another study than the file's, --set counts too."""
    study = options.name or path.stem
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        sys.exit(f"study.py: {path}: {error.strerror}; a study has its cells there, a line each: "
                 "NAME [COMMAND] KEY=VALUE …")
    shared = fingerprint_of(path.with_suffix(".yaml"), added_settings(options))
    cells = []
    for number, line in enumerate(text.splitlines(), 1):
        words = line.split("#")[0].split()
        if not words:
            continue
        name, settings = words[0], words[1:]
        command = settings.pop(0) if settings and settings[0] in NETWORK_COMMANDS else "moe-run"
        wrong = [word for word in settings if "=" not in word]
        if wrong or not re.fullmatch(r"[\w.-]+", name):
            sys.exit(f"study.py: {path}:{number}: expected NAME [COMMAND] KEY=VALUE …, "
                     f"found '{(wrong or [name])[0]}'")
        if name in [cell.name for cell in cells]:
            sys.exit(f"study.py: {path}:{number}: a second cell called {name}")
        mixture = next((cell for cell in cells if not cell.is_network()), None)
        cells.append(Cell(study, name, command, settings, shared, mixture))
    return cells


def machine():
    """The processor's name and the number of them, as the results' reader wants to know."""
    try:
        names = re.findall(r"model name\s*: (.*)", pathlib.Path("/proc/cpuinfo").read_text(encoding="utf-8"))
    except OSError:
        names = []
    return {"processor": names[0] if names else "unknown", "processors": os.cpu_count()}


def call(options, command, *words, settings=()):
    """Runs one of the commands, and returns what it printed. Throws CalledProcessError if it fails."""
    line = [str(pathlib.Path(options.bin) / command), *map(str, words)]
    for setting in settings:
        line += ["--set", setting]
    return subprocess.run(line, stdout=subprocess.PIPE, text=True, check=True).stdout


def read_json(path):
    return json.loads(path.read_text(encoding="utf-8"))


def shown_images(model, section):
    """How many images a network was shown in training, with repetition: its steps times its batch."""
    record = read_json(model / "stage.json")
    return record["results"]["steps"] * record["inputs"][section]["batch"]


def use_in_mixture(evaluation):
    """The images of a mixture's busiest expert over the mean of all, in the evaluation."""
    experts = read_json(evaluation / "metrics.json")["tags"]["experts"]
    images = [expert["images"] + expert["without_tags"] for expert in experts]
    return max(images) * len(images) / sum(images)


def use_in_layers(model):
    """The same of a network's layers of experts, of the most uneven one, lately in training; None if it has none."""
    last = {}
    for line in (model / "log.jsonl").read_text(encoding="utf-8").splitlines():
        last.update({key: value for key, value in json.loads(line).items() if key.startswith("max_over_mean/")})
    return max(last.values(), default=None)


def seed_folders(out, seeds):
    """Where moe-run leaves its seeds."""
    return [out if number == 0 else out / f"seed-{seed}" for number, seed in enumerate(seeds)]


def planned_run(cell, options):
    """The dataset and the seeds, as moe-run reads them."""
    settings = options.set + [setting for setting in cell.settings if setting.startswith("run.")]
    config = call(options, "moe-run", options.config, "--print-config", settings=settings)
    dataset, seed, seeds = (re.search(rf"^{key}: \"?([^\"\n]*?)\"?(  #.*)?$", config, re.MULTILINE).group(1)
                            for key in ("  dataset", "seed", "  seeds"))
    return dataset, [int(seed) + number for number in range(int(seeds))]


def mean(values):
    return None if None in values else sum(values) / len(values)


def network_row(name, models, evaluations, compared, labels):
    """The row of a network's cell, in the form of moe-run's. `compared`: by moe-compare, perhaps with the mixture."""
    results = [read_json(model / "stage.json")["results"] for model in models]
    metrics = [read_json(evaluation / "metrics.json") for evaluation in evaluations]
    row = {"key": name, "name": name, "labels": labels, "seeds": len(models)}
    for metric in METRICS:
        own, *mixture = compared[f"{labels} {metric}"]
        row[metric], row[f"{metric}_error"] = own["mean"], own["standard_error"]
        if mixture and metric in LEADS:
            difference = mixture[0]["difference"]
            row.update({LEADS[metric] + end: difference[key]
                        for end, key in (("", "mean"), ("_low", "low"), ("_high", "high"))})
    for cost in ("parameters", "flops_per_image"):
        row[cost] = mean([each[cost] for each in metrics])
    row["training_flops"] = mean([each["training_flops"] for each in results])
    row["training_seconds"] = mean([each["seconds"] for each in results])
    row["max_over_mean"] = mean([use_in_layers(model) for model in models])
    return row


def run_network(cell, options, out):
    """Trains and evaluates the cell's network for each seed, or what is not done of it. Returns the results."""
    dataset, seeds = planned_run(cell, options)
    folders = seed_folders(out, seeds)
    for seed, folder in zip(seeds, folders):
        call(options, cell.command, dataset, "--config", options.config, "--out", folder / "model",
             settings=[*options.set, *cell.settings, f"seed={seed}"])
        call(options, "moe-eval", dataset, "--model", folder / "model", "--out", folder / "eval")
    models, evaluations = [folder / "model" for folder in folders], [folder / "eval" for folder in folders]
    systems = [evaluations]
    if cell.mixture:
        others = [folder / "eval" / "local" for folder in seed_folders(out.parent / cell.mixture.name, seeds)]
        if all(other.exists() for other in others):
            systems.append(others)
        else:
            print(f"study.py: {cell.name}: is compared with nothing: {cell.mixture.name} has not run in "
                  f"{out.parent}", file=sys.stderr)
    compared = json.loads(call(options, "moe-compare", "--json",
                               *(",".join(map(str, system)) for system in systems)))
    labels = [labels for labels in ("tags", "truth") if f"{labels} P@1" in compared]
    return {"images_shown": shown_images(models[0], NETWORK_COMMANDS[cell.command]),
            "table": [network_row(cell.name, models, evaluations, compared, each) for each in labels]}


def run_mixture(cell, options, out):
    """Runs moe-run for the cell, or what is not done of it. Returns the results."""
    call(options, "moe-run", options.config, "--out", out, settings=options.set + cell.settings)
    table = read_json(out / "summary.json")["table"]
    folders = seed_folders(out, planned_run(cell, options)[1])
    for row in table:
        if row["greatest_share"] is not None:
            row["max_over_mean"] = mean([use_in_mixture(folder / "eval" / row["key"]) for folder in folders])
    return {"images_shown": shown_images(out / "base", "base"), "table": table}


def run_cell(cell, options):
    """Runs the cell, or the rest of it, and writes its result. Returns whether it is done."""
    out = pathlib.Path(options.out) / cell.study / cell.name
    began = time.monotonic()
    try:
        results = run_network(cell, options, out) if cell.is_network() else run_mixture(cell, options, out)
    except subprocess.CalledProcessError as error:
        print(f"study.py: {cell.name}: {pathlib.Path(error.cmd[0]).name} ended with status {error.returncode}",
              file=sys.stderr)
        return False
    seconds = time.monotonic() - began
    commit = subprocess.run(["git", "-C", str(ROOT), "rev-parse", "--short", "HEAD"], capture_output=True,
                            text=True, check=False).stdout.strip()
    result = {"study": cell.study, "cell": cell.name, "command": cell.command, "settings": cell.settings,
              "shared_settings": cell.shared, "machine": machine(),
              "set": added_settings(options), "commit": commit, "seconds_of_last_call": round(seconds, 1),
              **results}
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


def print_networks(cells):
    """Prints one Markdown table, a row for each cell that has a result: a network, or a mixture as a whole."""
    rows = []
    for cell in cells:
        table = (cell.read_result() or {"table": []})["table"]
        found = [row for row in table if cell.is_network() or row["key"] == "local"]
        found = [row for row in found if row["labels"] == "truth"] or found[:1]
        rows += [row | {"name": cell.name} for row in found]
    print("| | P@1 | P@5 | R@10 | mixture's lead in P@1 | in R@10 | most used expert over mean | FLOPs an image | "
          "training FLOPs | parameters |")
    print("|---" * 10 + "|")
    for row in rows:
        cells_of_row = [with_error(row, metric) for metric in METRICS]
        cells_of_row += [lead_text(row, lead) for lead in LEADS.values()]
        use = row.get("max_over_mean")
        cells_of_row += ["–" if use is None else f"{use:.2f}"]
        cells_of_row += [human(row[cost]) for cost in ("flops_per_image", "training_flops", "parameters")]
        print(f"| {row['name']} | {' | '.join(cells_of_row)} |")


def print_table(cells):
    """Prints a Markdown table for each cell that has a result; of a study with networks' cells one for all."""
    if any(cell.is_network() for cell in cells):
        print_networks(cells)
        return
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
            metrics = " | ".join(with_error(row, metric) for metric in METRICS)
            leads = [lead_text(row)] + [lead_text(lever, f"ahead_of_{row['key']}") for lever in levers]
            print(f"| {row['name']} | {metrics} | {' | '.join(leads)} | {human(row['flops_per_image'])} | "
                  f"{human(row['training_flops'])} | {human(row['parameters'])} |")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0],
                                     epilog="\n".join(__doc__.split("\n")[2:]),
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config", help="configs/studies/NAME.yaml")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE",
                        help="for every cell: run.dataset=DATASET, run.parallel=2; not kept with the results, but "
                             "for --name")
    parser.add_argument("--name", default="", help="keep runs and results as those of another study, with --set")
    parser.add_argument("--only", default="", metavar="REGEX", help="cells whose names match")
    parser.add_argument("--minutes", type=float, metavar="N", help="begin no cell after so long")
    parser.add_argument("--out", default="runs/studies", help="where the runs go (%(default)s)")
    parser.add_argument("--bin", default=str(ROOT / "build" / "bin"), help="folder of the commands")
    parser.add_argument("--list", action="store_true", help="only list the cells, and which have results")
    parser.add_argument("--table", action="store_true", help="only print the results, as Markdown")
    options = parser.parse_args()
    config = pathlib.Path(options.config)
    cells = read_cells(config.with_suffix(".cells"), options)
    cells = [cell for cell in cells if re.search(options.only, cell.name)]
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
