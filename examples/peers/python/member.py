"""One member of a group: what docs/spec/raft.md says about messages, with everything durable before it is promised."""

from __future__ import annotations

import os
import random
import sys
import threading
import time
import traceback
from typing import Any, Optional

from thrift.Thrift import TApplicationException

import checksum
import image
from membership import Membership
from raftwire.ttypes import (AppendRequest, AppendResponse, AppendStatus, Beat, BeatAck, Configuration, Entry, EntryKind,
                             RejectReason, Role, SnapshotAck, SnapshotChunk, SnapshotMeta, SnapshotStatus, Suffrage,
                             TimeoutNowRequest, TimeoutNowResponse, VoteRequest, VoteResponse)
from store import Store

MAX_TERM = MAX_INDEX = 1 << 62


class Refused(TApplicationException):
    """A request that must not be answered with a status: the caller hears an error."""

    def __init__(self, why: str) -> None:
        super().__init__(TApplicationException.INTERNAL_ERROR, why)


class Guard:
    """Holds a lock. A disk that fails meanwhile ends the process: what it holds now cannot be told.

    It is no contextlib.contextmanager, which sets an attribute of what is raised: Thrift's exceptions let nobody do that.
    """

    def __init__(self, lock: Any) -> None:
        self.lock = lock

    def __enter__(self) -> None:
        self.lock.acquire()

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        if isinstance(error, OSError):
            traceback.print_exception(kind, error, trace)
            sys.stderr.flush()
            os._exit(1)
        self.lock.release()


class Member:
    """Takes the requests of others. Everything happens under one lock, writes to the disk included."""

    def __init__(self, node: int, store: Store, first: Configuration, election: float) -> None:
        self.node, self.store, self.election = node, store, election
        self.lock = threading.RLock()
        self.news = threading.Condition(self.lock)  # roles, the log and the commit index
        self.members = Membership(first)
        if store.image is not None:
            self.members.restart(store.image.meta.configIndex, store.image.meta.config)
        self.members.appended(store.base + 1, [k.entry for k in store.entries])
        self.members.committed(store.commit)
        self.role = Role.FOLLOWER
        self.leader = 0
        self.leader_heard = float("-inf")
        self.receiving: Optional[SnapshotMeta] = None
        now = time.monotonic()
        # Whoever was in a term may have promised a leader to elect nobody else for a while.
        self.promised_until = now + election / 2 if store.term > 0 else now
        self.campaign_at = now
        self.transfer = False  # campaigns on the word of the leader
        self.wait_anew()

    def locked(self) -> Guard:
        """Holds the lock."""
        return Guard(self.lock)

    # ------------------------------------------------------------ terms, roles

    def wait_anew(self) -> None:
        """Waits longer than the nodes with a state machine do, so that one of them leads if it can."""
        self.campaign_at = time.monotonic() + self.election * random.uniform(1, 2)

    def resting(self) -> int:
        me = self.members.member(self.node)
        return int(Role.LEARNER if me is not None and me.suffrage == Suffrage.LEARNER else Role.FOLLOWER)

    def stand_down(self, term: int, leader: int) -> None:
        """Follows leader (0: nobody yet) in term. A vote is cleared by a higher term only."""
        if term > self.store.term:
            self.store.save_vote(term, 0)
        was, self.role, self.leader = self.role, self.resting(), leader
        if was != self.role:
            self.wait_anew()
        self.transfer = False
        self.news.notify_all()

    def hear(self, sender: int, term: int) -> bool:
        """Obeys the sender of an append, beat or snapshot as the leader of term; False if it is not."""
        if term < self.store.term:
            return False
        if term == self.store.term and (self.role == Role.LEADER or self.leader not in (0, sender)):
            return False
        if term > self.store.term or self.role != self.resting():
            self.stand_down(term, sender)
        self.leader = sender
        self.leader_heard = time.monotonic()
        self.promised_until = self.leader_heard + self.election / 2
        self.wait_anew()
        return True

    def leader_alive(self) -> bool:
        """Whether votes are refused for a leader's sake. A leader hears itself as long as it hears a quorum."""
        return self.leader != 0 and self.leader_heard > time.monotonic() - self.election / 2

    # ------------------------------------------------------------------- votes

    def vote(self, sender: int, req: VoteRequest) -> VoteResponse:
        with self.locked():
            reason = self._judge_vote(sender, req)
            granted = reason == RejectReason.NONE
            if granted and not req.preVote:
                if self.store.vote == 0:
                    self.store.save_vote(self.store.term, sender)
                self.wait_anew()
            return VoteResponse(group=req.group, term=self.store.term, granted=granted, preVote=req.preVote, reason=reason,
                                askedTerm=req.term)

    def _judge_vote(self, sender: int, req: VoteRequest) -> int:
        check(0 < req.term <= MAX_TERM and 0 <= req.lastTerm <= req.term and 0 <= req.lastIndex <= MAX_INDEX, "vote")
        check((req.lastIndex == 0) == (req.lastTerm == 0), "vote")
        s = self.store
        theirs, mine = (req.lastTerm, req.lastIndex), (s.last_term, s.last)
        if req.term < s.term or (req.preVote and req.term == s.term):
            return int(RejectReason.STALE_TERM)
        if self.leader_alive() and not req.transfer:
            return int(RejectReason.LEADER_ALIVE)
        if time.monotonic() < self.promised_until and not req.transfer:
            return int(RejectReason.LEASE_PROMISED)
        if not self.members.may_be_member(sender) and theirs <= mine:
            return int(RejectReason.NOT_MEMBER)
        if req.preVote:
            return int(RejectReason.LOG_BEHIND if theirs < mine else RejectReason.NONE)
        if req.term > s.term:
            self.stand_down(req.term, 0)
        if theirs < mine:
            return int(RejectReason.LOG_BEHIND)
        return int(RejectReason.NONE if s.vote in (0, sender) else RejectReason.ALREADY_VOTED)

    # ----------------------------------------------------------------- entries

    def append(self, sender: int, req: AppendRequest) -> AppendResponse:
        entries = req.entries or []
        check_entries(req, entries)
        with self.locked():
            following = self.hear(sender, req.term)
            s = self.store
            answer = AppendResponse(group=req.group, term=s.term, status=AppendStatus.STALE_TERM, prevIndex=req.prevIndex,
                                    matched=0, round=0)
            if not following:
                answer.lastIndex = s.last
                return answer
            answer.round = req.round
            if not self._reaches(req):
                self._hint(req, answer)
                return answer
            end = req.prevIndex + len(entries)
            self._accept(req.prevIndex + 1, entries)
            self.commit_to(min(req.commit, end))
            answer.status, answer.matched = AppendStatus.OK, end
            return answer

    def _reaches(self, req: AppendRequest) -> bool:
        """Whether the log has the entry before the request's first. Committed ones are equal in every leader's log."""
        known = self.store.term_at(req.prevIndex)
        if req.prevIndex <= self.store.commit:
            check(known is None or known == req.prevTerm, "conflict with what is committed")
            return True
        return known == req.prevTerm

    def _hint(self, req: AppendRequest, answer: AppendResponse) -> None:
        """Where the logs may agree: the highest position of a term that is not above the one asked for."""
        s = self.store
        hint = min(req.prevIndex, s.last)
        while hint > s.commit and (s.term_at(hint) or 0) > req.prevTerm:
            hint -= 1
        answer.status = AppendStatus.LOG_MISMATCH
        hint = max(hint, s.commit)
        answer.conflictIndex, answer.conflictTerm, answer.lastIndex = hint or None, s.term_at(hint) or None, s.last

    def _accept(self, first: int, entries: list[Entry]) -> None:
        """Writes what the log does not have. What it has stays; a conflict is cut off with all that follows."""
        s = self.store
        known = 0
        for entry in entries:
            term = s.term_at(first + known)
            if first + known > s.base and term != entry.term:
                check(first + known > s.commit, "conflict with what is committed")
                break
            known += 1
        if rest := entries[known:]:
            self.write(first + known, rest)

    def write(self, first: int, entries: list[Entry]) -> None:
        """Makes the log end with these entries, on disk and in force."""
        self.store.append(first, entries)
        if self.members.appended(first, entries):
            self.forget_the_gone()
        self.news.notify_all()

    def forget_the_gone(self) -> None:
        self.store.save_known({k: v for k, v in self.store.known.items() if self.members.may_be_member(k)})

    def commit_to(self, index: int) -> None:
        if index > self.store.commit:
            self.store.commit = index
            self.members.committed(index)
            self.news.notify_all()

    def beat(self, sender: int, beat: Beat) -> BeatAck:
        """Answers a sign of life. The round is echoed to the leader of the present term only."""
        check(0 < beat.term <= MAX_TERM and beat.round >= 0 and 0 <= beat.commit <= MAX_INDEX, "beat")
        with self.locked():
            if not self.hear(sender, beat.term):
                return BeatAck(group=beat.group, term=self.store.term, round=0, wake=False)
            self.commit_to(min(beat.commit, self.store.last))
            # This member does not sleep: it would have to watch hosts for its groups.
            return BeatAck(group=beat.group, term=self.store.term, round=beat.round, wake=beat.quiesce)

    def timeout_now(self, sender: int, req: TimeoutNowRequest) -> TimeoutNowResponse:
        check(0 < req.term <= MAX_TERM, "term")
        with self.locked():
            accepted = self.hear(sender, req.term) and self.electable()
            if accepted:
                self.transfer = True
                self.news.notify_all()
            return TimeoutNowResponse(group=req.group, term=self.store.term, accepted=accepted)

    def electable(self) -> bool:
        me = self.members.member(self.node)
        return me is not None and me.suffrage == Suffrage.VOTER

    # --------------------------------------------------------------- snapshots

    def snapshot(self, sender: int, chunk: SnapshotChunk) -> SnapshotAck:
        data = chunk.data or b""
        if checksum.crc32c(data) != chunk.chunkCrc32c:
            raise Refused("chunk checksum mismatch")
        with self.locked():
            answer = SnapshotAck(group=chunk.group, term=self.store.term, snapshotId=chunk.snapshotId, nextOffset=0, index=0)
            meta = chunk.meta
            if meta is None and self.receiving is not None and self.receiving.snapshotId == chunk.snapshotId:
                meta = self.receiving
            if meta is None:
                answer.status = SnapshotStatus.RESUME_AT  # the description comes with the next chunk
                return answer
            check_meta(chunk, meta)
            following = self.hear(sender, chunk.term)
            answer.term = self.store.term
            if not following:
                answer.status = SnapshotStatus.REJECTED
            elif self._covered(meta):
                answer.status, answer.index = SnapshotStatus.INSTALLED, meta.index
            else:
                self.receiving = meta
                self._receive(meta, chunk, answer)
            return answer

    def _covered(self, meta: SnapshotMeta) -> bool:
        """Whether the log has everything up to the snapshot's last entry; then it needs no state from it."""
        if meta.index <= self.store.commit:
            return True
        if self.store.term_at(meta.index) == meta.term:
            self.commit_to(meta.index)
            return True
        return False

    def _receive(self, meta: SnapshotMeta, chunk: SnapshotChunk, answer: SnapshotAck) -> None:
        try:
            answer.nextOffset, whole = self.store.receive(meta, chunk)
        except (image.Damaged, ValueError) as e:
            print(f"snapshot of {meta.index} refused: {e}", file=sys.stderr, flush=True)
            answer.status = SnapshotStatus.CHECKSUM_MISMATCH
            return
        if whole is None:
            fits = chunk.data and chunk.offset + len(chunk.data) == answer.nextOffset
            beat = not chunk.data and chunk.meta is None
            answer.status = SnapshotStatus.OK if fits or beat else SnapshotStatus.RESUME_AT
            return
        self.receiving = None
        self.store.install(whole)
        self.members.restart(whole.meta.configIndex, whole.meta.config)
        self.store.save_known({})  # who was removed and added again meanwhile cannot be told
        print(f"installed a snapshot of {meta.index}, {meta.sizeBytes} bytes", file=sys.stderr, flush=True)
        answer.status, answer.index = SnapshotStatus.INSTALLED, meta.index
        self.news.notify_all()


def check(condition: bool, what: str) -> None:
    """Refuses a message that contradicts itself or what no honest leader can send."""
    if not condition:
        raise Refused(f"invalid message: {what}")


def check_entries(req: AppendRequest, entries: list[Entry]) -> None:
    """Holds an append against what every log obeys, and every entry against its checksum."""
    check(0 < req.term <= MAX_TERM and 0 <= req.prevTerm <= req.term and req.round >= 0, "term")
    check(0 <= req.prevIndex <= MAX_INDEX and 0 <= req.commit <= MAX_INDEX, "index")
    check((req.prevIndex == 0) == (req.prevTerm == 0), "previous")
    least = max(req.prevTerm, 1)
    for entry in entries:
        check(least <= entry.term <= req.term, "terms fall")
        check(entry.kind in EntryKind._VALUES_TO_NAMES and entry.kind != EntryKind.UNSPECIFIED, "unknown kind of entry")
        check(entry.strippedBytes is None, "an entry without its body")
        if checksum.entry_crc(entry.kind, entry.body) != entry.crc32c:
            raise Refused("entry checksum mismatch")
        least = entry.term


def check_meta(chunk: SnapshotChunk, meta: SnapshotMeta) -> None:
    check(0 < chunk.term <= MAX_TERM and 0 < meta.term <= chunk.term and 0 < meta.index <= MAX_INDEX, "snapshot")
    check(0 <= meta.configIndex <= meta.index and meta.config is not None and bool(meta.config.incoming), "configuration")
    check(len(meta.snapshotId or b"") == 16 and meta.snapshotId == chunk.snapshotId, "identity")
    check(0 < meta.sizeBytes and (meta.sha256 or b"")[:16] == meta.snapshotId, "identity")
