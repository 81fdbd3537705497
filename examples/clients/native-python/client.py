"""Speaks Raftwire's native frames in msgpack: client.py ADDRESS NODE CLUSTER [CLIENT].  docs/spec/wire.md describes them."""
import socket
import struct
import sys
import time

import msgpack

CALL, REPLY, EXCEPTION, ERROR = 1, 2, 3, 5  # kinds of native frames
MSGPACK, NATIVE = 3, 1  # Codec.MSGPACK; the bit of Hello.features that says: takes native frames
PROPOSE, READ, STATUS = 20, 21, 24  # the methods' (id = "n") in raft.thrift
BUSY = 2  # RejectCode.BUSY
ME, GROUP, TIMEOUT_MS = 1 << 40, 1, 5000  # a node id that no member has


def crc32c(data, table=[]):
    if not table:
        for c in range(256):
            for _ in range(8):
                c = c >> 1 ^ (0x82F63B78 if c & 1 else 0)
            table.append(c)
    crc = 0xFFFFFFFF
    for b in data:
        crc = crc >> 8 ^ table[(crc ^ b) & 0xFF]
    return crc ^ 0xFFFFFFFF


def varint(n):
    return bytes([n]) if n < 0x80 else bytes([n & 0x7F | 0x80]) + varint(n >> 7)


def compact_hello(cluster, target):
    """The arguments of Handshake in Thrift Compact.  A field: the step from the last id << 4 | its type, then its value."""
    i32, i64, text = (lambda n: b"\x15" + varint(2 * n)), (lambda n: b"\x16" + varint(2 * n)), cluster.encode()
    hello = i32(1) + b"\x18" + varint(len(text)) + text + i64(ME) + b"\x19\x15" + varint(2 * MSGPACK)  # 1 to 4: codecs is a list
    hello += i32(16384000) + i64(NATIVE) + b"\x18\x06Python" + b"\x26" + varint(2 * target) + b"\x00"  # 5, 6, 7; 9: target
    return b"\x1c" + hello + b"\x00"


class Connection:
    def __init__(self, address, node, cluster):
        host, port = address.rsplit(":", 1)
        self.socket, self.seq = socket.create_connection((host, int(port)), 2 * TIMEOUT_MS / 1000), 1
        call = b"\x82\x21\x01\x09Handshake" + compact_hello(cluster, node)  # Compact, a call of version 1, seqid 1, name
        self.socket.sendall(struct.pack(">I", len(call)) + call)
        answer = self.receive()
        if answer[4:17] != b"\x82\x41\x01\x09Handshake" or answer[17:19] != b"\x0c\x00":  # a reply whose field 0 is a struct
            raise SystemExit(f"client: handshake refused: {answer[17:].decode('ascii', 'replace')!r}")

    def receive(self):
        frame = self.exactly(4)
        return frame + self.exactly(struct.unpack(">I", frame)[0])

    def exactly(self, n):
        data = b""
        while len(data) < n:
            more = self.socket.recv(n - len(data))
            if not more:
                raise ConnectionError("the node closed the connection")
            data += more
        return data

    def call(self, method, *fields):
        """One call: the request as an array whose element k-1 is field k.  Returns the kind and body of the answer."""
        self.seq += 1
        body = msgpack.packb(fields)
        head = struct.pack(">IBBBBHHI", 16 + len(body), 0xC1, 1 << 4 | CALL, MSGPACK, 0, method, 1, self.seq)
        self.socket.sendall(head + struct.pack(">I", crc32c(head + body)) + body)
        frame = self.receive()
        length, magic, kind, codec, flags, answered, lane, seq, crc = struct.unpack(">IBBBBHHII", frame[:20])
        if magic != 0xC1 or (answered, seq) != (method, self.seq) or crc != crc32c(frame[:16] + frame[20:]):
            raise ValueError(f"a frame that is no answer: {frame[:20].hex()}")
        if kind & 15 == ERROR:
            raise ValueError(f"error {struct.unpack('>i', frame[20:24])[0]}: {frame[24:].decode()}")
        return kind & 15, msgpack.unpackb(frame[20:], strict_map_key=False)  # an exception's keys are numbers


def main(address, node, cluster, client="1"):
    connection, deadline = Connection(address, int(node), cluster), time.monotonic() + 15

    def call(name, *request):
        nonlocal connection
        while True:
            kind, body = connection.call(*request)
            if kind == REPLY:
                return body
            (field, exception), = body.items()  # throws: 1 NotLeader, 2 Unavailable, 3 Rejected, 4 NoSuchGroup
            again = field <= 2 or field == 3 and exception[1] == BUSY
            if not again or time.monotonic() > deadline:
                raise ValueError(f"{name}: exception {field}: {exception}")
            if field == 1 and len(exception) > 2 and exception[2]:  # group, leader, leaderAddress
                print(f"native: {name}: does not lead, redirected to {exception[2]}")
                connection.socket.close()
                connection = Connection(exception[2], exception[1], cluster)
            else:
                time.sleep(0.1)

    status = call("Status", STATUS, GROUP)
    print(f"native: node {status[1]} in term {status[3]}, leader {status[5]}, applied {status[9]}")
    sequence = time.time_ns() // 1000
    command = struct.pack(">IQ", int(client), sequence) + b"in msgpack"
    first = call("Propose", PROPOSE, GROUP, command, None, None, None, TIMEOUT_MS)
    print(f"native: proposed {client}/{sequence}: index {first[1]}, term {first[2]}")
    again = call("Propose", PROPOSE, GROUP, command, None, None, None, TIMEOUT_MS)
    print(f"native: proposed again: index {again[1]}, {again[3].decode()}")
    answer = call("Read", READ, GROUP, b"client " + client.encode(), 0, TIMEOUT_MS)
    print(f"native: read at index {answer[1]}: {answer[2].decode()}")
    ranges = [[int(n) for n in r.split("..")] for r in answer[2].decode().split()]
    if again[3] != b"duplicate" or not any(lo <= sequence < hi for lo, hi in ranges):
        raise ValueError("the answers do not show the command once")
    print("ok")


if __name__ == "__main__":
    if len(sys.argv) not in (4, 5):
        sys.exit("usage: client.py ADDRESS NODE CLUSTER [CLIENT]")
    try:
        main(*sys.argv[1:])
    except (OSError, ValueError) as e:
        sys.exit(f"client: {type(e).__name__}: {e}")
