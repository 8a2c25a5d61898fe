#!/usr/bin/env python3
"""Prints Philox4x32-10 blocks for tests/base/random_test.cpp, after checking itself against the three
known answers that come with Random123 (Salmon et al., SC 2011; tests/kat_vectors)."""


def philox(counter, key, rounds=10):
    c, k = list(counter), list(key)
    for _ in range(rounds):
        left, right = c[0] * 0xD2511F53, c[2] * 0xCD9E8D57
        c = [(right >> 32) ^ c[1] ^ k[0], right & 0xFFFFFFFF,
             (left >> 32) ^ c[3] ^ k[1], left & 0xFFFFFFFF]
        k = [(k[0] + 0x9E3779B9) & 0xFFFFFFFF, (k[1] + 0xBB67AE85) & 0xFFFFFFFF]
    return c


ONES = 0xFFFFFFFF
KNOWN = (
    ((0, 0, 0, 0), (0, 0), "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
    ((ONES,) * 4, (ONES,) * 2, "408f276d 41c83b0e a20bc7c6 6d5451fd"),
    ((0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344), (0xA4093822, 0x299F31D0),
     "d16cfe09 94fdcceb 5001e420 24126ea1"),
)
for counter, key, answer in KNOWN:
    assert " ".join(f"{word:08x}" for word in philox(counter, key)) == answer

# Random's layout: key = seed (low word first), counter = (block, use, stream low, stream high).
for seed, use, stream, block in ((0, 0, 0, 0), (0, 0, 0, 1), (0x299F31D0A4093822, 3, 5, 0),
                                 (1, 1, 0x0370734413198A2E, 0), (1, 1, 0x0370734413198A2E, 2)):
    words = philox((block, use, stream & ONES, stream >> 32), (seed & ONES, seed >> 32))
    print(f"{{0x{seed:X}, {use}, 0x{stream:X}, {block}, "
          f"{{{', '.join(f'0x{word:08X}' for word in words)}}}}},")
