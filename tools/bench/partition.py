#!/usr/bin/env python3
"""K-means, ours and other programs' in turn on the same machine: each run's line, then medians and ratios.

     tools/bench/partition.py X.npy [--clusters K …] [--rounds N] [--sides SIDE …] [--out FILE]
     tools/bench/partition.py /tmp/x.npy --clusters 64 1000 10000

   Sides: plain (ours, as it comes), exact and near (its search), one and near-one (one iteration), balanced (to 5 %), and
   the peers of kmeans_peer.py. X.npy is made where it is not there (--make 1000000x256).
"""
import argparse
import json
import pathlib
import statistics
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
OURS = {"plain": [], "exact": ["--search", "exact"], "near": ["--search", "near"], "one": ["--iterations", "1"],
        "near-one": ["--search", "near", "--iterations", "1"],
        "balanced": ["--tolerance", "0.05"]}
PEERS = ["superkmeans", "superkmeans-tree", "faiss", "sklearn", "constrained"]
FIELDS = ["train_s", "assign_s", "inertia", "agreement", "iterations", "min", "max", "rss_mb"]


def command(side, clusters, options):
    if side in OURS:
        return [ROOT / "build/bin/bench-kmeans", options.file, "--clusters", str(clusters),
                *OURS[side], *options.ours.split()]
    return [options.python, ROOT / "tools/bench/kmeans_peer.py", options.file, side, "--clusters", str(clusters)]


def median_line(clusters, side, rows, first):
    line = {"k": clusters, "side": side, "rounds": len(rows)}
    line["seconds"] = round(statistics.median(row["train_s"] + row["assign_s"] for row in rows), 3)
    line.update({field: round(statistics.median(row[field] for row in rows), 4) for field in FIELDS
                 if field in rows[0]})
    line["times_ours"] = round(line["seconds"] / (first or line["seconds"]), 3)
    if "version" in rows[0]:
        line["version"] = rows[0]["version"]
    return line


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file")
    parser.add_argument("--clusters", type=int, nargs="+", default=[64, 1000])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--sides", nargs="+", choices=[*OURS, *PEERS],
                        default=["plain", "superkmeans", "superkmeans-tree", "faiss"])
    parser.add_argument("--make", default="1000000x256")
    parser.add_argument("--ours", default="", help="more options of bench-kmeans")
    parser.add_argument("--python", default=ROOT / ".cache/peers/bin/python")
    parser.add_argument("--out", help="where the medians are appended")
    parser.add_argument("--machine", default="", help="told in each line of --out")
    options = parser.parse_args()
    if not pathlib.Path(options.python).exists() and any(side in PEERS for side in options.sides):
        sys.exit(f"partition.py: {options.python} is not there; run tools/setup.sh --peers, or name one by --python")
    if not (ROOT / "build/CMakeCache.txt").exists():
        subprocess.run([ROOT / "tools/configure.sh"], check=True, stdout=sys.stderr)
    subprocess.run(["cmake", "--build", ROOT / "build", "--target", "bench-kmeans"], check=True,
                   stdout=sys.stderr)
    if not pathlib.Path(options.file).exists():
        subprocess.run([options.python, ROOT / "tools/bench/kmeans_peer.py", options.file, "--make", options.make],
                       check=True)
    for clusters in options.clusters:
        found = {side: [] for side in options.sides}
        for _ in range(options.rounds):
            for side in options.sides:
                run = subprocess.run(command(side, clusters, options), check=True, stdout=subprocess.PIPE,
                                     stderr=subprocess.DEVNULL, text=True)
                found[side].append(json.loads(run.stdout.splitlines()[-1]))
                print(side, run.stdout.splitlines()[-1], file=sys.stderr)
        first = None
        for side, rows in found.items():
            line = median_line(clusters, side, rows, first)
            first = first or line["seconds"]
            print(json.dumps(line), flush=True)
            if options.out:
                with open(options.out, "a", encoding="utf-8") as file:
                    file.write(json.dumps({**line, "machine": options.machine}) + "\n")


if __name__ == "__main__":
    main()
