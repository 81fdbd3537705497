"""Reads and checks snapshots (docs/spec/snapshot.md). They stay the bytes that they are: this member has no state machine."""

from __future__ import annotations

import hashlib
import os
import pathlib
import struct
from dataclasses import dataclass
from typing import BinaryIO, Iterator, Optional

from checksum import crc32c
from encoding import decode
from raftwire.ttypes import SnapshotMeta

HEADER, BLOCK, END = 64, 20, 64
ENGINE = 1  # the kind of block that holds what the engine keeps
LONGEST_PAYLOAD, LONGEST_DESCRIPTION = 65536, 1 << 20


class Damaged(Exception):
    """The bytes are no image, or not those that were written."""


@dataclass(frozen=True)
class Image:
    """A whole image on disk that was checked."""

    path: pathlib.Path
    meta: SnapshotMeta
    chain: Optional[int]  # the hash of the log up to meta.index, if the image says


def load(path: pathlib.Path, group: int) -> Image:
    """Reads an image from its first byte to its last and checks all of it."""
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        if size < HEADER + END:
            raise Damaged(f"{path}: {size} bytes")
        file.seek(size - END)
        end = file.read(END)
        file.seek(0)
        digest = _hash(file, size - END)
        blocks, = struct.unpack_from("<I", end, 48)
        length, = struct.unpack_from("<Q", end, 8)
        if end[:8] != b"RSNAPEND" or length != size or end[16:48] != digest or _word(end, 60) != crc32c(end[:60]):
            raise Damaged(f"{path}: the end does not fit")
        file.seek(0)
        meta = _head(file, path, group)
        engine, count = bytearray(), 0
        for kind, payload in _blocks(file, path, size - END):
            count += 1
            if kind == ENGINE:
                engine += payload
        if count != blocks:
            raise Damaged(f"{path}: {count} blocks, the end says {blocks}")
    meta.sizeBytes, meta.sha256, meta.snapshotId = size, digest, digest[:16]
    value = _keys(bytes(engine)).get(b"chain", b"")
    return Image(path, meta, int.from_bytes(value, "little") if len(value) == 8 else None)


def _word(data: bytes, at: int) -> int:
    return int(struct.unpack_from("<I", data, at)[0])


def _hash(file: BinaryIO, size: int) -> bytes:
    digest = hashlib.sha256()
    while size > 0:
        piece = file.read(min(size, 1 << 20))
        if not piece:
            break
        digest.update(piece)
        size -= len(piece)
    return digest.digest()


def _head(file: BinaryIO, path: pathlib.Path, group: int) -> SnapshotMeta:
    head = file.read(HEADER)
    version, _, length, of, index, term = struct.unpack_from("<HHIQQQ", head, 8)
    if head[:8] != b"RSNAPSH1" or version != 1 or _word(head, 60) != crc32c(head[:60]) or length > LONGEST_DESCRIPTION:
        raise Damaged(f"{path}: the header does not fit")
    description = file.read(length)
    if _word(head, 56) != crc32c(description):
        raise Damaged(f"{path}: the description does not fit")
    meta = decode(SnapshotMeta, description)
    if (of, index, term) != (group, meta.index, meta.term):
        raise Damaged(f"{path}: of group {of}, index {index}, term {term}")
    return meta


def _blocks(file: BinaryIO, path: pathlib.Path, end: int) -> Iterator[tuple[int, bytes]]:
    at = file.tell()
    while at < end:
        head = file.read(BLOCK)
        if len(head) < BLOCK:
            raise Damaged(f"{path}: a block at {at} is cut off")
        kind, _, _, length, place, crc = struct.unpack("<BBHIQI", head)
        payload = file.read(length) if length <= LONGEST_PAYLOAD and at + BLOCK + length <= end else b""
        if place != at or len(payload) != length or crc != crc32c(payload, crc32c(head[:16])):
            raise Damaged(f"{path}: the block at {at} does not fit")
        yield kind, payload
        at += BLOCK + length


def _keys(section: bytes) -> dict[bytes, bytes]:
    found: dict[bytes, bytes] = {}
    at = 0
    while at < len(section):
        key, at = _text(section, at)
        value, at = _text(section, at)
        found[key] = value
    return found


def _text(section: bytes, at: int) -> tuple[bytes, int]:
    length = shift = 0
    while True:
        if at >= len(section) or shift > 63:
            raise Damaged("a length in the engine's section is cut off")
        byte = section[at]
        at += 1
        length |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            break
    if at + length > len(section):
        raise Damaged("a text in the engine's section is cut off")
    return section[at:at + length], at + length
