#!/usr/bin/env python3
"""Makes tests/files/formats/: arrays written by NumPy and by the safetensors package (pip).

  python3 make_format_files.py ../files/formats
"""
import os
import sys

import ml_dtypes
import numpy as np
from safetensors.numpy import save_file

folder = sys.argv[1] if len(sys.argv) > 1 else "../files/formats"
os.makedirs(folder, exist_ok=True)
grid = np.arange(6).reshape(2, 3)
for code in ("f4", "f8", "f2", "i8", "i4", "u2", "u1"):
    np.save(f"{folder}/{code}.npy", (grid * 1.5 if code[0] == "f" else grid * 7).astype(code))
np.save(f"{folder}/scalar.npy", np.float64(2.5))
np.save(f"{folder}/vector.npy", np.arange(5, dtype=np.int32))
np.save(f"{folder}/empty.npy", np.zeros((0, 4), np.float32))
np.save(f"{folder}/fortran.npy", np.asfortranarray(grid.astype(np.float32)))
np.save(f"{folder}/big_endian.npy", grid.astype(">f4"))
np.save(f"{folder}/bool.npy", grid > 2)
np.save(f"{folder}/bfloat16.npy", grid.astype(ml_dtypes.bfloat16))  # of pip's ml_dtypes
np.save(f"{folder}/objects.npy", np.array([[1.0], [2.0, 3.0]], dtype=object), allow_pickle=True)
np.save(f"{folder}/text.npy", np.array(["one", "two"]))
np.save(f"{folder}/record.npy", np.zeros(2, [("a", "<f4"), ("b", "<i4")]))
with open(f"{folder}/version2.npy", "wb") as out:
    np.lib.format.write_array(out, grid.astype(np.float32), version=(2, 0))

save_file({"weight": (grid * 0.5).astype(np.float32), "half": (grid - 2.5).astype(np.float16),
           "steps": np.array([1 << 40, -3]), "bytes": np.arange(4, dtype=np.uint8),
           "scalar": np.array(0.125, np.float64), "nothing": np.zeros((0, 3), np.float32)},
          f"{folder}/package.safetensors", metadata={"made by": "safetensors", "é": "ü"})
