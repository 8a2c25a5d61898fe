#!/usr/bin/env python3
"""How much a run of many experts costs beside its experts, on a real Slurm that this starts on this machine
(tests/slurm/cluster.py): every stage is replaced by a sleep, some experts fail at first, and what is left is
moe-run's and Slurm's own.

  tools/bench/slurm_overhead.py --commands build/bin --experts 512 --sleep 4 --fail 0.05

Prints one line of JSON:
  submit_seconds   moe-run --launcher slurm, for all jobs
  seconds          from there until the last expert is done, in `slots` jobs at a time
  plain_seconds    of a plain array of as many sleeps in the same Slurm: what Slurm itself takes here
  sleep_seconds    what the sleeps alone take in so many slots, those of failed attempts among them
  failed           attempts that failed, and were made again by run.retries
  status_seconds   moe-run --status, of all stages at the end
All nodes are this machine: with few processors, jobs wait for those.
"""
import argparse
import json
import pathlib
import re
import shutil
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/slurm"))
import cluster  # noqa: E402

COMMANDS = ("moe-ingest", "moe-train-base", "moe-embed", "moe-partition", "moe-train-expert", "moe-train-decoder",
            "moe-eval")
# A command that sleeps and leaves the record of a stage that is done. An expert whose folder has no file
# `tried` fails, if its number is among the first ones of every `period`.
STAND_IN = """#!/bin/bash
expert=
for ((i = 1; i <= $#; ++i)); do
  [[ ${{!i}} == --out ]] && next=$((i + 1)) && out=${{!next}}
  [[ ${{!i}} == --expert ]] && next=$((i + 1)) && expert=${{!next}}
done
mkdir -p "$out"
[[ -e $out/stage.json ]] && exit 0
echo begun >> "$out/attempts"
[[ -n $expert ]] && sleep {sleep}
if [[ -n $expert && ! -e $out/tried ]] && (( {period} > 0 && expert % {period} == 0 )); then
  touch "$out/tried"
  echo "this expert fails at first" >&2
  exit 1
fi
echo '{{"command": "{command}", "done": true, "outputs": {{}}, "results": {{}}, "seconds": {sleep}}}' > "$out/stage.tmp"
mv "$out/stage.tmp" "$out/stage.json"
"""
CONFIGURATION = """
model: {{depth: 18, stem: small, width: 8, image_size: 16}}
partition: {{experts: {experts}}}
run: {{dataset: {dataset}, controls: none, retries: 3}}
slurm: {{cpus: 1}}
"""


def make_commands(folder, commands, sleep, period):
    """A folder of commands: moe-run itself, and a stand-in for each of the others."""
    folder.mkdir()
    shutil.copy2(commands / "moe-run", folder / "moe-run")
    for name in COMMANDS:
        (folder / name).write_text(STAND_IN.format(command=name, sleep=sleep, period=period))
        (folder / name).chmod(0o755)


class Hurry:
    """Lets jobs that were queued again begin after some seconds, not in two minutes, which are Slurm's and the
    same for all. At once would be too early: the end of the earlier attempt would end the new one."""
    def __init__(self, slurm):
        self.slurm = slurm
        self.seen = {}

    def __call__(self):
        listed = self.slurm.output(["squeue", "--noheader", "--array", "--states=PENDING", "--format=%i %r"])
        waiting = {line.split(" ")[0] for line in listed.splitlines() if line.endswith(" BeginTime")}
        now = time.monotonic()
        self.seen = {job: self.seen.get(job, now) for job in waiting}
        for job in [job for job, since in self.seen.items() if now - since > 5]:
            self.slurm.run(["scontrol", "update", f"JobId={job}", "StartTime=now"])


def slots_of(slurm):
    """How many jobs of one processor the cluster runs at a time: its partition lets jobs share processors."""
    shown = slurm.output(["scontrol", "show", "partition", "main"])
    shares = int(re.search(r"OverSubscribe=FORCE:(\d+)", shown).group(1))
    return shares * int(re.search(r"TotalCPUs=(\d+)", shown).group(1))


def plain_array(slurm, work, options):
    """Seconds of an array of as many tasks that do nothing but sleep, from its submission to its end."""
    script = work / "plain.sbatch"
    script.write_text(f"#!/bin/bash\n#SBATCH --output=/dev/null\nsleep {options.sleep}\n")
    start = time.monotonic()
    slurm.output(["sbatch", f"--array=0-{options.experts - 1}", str(script)])
    while slurm.output(["squeue", "--noheader"]):
        time.sleep(0.5)
    return time.monotonic() - start


def measure(slurm, work, options):
    slots = slots_of(slurm)
    plain_seconds = plain_array(slurm, work, options)

    def run(*words):
        done = slurm.run([str(work / "bin/moe-run"), "c.yaml", "--out", "run", *words], cwd=work)
        if done.returncode != 0:
            raise SystemExit(f"moe-run {' '.join(words)}: {done.stderr}")

    experts = [work / "run/experts" / str(k) for k in range(options.experts)]
    run("--until", "partition", "--quiet")
    start = time.monotonic()
    run("--only", "expert", "--launcher", "slurm", "--quiet")
    submitted, hurry = time.monotonic(), Hurry(slurm)
    while not all((expert / "stage.json").exists() for expert in experts):
        if time.monotonic() - start > options.minutes * 60:
            raise SystemExit(f"not done after {options.minutes} minutes; {slurm.last_words()}")
        hurry()
        time.sleep(0.5)
    seconds = time.monotonic() - start
    attempts = sum(len((expert / "attempts").read_text().splitlines()) for expert in experts)
    looked = time.monotonic()
    run("--status")
    status_seconds = time.monotonic() - looked
    return {"experts": options.experts, "sleep": options.sleep, "slots": slots, "jobs": attempts,
            "failed": attempts - options.experts, "submit_seconds": round(submitted - start, 2),
            "seconds": round(seconds, 1), "plain_seconds": round(plain_seconds, 1),
            "sleep_seconds": -(-attempts // slots) * options.sleep, "status_seconds": round(status_seconds, 2),
            "slurm": slurm.output(["sbatch", "--version"]).strip()}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--commands", type=pathlib.Path, required=True, help="the folder of moe-run")
    parser.add_argument("--experts", type=int, default=512)
    parser.add_argument("--sleep", type=float, default=4, help="seconds that an expert takes")
    parser.add_argument("--fail", type=float, default=0.05, help="share of the experts that fail at first")
    parser.add_argument("--minutes", type=float, default=15, help="at most")
    options = parser.parse_args()
    if options.experts > 1000:
        parser.error("--experts: at most 1000, as the plain array has no more tasks by Slurm's default")
    if cluster.missing():
        raise SystemExit(f"this machine has {cluster.missing()}")
    with tempfile.TemporaryDirectory(prefix="hardmoe-slurm-overhead-") as name:
        work = pathlib.Path(name)
        period = round(1 / options.fail) if options.fail > 0 else 0
        make_commands(work / "bin", options.commands.resolve(), options.sleep, period)
        (work / "dataset").mkdir()
        (work / "c.yaml").write_text(CONFIGURATION.format(experts=options.experts, dataset=work / "dataset"))
        with cluster.Cluster(work / "cluster") as slurm:
            print(json.dumps(measure(slurm, work, options)), flush=True)


if __name__ == "__main__":
    main()
