"""A voting member of a Raftwire group, with nothing but raft.thrift, the stock Thrift library and docs/spec.

    voter.py --id 3 --listen 127.0.0.1:7003 --dir data --peer 1=127.0.0.1:7001 --peer 2=127.0.0.1:7002 --peer 3=127.0.0.1:7003

It votes, stores the log and acknowledges it, each only when it is on disk; it has no state machine. README.md says more.
"""

from __future__ import annotations

import argparse
import logging
import pathlib
import sys
import threading
from typing import Optional

from image import Damaged
from leader import Leader
from member import Member
from raftwire.ttypes import Configuration, Hello, Rejected, Suffrage
from raftwire.ttypes import Member as ConfigurationMember
from services import Group
from store import Broken, Store
from wire import MAX_FRAME_BYTES, Dialer, Identity, Server


def parse(args: list[str]) -> argparse.Namespace:
    p = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    p.add_argument("--id", type=int, required=True, help="number of this node in its cluster, from 1")
    p.add_argument("--cluster", default="raftkv", help="name of the cluster")
    p.add_argument("--group", type=int, default=1, help="the group that it is a member of")
    p.add_argument("--listen", required=True, metavar="ADDR", help="host:port to listen on")
    p.add_argument("--dir", type=pathlib.Path, required=True, help="directory of the data")
    p.add_argument("--peer", action="append", default=[], metavar="ID=ADDR",
                   help="a first member of the cluster, the same list on all of them; it counts until the log says another one")
    p.add_argument("--election-timeout", type=float, default=1.0, metavar="SECONDS", help="the same as the others'")
    p.add_argument("--max-frame", type=int, default=MAX_FRAME_BYTES, metavar="BYTES", help="the same as the others'")
    return p.parse_args(args)


def first_configuration(peers: list[str]) -> Configuration:
    members = []
    for peer in peers:
        node, _, address = peer.partition("=")
        members.append(ConfigurationMember(id=int(node), address=address, suffrage=Suffrage.VOTER, incarnation=0))
    return Configuration(incoming=sorted(members, key=lambda m: m.id), outgoing=[], autoLeave=False, epoch=0)


def main(args: list[str]) -> int:
    o = parse(args)
    logging.basicConfig(level=logging.ERROR)
    try:
        store = Store(o.dir, o.group)
    except (Broken, Damaged, ValueError, OSError) as e:
        print(f"voter: {e}", file=sys.stderr)
        return 1
    member = Member(o.id, store, first_configuration(o.peer), o.election_timeout)

    def address(node: int) -> Optional[str]:
        found = member.members.member(node)
        return found.address if found else None

    def admit(hello: Hello) -> Optional[Rejected]:
        return group.admit(hello)

    identity = Identity(o.cluster, o.id, store.incarnation, o.max_frame, admit)
    leader = Leader(member, Dialer(identity, address, o.election_timeout), o.group, o.election_timeout / 10)
    group = Group(o.group, member, leader, identity)
    identity.epoch = group.epoch
    server = Server(o.listen, identity, group.services)
    threading.Thread(target=server.run, daemon=True).start()
    print(f"voter {o.id} serves at {o.listen}: term {store.term}, log {store.base + 1} to {store.last}", flush=True)
    leader.run()
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)
