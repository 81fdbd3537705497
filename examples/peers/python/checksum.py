"""The checksums of docs/spec: CRC-32C, and the hash that runs along a log."""

from __future__ import annotations

MASK = (1 << 64) - 1


def _table() -> list[int]:
    table = []
    for byte in range(256):
        for _ in range(8):
            byte = byte >> 1 ^ (0x82F63B78 if byte & 1 else 0)
        table.append(byte)
    return table


_TABLE = _table()


def crc32c(data: bytes, crc: int = 0) -> int:
    """CRC-32C (Castagnoli) of data, going on from crc."""
    table = _TABLE
    crc ^= 0xFFFFFFFF
    for byte in data:
        crc = table[(crc ^ byte) & 0xFF] ^ crc >> 8
    return crc ^ 0xFFFFFFFF


def entry_crc(kind: int, body: bytes) -> int:
    """What Entry.crc32c must be: of the kind's byte and the body."""
    return crc32c(body, crc32c(bytes([kind])))


def chain(before: int, term: int, kind: int, crc: int) -> int:
    """The hash of a log that ends in this entry, by the hash of what precedes it (docs/spec/snapshot.md)."""
    x = (before ^ term << 40 ^ kind << 33 ^ crc) & MASK
    x ^= x >> 33
    x = x * 0xFF51AFD7ED558CCD & MASK
    x ^= x >> 33
    x = x * 0xC4CEB9FE1A85EC53 & MASK
    return x ^ x >> 33
