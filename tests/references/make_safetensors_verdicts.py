#!/usr/bin/env python3
"""Makes tests/files/formats/safetensors_verdicts.json: headers, how many zero bytes follow each, and
whether the safetensors package (pip) reads such a file.

  python3 make_safetensors_verdicts.py > ../files/formats/safetensors_verdicts.json
"""
import json
import struct

import safetensors


def tensor(begin, end, shape="[2]", dtype="F32"):
    return '{"dtype":"%s","shape":%s,"data_offsets":[%d,%d]}' % (dtype, shape, begin, end)


def fields(text):
    return '{"w":{%s}}' % text


w = tensor(0, 8)
cases = [
    ("no tensors", "{}", 0),
    ("no header", "", 0),
    ("padded with spaces", '{"w":%s}   ' % w, 8),
    ("padded with tabs and line ends", '\t{"w":%s}\n\t' % w, 8),
    ("padded with nulls", '{"w":%s}\0\0' % w, 8),
    ("a header of odd length", '{"w":%s} ' % w, 8),
    ("a tensor at an odd offset", '{"a":%s,"w":%s}' % (tensor(0, 1, "[1]", "U8"), tensor(1, 9)), 9),
    ("tensors not in the order of their bytes", '{"w":%s,"x":%s}' % (tensor(8, 16), w), 16),
    ("a scalar", '{"w":%s}' % tensor(0, 4, "[]"), 4),
    ("an empty tensor alone", '{"w":%s}' % tensor(0, 0, "[3,0]"), 0),
    ("an empty tensor between others",
     '{"a":%s,"b":%s,"c":%s}' % (w, tensor(8, 8, "[0]"), tensor(8, 16)), 16),
    ("an empty tensor at the end", '{"b":%s,"a":%s}' % (tensor(8, 8, "[0,7]"), w), 8),
    ("an empty tensor within another", '{"a":%s,"b":%s}' % (w, tensor(4, 4, "[0]")), 8),
    ("an empty tensor beyond the end", '{"a":%s,"b":%s}' % (w, tensor(16, 16, "[0]")), 8),
    ("an empty tensor of large other extents",
     fields('"dtype":"F32","shape":[0,4611686018427387904,4],"data_offsets":[0,0]'), 0),
    ("a shape whose product overflows",
     fields('"dtype":"F32","shape":[4611686018427387904,4],"data_offsets":[0,0]'), 0),
    ("the same before a zero",
     fields('"dtype":"F32","shape":[4611686018427387904,4,0],"data_offsets":[0,0]'), 0),
    ("bytes behind the tensors", '{"w":%s}' % w, 9),
    ("bytes behind no tensors", "{}", 1),
    ("bytes missing", '{"w":%s}' % w, 7),
    ("a hole at the beginning", '{"w":%s}' % tensor(4, 12), 12),
    ("a hole", '{"w":%s,"x":%s}' % (w, tensor(12, 20)), 20),
    ("an overlap", '{"w":%s,"x":%s}' % (w, tensor(4, 12)), 12),
    ("shared bytes", '{"w":%s,"x":%s}' % (w, w), 8),
    ("a tensor twice", '{"w":%s,"w":%s}' % (w, w), 8),
    ("a tensor twice, the last elsewhere", '{"w":%s,"w":%s}' % (w, tensor(8, 16)), 16),
    ("a tensor twice, the first elsewhere", '{"w":%s,"w":%s}' % (tensor(8, 16), w), 8),
    ("metadata", '{"__metadata__":{"format":"pt"},"w":%s}' % w, 8),
    ("metadata at the end", '{"w":%s,"__metadata__":{}}' % w, 8),
    ("metadata null", '{"__metadata__":null,"w":%s}' % w, 8),
    ("metadata of numbers", '{"__metadata__":{"a":1},"w":%s}' % w, 8),
    ("metadata in a list", '{"__metadata__":[],"w":%s}' % w, 8),
    ("metadata twice", '{"__metadata__":{"a":"b"},"__metadata__":{"a":"c"},"w":%s}' % w, 8),
    ("a field twice", fields('"dtype":"F32","dtype":"F32","shape":[2],"data_offsets":[0,8]'), 8),
    ("a field unknown", fields('"dtype":"F32","shape":[2],"data_offsets":[0,8],"x":1'), 8),
    ("a field missing", fields('"shape":[2],"data_offsets":[0,8]'), 8),
    ("an offset with a point", fields('"dtype":"F32","shape":[2],"data_offsets":[0,8.0]'), 8),
    ("an extent with a point", fields('"dtype":"F32","shape":[2.0],"data_offsets":[0,8]'), 8),
    ("an extent with an exponent", fields('"dtype":"F32","shape":[2e0],"data_offsets":[0,8]'), 8),
    ("an offset below zero", fields('"dtype":"F32","shape":[2],"data_offsets":[-8,0]'), 8),
    ("three offsets", fields('"dtype":"F32","shape":[2],"data_offsets":[0,8,8]'), 8),
    ("no shape", fields('"dtype":"F32","shape":null,"data_offsets":[0,4]'), 4),
    ("no tensor", '{"w":null}', 0),
    ("a list", "[1]", 0),
    ("a byte order mark", '\ufeff{"w":%s}' % w, 8),
    ("a comma at the end", '{"w":%s,}' % w, 8),
    ("two headers", '{"w":%s}{}' % w, 8),
    ("a control character", '{"a\tb":%s}' % w, 8),
    ("half a surrogate", '{"\\ud800":%s}' % w, 8),
    ("an empty name", '{"":%s}' % w, 8),
    ("half a byte", '{"w":%s}' % tensor(0, 1, "[1]", "F4"), 1),
    ("an unknown type", '{"w":%s}' % tensor(0, 8, "[8]", "F8"), 8),
    ("a type in small letters", '{"w":%s}' % tensor(0, 8, "[2]", "f32"), 8),
]
bits = {"BOOL": 8, "F4": 4, "F6_E2M3": 6, "F6_E3M2": 6, "U8": 8, "I8": 8, "F8_E5M2": 8, "F8_E4M3": 8,
        "F8_E8M0": 8, "F8_E4M3FNUZ": 8, "F8_E5M2FNUZ": 8, "I16": 16, "U16": 16, "F16": 16, "BF16": 16,
        "I32": 32, "U32": 32, "F32": 32, "F64": 64, "I64": 64, "U64": 64, "C64": 64}
for dtype, size in bits.items():
    cases.append((dtype, '{"w":%s}' % tensor(0, size, "[8]", dtype), size))

verdicts = []
for name, header, body in cases:
    text = header.encode()
    try:
        safetensors.deserialize(struct.pack("<Q", len(text)) + text + bytes(body))
        accepted = True
    except safetensors.SafetensorError:
        accepted = False
    verdicts.append({"name": name, "header": header, "body": body, "accepted": accepted})
print(json.dumps(verdicts, indent=0))
