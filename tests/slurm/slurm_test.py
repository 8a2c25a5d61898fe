#!/usr/bin/env python3
"""Runs moe-run --launcher slurm on a real Slurm that it starts on this machine (cluster.py), and does to it
what clusters do: an expert fails, a time limit strikes, a node is drained, a job is queued again.

  slurm_test.py --commands build/bin              all tests, a minute
  slurm_test.py --commands build/bin TestSlurm.test_a_time_limit_strikes

Ends with status 77, which ctest takes for skipped, where this machine has no Slurm.
"""
import argparse
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time
import unittest

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "fault")]
import cluster  # noqa: E402
import faults  # noqa: E402

CONFIGURATION = """
model: {depth: 18, stem: small, width: 8, image_size: 16}
base: {epochs: 2, batch: 16, lr: 0.05, log_every: 1, augment: {crop: pad, padding: 2}}
partition: {experts: 3, pca: 8}
expert: {epochs: 2, batch: 8, lr: 0.02, log_every: 1, augment: {crop: pad, padding: 2}}
decoder: {epochs: 1, batch: 16, lr: 0.1}
ingest: {sources: [images.jsonl], val_fraction: 0.2}
run: {controls: none}
slurm: {cpus: 1, setup: ["export OMP_WAIT_POLICY=passive  # two nodes share this machine"]}
"""
commands = None
slurm = None


class TestSlurm(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="hardmoe-slurm-"))
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        self.addCleanup(self.end_jobs)
        self.work = self.folder / "5% of my work"
        self.waiting_since = {}  # of jobs that were queued again
        faults.write_pictures(self.work)
        (self.work / "c.yaml").write_text(CONFIGURATION)

    # ---- what a person would type

    def moe_run(self, *words, status=0):
        """Runs moe-run where a person would; its standard output, or of one that fails its messages."""
        done = slurm.run([str(commands / "moe-run"), *words], cwd=self.work)
        self.assertEqual(done.returncode, status, done.stderr)
        return done.stdout if status == 0 else done.stderr

    def submit(self, *words):
        """Submits; the jobs by the names of their scripts."""
        lines = self.moe_run("c.yaml", "--out", "run", "--launcher", "slurm", "--quiet", *words).splitlines()
        jobs = [line.split("\t") for line in lines]
        return {re.sub(r" \(\d+\)$", "", name): job for job, name in jobs}

    # ---- what becomes of it

    def queue(self):
        return slurm.output(["squeue", "--noheader", "--array", "--format=%i %T %r"]).splitlines()

    def wait_until(self, condition, what, seconds=120):
        """Waits until it holds. Jobs that were queued again meanwhile need not wait for two minutes."""
        end = time.monotonic() + seconds
        while not condition():
            self.hurry()
            self.assertLess(time.monotonic(), end, f"{what}\n{self.queue()}\n{self.logs()}")
            time.sleep(0.2)

    def wait_for_all(self, seconds=180):
        """Waits until the queue is empty."""
        self.wait_until(lambda: not self.queue(), "jobs have not ended", seconds)

    def hurry(self):
        """Spares jobs that were queued again their two minutes. Not at once: the message that the attempt
        before has ended would end the next one, if that has begun (seen with 22.05.8)."""
        for line in self.queue():
            job, state, reason = line.split(" ", 2)
            if state != "PENDING" or reason != "BeginTime":
                self.waiting_since.pop(job, None)
            elif time.monotonic() - self.waiting_since.setdefault(job, time.monotonic()) > 6:
                slurm.run(["scontrol", "update", f"JobId={job}", "StartTime=now"])

    def is_running(self, job):
        return self.job(job, "JobState") == "RUNNING"

    def end_jobs(self):
        for line in self.queue():
            slurm.run(["scancel", line.split(" ")[0]])
        self.wait_until(lambda: not self.queue(), "jobs do not end")

    def logs(self):
        logs = sorted((self.work / "run/slurm").glob("*.txt"))
        return "\n".join(f"{log.name}: {log.read_text()}" for log in logs)

    def log(self, name):
        """What the jobs of a script said."""
        return "\n".join(log.read_text() for log in (self.work / "run/slurm").glob(f"{name}-*.txt"))

    def job(self, job, key):
        """What Slurm knows of a job, such as its JobState, or of an array's task."""
        return re.search(rf"\b{key}=(\S+)", slurm.output(["scontrol", "show", "job", job])).group(1)

    def is_done(self, folder):
        record = self.work / "run" / folder / "stage.json"
        return record.exists() and json.loads(record.read_text())["done"]

    def lines_of(self, folder):
        log = self.work / "run" / folder / "log.jsonl"
        return len(log.read_text().splitlines()) if log.exists() else 0

    def assert_all_done(self):
        self.assertTrue((self.work / "run/summary.json").exists(), self.logs())
        self.assertIn("mixture, shared decoder", self.logs(), "nobody printed the table")

    # ---- tests

    def test_an_expert_fails_is_redone_by_hand_and_the_decoder_runs(self):
        (self.work / "run/experts/1").mkdir(parents=True)
        (self.work / "run/experts/1/thesis.tex").write_text("not ours")
        (self.work / "run/config.yaml").write_text("")
        jobs = self.submit()
        self.assertEqual(list(jobs), ["ingest", "base", "embedding", "partition", "expert", "decoder",
                                      "evaluation base", "evaluation local", "evaluation shared"])
        self.wait_for_all()
        self.assertEqual(self.job(jobs["base"], "JobState"), "COMPLETED")
        self.assertEqual(self.job(f"{jobs['expert']}_1", "JobState"), "FAILED")
        self.assertIn("thesis.tex", self.log("expert"))
        self.assertEqual([self.is_done(f"experts/{k}") for k in range(3)], [True, False, True])
        self.assertRegex(self.log("decoder"), "decoder needs what is not done yet:\n *expert 1\n")
        status = {stage["stage"]: stage for stage in json.loads(self.moe_run(
            "c.yaml", "--out", "run", "--status", "--json"))["stages"]}
        self.assertEqual(status["expert 1"]["state"], "failed")
        self.assertIn("thesis.tex", status["expert 1"]["error"])
        self.assertRegex(status["expert 0"]["where"], rf"on node\d, Slurm job {jobs['expert']}_0$")
        self.assertFalse((self.work / "run/summary.json").exists())

        shutil.rmtree(self.work / "run/experts/1")
        line = re.search(r"^.*moe-run .* --only \"expert \$part\" &$",
                         (self.work / "run/slurm/expert.sbatch").read_text(), re.M).group(0)
        by_hand = slurm.run(["bash", "-c", line.replace("$part", "1").rstrip("& ")], cwd=self.work)
        self.assertEqual(by_hand.returncode, 0, by_hand.stderr)
        self.assertEqual(list(self.submit()), ["decoder", "evaluation local", "evaluation shared"])
        self.assertEqual(self.submit(), {}, "all that is left is in the queue")
        self.wait_for_all()
        self.assert_all_done()

    def test_what_slurm_does_not_take_is_one_sentence_and_leaves_nothing(self):
        said = self.moe_run("c.yaml", "--out", "run", "--launcher", "slurm", "--set", "slurm.partition=nowhere",
                            status=1)
        self.assertIn("invalid partition specified: nowhere", said)
        self.assertEqual(said.count("\n"), 1, said)
        self.assertEqual(self.queue(), [])

    def test_cancel_ends_what_was_submitted(self):
        self.submit("--set", "base.epochs=10000")
        self.wait_until(lambda: self.lines_of("base") > 3, "the base does not begin")
        self.assertIn("jobs ended", self.moe_run("c.yaml", "--out", "run", "--cancel"))
        self.wait_for_all()
        self.assertFalse(self.is_done("base"))
        self.assertTrue((self.work / "run/base/checkpoint.safetensors").exists(), "it did not save")

    def test_a_node_is_drained(self):
        self.submit("--set", "expert.epochs=1000", "--until", "expert")
        self.wait_until(lambda: self.lines_of("experts/0") > 3, "no expert begins")
        slurm.output(["scontrol", "update", "NodeName=node1", "State=DRAIN", "Reason=test"])
        self.addCleanup(slurm.run, ["scontrol", "update", "NodeName=node1", "State=RESUME"])
        self.wait_for_all()
        self.assertEqual([self.is_done(f"experts/{k}") for k in range(3)], [True] * 3)
        later = self.submit()
        self.wait_for_all()
        self.assertEqual(self.job(later["decoder"], "NodeList"), "node2")
        self.assert_all_done()

    def test_a_job_is_requeued_twice(self):
        jobs = self.submit("--set", "expert.epochs=2000")
        task = f"{jobs['expert']}_1"
        for times in (1, 2):
            before = self.lines_of("experts/1")
            self.wait_until(lambda: self.lines_of("experts/1") > before + 3, "expert 1 does not go on")
            slurm.output(["scontrol", "requeue", task])
            self.wait_until(lambda: self.job(task, "JobState") == "PENDING", "it is not queued again")
            self.assertEqual(self.job(task, "Restarts"), str(times))
            self.wait_until(lambda: self.is_running(task), "it does not go on")
        self.wait_for_all()
        self.assert_all_done()

    def test_a_time_limit_strikes(self):
        # A limit is a minute at least, and Slurm's signal may come a minute early: as soon as a job begins.
        self.submit("--only", "ingest")
        self.wait_for_all()
        jobs = self.submit("--set", "slurm.time=1", "--set", "slurm.grace=50", "--set", "base.epochs=100000")
        base = jobs["base"]
        self.wait_until(lambda: self.lines_of("base") > 3, "the base does not begin")
        self.wait_until(lambda: self.job(base, "Restarts") == "1", "it is not queued again")
        self.assertTrue((self.work / "run/base/checkpoint.safetensors").exists(), self.logs())
        self.assertIn("same command again to resume", self.log("base"))
        lines = self.lines_of("base")
        self.wait_until(lambda: self.is_running(base), "it is not begun again")
        self.wait_until(lambda: self.lines_of("base") > lines, "it does not go on")
        self.moe_run("c.yaml", "--out", "run", "--cancel")


def main():
    global commands, slurm
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--commands", type=pathlib.Path, required=True, help="the folder of moe-run")
    parser.add_argument("tests", nargs="*", help="TestSlurm.NAME (default: all)")
    options = parser.parse_args()
    commands = options.commands.resolve()
    if cluster.missing():
        print(f"skipped: this machine has {cluster.missing()}")
        sys.exit(77)
    tests = options.tests or ["TestSlurm"]
    with tempfile.TemporaryDirectory(prefix="hardmoe-cluster-") as folder:
        with cluster.Cluster(folder) as slurm:
            suite = unittest.defaultTestLoader.loadTestsFromNames(tests, sys.modules[__name__])
            result = unittest.TextTestRunner(verbosity=2).run(suite)
    sys.exit(0 if result.wasSuccessful() else 1)


if __name__ == "__main__":
    main()
