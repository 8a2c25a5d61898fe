"""Tests of the data set recipes, on hand-made input. Run by ctest where there is a python3."""
import gzip
import pathlib
import random
import sys
import tempfile
import types
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
for recipe in ("openclipart", "tinytags"):
    sys.path.insert(0, str(ROOT / "datasets" / recipe))

import openclipart_tags  # noqa: E402

try:
    import make_tinytags
except ImportError:  # no Pillow
    make_tinytags = None

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
