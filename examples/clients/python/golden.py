"""Replays the wire vectors of gen/golden with the official compiler's Python code.

    golden.py FOLDER

Each value is built from its JSON and written as Compact, Binary and msgpack; each of the three encodings is read back to the
JSON. gen/golden/README.md describes the files.
"""

import json
import pathlib
import sys

import msgpack
from thrift.protocol.TBinaryProtocol import TBinaryProtocol
from thrift.protocol.TCompactProtocol import TCompactProtocol
from thrift.Thrift import TType
from thrift.transport.TTransport import TMemoryBuffer

from raftwire import ttypes

PROTOCOLS = {"compact": TCompactProtocol, "binary": TBinaryProtocol}


def fields(cls):
    """The fields of a generated class: (id, type, name, details)."""
    return [f[:4] for f in cls.thrift_spec if f]


def convert(kind, detail, value, scalar, struct):
    """Applies scalar or struct to a value of any type, element by element in a list."""
    if kind == TType.STRUCT:
        return struct(detail[0], value)
    if kind == TType.LIST:
        return [convert(detail[0], detail[1], v, scalar, struct) for v in value]
    return scalar(kind, detail, value)


def object_to_json(cls, m):
    values = ((k, d, name, getattr(m, name)) for _, k, name, d in fields(cls))
    return {name: convert(k, d, v, scalar_to_json, object_to_json) for k, d, name, v in values if v is not None}


def scalar_to_json(kind, detail, v):
    if kind == TType.I64:
        return str(v)
    return v.hex() if detail == "BINARY" else v


def json_to_object(cls, j):
    known = {name: convert(k, d, j[name], json_to_scalar, json_to_object) for _, k, name, d in fields(cls) if name in j}
    if len(known) != len(j):
        raise ValueError(f"{cls.__name__} has no fields {set(j) - set(known)}")
    return cls(**{name: known.get(name) for _, _, name, _ in fields(cls)})


def json_to_scalar(kind, detail, j):
    if kind == TType.I64:
        return int(j)
    return bytes.fromhex(j) if detail == "BINARY" else j


def object_to_array(cls, m):
    """What msgpack carries for a struct: element k-1 is field k."""
    array = [None] * max((i for i, _, _, _ in fields(cls)), default=0)
    for i, k, name, d in fields(cls):
        v = getattr(m, name)
        if v is not None:
            array[i - 1] = convert(k, d, v, lambda _k, _d, v: v, object_to_array)
    while array and array[-1] is None:
        array.pop()
    return array


def array_to_object(cls, array):
    known = {name: None for _, _, name, _ in fields(cls)}
    for i, k, name, d in fields(cls):
        if i <= len(array) and array[i - 1] is not None:
            known[name] = convert(k, d, array[i - 1], lambda _k, _d, v: v, array_to_object)
    return cls(**known)


def encode(protocol, m):
    buffer = TMemoryBuffer()
    m.write(protocol(buffer))
    return buffer.getvalue()


def decode(protocol, cls, data):
    buffer, m = TMemoryBuffer(data), cls()
    m = m.read(protocol(buffer)) or m  # an exception is immutable: read returns another one
    if buffer.read(1):
        raise ValueError("bytes are left")
    return m


def replay(folder):
    cls = getattr(ttypes, folder.parent.name)
    value = json.loads((folder / "value.json").read_text("utf-8"))
    built = json_to_object(cls, value)
    for name, protocol in PROTOCOLS.items():
        data = read_hex(folder / f"{name}.hex")
        decoded = decode(protocol, cls, data)
        check(f"{name}, read", object_to_json(cls, decoded), value)
        check(f"{name}, written again", encode(protocol, decoded).hex(), data.hex())
        check(f"{name}, written from JSON", encode(protocol, built).hex(), data.hex())
    data = read_hex(folder / "msgpack.hex")
    decoded = array_to_object(cls, msgpack.unpackb(data))
    check("msgpack, read", object_to_json(cls, decoded), value)
    check("msgpack, written from JSON", msgpack.packb(object_to_array(cls, built)).hex(), data.hex())


def read_hex(path):
    return bytes.fromhex(path.read_text("ascii"))


def check(what, got, want):
    if got != want:
        raise ValueError(f"{what}:\n got {got}\nwant {want}")


def main(args):
    if len(args) != 1:
        print("usage: golden.py FOLDER", file=sys.stderr)
        return 2
    folders = sorted(p.parent for p in pathlib.Path(args[0]).glob("*/*/value.json"))
    failed = 0
    for folder in folders:
        try:
            replay(folder)
        except Exception as e:  # whatever a library makes of the bytes
            failed += 1
            print(f"golden: {folder.parent.name}/{folder.name}: {type(e).__name__}: {e}", file=sys.stderr)
    if not folders or failed:
        print(f"golden: {failed} of {len(folders)} vectors failed", file=sys.stderr)
        return 1
    print(f"golden: {len(folders)} vectors agree")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
