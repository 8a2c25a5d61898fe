"""Writes .safetensors files with nothing but numpy, for the scripts beside this one."""
import json
import struct

import numpy as np

TYPES = {"float32": "F32", "float64": "F64", "float16": "F16", "int64": "I64", "int32": "I32",
         "uint16": "U16", "uint8": "U8"}


def save(path, tensors, metadata=None):
    """tensors: name → array, written in name order; metadata: name → text."""
    header = {"__metadata__": metadata} if metadata else {}
    arrays, offset = [], 0
    for name in sorted(tensors):
        array = np.asarray(tensors[name])
        shape = list(array.shape)
        array = np.ascontiguousarray(array)
        header[name] = {"dtype": TYPES[array.dtype.name], "shape": shape,
                        "data_offsets": [offset, offset + array.nbytes]}
        offset += array.nbytes
        arrays.append(array)
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as out:
        out.write(struct.pack("<Q", len(text)) + text)
        for array in arrays:
            out.write(array.tobytes())
