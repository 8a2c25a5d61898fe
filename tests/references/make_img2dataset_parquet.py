#!/usr/bin/env python3
"""Writes tests/files/lists/img2dataset.jsonl: three images that img2dataset downloaded from this script
into Parquet, as datasets/parquet/parquet_lines.py prints them.

pip install img2dataset==1.47.0 pyarrow==26.0.1 pandas numpy pillow
"""
import functools
import http.server
import pathlib
import subprocess
import sys
import tempfile
import threading

ROOT = pathlib.Path(__file__).resolve().parents[2]


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


def main():
    import numpy
    import pandas
    from img2dataset import download
    from PIL import Image

    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        for i in range(3):
            pixels = numpy.random.RandomState(i).randint(0, 256, (40, 50, 3), numpy.uint8)
            Image.fromarray(pixels).save(folder / f"{i}.jpg")
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=name))
        threading.Thread(target=server.serve_forever, daemon=True).start()
        pandas.DataFrame({"url": [f"http://127.0.0.1:{server.server_port}/{i}.jpg" for i in range(3)],
                          "caption": ["a dog, a cat", "golden retriever", "x"],
                          "hashtags": [["a", "b's"], ["c"], []]}).to_parquet(folder / "list.parquet")
        download(url_list=str(folder / "list.parquet"), input_format="parquet", url_col="url", caption_col="caption",
                 save_additional_columns=["hashtags"], output_format="parquet", output_folder=str(folder / "out"),
                 processes_count=1, thread_count=2, image_size=32)
        script = ROOT / "datasets" / "parquet" / "parquet_lines.py"
        lines = subprocess.run([sys.executable, script, folder / "out" / "00000.parquet"], check=True,
                               capture_output=True).stdout
        (ROOT / "tests" / "files" / "lists" / "img2dataset.jsonl").write_bytes(lines)


if __name__ == "__main__":  # img2dataset starts processes that import this
    main()
