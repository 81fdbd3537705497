"""The services of the IDL, each method of which names what it is given to."""

from __future__ import annotations

import time
from typing import Any, Optional

from thrift.Thrift import TApplicationException

from leader import Leader
from member import Member, Refused
from raftwire import RaftAdmin, RaftClient, RaftPeer
from raftwire.ttypes import (AppendRequest, AppendResponse, FetchRequest, FetchResponse, GoodbyeRequest, HashRequest,
                             HashResponse, Health, HeartbeatRequest, HeartbeatResponse, Hello, NoSuchGroup, NotLeader,
                             ReadIndexRequest, ReadIndexResponse, RejectCode, Rejected, SnapshotAck, SnapshotChunk,
                             StatusRequest, StatusResponse, TimeoutNowRequest, TimeoutNowResponse, Unavailable, VoteRequest,
                             VoteResponse, WhyRequest, WhyResponse)
from wire import Connection, Identity

FETCH_ENTRIES, FETCH_BYTES = 1024, 1 << 20
HASH_PATIENCE = 5.0  # seconds for an index to be committed


class Group:
    """What the services of all connections share."""

    def __init__(self, group: int, member: Member, leader: Leader, identity: Identity) -> None:
        self.id, self.member, self.leader, self.identity = group, member, leader, identity

    def services(self, connection: Connection) -> list[tuple[Any, bool]]:
        """The processors of a connection, and whether they serve those who did not handshake."""
        public = Public(self)
        return [(RaftPeer.Processor(Peer(self, connection)), False), (RaftClient.Processor(public), True),
                (RaftAdmin.Processor(public), True)]

    def find(self, group: int) -> Member:
        if group != self.id:
            raise NoSuchGroup(group=group)
        return self.member

    def admit(self, hello: Hello) -> Optional[Rejected]:
        """Knows a member by the incarnation that it was first met with: with another one it has lost what it promised."""
        m = self.member
        with m.locked():
            if (hello.epoch or 0) < self.epoch():
                return Rejected(code=RejectCode.OLD_EPOCH, reason=f"epoch {hello.epoch}")
            known = m.store.known.get(hello.node, 0)
            if known and known != hello.incarnation:
                return Rejected(code=RejectCode.AMNESIA, reason=f"node {hello.node} is known with another data directory")
            if not known and hello.incarnation and m.members.may_be_member(hello.node):
                m.store.save_known({**m.store.known, hello.node: hello.incarnation})
        return None

    def epoch(self) -> int:
        return self.member.members.current.epoch or 0


class Peer:
    """RaftPeer, for one connection."""

    def __init__(self, group: Group, connection: Connection) -> None:
        self.g, self.connection = group, connection

    def Handshake(self, req: Hello) -> Hello:
        refused = self.g.identity.judge(req, 0)
        if refused is None and self.connection.peer not in (0, req.node):
            refused = Rejected(code=RejectCode.WRONG_NODE, reason="another node's connection")
        if refused is not None:
            self.connection.peer = -1  # told, and closed
            raise refused
        self.connection.peer = req.node
        return self.g.identity.hello(0)

    def Vote(self, req: VoteRequest) -> VoteResponse:
        return self.g.find(req.group).vote(self.connection.peer, req)

    def Append(self, req: AppendRequest) -> AppendResponse:
        return self.g.find(req.group).append(self.connection.peer, req)

    def Heartbeat(self, req: HeartbeatRequest) -> HeartbeatResponse:
        beats = [b for b in req.beats or [] if b.group == self.g.id]
        return HeartbeatResponse(acks=[self.g.member.beat(self.connection.peer, b) for b in beats])

    def InstallSnapshot(self, req: SnapshotChunk) -> SnapshotAck:
        return self.g.find(req.group).snapshot(self.connection.peer, req)

    def TimeoutNow(self, req: TimeoutNowRequest) -> TimeoutNowResponse:
        return self.g.find(req.group).timeout_now(self.connection.peer, req)

    def ReadIndex(self, req: ReadIndexRequest) -> ReadIndexResponse:
        self.g.find(req.group)
        return self.g.leader.read_index(self.connection.peer, req)

    def Fetch(self, req: FetchRequest) -> FetchResponse:
        """Entries for a member that cannot read its own; it takes what fits its checksums."""
        m = self.g.find(req.group)
        if req.first < 1 or req.count < 1:
            raise Refused("nothing asked for")
        with m.locked():
            s = m.store
            if req.first <= s.base:
                return FetchResponse(group=req.group, term=0, first=s.base + 1, entries=[])
            last = min(req.first + min(req.count, FETCH_ENTRIES) - 1, s.last)
            entries = s.between(req.first, last, FETCH_BYTES) if req.first <= last else []
            return FetchResponse(group=req.group, term=entries[0].term if entries else 0, first=req.first, entries=entries)

    def Goodbye(self, req: GoodbyeRequest) -> None:
        """The other side closes, and that ends the connection."""


class Public:
    """RaftClient and RaftAdmin. There is no state machine here, and nothing to administrate."""

    def __init__(self, group: Group) -> None:
        self.g = group

    def Status(self, req: StatusRequest) -> StatusResponse:
        m = self.g.find(req.group)
        with m.locked():
            s = m.store
            return StatusResponse(
                group=req.group, node=m.node, role=m.role, term=s.term, vote=s.vote, leader=m.leader, firstIndex=s.base + 1,
                lastIndex=s.last, commit=s.commit, applied=s.commit, snapshotIndex=s.image.meta.index if s.image else 0,
                config=m.members.current, progress=self.g.leader.progress() if m.leader == m.node else [], health=Health.OK,
                counters=[], durability="fsync")

    def Hash(self, req: HashRequest) -> HashResponse:
        m = self.g.find(req.group)
        with m.locked():
            until = time.monotonic() + HASH_PATIENCE
            while m.store.commit < req.index and time.monotonic() < until:
                m.news.wait(0.1)
            index = req.index or m.store.commit
            if not m.store.base <= index <= m.store.commit:
                raise Unavailable(group=req.group, reason=f"no hash at {index}", maybeApplied=False)
            chain = m.store.chain_at(index)
            known = chain.to_bytes(8, "little") if chain else b""
            return HashResponse(group=req.group, index=index, state=b"", logChain=known)

    def Why(self, req: WhyRequest) -> WhyResponse:
        m = self.g.find(req.group)
        return WhyResponse(group=req.group, sentence="Nothing is wrong." if m.leader else "Nobody leads.")

    def _elsewhere(self, req: Any) -> Any:
        """What only a leader with a state machine does."""
        m = self.g.find(req.group)
        with m.locked():
            leader = m.leader if m.leader != m.node else 0
            member = m.members.member(leader)
            raise NotLeader(group=req.group, leader=leader or None, leaderAddress=member.address if member else None,
                            term=m.store.term)

    Propose = Read = OpenSession = CloseSession = ChangeMembership = PlanChange = TransferLeadership = _elsewhere

    def Snapshot(self, req: Any) -> Any:
        raise TApplicationException(TApplicationException.UNKNOWN_METHOD, "there is no state here to take a snapshot of")
