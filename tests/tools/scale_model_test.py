"""tools/scale_model.py on a run whose stages took known times.
   scale_model_test.py ROOT
"""
import json
import pathlib
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(sys.argv.pop(1))
SECONDS = {"base": 100, "embedding": 8, "partition": 2, "decoder": 4, "eval/base": 1, "eval/local": 2, "eval/shared": 3}


class TestScaleModel(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="hardmoe-scale-")
        self.addCleanup(folder.cleanup)
        self.run_folder = pathlib.Path(folder.name)
        for stage, seconds in {**SECONDS, **{f"experts/{k}": 20 for k in range(4)}}.items():
            (self.run_folder / stage).mkdir(parents=True)
            self.write(stage, {"done": True, "seconds": seconds, "results": {}})
        (self.run_folder / "partition/partition.json").write_text(json.dumps({"sizes": [50] * 4}))

    def write(self, stage, record):
        (self.run_folder / stage / "stage.json").write_text(json.dumps(record))

    def model(self, *words, status=0):
        line = [sys.executable, "-B", "tools/scale_model.py", str(self.run_folder), *words]
        done = subprocess.run(line, cwd=ROOT, capture_output=True, text=True)
        self.assertEqual(done.returncode, status, done.stderr)
        return done.stdout if status == 0 else done.stderr

    def row(self, workers, *words):
        """What is said of so many workers, by column."""
        lines = self.model("--workers", "1", str(workers), *words).splitlines()
        heading = lines[1].replace("all, s", "all").replace("worker hours", "hours").split()
        names = [name if heading.index(name) == i else "share" for i, name in enumerate(heading)]
        return dict(zip(names, (float(text.rstrip("%")) for text in lines[-1].split())))

    def test_experts_and_embedding_spread_and_the_rest_does_not(self):
        self.assertEqual(self.row(1)["all"], 200)
        two = self.row(2)
        self.assertEqual((two["embedding"], two["experts"], two["all"]), (4, 40, 100 + 4 + 2 + 40 + 4 + 6))
        self.assertEqual(self.row(3)["experts"], 40, "four equal experts on three workers take two turns")
        many = self.row(512)
        self.assertEqual(many["experts"], 20)
        self.assertEqual(many["share"], round(100 * 100 / many["all"]))

    def test_other_numbers_are_in_proportion(self):
        row = self.row(8, "--images", "2000", "--experts", "8", "--speed", "2", "--expert-epochs", "3")
        self.assertEqual((row["base"], row["decoder"]), (500, 20))
        self.assertEqual(row["experts"], 80 * 3 * 10 / 2 / 8)

    def test_what_fails_is_made_again(self):
        row = self.row(4, "--failures", "0.5", "--requeue", "1000", "--overhead", "1")
        self.assertGreater(row["experts"], 1000)
        alone, failing = self.row(4), self.row(4, "--failures", "0.5", "--requeue", "0", "--checkpoint", "0")
        self.assertAlmostEqual(failing["hours"], alone["hours"], delta=0.011)

    def test_a_run_that_is_not_finished_is_refused(self):
        self.write("experts/2", {"done": False})
        self.assertIn("experts/2: not done", self.model(status=1))


if __name__ == "__main__":
    unittest.main()
