"""Structs of the IDL as bytes, by the stock library."""

from __future__ import annotations

from typing import Any, Type, TypeVar

from thrift.protocol.TCompactProtocol import TCompactProtocol
from thrift.transport.TTransport import TMemoryBuffer

T = TypeVar("T")


def encode(message: Any) -> bytes:
    """A struct in Thrift Compact."""
    buffer = TMemoryBuffer()
    message.write(TCompactProtocol(buffer))
    return bytes(buffer.getvalue())


def decode(kind: Type[T], data: bytes) -> T:
    """Reads a struct of Thrift Compact; ValueError for anything that is not one, and nothing but one."""
    buffer, message = TMemoryBuffer(data), kind()
    try:
        message.read(TCompactProtocol(buffer))  # type: ignore[attr-defined]
    except Exception as e:  # the library raises whatever the bytes lead it to
        raise ValueError(f"no {kind.__name__}: {e!r}") from e
    if buffer.read(1):
        raise ValueError(f"bytes behind a {kind.__name__}")
    return message
