"""tools/study.py with the commands as they are built, on a few images: a mixture, and networks beside it.
   study_test.py ROOT BIN
"""
import json
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest

CONFIG = """
model: {depth: 18, stem: small, width: 4, image_size: 8}
base: {epochs: 1, batch: 8, lr: 0.01}
partition: {experts: 2, pca: 2, tolerance: 0.5}
expert: {epochs: 1, batch: 8, lr: 0.01}
decoder: {epochs: 0}
sparse: {epochs: 1, batch: 8, lr: 0.01, layer: {experts: 3, chosen: 1}}
run: {dataset: data, controls: [], seeds: 2}
"""
CELLS = """
alone    moe-train-base base.epochs=2   # before any mixture
mixture  base.epochs=1
dense    moe-train-base model.width=5
layers   moe-train-sparse sparse.layer.kind=pavlitska sparse.layer.stages=[3,4]
"""


class Study(unittest.TestCase):
    """One study; the tests go on with what those before them left, in the order of their names."""

    @classmethod
    def setUpClass(cls):
        cls.folder = pathlib.Path(tempfile.mkdtemp())
        cls.addClassCleanup(shutil.rmtree, cls.folder)
        (cls.folder / "tools").mkdir()
        shutil.copy(ROOT / "tools" / "study.py", cls.folder / "tools")  # results go beside it
        (cls.folder / "few.yaml").write_text(CONFIG)
        (cls.folder / "few.cells").write_text(CELLS)
        images = sorted(path for path in (ROOT / "tests" / "files" / "images").iterdir()
                        if path.suffix in (".jpg", ".png", ".webp"))
        with open(cls.folder / "images.jsonl", "w", encoding="utf-8") as lines:
            for path in images:
                print(json.dumps({"image": str(path), "tags": [path.suffix], "truth": [path.suffix]}), file=lines)
        subprocess.run([BIN / "moe-ingest", "images.jsonl", "--out", "data", "--val-fraction", "0.3", "--quiet"],
                       cwd=cls.folder, check=True, stdout=subprocess.DEVNULL)

    def study(self, *words, status=0):
        """Returns what study.py prints and says."""
        line = [sys.executable, "-B", "tools/study.py", "few.yaml", "--bin", BIN, "--out", "runs", *words]
        done = subprocess.run(line, cwd=self.folder, capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, status, done.stderr)
        return done.stdout, done.stderr

    def result(self, cell, study="few"):
        path = self.folder / "tools" / "bench" / "results" / "studies" / study / f"{cell}.json"
        return json.loads(path.read_text(encoding="utf-8"))

    def row(self, cell):
        return next(row for row in self.result(cell)["table"] if row["labels"] == "truth")

    def test_1_a_network_without_a_mixture_is_compared_with_nothing(self):
        self.study("--only", "alone")
        row = self.row("alone")
        self.assertEqual(row["seeds"], 2)
        self.assertNotIn("lead", row)
        self.assertIsNone(row["max_over_mean"])
        trained = json.loads((self.folder / "runs/few/alone/model/stage.json").read_text(encoding="utf-8"))
        self.assertEqual(self.result("alone")["images_shown"], trained["results"]["steps"] * 8)

    def test_2_a_mixture_that_has_not_run_is_missed(self):
        _, said = self.study("--only", "dense")
        self.assertIn("dense: is compared with nothing: mixture has not run in runs/few", said)
        self.assertNotIn("lead", self.row("dense"))
        (self.folder / "tools/bench/results/studies/few/dense.json").unlink()

    def test_3_networks_beside_a_mixture(self):
        trained = (self.folder / "runs/few/dense/seed-2/model/model.safetensors").stat().st_mtime_ns
        self.study()
        self.assertEqual((self.folder / "runs/few/dense/seed-2/model/model.safetensors").stat().st_mtime_ns, trained)
        folders = ("dense/eval", "dense/seed-2/eval", "mixture/eval/local", "mixture/seed-2/eval/local")
        evaluated = [json.loads((self.folder / "runs/few" / folder / "metrics.json").read_text(encoding="utf-8"))
                     for folder in folders]
        first, second = (each["truth"]["P@1"] for each in evaluated[:2])
        row = self.row("dense")
        self.assertAlmostEqual(row["P@1"], (first + second) / 2)
        self.assertAlmostEqual(row["P@1_error"], abs(first - second) / 2)
        mixture = sum(each["truth"]["P@1"] for each in evaluated[2:]) / 2
        self.assertAlmostEqual(row["lead"], mixture - row["P@1"])
        self.assertTrue(row["lead_low"] <= row["lead"] <= row["lead_high"])
        self.assertEqual(row["flops_per_image"], evaluated[0]["flops_per_image"])
        self.assertGreater(row["training_flops"], 0)
        experts = [each["truth"]["experts"] for each in evaluated[2:]]
        use = [2 * max(expert["images"] for expert in each) / sum(expert["images"] for expert in each)
               for each in experts]
        local = next(row for row in self.result("mixture")["table"] if row["key"] == "local")
        self.assertAlmostEqual(local["max_over_mean"], sum(use) / 2)

    def test_4_the_use_of_layers_is_the_last_epochs_of_the_most_uneven(self):
        use = []
        for folder in ("layers", "layers/seed-2"):
            lines = (self.folder / "runs/few" / folder / "model/log.jsonl").read_text(encoding="utf-8").splitlines()
            last = [json.loads(line) for line in lines if "max_over_mean/layer3" in line][-1]
            use.append(max(last["max_over_mean/layer3"], last["max_over_mean/layer4"]))
        self.assertAlmostEqual(self.row("layers")["max_over_mean"], sum(use) / 2)

    def test_5_one_table_of_all_cells(self):
        table, _ = self.study("--table")
        rows = [line.split(" | ") for line in table.splitlines()]
        self.assertEqual([row[0] for row in rows[2:]], ["| alone", "| mixture", "| dense", "| layers"])
        self.assertEqual({len(row) for row in rows if len(row) > 1}, {10})
        self.assertRegex(rows[4][4], r"[+-]\d+\.\d \[")
        self.assertEqual(rows[3][4].strip(), "")
        self.assertEqual(rows[4][6], "–")
        self.assertRegex(rows[5][6], r"^[123]\.\d\d$")

    def test_6_another_study_by_the_same_cells(self):
        named = ("--name", "fewer", "--only", "alone", "--set", "run.seeds=1")
        self.study(*named)
        self.assertEqual(self.result("alone", "fewer")["table"][0]["seeds"], 1)
        self.assertEqual(self.result("alone", "fewer")["set"], ["run.seeds=1"])
        self.assertEqual(self.result("alone")["table"][0]["seeds"], 2)
        self.study(*named, "--set", "run.parallel=2")  # the same
        _, said = self.study(*named, "--set", "run.dataset=data", status=1)
        self.assertIn("is of other settings", said)

    def test_7_other_settings_or_another_command_are_refused(self):
        width, command = CELLS.replace("model.width=5", "model.width=6"), CELLS.replace("moe-train-base model", "model")
        for other in (width, command):
            (self.folder / "few.cells").write_text(other)
            _, said = self.study("--only", "dense", status=1)
            self.assertIn("is of other settings", said)
        (self.folder / "few.cells").write_text("dense moe-eval model.width=5\n")
        _, said = self.study(status=1)
        self.assertIn("expected NAME [COMMAND] KEY=VALUE …, found 'moe-eval'", said)

    def test_8_a_command_that_fails_is_named(self):
        (self.folder / "few.cells").write_text("wrong moe-train-sparse sparse.layer.kind=vmoe\n")
        _, said = self.study(status=1)
        self.assertIn("wrong: moe-train-sparse ended with status 2", said)


if __name__ == "__main__":
    ROOT, BIN = (pathlib.Path(word).resolve() for word in sys.argv[1:3])
    unittest.main(argv=sys.argv[:1])
