"""Campaigns when nobody leads, and leads just long enough: its entries and a no-op are committed, then somebody else takes over.

A member without a state machine serves nobody. But where its log is ahead of all others that are alive, only it can be
elected, and the entries that it holds may be acknowledged ones.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from typing import Optional

import checksum
from member import Member, Refused
from raftwire.ttypes import (AppendRequest, AppendResponse, AppendStatus, Entry, EntryKind, NotLeader, Progress,
                             ProgressState, ReadIndexRequest, ReadIndexResponse, Role, SnapshotChunk, SnapshotStatus,
                             Suffrage, TimeoutNowRequest, VoteRequest, VoteResponse)
from wire import CALL_ERRORS, Dialer

PIECE = 1 << 18  # bytes of entries in one append, and of an image in one chunk
DOUBT = 1 << 61  # the bit of ReadIndexRequest.context that a node in doubt sets


@dataclass
class Follower:
    """What a leader knows of another member. A new term makes a new one."""

    next: int
    matched: int = 0
    round: int = 0
    contact: float = field(default_factory=time.monotonic)
    lives: int = 0  # raised when it may have lost what it acknowledged
    snapshot: bool = False


class Leader:
    """The active half of a member: one thread that campaigns, and one for each follower of a term."""

    def __init__(self, member: Member, dialer: Dialer, group: int, heartbeat: float) -> None:
        self.m, self.dialer, self.group, self.heartbeat = member, dialer, group, heartbeat
        self.followers: dict[int, Follower] = {}
        self.round = 0
        self.term_start = 0
        self.votes: dict[int, bool] = {}

    def run(self) -> None:
        """Campaigns whenever it is time, for ever."""
        m = self.m
        while True:
            with m.locked():
                wait = 0 if m.transfer else m.campaign_at - time.monotonic()
                if m.role == Role.LEADER:
                    self._check_quorum()
                    m.news.wait(self.heartbeat)
                    continue
                if wait > 0:
                    m.news.wait(min(wait, 0.5))
                    continue
                transfer, m.transfer = m.transfer, False
                m.wait_anew()
                if not m.electable() or (time.monotonic() < m.promised_until and not transfer):
                    continue
                if not transfer:
                    self._ask(pre=True, transfer=False)
                else:
                    self._campaign(transfer=True)

    # ------------------------------------------------------------- election

    def _campaign(self, transfer: bool) -> None:
        """Raises the term and votes for itself, on disk, before anybody is asked."""
        m = self.m
        m.leader = 0
        m.store.save_vote(m.store.term + 1, m.node)
        m.wait_anew()
        self._ask(pre=False, transfer=transfer)

    def _ask(self, pre: bool, transfer: bool) -> None:
        m = self.m
        m.role, m.leader = (Role.PRECANDIDATE if pre else Role.CANDIDATE), 0
        self.votes = {m.node: True}
        request = VoteRequest(group=self.group, term=m.store.term + pre, candidate=m.node, lastIndex=m.store.last,
                              lastTerm=m.store.last_term, preVote=pre, transfer=transfer)
        for node in m.members.ids() - {m.node}:
            threading.Thread(target=self._ask_one, args=(node, request), daemon=True).start()
        self._count(pre)

    def _ask_one(self, node: int, request: VoteRequest) -> None:
        try:
            answer: VoteResponse = self.dialer.call(node, "Vote", request)
        except CALL_ERRORS:
            return
        m = self.m
        with m.locked():
            if answer.term > m.store.term:
                m.stand_down(answer.term, 0)
                return
            role = Role.PRECANDIDATE if request.preVote else Role.CANDIDATE
            if m.role == role and answer.askedTerm == request.term == m.store.term + request.preVote:
                self.votes[node] = bool(answer.granted)
                self._count(request.preVote)

    def _count(self, pre: bool) -> None:
        m = self.m
        if m.members.quorum(lambda v: self.votes.get(v, False)):
            if pre:
                self._campaign(transfer=False)
            else:
                self._lead()
        elif not m.members.quorum(lambda v: self.votes.get(v, True)):
            m.stand_down(m.store.term, 0)

    # -------------------------------------------------------------- leading

    def _lead(self) -> None:
        m = self.m
        m.role, m.leader = Role.LEADER, m.node
        noop = Entry(term=m.store.term, kind=EntryKind.NOOP, body=b"", crc32c=checksum.entry_crc(EntryKind.NOOP, b""))
        self.term_start = m.store.last + 1
        m.leader_heard = time.monotonic()
        self.followers = {}
        m.write(self.term_start, [noop])
        for node in m.members.ids() - {m.node}:
            self.followers[node] = Follower(next=self.term_start)
            threading.Thread(target=self._replicate, args=(node, m.store.term), daemon=True).start()
        print(f"leads term {m.store.term} from entry {self.term_start}", flush=True)
        self._advance()

    def _leads(self, term: int) -> bool:
        return self.m.role == Role.LEADER and self.m.store.term == term

    def _check_quorum(self) -> None:
        if self._quorum_heard() < time.monotonic() - self.m.election:
            self.m.stand_down(self.m.store.term, 0)

    def _quorum_heard(self) -> float:
        now = time.monotonic()
        return self.m.members.reached(lambda v: now if v == self.m.node else self._contact(v))

    def _contact(self, node: int) -> float:
        return self.followers[node].contact if node in self.followers else float("-inf")

    def _replicate(self, node: int, term: int) -> None:
        """Sends a follower what it lacks, at least with every heartbeat, as long as the term is led."""
        m = self.m
        while True:
            with m.locked():
                if not self._leads(term):
                    return
                f = self.followers[node]
                request = self._request(node, f)
                lives = f.lives
            try:
                if request is None:
                    self._send_image(node, f, term)
                else:
                    answer = self.dialer.call(node, "Append", request)
                    with m.locked():
                        if f.lives == lives:
                            self._answered(node, f, term, answer)
                self._hand_over(node, f, term)
            except CALL_ERRORS:
                pass
            with m.locked():
                if self._leads(term) and (f.next > m.store.last or time.monotonic() - f.contact > self.heartbeat):
                    m.news.wait(self.heartbeat)

    def _request(self, node: int, f: Follower) -> Optional[AppendRequest]:
        s = self.m.store
        previous = s.term_at(f.next - 1)
        f.snapshot = previous is None
        if previous is None:
            return None
        self.round += 1
        member = self.m.members.member(node)
        probing = f.matched + 1 != f.next or (member is not None and member.suffrage == Suffrage.WITNESS)
        entries = [] if probing else s.between(f.next, s.last, PIECE)
        return AppendRequest(group=self.group, term=s.term, leader=self.m.node, prevIndex=f.next - 1, prevTerm=previous,
                             commit=s.commit, entries=entries, round=self.round)

    def _answered(self, node: int, f: Follower, term: int, answer: AppendResponse) -> None:
        m = self.m
        if answer.term > m.store.term:
            m.stand_down(answer.term, 0)
        if not self._leads(term) or answer.matched > m.store.last or answer.round > self.round:
            return
        f.contact = time.monotonic()
        m.leader_heard = self._quorum_heard()
        if answer.status in (AppendStatus.OK, AppendStatus.NEED_SNAPSHOT):  # what lacks only the state has the log
            f.round = max(f.round, answer.round)
            f.matched = max(f.matched, answer.matched)
            f.next = f.matched + 1
            self._advance()
        elif answer.status == AppendStatus.LOG_MISMATCH:
            f.round = max(f.round, answer.round)
            f.matched = 0  # the calls of a follower are in order: what it had matched it has lost
            f.next = 1 + self._agreed(answer)
        elif answer.status == AppendStatus.UNCERTAIN:
            f.matched = 0  # it acknowledges nothing, and somebody else repairs it
        m.news.notify_all()

    def _agreed(self, answer: AppendResponse) -> int:
        """The highest position of this log that can equal the follower's at its hint or below."""
        s = self.m.store
        high = min(answer.conflictIndex or 0, answer.prevIndex - 1, s.last)
        while high > s.base and (s.term_at(high) or 0) > (answer.conflictTerm or 0):
            high -= 1
        return max(high, 0)

    def _advance(self) -> None:
        """Commits what a quorum has on disk, if it ends in an entry of this term."""
        m = self.m
        reached = m.members.reached(lambda v: m.store.last if v == m.node else self._matched(v))
        if reached >= self.term_start:
            m.commit_to(int(reached))

    def _matched(self, node: int) -> int:
        return self.followers[node].matched if node in self.followers else 0

    def _send_image(self, node: int, f: Follower, term: int) -> None:
        """Sends the image that the log begins behind."""
        with self.m.locked():
            whole = self.m.store.image
        if whole is None:
            raise Refused("no image")
        ids = dict(group=self.group, term=term, leader=self.m.node, source=self.m.node, snapshotId=whole.meta.snapshotId)
        chunk = SnapshotChunk(**ids, meta=whole.meta, offset=0, data=b"", chunkCrc32c=checksum.crc32c(b""), done=False)
        with whole.path.open("rb") as file:
            while True:
                ack = self.dialer.call(node, "InstallSnapshot", chunk)
                with self.m.locked():
                    if ack.term > self.m.store.term:
                        self.m.stand_down(ack.term, 0)
                    if not self._leads(term) or ack.status not in (SnapshotStatus.OK, SnapshotStatus.RESUME_AT,
                                                                   SnapshotStatus.INSTALLED):
                        return
                    f.contact = time.monotonic()
                    if ack.status == SnapshotStatus.INSTALLED:
                        f.matched, f.next = max(f.matched, ack.index), max(f.matched, ack.index, whole.meta.index) + 1
                        return
                file.seek(ack.nextOffset)
                data = file.read(PIECE)
                chunk = SnapshotChunk(**ids, offset=ack.nextOffset, data=data, chunkCrc32c=checksum.crc32c(data),
                                      done=ack.nextOffset + len(data) == whole.meta.sizeBytes)

    def _hand_over(self, node: int, f: Follower, term: int) -> None:
        """Asks a follower that has the whole log, all of it committed, to campaign. It is asked until it does."""
        m = self.m
        with m.locked():
            member = m.members.member(node)
            ready = (self._leads(term) and m.store.commit == m.store.last == f.matched and member is not None
                     and member.suffrage == Suffrage.VOTER)
        if ready:
            self.dialer.call(node, "TimeoutNow", TimeoutNowRequest(group=self.group, term=term, leader=m.node))

    # -------------------------------------------------------------- services

    def read_index(self, sender: int, req: ReadIndexRequest) -> ReadIndexResponse:
        """An index from which the asker may read: once a quorum has echoed a round that began after the question."""
        m = self.m
        with m.locked():
            term, f = m.store.term, self.followers.get(sender)
            if m.role == Role.LEADER and f is not None and req.context & DOUBT:
                f.matched, f.next, f.lives = 0, m.store.last + 1, f.lives + 1
            until = time.monotonic() + m.election
            first = 0
            while self._leads(term) and f is not None and not req.context & DOUBT and time.monotonic() < until:
                if m.store.commit >= self.term_start:
                    if not first:
                        first, index = self.round + 1, m.store.commit
                        m.news.notify_all()
                    if m.members.reached(lambda v: first if v == m.node else self._round(v)) >= first:
                        return ReadIndexResponse(group=req.group, term=term, index=index, context=req.context)
                m.news.wait(self.heartbeat)
            raise NotLeader(group=req.group, leader=m.leader or None, term=m.store.term)

    def _round(self, node: int) -> int:
        return self.followers[node].round if node in self.followers else 0

    def progress(self) -> list[Progress]:
        now = time.monotonic()
        return [Progress(id=node, matched=f.matched, nextIndex=f.next, lagBytes=0, lastContactMs=int(1000 * (now - f.contact)),
                         state=ProgressState.SNAPSHOT if f.snapshot else
                         ProgressState.REPLICATE if f.matched + 1 == f.next else ProgressState.PROBE)
                for node, f in sorted(self.followers.items())]
