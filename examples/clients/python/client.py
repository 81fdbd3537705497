"""A client of a Raftwire node in stock Thrift: one write, the same write again, one read, and the node's status.

    client.py ADDRESS [CLIENT]

It does so over framed Compact and then over framed Binary. ADDRESS is any node of a raftbench cluster, CLIENT a number of its
own for everyone who writes to it. docs/guides/other-languages.md says why each answer is treated as it is.
"""

import logging
import struct
import sys
import time

from thrift.protocol.TBinaryProtocol import TBinaryProtocol
from thrift.protocol.TCompactProtocol import TCompactProtocol
from thrift.Thrift import TApplicationException
from thrift.transport.TSocket import TSocket
from thrift.transport.TTransport import TFramedTransport, TTransportException

from raftwire import RaftClient
from raftwire.ttypes import (Consistency, NoSuchGroup, NotLeader, ProposeRequest, ReadRequest, RejectCode, Rejected, Role,
                             StatusRequest, Unavailable)

GROUP = 1
TIMEOUT_MS = 5000  # of one call
PATIENCE = 15  # seconds for one operation, redirects and retries included
PAUSE = 0.1  # seconds before a retry, where the node names no other time
PROTOCOLS = {"compact": TCompactProtocol, "binary": TBinaryProtocol}


class Client:
    """Calls one node at a time and goes where NotLeader points."""

    def __init__(self, protocol, address):
        self.protocol, self.seed, self.address = protocol, address, address
        self.transport = self.stub = None
        self.connect()

    def connect(self):
        host, port = self.address.rsplit(":", 1)
        socket = TSocket(host.strip("[]"), int(port))
        socket.setTimeout(2 * TIMEOUT_MS)
        self.transport = TFramedTransport(socket)
        self.transport.open()
        self.stub = RaftClient.Client(PROTOCOLS[self.protocol](self.transport))

    def close(self):
        if self.transport is not None:
            self.transport.close()
        self.transport = self.stub = None

    def move(self, address):
        self.close()
        self.address = address

    def call(self, method, request):
        """Makes a call until it succeeds, fails for good, or PATIENCE is over.

        A write that is sent again may be carried out twice. Here that does no harm: the command carries a client's number
        and a sequence number, and the node's state machine applies such a pair once.
        """
        deadline = time.monotonic() + PATIENCE
        redirects = 0
        while True:
            pause = PAUSE
            try:
                if self.stub is None:
                    self.connect()
                return getattr(self.stub, method)(request)
            except NotLeader as e:
                error = e
                if e.leaderAddress:
                    print(f"{self.protocol}: {method}: {self.address} does not lead, redirected to {e.leaderAddress}")
                    self.move(e.leaderAddress)
                    pause = PAUSE * redirects  # two nodes may name each other for a while
                    redirects += 1
            except Unavailable as e:
                error = e
                pause = (e.retryAfterMs or 0) / 1000 or PAUSE
            except Rejected as e:
                error = e
                if e.code != RejectCode.BUSY:
                    raise
            except (TTransportException, OSError) as e:
                error = e
                self.move(self.seed)
            if time.monotonic() + pause > deadline:
                raise error
            time.sleep(pause)

    def propose(self, command):
        return self.call("Propose", ProposeRequest(group=GROUP, command=command, timeoutMs=TIMEOUT_MS))

    def read(self, query):
        return self.call("Read", ReadRequest(group=GROUP, query=query, consistency=Consistency.LINEARIZABLE, timeoutMs=TIMEOUT_MS))

    def status(self):
        s = self.call("Status", StatusRequest(group=GROUP))
        print(f"{self.protocol}: node {s.node} is {Role._VALUES_TO_NAMES[s.role]} in term {s.term}, leader {s.leader}, applied {s.applied}")


def holds(ranges, sequence):
    """Whether a number lies in ranges such as "1..5 7..9", ends not included."""
    pairs = (r.split("..") for r in ranges.split())
    return any(int(lo) <= sequence < int(hi) for lo, hi in pairs)


def session(protocol, address, client_id, sequence):
    client = Client(protocol, address)  # an address where nobody listens is not tried again
    try:
        client.status()
        command = struct.pack(">IQ", client_id, sequence) + b"from Python"
        first = client.propose(command)
        print(f"{protocol}: proposed {client_id}/{sequence}: index {first.index}, term {first.term}")
        again = client.propose(command)
        print(f"{protocol}: proposed again: index {again.index}, {again.result.decode()}")
        if again.result != b"duplicate" or again.index <= first.index:
            raise ValueError(f"the second answer is {again}")
        answer = client.read(f"client {client_id}".encode())
        print(f"{protocol}: read at index {answer.index}: {answer.result.decode()}")
        if not holds(answer.result.decode(), sequence) or answer.index < again.index:
            raise ValueError(f"the read does not show {sequence}")
        client.status()
    finally:
        client.close()


def main(args):
    if len(args) not in (1, 2):
        print("usage: client.py ADDRESS [CLIENT]", file=sys.stderr)
        return 2
    logging.getLogger("thrift").setLevel(logging.CRITICAL)  # what it would log is raised as well
    sequence = time.time_ns() // 1000
    for n, protocol in enumerate(PROTOCOLS):
        try:
            session(protocol, args[0], int(args[1]) if len(args) == 2 else 1, sequence + n)
        except (NotLeader, Unavailable, Rejected, NoSuchGroup, TApplicationException, TTransportException, OSError, ValueError) as e:
            print(f"client: {protocol}: {type(e).__name__}: {e}", file=sys.stderr)
            return 1
    print("ok")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
