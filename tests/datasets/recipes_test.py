"""Tests of the data set recipes, on hand-made input. Run by ctest where there is a python3."""
import gzip
import io
import json
import pathlib
import random
import sys
import tempfile
import types
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
for recipe in ("openclipart", "openimages", "parquet", "tinytags"):
    sys.path.insert(0, str(ROOT / "datasets" / recipe))

import openclipart_tags  # noqa: E402
import openimages_tags  # noqa: E402
import parquet_lines  # noqa: E402

try:
    import make_tinytags
except ImportError:  # no Pillow
    make_tinytags = None
try:
    import pandas
except ImportError:
    pandas = None
try:
    import pyarrow
except ImportError:
    pyarrow = None

SVG = """<?xml version="1.0"?>
<svg xmlns="http://www.w3.org/2000/svg" xmlns:dc="http://purl.org/dc/elements/1.1/"
     xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><metadata>
  <dc:title><rdf:li>not a keyword</rdf:li></dc:title>
  <dc:subject><rdf:Bag>
    <rdf:li>hash</rdf:li> <rdf:li></rdf:li> <rdf:li> salt &amp; pepper </rdf:li> <rdf:li>été</rdf:li>
  </rdf:Bag></dc:subject></metadata></svg>""".encode()
KEYWORDS = ["hash", "", "salt & pepper", "été"]


class OpenClipArt(unittest.TestCase):
    def test_keywords_in_order(self):
        self.assertEqual(openclipart_tags.keywords(SVG), KEYWORDS)

    def test_compressed(self):
        self.assertEqual(openclipart_tags.keywords(gzip.compress(SVG)), KEYWORDS)

    def test_damaged_xml(self):
        self.assertEqual(openclipart_tags.keywords(SVG.replace(b"</svg>", b"<g>&nbsp;")), KEYWORDS)

    def test_without_keywords(self):
        self.assertEqual(openclipart_tags.keywords(b"<svg/>"), [])
        self.assertEqual(openclipart_tags.keywords(b""), [])


class OpenImages(unittest.TestCase):
    LABELS = """ImageID,Source,LabelName,Confidence
a,verification,/m/04hgtk,0
a,verification,/m/07j7r,1
a,machine,/m/0bt9lr,0.7
a,machine,/m/07j7r,0.9
b,verification,/m/07j7r,0
c,verification,/m/zz,1
"""

    def test_rows_of_an_image_are_united(self):
        names = {"/m/07j7r": "Tree", "/m/0bt9lr": "Dog, a"}
        read = list(openimages_tags.lines(io.StringIO(self.LABELS), names, 0.5))
        self.assertEqual([json.loads(line) if line else None for line, _ in read],
                         [{"image": "a", "tags": ["Tree", "Dog, a"]}, None, {"image": "c", "tags": ["/m/zz"]}])
        self.assertEqual([absent for _, absent in read], [1, 1, 0])

    def test_names_with_and_without_heading(self):
        for heading in ("", "LabelName,DisplayName\n"):
            with tempfile.NamedTemporaryFile("w", suffix=".csv") as file:
                file.write(heading + '/m/1,Dog\n/m/2,"Tree, a"\n')
                file.flush()
                self.assertEqual(openimages_tags.read_names(file.name), {"/m/1": "Dog", "/m/2": "Tree, a"})


class Parquet(unittest.TestCase):
    def test_labels_have_names(self):
        self.assertEqual(parquet_lines.named(1, ["cat", "dog"]), ["dog"])
        self.assertEqual(parquet_lines.named([1, None, -1, 0], ["cat", "dog"]), ["dog", "cat"])
        self.assertEqual(parquet_lines.named(-1, ["cat"]), [])
        schema = types.SimpleNamespace(metadata={b"huggingface": json.dumps({"info": {"features": {
            "image": {"_type": "Image"}, "label": {"names": ["cat"], "_type": "ClassLabel"},
            "labels": {"feature": {"names": ["dog"], "_type": "ClassLabel"}, "_type": "List"}}}}).encode()})
        self.assertEqual(parquet_lines.class_names(schema), {"label": ["cat"], "labels": ["dog"]})
        self.assertEqual(parquet_lines.class_names(types.SimpleNamespace(metadata=None)), {})

    def test_bytes_become_base64(self):
        self.assertEqual(parquet_lines.plain({"bytes": b"foobar", "path": None}), {"bytes": "Zm9vYmFy", "path": None})
        self.assertEqual(parquet_lines.plain([b"", 1]), ["", 1])

    @unittest.skipIf(pyarrow is None, "pyarrow is not installed")
    def test_rows(self):
        import pyarrow.parquet
        with tempfile.NamedTemporaryFile(suffix=".parquet") as file:
            pyarrow.parquet.write_table(pyarrow.table({"jpg": [b"foo"], "tags": [["a", "b's"]]}), file.name)
            self.assertEqual([json.loads(line) for line in parquet_lines.lines(file.name)],
                             [{"jpg": {"bytes": "Zm9v"}, "tags": ["a", "b's"]}])


@unittest.skipIf(pandas is None, "pandas is not installed")
class Vocabulary(unittest.TestCase):
    def test_pandas_reads_it_without_loss(self):
        stored = ROOT / "tests" / "files" / "lists"
        read = pandas.read_csv(stored / "tags.tsv", sep="\t", keep_default_na=False, quoting=3, dtype={"tag": str})
        self.assertEqual(read["tag"].tolist(), json.loads((stored / "tags.json").read_text()))


# Lines as in WordNet 3.0's data.noun: offset, file, type, word count (hexadecimal), words, pointers.
NOUNS = """  1 This software and database is being provided to you
00001740 03 n 01 entity 0 001 ~ 00001930 n 0000 | that which is perceived
00015388 05 n 02 animal 0 animate_being 0 002 @ 00001740 n 0000 ~ 02083346 n 0000 | a living organism
02083346 05 n 01 canine 1 002 @ 00015388 n 0000 %p 02158846 n 0000 | mammals with nonretractile claws
01317541 05 n 01 domestic_animal 0 001 @ 00015388 n 0000 | tamed
02084071 05 n 03 dog 0 domestic_dog 0 Canis_familiaris 0 002 @ 02083346 n 0000 @ 01317541 n 0000 | woof
"""


@unittest.skipIf(make_tinytags is None, "python3-pil is not installed")
class TinyTags(unittest.TestCase):
    def setUp(self):
        with tempfile.NamedTemporaryFile("w", suffix=".noun") as file:
            file.write(NOUNS)
            file.flush()
            self.synsets = make_tinytags.read_wordnet(file.name)

    def test_hypernyms_nearest_first(self):
        self.assertEqual(make_tinytags.true_tags("n02084071", self.synsets),
                         ["dog", "canine", "domesticanimal", "animal"])

    def test_noise(self):
        truth = ["dog", "canine", "animal"]
        rates = types.SimpleNamespace(drop=0.4, wrong=0.2)
        draw = random.Random(1).random
        counts = dict.fromkeys(truth + ["cat"], 0)
        for _ in range(10000):
            tags = make_tinytags.noisy_tags(truth, ["cat"], rates, draw)
            self.assertTrue(set(tags) & set(truth))
            for tag in tags:
                counts[tag] += 1
        # A tag stays with 0.6, or as the one kept of three when all are dropped.
        expected = 10000 * (0.6 + 0.4 ** 3 / 3)
        for tag in truth:
            self.assertAlmostEqual(counts[tag], expected, delta=200)  # four standard deviations
        self.assertAlmostEqual(counts["cat"], 2000, delta=160)

    def test_nothing_lost_nothing_added(self):
        rates = types.SimpleNamespace(drop=0, wrong=0)
        tags = make_tinytags.noisy_tags(["a", "b"], ["c"], rates, random.Random(2).random)
        self.assertEqual(sorted(tags), ["a", "b"])


if __name__ == "__main__":
    unittest.main()
