"""Tests of the voter without a network: what it keeps on disk, and what it promises."""

import pathlib
import tempfile
import time
import unittest

import checksum
from encoding import encode
from member import Member, Refused
from raftwire.ttypes import (AppendRequest, AppendStatus, Beat, Configuration, Entry, EntryKind, NotLeader, RejectReason,
                             Suffrage, VoteRequest)
from raftwire.ttypes import Member as ConfigurationMember
from store import Broken, Store


def entry(term, text, kind=EntryKind.COMMAND):
    body = text if isinstance(text, bytes) else text.encode()
    return Entry(term=term, kind=kind, body=body, crc32c=checksum.entry_crc(kind, body))


def configuration(*ids):
    members = [ConfigurationMember(id=i, address=f"host:{i}", suffrage=Suffrage.VOTER, incarnation=0) for i in ids]
    return Configuration(incoming=members, outgoing=[], autoLeave=False, epoch=0)


def append(term, leader, prev_index, prev_term, entries, commit=0):
    return AppendRequest(group=1, term=term, leader=leader, prevIndex=prev_index, prevTerm=prev_term, commit=commit,
                         entries=entries, round=7)


def vote(term, last_index, last_term, pre=False, transfer=False):
    return VoteRequest(group=1, term=term, candidate=0, lastIndex=last_index, lastTerm=last_term, preVote=pre, transfer=transfer)


class VoterTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.start()

    def start(self, election=0.002):
        self.member = Member(3, Store(self.folder, 1), configuration(1, 2, 3), election)

    def forget_the_leader(self):
        """Lets the time pass in which votes are refused for a leader's sake."""
        self.member.leader = 0
        self.member.promised_until = time.monotonic() - 1

    def terms(self):
        return [k.entry.term for k in self.member.store.entries]

    def test_checksums(self):
        self.assertEqual(checksum.crc32c(b"123456789"), 0xE3069283)
        self.assertEqual(checksum.entry_crc(EntryKind.NOOP, b""), 0xB34623A6)

    def test_what_was_acknowledged_is_there_after_a_restart(self):
        answer = self.member.append(1, append(2, 1, 0, 0, [entry(1, "a"), entry(2, "b")], commit=1))
        self.assertEqual((answer.status, answer.matched, answer.round), (AppendStatus.OK, 2, 7))
        before = self.member.store.chain_at(2)
        self.start()
        self.assertEqual((self.terms(), self.member.store.term), ([1, 2], 2))
        self.assertEqual(self.member.store.chain_at(2), before)

    def test_a_torn_record_at_the_end_is_dropped(self):
        self.member.append(1, append(1, 1, 0, 0, [entry(1, "a")]))
        log = self.folder / "log"
        whole = log.stat().st_size
        self.member.append(1, append(1, 1, 1, 1, [entry(1, "b" * 100)]))
        data = log.read_bytes()
        for length in (whole + 1, whole + 9, len(data) - 1):
            log.write_bytes(data[:length])
            self.start()
            self.assertEqual(self.terms(), [1], f"cut at {length}")

    def test_damage_before_the_end_is_no_torn_record(self):
        self.member.append(1, append(1, 1, 0, 0, [entry(1, "a")]))
        self.member.append(1, append(1, 1, 1, 1, [entry(1, "b")]))
        log = self.folder / "log"
        data = bytearray(log.read_bytes())
        data[20] ^= 1
        log.write_bytes(data)
        with self.assertRaises(Broken):
            self.start()

    def test_a_conflict_is_cut_off_and_what_is_known_stays(self):
        self.member.append(1, append(1, 1, 0, 0, [entry(1, "a"), entry(1, "b"), entry(1, "c")]))
        self.member.append(1, append(1, 1, 0, 0, [entry(1, "a")]))
        self.assertEqual(self.terms(), [1, 1, 1], "an append that is known cuts nothing off")
        self.member.append(2, append(2, 2, 1, 1, [entry(2, "d")], commit=9))
        self.assertEqual((self.terms(), self.member.store.commit), ([1, 2], 2))
        self.start()
        self.assertEqual(self.terms(), [1, 2])
        with self.assertRaises(Refused):
            self.member.store.commit = 2
            self.member.append(2, append(3, 2, 1, 1, [entry(3, "e")]))

    def test_a_mismatch_says_where_the_logs_may_agree(self):
        self.member.append(1, append(3, 1, 0, 0, [entry(1, "a"), entry(3, "b"), entry(3, "c")]))
        answer = self.member.append(2, append(4, 2, 3, 2, []))
        self.assertEqual((answer.status, answer.conflictIndex, answer.conflictTerm, answer.lastIndex),
                         (AppendStatus.LOG_MISMATCH, 1, 1, 3))

    def test_a_vote_is_given_once_and_outlives_a_restart(self):
        self.assertTrue(self.member.vote(1, vote(5, 0, 0)).granted)
        self.start()
        self.forget_the_leader()
        answer = self.member.vote(2, vote(5, 9, 4))
        self.assertEqual((answer.granted, answer.reason), (False, RejectReason.ALREADY_VOTED))
        self.assertTrue(self.member.vote(1, vote(5, 0, 0)).granted)
        self.assertTrue(self.member.vote(2, vote(6, 0, 0)).granted)

    def test_who_is_behind_gets_no_vote(self):
        self.member.append(1, append(2, 1, 0, 0, [entry(2, "a")]))
        self.forget_the_leader()
        self.assertEqual(self.member.vote(2, vote(3, 5, 1, pre=True)).reason, RejectReason.LOG_BEHIND)
        self.assertEqual(self.member.store.term, 2, "a pre-vote changes nothing")
        self.assertEqual(self.member.vote(2, vote(3, 5, 1)).reason, RejectReason.LOG_BEHIND)
        self.assertEqual(self.member.store.term, 3)

    def test_a_leader_that_is_alive_keeps_its_votes(self):
        self.start(election=3600)
        self.member.beat(1, Beat(group=1, term=2, commit=0, round=1, quiesce=False))
        self.assertEqual(self.member.vote(2, vote(3, 9, 2)).reason, RejectReason.LEADER_ALIVE)
        self.assertEqual(self.member.store.term, 2)
        self.start(election=3600)
        self.assertEqual(self.member.vote(2, vote(3, 9, 2)).reason, RejectReason.LEASE_PROMISED)
        self.assertTrue(self.member.vote(2, vote(3, 9, 2, transfer=True)).granted)

    def test_a_configuration_counts_from_its_entry_on_until_that_is_cut_off(self):
        change = entry(1, encode(configuration(1, 3, 4)), EntryKind.CONFIG)
        self.member.append(1, append(1, 1, 0, 0, [change, entry(1, "a")]))
        self.assertEqual(self.member.members.ids(), {1, 3, 4})
        self.start()
        self.assertEqual(self.member.members.ids(), {1, 3, 4})
        self.member.append(2, append(2, 2, 0, 0, [entry(2, "b")]))
        self.assertEqual(self.member.members.ids(), {1, 2, 3})

    def test_what_is_declared_can_be_raised_under_the_lock(self):
        with self.assertRaises(NotLeader), self.member.locked():
            raise NotLeader(group=1)

    def test_a_damaged_entry_is_not_taken(self):
        broken = entry(1, "a")
        broken.body = b"b"
        with self.assertRaises(Refused):
            self.member.append(1, append(1, 1, 0, 0, [broken]))
        self.assertEqual(self.terms(), [])


if __name__ == "__main__":
    unittest.main()
