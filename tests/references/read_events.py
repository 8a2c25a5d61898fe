"""Prints the scalars of a TensorBoard event file as JSON lines {"step", "tag", "value"}, checking every CRC.

Standard library only: TFRecord framing (tensorflow/core/lib/io/record_writer.h) and the protocol-buffer
wire format of Event messages (tensorflow/core/util/event.proto), with a table-driven CRC-32C.
"""
import json
import struct
import sys

TABLE = []
for byte in range(256):
    for _ in range(8):
        byte = (byte >> 1) ^ (0x82F63B78 if byte & 1 else 0)
    TABLE.append(byte)


def masked_crc(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc = TABLE[(crc ^ byte) & 0xFF] ^ (crc >> 8)
    crc ^= 0xFFFFFFFF
    return (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF


def varint(data, at):
    value = shift = 0
    while True:
        value |= (data[at] & 0x7F) << shift
        shift += 7
        at += 1
        if data[at - 1] < 0x80:
            return value, at


def fields(data):
    """(field number, value) of a message: integers, or bytes."""
    at = 0
    while at < len(data):
        key, at = varint(data, at)
        kind = key & 7
        if kind == 0:
            value, at = varint(data, at)
        else:
            size = {1: 8, 5: 4}.get(kind)
            if kind == 2:
                size, at = varint(data, at)
            value, at = data[at:at + size], at + size
        yield key >> 3, value


def records(data):
    at = 0
    while at < len(data):
        length, crc = struct.unpack_from("<QI", data, at)
        assert crc == masked_crc(data[at:at + 8]), f"CRC of the length at byte {at}"
        event = data[at + 12:at + 12 + length]
        assert struct.unpack_from("<I", data, at + 12 + length)[0] == masked_crc(event), f"CRC at byte {at}"
        yield event
        at += 16 + length


with open(sys.argv[1], "rb") as file:
    events = [dict(fields(event)) for event in records(file.read())]
assert events[0][3] == b"brain.Event:2", events[0]
for event in events[1:]:
    assert struct.unpack("<d", event[1])[0] > 1.6e9, "wall time"
    if 5 not in event:
        continue
    value = dict(fields(dict(fields(event[5]))[1]))
    print(json.dumps({"step": event.get(2, 0), "tag": value[1].decode(),
                      "value": struct.unpack("<f", value[2])[0]}))
