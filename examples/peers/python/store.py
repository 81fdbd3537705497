"""What a member remembers: its log, its term and vote, its snapshot, and whom it knows.

    log       records, each one write and one fsync:  u32 length | u32 crc | body
              body: u64 first | u64 base | u64 base's term | u64 commit | entries, each u32 length and an Entry in Compact
              A record replaces everything from first on. The log begins behind base.
    vote      term, vote and incarnation, in JSON with a checksum; written beside the old file and renamed
    known     the incarnations of the other members, likewise
    *.image   snapshots (docs/spec/snapshot.md); NAME.part: a prefix of one that is arriving

Only the last record can be torn, because a record is begun when the one before it is on disk, and nothing was promised of
it. A damaged record with a whole one behind it is damage, and the member does not start: it could break promises.
The entries are also kept in memory.
"""

from __future__ import annotations

import json
import os
import pathlib
import secrets
import struct
import zlib
from dataclasses import dataclass
from typing import Any, Optional

import checksum
import image
from encoding import decode, encode
from raftwire.ttypes import Entry, SnapshotChunk, SnapshotMeta

RECORD = struct.Struct("<II")
BODY = struct.Struct("<QQQQ")
LENGTH = struct.Struct("<I")


class Broken(Exception):
    """The files contradict themselves: this member must not go on from them."""


@dataclass
class Kept:
    """An entry of the log, and the hash of the log up to it; None: not known."""

    entry: Entry
    chain: Optional[int]


class Store:
    """One group's files. Whoever calls holds the member's lock."""

    def __init__(self, folder: pathlib.Path, group: int) -> None:
        self.folder, self.group = folder, group
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.file = -1  # the log's
        self.base = self.base_term = self.commit = 0
        self.entries: list[Kept] = []  # entries[0] stands behind base
        self.image: Optional[image.Image] = None
        self.base_chain: Optional[int] = 0
        self._load_vote()
        self.known: dict[int, int] = {int(k): v for k, v in self._read_json("known", {}).items()}
        self._load_image()
        self._load_log()

    # ------------------------------------------------------------------ vote

    def _load_vote(self) -> None:
        fresh = not (self.folder / "vote").exists()
        if fresh and (self.folder / "log").exists():
            raise Broken(f"{self.folder}: there is a log, and no vote")
        v = self._read_json("vote", {"term": 0, "vote": 0, "incarnation": 1 + secrets.randbelow((1 << 62) - 1)})
        self.term, self.vote, self.incarnation = int(v["term"]), int(v["vote"]), int(v["incarnation"])
        if fresh:
            self.save_vote(0, 0)

    def save_vote(self, term: int, vote: int) -> None:
        """Returns when term and vote are on disk."""
        self.term, self.vote = term, vote
        self._write_json("vote", {"term": term, "vote": vote, "incarnation": self.incarnation})

    def save_known(self, known: dict[int, int]) -> None:
        """Remembers the incarnations of the other members."""
        if known != self.known:
            self.known = known
            self._write_json("known", {str(k): v for k, v in known.items()})

    def _read_json(self, name: str, default: dict[str, Any]) -> dict[str, Any]:
        path = self.folder / name
        if not path.exists():
            return default
        data = path.read_bytes()
        crc, _, text = data.partition(b" ")
        if crc != b"%08x" % zlib.crc32(text):
            raise Broken(f"{path} is damaged")
        return dict(json.loads(text))

    def _write_json(self, name: str, value: dict[str, Any]) -> None:
        text = json.dumps(value).encode()
        self._replace(name, b"%08x %s" % (zlib.crc32(text), text))

    def _replace(self, name: str, data: bytes) -> None:
        temporary = self.folder / (name + ".tmp")
        with temporary.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, self.folder / name)
        self._sync_folder()

    def _sync_folder(self) -> None:
        folder = os.open(self.folder, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    # ------------------------------------------------------------------- log

    @property
    def last(self) -> int:
        return self.base + len(self.entries)

    @property
    def last_term(self) -> int:
        return int(self.entries[-1].entry.term) if self.entries else self.base_term

    def term_at(self, index: int) -> Optional[int]:
        """The term of a position; None where the log does not reach."""
        if index == self.base:
            return self.base_term
        if self.base < index <= self.last:
            return int(self.entries[index - self.base - 1].entry.term)
        return None

    def chain_at(self, index: int) -> Optional[int]:
        """The hash of the log up to a position."""
        if index == self.base:
            return self.base_chain
        return self.entries[index - self.base - 1].chain if self.base < index <= self.last else None

    def between(self, first: int, last: int, limit: int) -> list[Entry]:
        """Entries from first to last, up to limit bytes, but at least one."""
        out: list[Entry] = []
        for kept in self.entries[first - self.base - 1:last - self.base]:
            limit -= len(kept.entry.body) + 64
            if out and limit < 0:
                break
            out.append(kept.entry)
        return out

    def append(self, first: int, entries: list[Entry]) -> None:
        """Makes the log end with these entries, of which the first stands at first; returns when that is on disk."""
        record = self._record(first, entries)
        _write_all(self.file, record)
        os.fsync(self.file)
        self._adopt(first, entries)

    def _record(self, first: int, entries: list[Entry]) -> bytes:
        parts = [BODY.pack(first, self.base, self.base_term, self.commit)]
        for entry in entries:
            data = encode(entry)
            parts += [LENGTH.pack(len(data)), data]
        body = b"".join(parts)
        return RECORD.pack(len(body), zlib.crc32(body)) + body

    def _adopt(self, first: int, entries: list[Entry]) -> None:
        del self.entries[first - self.base - 1:]
        hashed = self.chain_at(first - 1)
        for entry in entries:
            if hashed is not None:
                hashed = checksum.chain(hashed, entry.term, entry.kind, entry.crc32c)
            self.entries.append(Kept(entry, hashed))

    def _load_log(self) -> None:
        path = self.folder / "log"
        data = path.read_bytes() if path.exists() else b""
        at = 0
        while (body := _body(data, at)) is not None:
            self._replay(body)
            at += RECORD.size + len(body)
        if any(_body(data, later) is not None for later in range(at + 1, len(data))):
            raise Broken(f"{path} is damaged at {at}, before its end")
        if self.image is not None and self.image.meta.index > self.base:
            self._take_over()
        if self.commit > self.last or self.last_term > self.term and self.entries:
            raise Broken(f"{path} ends at {self.last}, term {self.last_term}: acknowledged entries are missing")
        if self.last_term > self.term:
            self.save_vote(self.last_term, 0)  # the image came to the disk before the term
        self._rewrite()

    def _replay(self, body: bytes) -> None:
        first, base, base_term, commit = BODY.unpack_from(body)
        entries, at = [], BODY.size
        while at < len(body):
            length, = LENGTH.unpack_from(body, at)
            at += LENGTH.size
            entries.append(decode(Entry, body[at:at + length]))
            at += length
        if base != self.base:
            if self.entries or self.base:
                raise Broken("the log's beginning changes in its middle")
            self.base, self.base_term = base, base_term
            fits = self.image is not None and self.image.meta.index == base
            self.base_chain = self.image.chain if fits and self.image is not None else None
        if not self.base < first <= self.last + 1:
            raise Broken(f"entries from {first} on in a log of {self.base} to {self.last}")
        self._adopt(first, entries)
        self.commit = max(self.commit, commit)

    def _rewrite(self) -> None:
        """Writes the log anew, without what lies before it."""
        record = self._record(self.base + 1, [k.entry for k in self.entries])
        if self.file >= 0:
            os.close(self.file)
        self._replace("log", record)
        self.file = os.open(self.folder / "log", os.O_WRONLY | os.O_APPEND)

    # -------------------------------------------------------------- snapshot

    def _load_image(self) -> None:
        for path in sorted(self.folder.glob("*.image"), reverse=True):
            self.image = image.load(path, self.group)
            return

    def receive(self, meta: SnapshotMeta, chunk: SnapshotChunk) -> tuple[int, Optional[image.Image]]:
        """Adds a chunk to what has arrived of an image: the offset that is wanted next, and the image once it is whole.

        Raises image.Damaged if the bytes are not what meta says; then nothing of them stays.
        """
        path = self.folder / f"{meta.snapshotId.hex()}.part"
        for other in self.folder.glob("*.part"):
            if other != path:
                other.unlink()
        with path.open("ab") as file:
            arrived = file.tell()
            if chunk.data and chunk.offset == arrived and arrived + len(chunk.data) <= meta.sizeBytes:
                file.write(chunk.data)
                arrived += len(chunk.data)
                file.flush()
            if arrived >= meta.sizeBytes:
                os.fsync(file.fileno())
        if arrived < meta.sizeBytes:
            return arrived, None
        try:
            whole = image.load(path, self.group)
            if (whole.meta.snapshotId, whole.meta.index, whole.meta.term) != (meta.snapshotId, meta.index, meta.term):
                raise image.Damaged(f"{path}: another image than was announced")
        except (image.Damaged, ValueError):
            path.unlink()
            raise
        return arrived, whole

    def install(self, whole: image.Image) -> None:
        """Begins the log behind an image that has arrived; returns when that is on disk."""
        target = self.folder / f"{whole.meta.index:016x}-{whole.meta.term:016x}.image"
        os.replace(whole.path, target)
        self._sync_folder()
        self.image = image.Image(target, whole.meta, whole.chain)
        self._take_over()
        self._rewrite()
        for path in self.folder.glob("*.image"):
            if path != target:
                path.unlink()

    def _take_over(self) -> None:
        assert self.image is not None
        meta = self.image.meta
        if self.term_at(meta.index) == meta.term:
            del self.entries[:meta.index - self.base]
        else:
            self.entries = []
        self.base, self.base_term, self.base_chain = meta.index, meta.term, self.image.chain
        self.commit = max(self.commit, meta.index)


def _body(data: bytes, at: int) -> Optional[bytes]:
    """The body of the record at a place of the log, if there is a whole one."""
    if at + RECORD.size + BODY.size > len(data):
        return None
    length, crc = RECORD.unpack_from(data, at)
    end = at + RECORD.size + length
    if length < BODY.size or end > len(data):
        return None
    body = data[at + RECORD.size:end]
    return body if zlib.crc32(body) == crc else None


def _write_all(file: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(file, rest):]
