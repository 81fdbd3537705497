"""Connections (docs/spec/wire.md): frames of Thrift messages, the handshake, and calls to other members."""

from __future__ import annotations

import socket
import struct
import threading
from typing import Any, Callable, Optional

from thrift.protocol.TBinaryProtocol import TBinaryProtocol
from thrift.protocol.TCompactProtocol import TCompactProtocol
from thrift.Thrift import TApplicationException, TException, TMessageType
from thrift.transport.TSocket import TSocket
from thrift.transport.TTransport import TFramedTransport, TMemoryBuffer, TTransportException

from raftwire import RaftPeer
from raftwire.constants import MAX_FRAME_BYTES, PROTOCOL_VERSION
from raftwire.ttypes import Codec, Hello, RejectCode, Rejected

CALL_ERRORS = (TException, OSError, EOFError, ValueError)  # of a call: it may have happened, and there is no answer
PATIENCE = 30.0  # seconds for one frame
HANDSHAKE = 5.0  # seconds for the first one
STRANGERS_FRAME = 32 << 10  # bytes of a frame before the handshake: nothing longer is served to a client here


class Identity:
    """Who this member is, and whom it lets in."""

    def __init__(self, cluster: str, node: int, incarnation: int, max_frame: int,
                 admit: Callable[[Hello], Optional[Rejected]]) -> None:
        self.cluster, self.node, self.incarnation, self.max_frame, self.admit = cluster, node, incarnation, max_frame, admit
        self.epoch: Callable[[], int] = lambda: 0

    def hello(self, target: int) -> Hello:
        """What it says of itself. Without feature bit 0 others send it Thrift messages, one at a time on a connection."""
        return Hello(version=PROTOCOL_VERSION, cluster=self.cluster, node=self.node, codecs=[Codec.THRIFT_COMPACT],
                     maxFrame=self.max_frame, features=0, software="raftwire-example-voter", target=target,
                     incarnation=self.incarnation, epoch=self.epoch())

    def judge(self, h: Hello, dialed: int) -> Optional[Rejected]:
        """Holds a Hello against the table of docs/spec/wire.md. dialed: who should have answered; 0: it came by itself."""
        def no(code: int, reason: str) -> Rejected:
            return Rejected(code=code, reason=reason)
        if h.version != PROTOCOL_VERSION:
            return no(RejectCode.WRONG_VERSION, f"protocol version {h.version}")
        if h.cluster != self.cluster:
            return no(RejectCode.WRONG_CLUSTER, f"this node is of {self.cluster!r}")
        if (not dialed and h.target != self.node) or h.node <= 0 or h.node == self.node or dialed not in (0, h.node):
            return no(RejectCode.WRONG_NODE, f"this is node {self.node}")
        if h.maxFrame < self.max_frame:
            return no(RejectCode.BAD_ARGUMENT, f"frames of {h.maxFrame} bytes, this node sends up to {self.max_frame}")
        return self.admit(h)


class Connection:
    """One accepted connection. peer is the node at its other end, 0 before the handshake."""

    def __init__(self, sock: socket.socket, serve: "Server") -> None:
        self.sock, self.server, self.peer = sock, serve, 0
        self.services = serve.services(self)

    def run(self) -> None:
        try:
            self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.sock.settimeout(HANDSHAKE)
            while (frame := self._read()) is not None:
                answer = self._carry_out(frame)
                if answer:
                    self.sock.settimeout(PATIENCE)
                    self.sock.sendall(struct.pack(">I", len(answer)) + answer)
                if self.peer < 0:
                    return
                self.sock.settimeout(None)
        except (OSError, EOFError, ValueError, TException):
            pass  # whoever it was dials again
        finally:
            self.sock.close()

    def _read(self) -> Optional[bytes]:
        head = self._exactly(4)
        if head is None:
            return None
        length, = struct.unpack(">I", head)
        if not 4 <= length <= (self.server.identity.max_frame if self.peer else STRANGERS_FRAME):
            raise ValueError(f"a frame of {length} bytes")
        self.sock.settimeout(PATIENCE)
        return self._exactly(length)

    def _exactly(self, size: int) -> Optional[bytes]:
        parts = bytearray()
        while len(parts) < size:
            piece = self.sock.recv(min(size - len(parts), 1 << 18))
            if not piece:
                return None
            parts += piece
        return bytes(parts)

    def _carry_out(self, frame: bytes) -> bytes:
        """Makes the call that a frame holds, with the generated code, and returns the answer's frame."""
        if frame[0] == 0x82:
            protocol: Any = TCompactProtocol
        elif frame[:2] == b"\x80\x01":
            protocol = TBinaryProtocol
        else:
            raise ValueError("no Thrift message")
        arguments, out = protocol(TMemoryBuffer(frame)), TMemoryBuffer()
        name, kind, seqid = arguments.readMessageBegin()
        if kind not in (TMessageType.CALL, TMessageType.ONEWAY):
            raise ValueError(f"message type {kind}")
        name = name.rsplit(":", 1)[-1]
        for processor, public in self.services:
            if name in processor._processMap and (public or self.peer or name == "Handshake"):
                processor._processMap[name](processor, seqid, arguments, protocol(out))
                break
        else:
            error = TApplicationException(TApplicationException.UNKNOWN_METHOD, f"{name} is not served here")
            answer = protocol(out)
            answer.writeMessageBegin(name, TMessageType.EXCEPTION, seqid)
            error.write(answer)
            answer.writeMessageEnd()
        return b"" if kind == TMessageType.ONEWAY else bytes(out.getvalue())


class Server:
    """Accepts connections, with a thread for each."""

    def __init__(self, address: str, identity: Identity, services: Callable[[Connection], list[tuple[Any, bool]]],
                 most: int = 256) -> None:
        self.identity, self.services = identity, services
        self.places = threading.BoundedSemaphore(most)
        self.listener = socket.create_server(parse_address(address))

    def run(self) -> None:
        while True:
            sock, _ = self.listener.accept()
            if not self.places.acquire(blocking=False):
                sock.close()
                continue
            threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    def _serve(self, sock: socket.socket) -> None:
        try:
            Connection(sock, self).run()
        finally:
            self.places.release()


class Dialer:
    """Calls other members: one connection to each, one call at a time on it."""

    def __init__(self, identity: Identity, address: Callable[[int], Optional[str]], patience: float) -> None:
        self.identity, self.address, self.patience = identity, address, patience
        self.lock = threading.Lock()
        self.links: dict[int, Link] = {}

    def call(self, node: int, method: str, request: Any) -> Any:
        """Returns the answer; CALL_ERRORS if there is none. A request may arrive twice, which does no harm in Raft."""
        with self.lock:
            link = self.links.setdefault(node, Link())
        with link.lock:
            while True:
                used = link.stub is not None
                try:
                    if not used:
                        link.open(self, node)
                    return getattr(link.stub, method)(request)
                except CALL_ERRORS as e:
                    if not isinstance(e, TApplicationException):
                        link.close()
                    closed = isinstance(e, TTransportException) and e.type != TTransportException.TIMED_OUT
                    closed = closed or isinstance(e, ConnectionError)
                    if not used or not closed:
                        raise  # else the other side has closed it, since the last call


class Link:
    """The connection to one other member."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.transport: Any = None
        self.stub: Any = None

    def open(self, dialer: Dialer, node: int) -> None:
        address = dialer.address(node)
        if address is None:
            raise TTransportException(message=f"node {node} has no address")
        host, port = parse_address(address)
        sock = TSocket(host, port)
        sock.setTimeout(int(1000 * dialer.patience))
        self.transport = TFramedTransport(sock)
        self.transport.open()
        stub = RaftPeer.Client(TCompactProtocol(self.transport))
        answer = stub.Handshake(dialer.identity.hello(node))
        if (refused := dialer.identity.judge(answer, node)) is not None:
            raise refused
        self.stub = stub

    def close(self) -> None:
        if self.transport is not None:
            self.transport.close()
        self.transport = self.stub = None


def parse_address(address: str) -> tuple[str, int]:
    host, _, port = address.rpartition(":")
    return host.strip("[]"), int(port)


__all__ = ["CALL_ERRORS", "Connection", "Dialer", "Identity", "MAX_FRAME_BYTES", "Server", "parse_address"]
