"""tools/gpu_check.py with programs that only pretend: what it keeps, repeats and leaves out.

  gpu_check_test.py SOURCE
"""
import json
import os
import pathlib
import stat
import subprocess
import sys
import tempfile
import unittest

SOURCE = pathlib.Path(sys.argv.pop(1)).resolve()
sys.path.insert(0, str(SOURCE / "tools"))
import gpu_check  # noqa: E402

PRETENDERS = {
    "moe-device": """
        import json, sys
        if "--json" in sys.argv:
            print(json.dumps({"devices": [{"device": "cuda:0", "name": open(here + "/name").read().strip()}]}))
    """,
    "bench-step": """
        import json, sys
        print("ready", flush=True)
        for number, line in enumerate(sys.stdin):
            print(json.dumps({"images_per_second": 1000.0 + number, "memory_bytes": 2**30, "compile_seconds": 0.5,
                              "flops_an_image": 1e9}), flush=True)
        if "--profile" in sys.argv:
            print(json.dumps({"seconds_a_step_in": {"norm backward": 0.002}}))
    """,
    "test": """
        import json, sys
        with open(here + "/ran", "a") as file:
            file.write(sys.argv[0].split("/")[-1] + "\\n")
        report = next(word.split(":", 1)[1] for word in sys.argv if word.startswith("--gtest_output"))
        open(report, "w").write(json.dumps({"testsuites": [{"testsuite": [{"result": "COMPLETED"}]}]}))
    """,
    "peer": """
        import json, sys, time
        kind = open(here + "/peer-kind").read()
        if kind == "slow":
            time.sleep(600)
        if kind == "broken":
            sys.exit("no PyTorch here")
        print("ready", flush=True)
        for line in sys.stdin:
            print(json.dumps({"images_per_second": 500.0, "memory_bytes": 2**31, "framework": "torch 9",
                              "compile": "default"}), flush=True)
    """,
}


class Pretended(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.programs = self.folder / "bin"
        self.programs.mkdir()
        for name in ("moe-device", "bench-step", "peer"):
            self.pretend(name, PRETENDERS[name])
        for name in ("test_gpu_itself", "test_gpu_kernels", "test_gpu_cluster", "test_cuda_plans", "test_engine",
                     "test_pipeline"):
            self.pretend(name, PRETENDERS["test"])
        (self.programs / "name").write_text("NVIDIA H100 80GB HBM3")
        self.set_peer("quick")

    def pretend(self, name, text):
        lines = text.strip("\n").split("\n")
        indent = len(lines[0]) - len(lines[0].lstrip())
        body = "\n".join(line[indent:] for line in lines)
        path = self.programs / name
        path.write_text(f"#!{sys.executable}\nhere = {str(self.programs)!r}\n{body}\n")
        path.chmod(path.stat().st_mode | stat.S_IXUSR)

    def set_peer(self, kind):
        (self.programs / "peer-kind").write_text(kind)

    def check(self, *options):
        command = [sys.executable, SOURCE / "tools/gpu_check.py", self.programs, self.folder / "out", "--device",
                   "cuda", "--peer", self.programs / "peer", "--rounds", "3", *options]
        self.done = subprocess.run([str(word) for word in command], stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE, text=True, env=dict(os.environ, PATH="/usr/bin:/bin"))
        return self.done.returncode

    def found(self):
        return json.loads((self.folder / "out/gpu.json").read_text())

    def row(self, name):
        return next(row for row in self.found()["rows"] if row["row"] == name)

    def test_both_sides_of_a_row(self):
        name = "ResNet-50 224 px bf16 train"
        self.assertEqual(self.check("--part", "2", "--rows", f"^{name}$"), 0, self.done.stderr)
        row = self.row(name)
        self.assertEqual([row["hardmoe"]["rounds"], row["ratio"]], [[1003, 1004, 1005], 2.008])
        self.assertEqual(row["milliseconds_a_step_in"], {"norm backward": 2.0})
        self.assertEqual(len(self.found()["rows"]), 1)
        table = (self.folder / "out/table.txt").read_text()
        self.assertIn("2.01", table)
        self.assertEqual(table, self.done.stdout)

    def test_a_slow_or_missing_peer_costs_only_its_own_figure(self):
        name = "ResNet-18 small 32 px bf16 embed"
        for kind, why in (("slow", "no answer within"), ("broken", "no PyTorch here")):
            self.set_peer(kind)
            self.assertEqual(self.check("--part", "2", "--rows", name, "--minutes", "0.3"), 0, self.done.stderr)
            self.assertEqual(self.row(name)["hardmoe"]["rounds"], [1000, 1001, 1002])
            self.assertIn(why, self.row(name)["without_pytorch"])
        self.assertEqual(self.check("--part", "2", "--rows", name, "--peer", "/no/python3"), 0, self.done.stderr)
        self.assertIn("/no/python3: No such file", self.row(name)["without_pytorch"])
        self.set_peer("quick")  # such a row is not done: the next run gets the peer's figure
        self.assertEqual(self.check("--part", "2", "--rows", name), 0, self.done.stderr)
        self.assertEqual(self.row(name)["ratio"], 2.008)
        self.set_peer("broken")  # and a later one loses nothing
        self.assertEqual(self.check("--part", "2", "--rows", name, "--again"), 0, self.done.stderr)
        self.assertEqual(self.row(name)["ratio"], 2.008)
        self.assertEqual(self.found()["alone"][0]["hardmoe"]["rounds"], [1000, 1001, 1002])

    def test_goes_on_where_it_stopped(self):
        (self.programs / "test_gpu_cluster").unlink()
        self.assertEqual(self.check("--part", "1"), 1)
        self.assertIn("test_gpu_cluster is not among the binaries", self.done.stdout)
        self.assertEqual(self.found()["alone"][0]["hardmoe"]["images_per_second"], 1001)
        self.pretend("test_gpu_cluster", PRETENDERS["test"])
        self.assertEqual(self.check("--part", "1"), 0, self.done.stderr)
        self.assertEqual((self.programs / "ran").read_text(), "test_gpu_itself\ntest_gpu_kernels\ntest_gpu_cluster\n")
        self.assertEqual(self.check("--part", "1", "--again"), 0, self.done.stderr)
        self.assertEqual((self.programs / "ran").read_text().count("test_gpu_kernels"), 2)
        (self.programs / "name").write_text("NVIDIA A100")
        self.assertEqual(self.check("--part", "1"), 1)
        self.assertIn("results of NVIDIA H100 80GB HBM3, this is NVIDIA A100", self.done.stderr)

    def test_missing_tools_are_no_failure(self):
        self.assertEqual(self.check("--part", "3"), 0, self.done.stderr)
        self.assertIn("left out: no compute-sanitizer here", self.done.stdout)
        self.assertEqual(self.check("--part", "4", "--rows", "ncu|deterministic"), 0, self.done.stderr)
        self.assertEqual(self.found()["alone"][-1]["row"], "ResNet-50 224 px bf16 train --deterministic")

    def test_wrong_usage_is_told(self):
        self.assertEqual(self.check("--rows", "("), 2)
        self.assertIn("no regular expression", self.done.stderr)
        self.assertEqual(self.check("--rows", "ResNet-7"), 1)
        self.assertIn("no step of the parts asked for has such a name", self.done.stderr)


class Limits(unittest.TestCase):
    def test_a_parts_steps_fit_its_minutes(self):
        class Options:
            tiny, device = False, "cuda"

        check = gpu_check.Check.__new__(gpu_check.Check)
        check.options = Options
        names = []
        for part, minutes in gpu_check.MINUTES.items():
            steps = check.steps(part)
            needed = gpu_check.DEVICE_SECONDS + sum(step.seconds for step in steps)
            self.assertLessEqual(needed, 60 * minutes, f"part {part}")
            names += [step.name for step in steps]
        self.assertEqual(len(names), len(set(names)))


class Script(unittest.TestCase):
    def test_a_working_nvidia_smi_is_a_gpu(self):
        if any(pathlib.Path(file).exists() for file in ("/dev/nvidiactl", "/dev/dxg")):
            self.skipTest("this machine has a GPU")
        with tempfile.TemporaryDirectory() as folder:
            smi = pathlib.Path(folder) / "nvidia-smi"
            for says, words in (("GPU 0: NVIDIA H100", "no such archive"), ("No devices were found", "no NVIDIA GPU")):
                smi.write_text(f"#!/bin/sh\necho '{says}'\n")
                smi.chmod(0o755)
                done = subprocess.run([SOURCE / "tools/gpu_check.sh", f"{folder}/out", "--bundle", f"{folder}/none"],
                                      stderr=subprocess.PIPE, text=True,
                                      env=dict(os.environ, PATH=f"{folder}:{os.environ['PATH']}"))
                self.assertEqual(done.returncode, 1)
                self.assertIn(words, done.stderr)


if __name__ == "__main__":
    unittest.main()
